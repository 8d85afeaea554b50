//! What handlers decide: logins and logouts of their own, and the end of a session they wait for.

use std::{net::IpAddr, sync::Arc};

use super::{
    browser::{Browser, ExistingSession},
    route::RouteAuth,
};
use crate::{
    authenticate::login_payload::LoginPayload,
    cookies::SetCookies,
    denial::Denial,
    maybe_future::{BoxFuture, MaybeFuture},
    middleware::cookies::is_https,
    request::head::RequestHead,
    session::{LoginId, Session, grant::Grant},
    store,
};

impl RouteAuth {
    /// A session that counts as one that this layer has authenticated.
    #[cfg(feature = "testing")]
    pub(crate) fn authenticated_session(&self, session: Session) -> Session {
        session.authenticated_by(self.state.id)
    }

    /// A login that a handler decided.
    pub(crate) fn login(
        &self,
        head: RequestHead<'_>,
        grant: Grant,
        browser_session: bool,
    ) -> MaybeFuture<Result<SetCookies, Denial>> {
        let state = Arc::clone(&self.state);
        let head = head.replace_clock(&*state.clock);
        let target = match state.guards.check_target(head) {
            Ok(target) => target,
            Err(denial) => return Err(denial).into(),
        };
        let mut login = LoginPayload::from(grant);
        login.browser_session = browser_session;
        let login_cookie = state
            .login_cookie
            .as_ref()
            .filter(|cookie| cookie.stored.is_none());
        if let Some(continued) =
            login_cookie.and_then(|cookie| cookie.continued(head, login.grant.identity().username()))
        {
            login.started_at = continued.started_at;
            login.browser_session |= continued.browser_session;
        }
        let mut browser = Browser::of(&state, head, &target);
        browser.existing = ExistingSession::Continues;
        let path = browser.path.clone();
        state
            .login(login, browser)
            .map(move |cookies| cookies.map_err(|error| state.login_failed(&error, &path)))
    }

    /// Where a request comes from, and whether by https.
    fn client(&self, head: RequestHead<'_>) -> (Option<IpAddr>, bool) {
        let guards = &self.state.guards;
        match guards.check_target(head) {
            Ok(target) => (guards.client_ip(&target, head), is_https(&target, head)),
            Err(_) => (None, false),
        }
    }

    /// A logout that a handler decided.
    pub(crate) fn logout(&self, head: RequestHead<'_>) -> MaybeFuture<Result<SetCookies, Denial>> {
        let (client, https) = self.client(head);
        self.state.logout(head, client, https)
    }

    /// Allows or denies a read of what users put there themselves: a page of this server must have caused it.
    pub(crate) fn require_own_page(&self, head: RequestHead<'_>) -> Result<(), Denial> {
        let state = &*self.state;
        let target = state.guards.check_target(head)?;
        match Session::from_extensions(head.extensions()) {
            Some(session) if session.auth_method().is_ambient() => {
                state
                    .xsrf_cookie
                    .require_same_origin(&state.guards, &target, head, session)
            }
            _ => Ok(()),
        }
    }

    /// Completes when the session ends; never, if nothing here would end it.
    pub(crate) fn session_end(&self, session: &Session) -> BoxFuture<()> {
        let mark = session.login_mark();
        let stored = self
            .state
            .login_cookie
            .as_ref()
            .and_then(|cookie| cookie.stored.clone());
        if let (LoginId::Stored(id), Some(stored)) = (mark.id, stored) {
            return Box::pin(stored.ended(id, mark.epoch));
        }
        if mark.started == 0 {
            return Box::pin(std::future::pending());
        }
        let login = store::SessionKey {
            username: session.identity().username(),
            started: mark.started,
        };
        let now = self.state.clock.monotonic_now();
        Box::pin(self.state.revoked.subscribe(login, mark.epoch, now))
    }
}

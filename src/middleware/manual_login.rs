//! What handlers decide: logins and logouts of their own, and the end of a session they wait for.

use std::net::IpAddr;

use super::route::RouteAuth;
use crate::{
    authenticate::login_payload::LoginPayload,
    cookies::{CookieError, SetCookies},
    denial::Denial,
    middleware::cookies::is_https,
    request::head::RequestHead,
    session::{Session, grant::Grant},
    store::{self, SessionEnded},
};

impl RouteAuth {
    /// A session that this gate takes as asked for before.
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
    ) -> Result<SetCookies, CookieError> {
        let head = head.replace_clock(&*self.state.clock);
        let mut login = LoginPayload::from(grant);
        login.browser_session = browser_session;
        let login_cookie = self.state.login_cookie.as_ref();
        if let Some(continued) =
            login_cookie.and_then(|cookie| cookie.continued(head, login.grant.identity().username()))
        {
            login.started_at = continued.started_at;
            login.browser_session |= continued.browser_session;
        }
        let (client, https) = self.client(head);
        let mut cookies = SetCookies::default();
        let host = head.host().unwrap_or_default();
        self.state.login(login, host, client, https, &mut cookies)?;
        Ok(cookies)
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
    pub(crate) fn logout(&self, head: RequestHead<'_>) -> Result<SetCookies, Denial> {
        let mut cookies = SetCookies::default();
        let (client, https) = self.client(head);
        self.state.logout(head, client, https, &mut cookies)?;
        Ok(cookies)
    }

    /// Allows or denies a read of what users put there themselves: a page of this server must have caused it.
    pub(crate) fn require_own_page(&self, head: RequestHead<'_>) -> Result<(), Denial> {
        let gate = &*self.state;
        let target = gate.guards.check_target(head)?;
        match Session::from_extensions(head.extensions()) {
            Some(session) if session.auth_method().is_ambient() => {
                gate.xsrf_cookie
                    .require_same_origin(&gate.guards, &target, head, session)
            }
            _ => Ok(()),
        }
    }

    /// The end of a session, to come; `None` if nothing here would end it.
    pub(crate) fn session_end(&self, session: &Session) -> Option<SessionEnded> {
        let mark = session.login_mark();
        let login = store::SessionKey {
            username: session.identity().username(),
            started: mark.started,
        };
        (mark.started != 0).then(|| {
            let now = self.state.clock.monotonic_now();
            self.state.revoked.subscribe(login, mark.epoch, now)
        })
    }
}

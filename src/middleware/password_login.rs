//! Logins: by the built-in pages, and by a handler that checks a password.

use std::{fmt, sync::Arc};

use super::{browser::Browser, route::RouteAuth};
use crate::{
    cookies::SetCookies,
    denial::{Denial, Reason},
    maybe_future::MaybeFuture,
    request::head::RequestHead,
    secret::Secret,
    session::{AuthMethod, Session},
};

/// A user who proved an identity by a password: what [`AuthLayer::verify_password`] gives.
///
/// [`AuthLayer::verify_password`]: crate::AuthLayer::verify_password
#[must_use = "a browser is logged in by the cookies"]
pub struct LoginSuccess {
    session: Session,
    cookies: SetCookies,
}

impl LoginSuccess {
    /// Who, and what they may do.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The cookies of the login, the session first: to be put on the answer.
    pub fn into_set_cookies(self) -> SetCookies {
        self.cookies
    }
}

impl fmt::Debug for LoginSuccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl RouteAuth {
    /// See [`AuthLayer::verify_password`](crate::AuthLayer::verify_password).
    pub(crate) fn verify_password(
        &self,
        head: RequestHead<'_>,
        username: &str,
        password: &Secret,
    ) -> MaybeFuture<Result<LoginSuccess, Denial>> {
        let state = Arc::clone(&self.state);
        let target = match state.guards.check_target(head) {
            Ok(target) => target,
            Err(denial) => return Err(denial).into(),
        };
        if state.guards.is_cross_site(&target, head) {
            state.log_denied(Reason::CrossSite, head, &target);
            return Err(Reason::CrossSite.into()).into();
        }
        let browser = Browser::of(&state, head, &target);
        let verified = state
            .passwords
            .verify(username, password, browser.client, &browser.path);
        let verified = match verified {
            MaybeFuture::Ready(Err(denial)) => return Err(denial).into(),
            verified => verified,
        };
        MaybeFuture::from_future(async move {
            let grant = verified.await?;
            let session = Session::new(grant.clone(), AuthMethod::Password);
            let path = browser.path.clone();
            let cookies = state.login(grant.into(), browser).await;
            let cookies = cookies.map_err(|error| state.login_failed(&error, &path))?;
            Ok(LoginSuccess { session, cookies })
        })
    }
}

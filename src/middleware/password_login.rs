//! Logins: by the gate's own pages, and by a handler that checks a password.

use std::{fmt, net::IpAddr, sync::Arc};

use http::{HeaderValue, StatusCode};

use super::{
    cookies::is_https,
    error_response::{FullResponse, redirect},
    route::RouteAuth,
    state::AuthState,
};
use crate::{
    authenticate::login_payload,
    cookies::{CookieError, SetCookies},
    denial::{Denial, Reason},
    maybe_future::MaybeFuture,
    request::head::RequestHead,
    request_policy::EffectiveTarget,
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

/// What a login needs to know of the request that makes it.
pub(crate) struct Browser {
    pub(crate) client: Option<IpAddr>,
    pub(crate) path: Box<str>,
    host: Box<[u8]>,
    https: bool,
}

impl Browser {
    pub(crate) fn of(gate: &AuthState, head: RequestHead<'_>, target: &EffectiveTarget<'_>) -> Self {
        Self {
            client: gate.guards.client_ip(target, head),
            path: head.uri().path().into(),
            host: head.host().unwrap_or_default().into(),
            https: is_https(target, head),
        }
    }

    /// Logs this browser in.
    fn log_in(
        &self,
        gate: &AuthState,
        login: impl Into<login_payload::LoginPayload>,
    ) -> Result<SetCookies, CookieError> {
        let mut cookies = SetCookies::default();
        gate.login(login, &self.host, self.client, self.https, &mut cookies)?;
        Ok(cookies)
    }

    /// Logs this browser in if there is a login to make, and sends it to `target`.
    pub(crate) fn log_in_and_redirect(
        &self,
        gate: &AuthState,
        login: Option<impl Into<login_payload::LoginPayload>>,
        status: StatusCode,
        target: HeaderValue,
    ) -> FullResponse {
        let cookies = login.map(|login| self.log_in(gate, login)).transpose();
        match cookies {
            Ok(cookies) => {
                let mut response = redirect(status, target);
                cookies.unwrap_or_default().append_to(response.headers_mut());
                response
            }
            Err(error) => gate.cookie_too_large(&error, &self.path),
        }
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
        let gate = Arc::clone(&self.state);
        let target = match gate.guards.check_target(head) {
            Ok(target) => target,
            Err(denial) => return Err(denial).into(),
        };
        if gate.guards.is_cross_site(&target, head) {
            gate.log_denied(Reason::CrossSite, head, &target);
            return Err(Reason::CrossSite.into()).into();
        }
        let browser = Browser::of(&gate, head, &target);
        let verified = gate
            .passwords
            .verify(username, password, browser.client, &browser.path);
        verified.map(move |verified| {
            let grant = verified?;
            let session = Session::new(grant.clone(), AuthMethod::Password);
            let cookies = browser.log_in(&gate, grant).map_err(|error| {
                gate.cookie_too_large(&error, &browser.path);
                Denial::new(Reason::TooLarge).with_detail("what this login holds is too long for a cookie")
            })?;
            Ok(LoginSuccess { session, cookies })
        })
    }
}

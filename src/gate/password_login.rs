//! LoginFilter: by the gate's own pages, and by a handler that checks a password.

use std::{fmt, net::IpAddr, sync::Arc};

use http::{HeaderValue, StatusCode};

use super::{
    gate::Gate,
    login_cookie::is_https,
    passage::Passage,
    responses::{OwnResponse, redirect},
};
use crate::{
    authenticate::login_payload,
    cookie::{CookieError, SetCookies},
    denial::{Denial, Reason},
    guard::Surroundings,
    head::Head,
    maybe_future::Answer,
    secret::Secret,
    session::{Credential, Session},
};

/// A user who proved an identity by a password: what [`AuthLayer::verify_password`] gives.
///
/// [`AuthLayer::verify_password`]: crate::AuthLayer::verify_password
#[must_use = "a browser is logged in by the cookies"]
pub struct Login {
    session: Session,
    cookies: SetCookies,
}

impl Login {
    /// Who, and what they may do.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The cookies of the login, the session first: to be put on the answer.
    pub fn set_cookies(self) -> SetCookies {
        self.cookies
    }
}

impl fmt::Debug for Login {
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
    pub(crate) fn of(gate: &Gate, head: Head<'_>, surroundings: &Surroundings<'_>) -> Self {
        Self {
            client: gate.guards.client(surroundings, head),
            path: head.uri().path().into(),
            host: head.host().unwrap_or_default().into(),
            https: is_https(surroundings),
        }
    }

    /// Logs this browser in.
    fn log_in(&self, gate: &Gate, login: impl Into<login_payload::Login>) -> Result<SetCookies, CookieError> {
        let mut cookies = SetCookies::default();
        gate.log_in(login, &self.host, self.client, self.https, &mut cookies)?;
        Ok(cookies)
    }

    /// Logs this browser in if there is a login to make, and sends it to `target`.
    pub(crate) fn log_in_and_redirect(
        &self,
        gate: &Gate,
        login: Option<impl Into<login_payload::Login>>,
        status: StatusCode,
        target: HeaderValue,
    ) -> OwnResponse {
        let cookies = login.map(|login| self.log_in(gate, login)).transpose();
        match cookies {
            Ok(cookies) => {
                let mut response = redirect(status, target);
                cookies.unwrap_or_default().append_to(response.headers_mut());
                response
            }
            Err(error) => gate.did_not_fit(&error, &self.path),
        }
    }
}

impl Passage {
    /// See [`AuthLayer::verify_password`](crate::AuthLayer::verify_password).
    pub(crate) fn verify_password(
        &self,
        head: Head<'_>,
        username: &str,
        password: &Secret,
    ) -> Answer<Result<Login, Denial>> {
        let gate = Arc::clone(&self.gate);
        let surroundings = match gate.guards.surroundings(head) {
            Ok(surroundings) => surroundings,
            Err(denial) => return Err(denial).into(),
        };
        if gate.guards.shows_another_site(&surroundings, head) {
            gate.refused(Reason::CrossSite, head, &surroundings);
            return Err(Reason::CrossSite.into()).into();
        }
        let browser = Browser::of(&gate, head, &surroundings);
        let verified = gate
            .passwords
            .verify(username, password, browser.client, &browser.path);
        verified.map(move |verified| {
            let grant = verified?;
            let session = Session::new(grant.clone(), Credential::Password);
            let cookies = browser.log_in(&gate, grant).map_err(|error| {
                gate.did_not_fit(&error, &browser.path);
                Denial::new(Reason::TooLarge).with_detail("what this login holds is too long for a cookie")
            })?;
            Ok(Login { session, cookies })
        })
    }
}

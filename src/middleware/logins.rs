//! Begins and ends logins: those of the layer's pages and those that a handler decides.

use std::{net::IpAddr, sync::Arc};

use http::{HeaderValue, StatusCode};

use super::{
    browser::Browser,
    error_response::{FullResponse, page_response, redirect, retry_after},
    state::AuthState,
};
use crate::{
    authenticate::login_payload::LoginPayload,
    cookies::{CookieError, RequestCookies, SetCookies},
    denial::{Denial, Reason},
    error::BackendError,
    event::{Event, RedactedPath},
    html::Page,
    maybe_future::MaybeFuture,
    request::head::RequestHead,
    session::{Exchange, Session, grant::Grant, identity::Identity},
    store::StoreError,
};

/// Why a login was not made.
pub(crate) enum LoginError {
    /// It does not fit into a cookie.
    TooLarge(CookieError),
    /// The store of the sessions does not answer.
    Unavailable(BackendError),
}

impl AuthState {
    /// The login that a session becomes which came from a token in the query, unless the browser has it already.
    /// The session gets the identity that this login has.
    pub(crate) fn login_for(&self, session: &mut Session, head: RequestHead<'_>) -> Option<LoginPayload> {
        let login_cookie = self.login_cookie.as_ref()?;
        let token = match session.exchange()? {
            Exchange::SharedToken => None,
            Exchange::Token(hash) => Some(**hash),
        };
        if login_cookie.stored.is_some() {
            // Whether the browser has it already, only the store knows.
            let grant = token.map_or_else(|| Grant::new(Identity::anonymous()), |_| session.grant().clone());
            return Some(LoginPayload {
                token,
                ..grant.into()
            });
        }
        let logins = login_cookie.logins(head.replace_clock(&*self.clock));
        let existing = match &*logins {
            [login] if login.token == token => Some(login.grant.clone()),
            _ => None,
        };
        match (token, existing) {
            // A login without a token of its own must have no less rights than the shared token.
            (None, Some(grant)) if grant.is_unlimited() => {
                session.set_grant(grant);
                None
            }
            (Some(_), Some(_)) => None,
            (None, _) => {
                // Clients that share a token have no name: each browser is a user of its own.
                let grant = Grant::new(Identity::anonymous());
                session.set_grant(grant.clone());
                Some(grant.into())
            }
            (Some(_), None) => Some(LoginPayload {
                token,
                ..session.grant().clone().into()
            }),
        }
    }

    /// A login: the cookies of its owner for this browser, the session first.
    pub(crate) fn login(
        self: &Arc<Self>,
        login: LoginPayload,
        mut browser: Browser,
    ) -> MaybeFuture<Result<SetCookies, LoginError>> {
        let stored = self
            .login_cookie
            .as_ref()
            .and_then(|cookie| cookie.stored.clone());
        if let Some(stored) = stored {
            let state = Arc::clone(self);
            return MaybeFuture::from_future(async move {
                let now = state.clock.now();
                let https = browser.https;
                let begun = browser.begin_session(&stored, login, now).await;
                let begun = begun.map_err(LoginError::Unavailable)?;
                Ok(begun.map_or_else(SetCookies::default, |(session, line)| {
                    state.logged_in(&session, Some(line), browser.client, https)
                }))
            });
        }
        let line = self
            .login_cookie
            .as_ref()
            .and_then(|cookie| cookie.signed.as_ref());
        let line =
            line.map(|signed| signed.set_cookie(&login, &browser.host, self.clock.now(), browser.https));
        let line = match line.transpose() {
            Ok(line) => line,
            Err(error) => return Err(LoginError::TooLarge(error)).into(),
        };
        Ok(self.logged_in(&login.into_session(), line, browser.client, browser.https)).into()
    }

    /// Reports a login, and returns its cookies.
    fn logged_in(
        &self,
        session: &Session,
        line: Option<HeaderValue>,
        client: Option<IpAddr>,
        https: bool,
    ) -> SetCookies {
        let mut cookies = SetCookies::default();
        if let Some(line) = line {
            cookies.push_overriding(line);
        }
        self.emit(&Event::LoggedIn {
            identity: session.identity(),
            client,
        });
        self.xsrf_cookie.renew(session, https, &mut cookies);
        cookies
    }

    /// Ends every login whose cookie came with this request, and returns the lines that remove the cookies.
    ///
    /// # Errors
    ///
    /// `TooLarge` if the cookies cannot be read, `Unavailable` if the store of the sessions does not answer: then the browser
    /// keeps its cookies.
    pub(crate) fn logout(
        self: &Arc<Self>,
        head: RequestHead<'_>,
        client: Option<IpAddr>,
        https: bool,
    ) -> MaybeFuture<Result<SetCookies, Denial>> {
        if let Err(too_large) = RequestCookies::from_head(head) {
            return Err(too_large.into()).into();
        }
        let head = head.replace_clock(&*self.clock);
        let mut cookies = SetCookies::default();
        self.remove_cookies(head, https, &mut cookies);
        let Some(login_cookie) = &self.login_cookie else {
            return Ok(cookies).into();
        };
        for login in &login_cookie.revoke(head) {
            let identity = login.grant.identity();
            self.emit(&Event::LoggedOut { identity, client });
        }
        let sent = login_cookie
            .stored
            .as_ref()
            .map(|stored| (stored.clone(), stored.all_sent(head)));
        let Some((stored, Ok(sent))) =
            sent.filter(|(_, sent)| sent.as_ref().is_ok_and(|sent| !sent.is_empty()))
        else {
            return Ok(cookies).into();
        };
        let (state, path, now) = (Arc::clone(self), Box::<str>::from(head.uri().path()), head.now());
        MaybeFuture::from_future(async move {
            let ended = async {
                for (_, record) in stored.find_valid(sent, now).await? {
                    stored.end(&record).await?;
                    let identity = record.grant().identity();
                    state.emit(&Event::LoggedOut { identity, client });
                }
                Ok::<_, StoreError>(())
            };
            match ended.await {
                Ok(()) => Ok(cookies),
                Err(error) => Err(state.backend_error(&error.into(), &path)),
            }
        })
    }

    /// Reports a login that was not made, and returns the denial that says so.
    pub(crate) fn login_failed(&self, error: &LoginError, path: &str) -> Denial {
        match error {
            LoginError::TooLarge(error) => {
                let path = RedactedPath::new(path);
                self.emit(&Event::Unavailable { error, path });
                Denial::new(Reason::TooLarge).with_detail("session data is too large for a cookie")
            }
            LoginError::Unavailable(error) => self.backend_error(error, path),
        }
    }

    /// The page of a login that failed because of the server, not the user. Reports the error to the observer.
    pub(crate) fn login_failed_page(&self, error: &LoginError, path: &str) -> FullResponse {
        let denial = self.login_failed(error, path);
        let page = Page::new(&self.error_responder.page_style, "Login failed");
        let (status, text) = match error {
            LoginError::TooLarge(_) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "Your session data is too large for a cookie. Contact the administrator.",
            ),
            LoginError::Unavailable(_) => (
                denial.status(),
                "The server could not save your login. Please try again.",
            ),
        };
        let mut response = page_response(page.paragraph(text).link("", "Try again"));
        *response.status_mut() = status;
        retry_after(response, &denial)
    }
}

impl Browser {
    /// Logs this browser in if there is a login to make, and sends it to `target`.
    pub(crate) fn log_in_and_redirect(
        self,
        state: &Arc<AuthState>,
        login: Option<impl Into<LoginPayload>>,
        status: StatusCode,
        target: HeaderValue,
    ) -> MaybeFuture<FullResponse> {
        let Some(login) = login else {
            return redirect(status, target).into();
        };
        let (state, path) = (Arc::clone(state), self.path.clone());
        state.login(login.into(), self).map(move |cookies| match cookies {
            Ok(cookies) => {
                let mut response = redirect(status, target);
                cookies.append_to(response.headers_mut());
                response
            }
            Err(error) => state.login_failed_page(&error, &path),
        })
    }
}

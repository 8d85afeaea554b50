//! The login page: a form that takes a token or a password.
//!
//! | request | answer |
//! |---|---|
//! | GET, not logged in | 200, the form; a `_xsrf` cookie if the request has none that this server issued |
//! | GET, logged in (a valid `?token=` logs in) | 302 to `next` |
//! | POST from another site, or without the form's `_xsrf` | 403, the form again |
//! | POST, too many wrong ones before | 429, `Retry-After` |
//! | POST, the token or the password | 302 to `next`; the session cookie is the first `Set-Cookie`, a new `_xsrf` the second |
//! | POST with a new password and the right one | the password is changed; every login ends, and 302 as above |
//! | POST with a new password that the policy rejects | 400, the form again, nothing is changed |
//! | POST, anything else | 401, the form again, no cookie |
//! | POST, hashing is full, or too many attempts wait | 503, `Retry-After` |
//!
//! A password is taken as it was typed, as `PasswordHash` takes it; white space around a
//! token is ignored.
//!
//! `next` is used if it is a URL of this server, else the base. The fields are those of Jupyter Server: `password` takes
//! a token or a password; `new_password` in addition sets the shared password where that is allowed; the page with
//! `?change=password` has both fields.

mod form;
pub(crate) mod logout;
#[cfg(feature = "password")]
pub(crate) mod password_change;
pub(crate) mod sessions_page;
mod shared_password;
mod submission;

use std::sync::Arc;

use http::{HeaderValue, StatusCode};

pub(crate) use self::shared_password::{PasswordChangeError, SharedPasswordControl};
use self::{
    form::{LoginForm, REMEMBER},
    submission::LoginSubmission,
};
use crate::{
    authenticate::login_payload::LoginPayload,
    cookies::SetCookies,
    maybe_future::MaybeFuture,
    middleware::{
        Browser, ExistingSession,
        endpoint::{Endpoint, EndpointRequest},
        error_response::{FullResponse, session_ended_alert},
        form::UrlEncodedForm,
    },
    redirect::{NextUrl, RedirectPolicy},
    request::{base_url::BaseUrl, head::RequestHead, percent, query::Query},
    secret::Secret,
    session::{grant::Grant, identity::Identity},
    token::{PresentedToken, Token},
    verify::{TokenVerifier, Verification},
};

/// See the module documentation.
pub(crate) struct LoginPage {
    /// The path of this page.
    pub(crate) path: Box<str>,
    /// The path of the logout, which is no target either.
    pub(crate) logout_path: Box<str>,
    pub(crate) tokens: Arc<[Token]>,
    /// Verifiers of more tokens that may be typed. A token has the same grant as in other requests.
    pub(crate) verifiers: Arc<[Arc<dyn TokenVerifier>]>,
    /// Whether the form lets users choose how long the browser keeps the login.
    pub(crate) remember_me: bool,
    /// The one password that all users share, if there is one.
    pub(crate) shared: Option<Arc<dyn SharedPasswordControl>>,
}

impl Endpoint for LoginPage {
    fn get(&self, request: &EndpointRequest<'_>) -> MaybeFuture<FullResponse> {
        let state = request.state();
        let session = match request.permitted_session() {
            Some(session) if !self.is_password_change(request) => session,
            _ => {
                let form = self.form(request, self.is_password_change(request));
                return form
                    .response(StatusCode::OK, session_ended_alert(request.head))
                    .into();
            }
        };
        let login = state.login_for(&mut session.clone(), request.head);
        let next = HeaderValue::from(&self.next(request.head, &state.error_responder.base_url));
        let mut browser = Browser::of(state, request.head, &request.target);
        browser.existing = ExistingSession::Stays;
        browser.log_in_and_redirect(state, login, StatusCode::FOUND, next)
    }

    fn post(&self, request: &EndpointRequest<'_>, form: &UrlEncodedForm) -> MaybeFuture<FullResponse> {
        let (state, head) = (request.state(), request.head);
        let new = Some(field(form, &["new_password"])).filter(|new| !new.is_empty());
        let username = form.text("username");
        let shown = LoginForm {
            username: username.chars().take(MAX_SHOWN_USERNAME).collect(),
            ..self.form(request, new.is_some())
        };
        let xsrf = form.text("_xsrf");
        // A page that was loaded before the login in another tab is as much of this server as one after it.
        let by_login = || match request.session_by_cookie() {
            Some(session) => request.check_xsrf(Some(session), &xsrf),
            None => request.check_xsrf(None, &xsrf),
        };
        if let Err(denial) = request.check_xsrf(None, &xsrf).or_else(|_| by_login()) {
            state.log_denied(denial.reason(), head, &request.target);
            return shown.response(StatusCode::FORBIDDEN, STALE).into();
        }
        if let Some(new) = &new
            && let Err(refused) = self.check_new_password(new, form)
        {
            return shown.change_failed(state, head.uri().path(), refused).into();
        }
        let browser = Browser::of(state, head, &request.target);
        let attempt = state
            .passwords
            .reserve(username.trim(), browser.client, &browser.path);
        let arrival = LoginSubmission {
            state: Arc::clone(state),
            browser,
            browser_session: self.remember_me && form.field(REMEMBER).is_none(),
            form: LoginForm {
                remember: shown.remember.map(|_| form.field(REMEMBER).is_some()),
                ..shown
            },
            next: self.next(head, &state.error_responder.base_url),
            changes: self.shared.as_ref().map_or(0, |shared| shared.changes()),
            shared: self.shared.clone(),
            new,
        };
        let typed = field(form, &["password", "token"]);
        let (tokens, verifiers) = (Arc::clone(&self.tokens), Arc::clone(&self.verifiers));
        MaybeFuture::from_future(async move {
            let attempt = match attempt.await {
                Ok(attempt) => attempt,
                Err(denial) => return arrival.form.refused(&denial),
            };
            // A token says nothing about the account whose name was typed, so the attempt does not count.
            let presented = PresentedToken::new(typed.expose().trim_ascii());
            if presented.is_some_and(|presented| is_one_of(&tokens, presented)) {
                attempt.withdraw().await;
                return arrival.succeed_as_owner(Grant::new(Identity::anonymous())).await;
            }
            if let Some(token) = presented.filter(|_| arrival.new.is_none()) {
                for verifier in &*verifiers {
                    match verifier.verify(token).await {
                        Verification::Valid(grant) if !arrival.is_expired(&grant) => {
                            attempt.withdraw().await;
                            let token = Some(token.hash());
                            let login = LoginPayload {
                                token,
                                ..grant.into()
                            };
                            return arrival.succeed(login).await;
                        }
                        Verification::Unavailable(unavailable) => {
                            return arrival.form.refused(&attempt.unavailable(&unavailable).await);
                        }
                        _ => {}
                    }
                }
            }
            match attempt.verify(&typed).await {
                Ok(grant) => arrival.succeed_as_owner(grant).await,
                Err(denial) => arrival.form.refused(&denial),
            }
        })
    }
}

impl LoginPage {
    /// The redirect target of the login: `next`, if it is a URL of this server.
    fn next(&self, head: RequestHead<'_>, base_url: &BaseUrl) -> NextUrl {
        let closed = [&*self.path, &*self.logout_path];
        let next = Query::from_uri(head.uri()).parameter("next");
        next.and_then(|next| NextUrl::parse(next, RedirectPolicy::new(base_url).excluding(&closed)))
            .unwrap_or_else(|| NextUrl::base(base_url))
    }

    /// Whether the request is for the page that changes the password.
    fn is_password_change(&self, request: &EndpointRequest<'_>) -> bool {
        self.may_change() && Query::from_uri(request.head.uri()).parameter("change").is_some()
    }

    fn may_change(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.may_change())
    }

    /// Checks the fields for the new password `new`. Whether the policy accepts it costs more work, so that is checked
    /// after the client has proved that it may change the password.
    fn check_new_password(&self, new: &Secret, form: &UrlEncodedForm) -> Result<(), PasswordChangeError> {
        if !self.may_change() {
            return Err(PasswordChangeError::NotAllowed);
        }
        match form.field("new_password_again") {
            // Programs that know Jupyter's form send it once.
            None => Ok(()),
            Some(again) if again.expose() == new.expose() => Ok(()),
            Some(_) => Err(PasswordChangeError::Rejected(TWO.to_owned())),
        }
    }

    /// The form for this request: for a login, or for a new password.
    fn form(&self, request: &EndpointRequest<'_>, changes: bool) -> LoginForm {
        let mut cookies = SetCookies::default();
        let xsrf = request.xsrf(request.session_by_cookie(), &mut cookies);
        let next = self.next(request.head, &request.state().error_responder.base_url);
        let target = |query: &str| {
            let mut target = format!("{}?{query}next=", self.path);
            percent::form_encode(next.as_str().as_bytes(), &mut target);
            target
        };
        let takes_password = match &self.shared {
            Some(shared) => shared.is_set(),
            None => request.state().passwords.has_verifier(),
        };
        LoginForm {
            action: target(if changes { CHANGE } else { "" }),
            alternate_url: self
                .may_change()
                .then(|| target(if changes { "" } else { CHANGE })),
            is_password_change: changes,
            remember: self.remember_me.then_some(false),
            style: request.state().error_responder.page_style.clone(),
            xsrf,
            cookies,
            needs_username: request.state().passwords.needs_username(),
            username: String::new(),
            label: match (
                self.tokens.is_empty() && self.verifiers.is_empty(),
                takes_password,
            ) {
                (false, true) => "Password or token",
                (false, false) => "Token",
                _ => "Password",
            },
            hint: if self.tokens.is_empty() { "" } else { HINT },
        }
    }
}

/// How many characters of a name are shown again after a mistake.
const MAX_SHOWN_USERNAME: usize = 64;

/// What the target of the other form has in its query.
const CHANGE: &str = "change=password&";
const HINT: &str = "The token is printed in the terminal or log where the server was started.";
const STALE: &str = "This form has expired. Please try again.";
const TWO: &str = "the passwords do not match";

/// Whether what was typed is one of the tokens; the time does not depend on which.
fn is_one_of(tokens: &[Token], typed: PresentedToken<'_>) -> bool {
    tokens
        .iter()
        .fold(false, |known, token| known | token.matches(typed))
}

/// The first of these fields that the form has, exactly as it was typed: a space is a character of a password.
fn field(form: &UrlEncodedForm, names: &[&str]) -> Secret {
    let field = names.iter().find_map(|name| form.field(name));
    field.cloned().unwrap_or_else(|| Secret::from(""))
}

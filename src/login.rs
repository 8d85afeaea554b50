//! The login page: a form that takes a token or a password.
//!
//! | request | answer |
//! |---|---|
//! | GET, not logged in | 200, the form; a `_xsrf` cookie if none that is ours came |
//! | GET, logged in (a good `?token=` logs in) | 302 to `next` |
//! | POST from another site, or without the form's `_xsrf` | 403, the form again |
//! | POST, too many wrong ones before | 429, `Retry-After` |
//! | POST, the token or the password | 302 to `next`; the session cookie is the first `Set-Cookie`, a new `_xsrf` the second |
//! | POST, anything else | 401, the form again, no cookie |
//! | POST, hashing is full | 503, `Retry-After` |
//!
//! `next` is a target proven to be ours, else the base. The fields are those of Jupyter Server: `password` takes
//! either, `new_password` beside the token sets a password where that is allowed.

use std::sync::Arc;

use http::{HeaderValue, StatusCode, header::RETRY_AFTER};

use crate::{
    answer::Answer,
    authenticate::Outcome,
    base_url::BaseUrl,
    cookie::SetCookies,
    denial::{Denial, Reason},
    event::{Event, LoggedPath},
    gate::{
        endpoint::{Endpoint, Visit},
        form::Form,
        login_cookie::is_https,
        passage::Gate,
        responses::{OwnResponse, page_response, redirect},
    },
    grant::Grant,
    head::Head,
    identity::Identity,
    next_url::{NextUrl, Premises},
    page::{FieldKind, Page},
    query::Query,
    secret::Secret,
    token::{PresentedToken, Token},
    verify::{PasswordVerifier, Verdict},
};

/// See the page of this room.
pub(crate) struct Login {
    /// The path of this page.
    pub(crate) path: Box<str>,
    /// The path of the logout, which is no target either.
    pub(crate) logout_path: Box<str>,
    pub(crate) tokens: Vec<Token>,
    pub(crate) passwords: Option<Arc<dyn PasswordVerifier>>,
    /// Whether people have names here, or share one password.
    pub(crate) asks_for_username: bool,
}

impl Endpoint for Login {
    fn visit(&self, visit: &Visit<'_>) -> OwnResponse {
        let gate = visit.gate;
        if let Answer::Now(Outcome::Accepted(session)) = gate.chain.authenticate(visit.head) {
            return gate.welcome_back(&session, visit, &self.next(visit.head, &gate.base_url));
        }
        self.form(visit).answer(StatusCode::OK, "")
    }

    fn submit(&self, visit: &Visit<'_>, form: &Form) -> Answer<OwnResponse> {
        let (gate, head) = (visit.gate, visit.head);
        let asked = self.form(visit);
        if let Err(denial) = gate.xsrf_cookie.check_login_form(&gate.guards, &visit.surroundings, head, form.text("_xsrf").trim()) {
            gate.refused(&denial, head, &visit.surroundings);
            return asked.answer(StatusCode::FORBIDDEN, "This form was too old, or came from another site. Please try again.").into();
        }
        let username = if self.asks_for_username { form.text("username").trim().to_owned() } else { String::new() };
        let client = gate.guards.client(&visit.surroundings, head);
        let permit = match gate.throttle.check(&username, client, gate.moment()) {
            Ok(permit) => permit,
            Err(throttled) => {
                gate.refused(&Denial::new(Reason::Throttled), head, &visit.surroundings);
                let mut answer = asked.answer(StatusCode::TOO_MANY_REQUESTS, "Too many wrong attempts. Please wait before you try again.");
                answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(throttled.retry_after().as_secs().max(1)));
                return answer.into();
            }
        };
        let typed = typed(form);
        let arrival = Arrival { gate: Arc::clone(gate), form: asked, next: self.next(head, &gate.base_url) };
        if self.knows_token(&typed) {
            permit.succeeded();
            return arrival.let_in(Grant::new(Identity::anonymous())).into();
        }
        let Some(passwords) = &self.passwords else {
            permit.failed();
            return arrival.turn_away().into();
        };
        passwords.verify(&username, &typed).map(move |verdict| match verdict {
            Verdict::Known(grant) => {
                permit.succeeded();
                arrival.let_in(grant)
            }
            Verdict::Unavailable(unavailable) => arrival.unavailable(&unavailable),
            Verdict::Refused(_) | Verdict::Unknown => {
                permit.failed();
                arrival.turn_away()
            }
        })
    }
}

impl Login {
    /// Whether what was typed is one of the tokens; the time does not depend on which.
    fn knows_token(&self, typed: &Secret) -> bool {
        PresentedToken::new(typed.expose())
            .is_some_and(|typed| self.tokens.iter().fold(false, |known, token| known | token.matches(typed)))
    }

    /// Where the login leads: `next`, if it is one of ours.
    fn next(&self, head: Head<'_>, base_url: &BaseUrl) -> NextUrl {
        let closed = [&*self.path, &*self.logout_path];
        let next = Query::of(head.uri()).parameter("next");
        next.and_then(|next| NextUrl::parse(next, Premises::new(base_url).closed(&closed)))
            .unwrap_or_else(|| NextUrl::home(base_url))
    }

    /// The page that asks, for this visitor.
    fn form(&self, visit: &Visit<'_>) -> LoginForm {
        let https = is_https(&visit.surroundings);
        let mut cookies = SetCookies::default();
        let xsrf = visit.gate.xsrf_cookie.before_login(visit.head, https, &mut cookies);
        let next = self.next(visit.head, &visit.gate.base_url);
        let mut action = format!("{}?next=", self.path);
        crate::percent::form_encode(next.as_str().as_bytes(), &mut action);
        LoginForm {
            action,
            xsrf,
            cookies,
            https,
            host: visit.head.host().unwrap_or_default().into(),
            asks_for_username: self.asks_for_username,
            label: match (self.tokens.is_empty(), self.passwords.is_some()) {
                (false, true) => "Password or token",
                (false, false) => "Token",
                _ => "Password",
            },
            hint: if self.tokens.is_empty() { "" } else { HINT },
        }
    }
}

const HINT: &str = "The token is in the terminal or the log of this server, in the link that it printed when it \
                    started: `…/?token=…`.";

/// What a visitor is shown, with all that the answer to the form needs later.
struct LoginForm {
    action: String,
    xsrf: String,
    cookies: SetCookies,
    https: bool,
    host: Box<[u8]>,
    asks_for_username: bool,
    label: &'static str,
    hint: &'static str,
}

impl LoginForm {
    fn answer(self, status: StatusCode, alert: &str) -> OwnResponse {
        let page = Page::new("Log in").alert(alert).form(&self.action, "Log in", |fields| {
            fields.hidden("_xsrf", &self.xsrf);
            if self.asks_for_username {
                fields.field(FieldKind::Username, "username", "User name", true);
            }
            fields.field(FieldKind::CurrentPassword, "password", self.label, !self.asks_for_username);
        });
        let mut response = page_response(page.hint(self.hint).finish());
        *response.status_mut() = status;
        self.cookies.append_to(response.headers_mut());
        response
    }
}

/// Somebody who has sent the form, while it is judged.
struct Arrival {
    gate: Arc<Gate>,
    form: LoginForm,
    next: NextUrl,
}

impl Arrival {
    fn let_in(self, grant: Grant) -> OwnResponse {
        let mut cookies = SetCookies::default();
        self.gate.log_in(grant, &self.form.host, self.form.https, &mut cookies);
        let mut response = redirect(StatusCode::FOUND, HeaderValue::from(&self.next));
        cookies.append_to(response.headers_mut());
        response
    }

    fn turn_away(self) -> OwnResponse {
        self.gate.tell(&Event::Refused {
            reason: Reason::WrongPassword,
            label: None,
            path: LoggedPath::of(&self.form.action),
            client: None,
        });
        self.form.answer(StatusCode::UNAUTHORIZED, "Invalid credentials. Please try again.")
    }

    fn unavailable(self, unavailable: &crate::error::Unavailable) -> OwnResponse {
        let after = unavailable.retry_after().as_secs().max(1);
        let mut response = self.form.answer(
            StatusCode::SERVICE_UNAVAILABLE,
            "Logins cannot be checked right now. Please try again in a moment.",
        );
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(after));
        response
    }
}

/// What was typed: the field `password`, else `token`, without the blanks around it.
fn typed(form: &Form) -> Secret {
    let field = form.field("password").or_else(|| form.field("token"));
    field.map_or_else(|| Secret::from(""), |secret| Secret::from(secret.expose().trim_ascii()))
}

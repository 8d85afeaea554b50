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

use std::{net::IpAddr, sync::Arc, time::Duration};

use http::{HeaderValue, StatusCode, header::RETRY_AFTER};

use crate::{
    answer::Answer,
    authenticate::login_payload::Login,
    base_url::BaseUrl,
    cookie::SetCookies,
    denial::Reason,
    event::{Event, LoggedPath},
    gate::{
        endpoint::{Endpoint, Visit},
        form::Form,
        gate::Gate,
        login_cookie::is_https,
        responses::{OwnResponse, page_response, redirect},
    },
    grant::Grant,
    guard::{Permit, Throttle},
    head::Head,
    identity::Identity,
    next_url::{NextUrl, Premises},
    page::{FieldKind, Page},
    percent,
    query::Query,
    secret::Secret,
    session::Credential,
    token::{PresentedToken, Token, TokenHash},
    verify::{PasswordVerifier, TokenVerifier, Verdict},
};

/// See the page of this room.
pub(crate) struct LoginPage {
    /// The path of this page.
    pub(crate) path: Box<str>,
    /// The path of the logout, which is no target either.
    pub(crate) logout_path: Box<str>,
    pub(crate) tokens: Vec<Token>,
    /// Who knows more tokens that may be typed, each worth what it is worth elsewhere.
    pub(crate) verifiers: Vec<Arc<dyn TokenVerifier>>,
    pub(crate) passwords: Option<Arc<dyn PasswordVerifier>>,
    /// Whether people have names here, or share one password.
    pub(crate) asks_for_username: bool,
    pub(crate) throttle: Arc<Throttle>,
}

impl Endpoint for LoginPage {
    fn visit(&self, visit: &Visit<'_>) -> OwnResponse {
        let gate = visit.gate;
        let Some(session) = visit.session() else {
            return self.form(visit).answer(StatusCode::OK, "");
        };
        let mut cookies = SetCookies::default();
        if session.credential() == Credential::Token && Query::of(visit.head.uri()).holds_token() {
            let (host, client) = (visit.head.host().unwrap_or_default(), visit.client());
            let (owner, https) = (Grant::new(Identity::anonymous()), is_https(&visit.surroundings));
            if let Err(error) = gate.log_in(owner, host, client, https, &mut cookies) {
                return visit.too_long(&error);
            }
        }
        let mut response = redirect(
            StatusCode::FOUND,
            HeaderValue::from(&self.next(visit.head, &gate.telling.base_url)),
        );
        cookies.append_to(response.headers_mut());
        response
    }

    fn submit(&self, visit: &Visit<'_>, form: &Form) -> Answer<OwnResponse> {
        let (gate, head) = (visit.gate, visit.head);
        let asked = self.form(visit);
        let field = form.text("_xsrf");
        if let Err(denial) =
            gate.xsrf_cookie
                .check_login_form(&gate.guards, &visit.surroundings, head, field.trim())
        {
            gate.refused(denial.reason(), head, &visit.surroundings);
            return asked.answer(StatusCode::FORBIDDEN, STALE).into();
        }
        let username = if self.asks_for_username {
            form.text("username").trim().to_owned()
        } else {
            String::new()
        };
        let permit = match self
            .throttle
            .check(&username, visit.client(), gate.clock.moment())
        {
            Ok(permit) => permit,
            Err(throttled) => {
                gate.refused(Reason::Throttled, head, &visit.surroundings);
                return asked
                    .answer_later(StatusCode::TOO_MANY_REQUESTS, TOO_MANY, throttled.retry_after())
                    .into();
            }
        };
        let typed = typed(form);
        let arrival = Arrival {
            gate: Arc::clone(gate),
            throttle: Arc::clone(&self.throttle),
            permit,
            client: visit.client(),
            form: asked,
            next: self.next(head, &gate.telling.base_url),
        };
        if self.knows_token(&typed) {
            return arrival.let_in(Grant::new(Identity::anonymous())).into();
        }
        let passwords = self.passwords.clone();
        let by_password = move |arrival: Arrival, typed: &Secret| match &passwords {
            Some(passwords) => passwords
                .verify(&username, typed)
                .map(|verdict| arrival.settle(verdict)),
            None => arrival.turn_away().into(),
        };
        let Some((hash, answers)) = self.ask(&typed) else {
            return by_password(arrival, &typed);
        };
        Answer::later(async move {
            for answer in answers {
                match answer.await {
                    Verdict::Known(grant) if arrival.is_over(&grant) => {}
                    Verdict::Known(grant) => {
                        let token = Some(hash);
                        return arrival.let_in(Login {
                            token,
                            ..grant.into()
                        });
                    }
                    unavailable @ Verdict::Unavailable(_) => return arrival.settle(unavailable),
                    Verdict::Refused(_) | Verdict::Unknown => {}
                }
            }
            by_password(arrival, &typed).await
        })
    }
}

impl LoginPage {
    /// What is said of what was typed by those who know tokens, if it can be one.
    fn ask(&self, typed: &Secret) -> Option<(TokenHash, Vec<Answer<Verdict>>)> {
        let token = PresentedToken::new(typed.expose()).filter(|_| !self.verifiers.is_empty())?;
        let answers = self.verifiers.iter().map(|verifier| verifier.verify(token));
        Some((token.hash(), answers.collect()))
    }

    /// Whether what was typed is one of the tokens; the time does not depend on which.
    fn knows_token(&self, typed: &Secret) -> bool {
        PresentedToken::new(typed.expose()).is_some_and(|typed| {
            self.tokens
                .iter()
                .fold(false, |known, token| known | token.matches(typed))
        })
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
        let xsrf = visit
            .gate
            .xsrf_cookie
            .before_login(visit.head, https, &mut cookies);
        let next = self.next(visit.head, &visit.gate.telling.base_url);
        let mut action = format!("{}?next=", self.path);
        percent::form_encode(next.as_str().as_bytes(), &mut action);
        LoginForm {
            path: self.path.clone(),
            action,
            xsrf,
            cookies,
            https,
            host: visit.head.host().unwrap_or_default().into(),
            asks_for_username: self.asks_for_username,
            label: match (
                self.tokens.is_empty() && self.verifiers.is_empty(),
                self.passwords.is_some(),
            ) {
                (false, true) => "Password or token",
                (false, false) => "Token",
                _ => "Password",
            },
            hint: if self.tokens.is_empty() { "" } else { HINT },
        }
    }
}

const STALE: &str = "This form was too old, or came from another site. Please try again.";
const TOO_MANY: &str = "Too many wrong attempts. Please wait before you try again.";
const WRONG: &str = "Invalid credentials. Please try again.";
const BUSY: &str = "Logins cannot be checked right now. Please try again in a moment.";
const HINT: &str = "The token is the one that this server was started with. One that it made up itself, it printed in \
                    its terminal or log.";

/// What a visitor is shown, with all that the answer to the form needs later.
struct LoginForm {
    path: Box<str>,
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
        let page = Page::new("Log in")
            .alert(alert)
            .form(&self.action, "Log in", |fields| {
                fields.hidden("_xsrf", &self.xsrf);
                if self.asks_for_username {
                    fields.field(FieldKind::Username, "username", "User name", true);
                }
                fields.field(
                    FieldKind::Password,
                    "password",
                    self.label,
                    !self.asks_for_username,
                );
            });
        let mut response = page_response(page.hint(self.hint).finish());
        *response.status_mut() = status;
        self.cookies.append_to(response.headers_mut());
        response
    }

    /// The same, with word when to try again.
    fn answer_later(self, status: StatusCode, alert: &str, after: Duration) -> OwnResponse {
        let mut response = self.answer(status, alert);
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        response
    }
}

/// Somebody who has sent the form, while it is judged.
struct Arrival {
    gate: Arc<Gate>,
    throttle: Arc<Throttle>,
    /// Counts as a failure unless it is settled otherwise.
    permit: Permit,
    client: Option<IpAddr>,
    form: LoginForm,
    next: NextUrl,
}

impl Arrival {
    fn settle(self, verdict: Verdict) -> OwnResponse {
        match verdict {
            Verdict::Known(grant) if self.form.asks_for_username => self.let_in(grant),
            // Who shares a password has no name: each login is somebody new, with a session of its own.
            Verdict::Known(_) => self.let_in(Grant::new(Identity::anonymous())),
            Verdict::Unavailable(unavailable) => {
                self.throttle.withdraw(self.permit, self.gate.clock.moment());
                let denial = self.gate.unavailable(&unavailable, &self.form.path);
                self.form.answer_later(
                    StatusCode::SERVICE_UNAVAILABLE,
                    BUSY,
                    denial.retry_after().unwrap_or_default(),
                )
            }
            Verdict::Refused(_) | Verdict::Unknown => self.turn_away(),
        }
    }

    fn is_over(&self, grant: &Grant) -> bool {
        grant.expiry().is_some_and(|end| end <= self.gate.clock.now())
    }

    fn let_in(self, login: impl Into<Login>) -> OwnResponse {
        self.throttle.succeeded(self.permit, self.gate.clock.moment());
        let mut cookies = SetCookies::default();
        let form = &self.form;
        if let Err(error) = self
            .gate
            .log_in(login, &form.host, self.client, form.https, &mut cookies)
        {
            return self.gate.did_not_fit(&error, &form.path);
        }
        let mut response = redirect(StatusCode::FOUND, HeaderValue::from(&self.next));
        cookies.append_to(response.headers_mut());
        response
    }

    fn turn_away(self) -> OwnResponse {
        let (reason, path) = (Reason::WrongPassword, LoggedPath::of(&self.form.path));
        self.gate.tell(&Event::Refused {
            reason,
            label: None,
            path,
            client: self.client,
        });
        self.form.answer(StatusCode::UNAUTHORIZED, WRONG)
    }
}

/// What was typed: the field `password`, else `token`, without the blanks around it.
fn typed(form: &Form) -> Secret {
    let field = form.field("password").or_else(|| form.field("token"));
    field.map_or_else(
        || Secret::from(""),
        |secret| Secret::from(secret.expose().trim_ascii()),
    )
}

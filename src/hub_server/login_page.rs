//! The login form of a hub.
//!
//! | request | answer |
//! |---|---|
//! | GET, not logged in | 200, the form |
//! | GET, logged in | 302 to `next` |
//! | POST from another site, or without the form's `_xsrf` | 403, the form again |
//! | POST, too many wrong ones before | 429, `Retry-After` |
//! | POST, a wrong password, an unknown user, one who is no member | 403, the form again, no cookie |
//! | POST, good | 302 to `next`; session id, login cookie and a new `_xsrf`, in this order |

use std::sync::Arc;

use http::{StatusCode, header::USER_AGENT};

use super::{
    browser_session::{BrowserSession, SignedInUser},
    members::Members,
    request::{HubRequest, HubResult},
    response::{self, HubError},
    user::HubUser,
    username::Username,
};
use crate::{
    cookies::SetCookies,
    denial::Reason,
    event::{Event, RedactedPath},
    html::{Field, FieldError, FieldKind, FormFields, Page},
    maybe_future::MaybeFuture,
    middleware::{
        error_response::{
            FullResponse, SESSION_ENDED_ALERT, page_response, retry_after, session_ended_alert,
        },
        password_attempts::alert,
    },
    random,
    redirect::{NextUrl, RedirectPolicy},
    request::{device::device_name, percent, query::Query},
    secret::Secret,
    session::{grant::Grant, identity::Identity},
    store::SessionRecord,
    token::PresentedToken,
    verify::{PasswordVerifier, Verification},
};

const STALE: &str = "Login form invalid or expired. Try again.";
const WRONG: &str = "Invalid username or password";

/// The passwords of members: a user whom the verifier knows and who is no member has a wrong password.
pub(crate) struct MemberPasswords {
    verifier: Arc<dyn PasswordVerifier>,
    members: Members,
}

impl MemberPasswords {
    pub(crate) fn new(verifier: Arc<dyn PasswordVerifier>, members: Members) -> Self {
        Self { verifier, members }
    }
}

impl PasswordVerifier for MemberPasswords {
    /// It takes as long for an unknown name.
    fn verify(&self, username: &str, password: &Secret) -> MaybeFuture<Verification> {
        let (members, is_named) = (self.members.clone(), !username.is_empty());
        let verified = self.verifier.verify(username, password);
        MaybeFuture::from_future(async move {
            let grant = match verified.await {
                Verification::Valid(grant) if is_named => grant,
                Verification::Valid(_) => return Verification::Rejected(Reason::IncorrectPassword),
                refused => return refused,
            };
            match members.find(grant.identity().username()).await {
                Ok(Some(_)) => Verification::Valid(grant),
                Ok(None) => Verification::Rejected(Reason::IncorrectPassword),
                Err(error) => Verification::Unavailable(error),
            }
        })
    }

    fn has_weak_hash(&self) -> bool {
        self.verifier.has_weak_hash()
    }
}

impl HubRequest<'_> {
    pub(crate) async fn login_page(&self) -> HubResult {
        match self.visitor().await? {
            BrowserSession::SignedIn(visitor) => {
                let mut response = response::redirect_found(&self.next());
                let mut cookies = SetCookies::default();
                self.restore_session_id(&visitor, &mut cookies);
                cookies.append_to(response.headers_mut());
                Ok(response)
            }
            BrowserSession::Anonymous => {
                let alert = session_ended_alert(self.head);
                Ok(self.login_form(StatusCode::OK, alert, "", FieldError::None))
            }
            BrowserSession::Expired => {
                let mut response = self.login_form(StatusCode::OK, SESSION_ENDED_ALERT, "", FieldError::None);
                let mut cookies = SetCookies::default();
                self.remove_bad_login(&mut cookies);
                cookies.append_to(response.headers_mut());
                Ok(response)
            }
        }
    }

    pub(crate) async fn log_in(&self) -> HubResult {
        let hub = self.hub;
        if !hub.passwords.has_verifier() {
            return Err(HubError::NotAllowed("GET, HEAD"));
        }
        let form = self.form()?;
        let typed = form.text("username");
        let field = form.text("_xsrf");
        if let Err(denial) =
            hub.xsrf_cookie
                .check_login_form(&hub.guards, &self.target, self.head, field.trim())
        {
            self.refused(denial.reason());
            return Ok(self.login_form(StatusCode::FORBIDDEN, STALE, &typed, FieldError::None));
        }
        let password = form
            .field("password")
            .cloned()
            .unwrap_or_else(|| Secret::from(""));
        match self.check_password(&typed, &password).await {
            Ok(member) => self.begin_login(member, &self.next()).await,
            Err(HubError::Denied(denial)) => {
                let (status, error) = match denial.reason() {
                    Reason::IncorrectPassword => (StatusCode::FORBIDDEN, FieldError::InAlert),
                    _ => (denial.status(), FieldError::None),
                };
                let alert = alert(&denial, WRONG, &self.hub.page_style);
                let form = self.login_form(status, &alert, &typed, error);
                Ok(retry_after(form, &denial))
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// The member with this name and password.
    pub(crate) async fn check_password(
        &self,
        typed: &str,
        password: &Secret,
    ) -> Result<Arc<HubUser>, HubError> {
        let hub = self.hub;
        let name = Username::parse(typed);
        let account = name.as_ref().map_or("", Username::as_str);
        let client = hub.guards.client_ip(&self.target, self.head);
        let path = self.head.uri().path();
        let grant = hub.passwords.verify(account, password, client, path).await?;
        let member = self.members.find(grant.identity().username()).await?;
        let member = member.ok_or(Reason::IncorrectPassword)?;
        hub.record_activity(member.name(), [(None, self.head.now())])
            .await?;
        Ok(member)
    }

    /// Starts a new login, ends the one whose cookies this browser has, and redirects to `next`.
    pub(crate) async fn begin_login(&self, member: Arc<HubUser>, next: &str) -> HubResult {
        let hub = self.hub;
        let replaced = self
            .visitor()
            .await?
            .known()
            .map(|visitor| visitor.login.session_id().to_owned());
        let (value, session_id) = (random::hex::<16>(), random::hex::<16>());
        let hash = PresentedToken::new(value.as_bytes()).map(PresentedToken::hash);
        let hash = hash.ok_or_else(|| HubError::Refused(StatusCode::INTERNAL_SERVER_ERROR, None))?;
        let now = self.head.now();
        let (grant, end) = (
            Grant::new(Identity::new(member.name())),
            now.saturating_add(hub.lifetime),
        );
        let agent = self.head.headers().get(USER_AGENT);
        let agent = agent.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut login = SessionRecord::new(grant, &session_id, now, end).with_note(&device_name(agent));
        let client = hub.guards.client_ip(&self.target, self.head);
        if let Some(address) = client {
            login = login.with_address(address);
        }
        hub.store.insert_session(hash, login.clone(), replaced).await?;
        hub.emit(&Event::LoggedIn {
            identity: login.grant().identity(),
            client,
        });
        let mut cookies = SetCookies::default();
        self.set_session_id(&session_id, &mut cookies);
        if let Ok(line) = hub.login_jar.set_cookie(value.as_bytes(), now, self.https()) {
            cookies.push_overriding(line);
        }
        let visitor = SignedInUser { login, member };
        hub.xsrf_cookie
            .renew(&visitor.session(), self.https(), &mut cookies);
        let mut response = response::redirect_found(next);
        cookies.append_to(response.headers_mut());
        Ok(response)
    }

    fn login_form(&self, status: StatusCode, text: &str, typed: &str, error: FieldError<'_>) -> FullResponse {
        let mut cookies = SetCookies::default();
        let xsrf = self
            .hub
            .xsrf_cookie
            .anonymous_token(self.head, self.https(), &mut cookies);
        let mut query = String::new();
        if let Some(next) = self.next_parameter() {
            query.push_str("?next=");
            percent::form_encode(next.as_str().as_bytes(), &mut query);
        }
        let action = self.hub.hub_url.join("login") + &query;
        let typed: String = typed.chars().take(32).collect();
        let page = Page::new(&self.hub.page_style, "Log in").message(status, text);
        let write_fields = |fields: &mut FormFields<'_>| {
            let username = Field::new(FieldKind::Username, "username", "Username");
            let password = Field::new(FieldKind::Password, "password", "Password");
            let username = username.filled(&typed).first(typed.is_empty());
            fields.hidden("_xsrf", &xsrf);
            fields.field(username.with_error(error));
            fields.field(password.first(!typed.is_empty()).with_error(error));
        };
        let page = match self.hub.passwords.has_verifier() {
            true => page.form(&action, "Log in", write_fields),
            false => page,
        };
        let buttons = self.hub.sign_in.buttons(&self.hub.page_style, &query);
        let page = buttons
            .iter()
            .fold(page, |page, (text, url)| page.link_button(url, text));
        let mut response = page_response(page);
        *response.status_mut() = status;
        cookies.append_to(response.headers_mut());
        response
    }

    /// Where the login leads.
    pub(crate) fn next(&self) -> String {
        match self.next_parameter() {
            Some(next) => next.as_str().to_owned(),
            None => self.hub.hub_url.join("home"),
        }
    }

    /// `next`, if it is a URL of this server.
    fn next_parameter(&self) -> Option<NextUrl> {
        let next = Query::from_uri(self.head.uri()).parameter("next")?;
        let closed = [self.hub.hub_url.join("login"), self.hub.hub_url.join("logout")];
        let closed = [closed[0].as_str(), closed[1].as_str()];
        let policy = RedirectPolicy::new(&self.hub.base_url).excluding(&closed);
        let policy = match self.target.host() {
            Some(host) => policy.with_origin(self.target.scheme(), host),
            None => policy,
        };
        NextUrl::parse(next, policy)
    }

    pub(crate) fn refused(&self, reason: Reason) {
        self.hub.emit(&Event::Denied {
            reason,
            identity: None,
            label: None,
            method: Some(self.head.method()),
            path: RedactedPath::new(self.head.uri().path()),
            client: self.hub.guards.client_ip(&self.target, self.head),
        });
    }
}

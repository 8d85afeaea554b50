//! What a user holds here: tokens and logins, each with a button to end it.

use std::{borrow::Cow, time::Duration};

use http::StatusCode;

use super::{
    api_auth::is_own,
    browser_session::SignedInUser,
    members::Members,
    notice::Notice,
    request::{HubRequest, HubResult},
    response::{self, HubError},
    scope,
    tokens_api::NewToken,
};
use crate::{
    clock::UnixTime,
    cookies::SetCookies,
    event::Event,
    html::{Button, Details, Field, FieldError, FieldKind, Page, PageStyle},
    middleware::{error_response::page_response, form::UrlEncodedForm},
    request::query::Query,
    secret::Secret,
    store::{RecordId, SessionFilter, SessionRecord, TokenFilter, TokenRecord},
};

/// How many tokens are on the page.
const TOKENS: u64 = 100;

const TOKEN_LIFETIMES: [(&str, &str); 5] = [
    ("86400", "1 day"),
    ("604800", "7 days"),
    ("2592000", "30 days"),
    ("31536000", "1 year"),
    ("", "No expiration"),
];
const DEFAULT_LIFETIME: &str = "2592000";

/// What was typed into the form for a new token, and what is wrong with it.
struct NewTokenForm<'a> {
    note: Cow<'a, str>,
    lifetime: Cow<'a, str>,
    scopes: Cow<'a, str>,
    error: Option<(StatusCode, String)>,
}

impl HubRequest<'_> {
    pub(crate) async fn home_page(&self) -> HubResult {
        let sight = self.visitor().await?;
        let stale = matches!(sight, super::browser_session::BrowserSession::Expired);
        let Some(visitor) = sight.known() else {
            return Ok(self.redirect_to_login(stale));
        };
        let form = NewTokenForm {
            note: "".into(),
            lifetime: DEFAULT_LIFETIME.into(),
            scopes: "".into(),
            error: None,
        };
        self.render_home(&visitor, form).await
    }

    pub(crate) async fn submit_home_form(&self) -> HubResult {
        let (visitor, form) = self.visitor_by_form().await?;
        let id = form.text("id");
        let notice = match &*form.text("action") {
            "make" => match self.create_token_from_form(&visitor, &form).await {
                Ok(token) => Notice::NewToken(token),
                // A typing error: the form comes back as it was filled in.
                Err(HubError::Refused(status, Some(text))) => {
                    let form = NewTokenForm {
                        note: form.text("note"),
                        lifetime: form.text("expires_in"),
                        scopes: form.text("scopes"),
                        error: Some((status, text)),
                    };
                    return self.render_home(&visitor, form).await;
                }
                Err(error) => return Err(error),
            },
            // A button that is pressed twice ends what is ended already.
            "revoke" => match self.stored(&visitor.member, &id).await {
                Ok(token) => {
                    let text = match token.client_id().filter(|client| !is_own(client)) {
                        Some(client) => format!("Access of {} revoked.", self.client_name(client).await?),
                        None => format!("Token \u{201c}{}\u{201d} revoked.", token_name(&token)),
                    };
                    self.revoke(&visitor.member, &token).await?;
                    Notice::Status(text)
                }
                Err(_) => Notice::Nothing,
            },
            "revoke all" => {
                self.hub
                    .tokens
                    .revoke(TokenFilter::owner(visitor.member.name()))
                    .await?;
                self.hub.emit(&Event::TokenRevoked {
                    username: visitor.member.name(),
                    id: None,
                    client: self.client_ip(),
                });
                Notice::Status("All tokens revoked.".to_owned())
            }
            "end" => {
                let id: RecordId = id
                    .parse()
                    .map_err(|_| HubError::bad_request("invalid session ID"))?;
                let ended = SessionFilter::owner(visitor.member.name()).and_id(id);
                self.hub.store.end_sessions(ended).await?;
                Notice::Status("Session logged out.".to_owned())
            }
            _ => return Err(HubError::bad_request("unknown action")),
        };
        let mut cookies = SetCookies::default();
        self.set_notice(&visitor, &notice, &mut cookies);
        let mut response = response::redirect_found(&self.hub.hub_url.join("home"));
        cookies.append_to(response.headers_mut());
        Ok(response)
    }

    async fn create_token_from_form(
        &self,
        visitor: &SignedInUser,
        form: &UrlEncodedForm,
    ) -> Result<Secret, HubError> {
        let note = match form.text("note").trim() {
            "" => "Created in the web interface".to_owned(),
            note => note.chars().take(128).collect(),
        };
        let life = form.text("expires_in");
        let life = life.trim();
        let expires_in = match TOKEN_LIFETIMES.iter().any(|(seconds, _)| *seconds == life) {
            true => life.parse().ok().map(Duration::from_secs),
            false => {
                return Err(HubError::bad_request("invalid expiration"));
            }
        };
        let scopes = form.text("scopes");
        let scopes: Vec<String> = scopes.split_whitespace().map(str::to_owned).collect();
        let wished = NewToken {
            note,
            expires_in,
            scopes: (!scopes.is_empty()).then_some(scopes),
        };
        let (token, _) = self.issue(None, &visitor.member, wished).await?;
        Ok(Secret::from(token.expose()))
    }

    /// What users call the client.
    async fn client_name(&self, id: &str) -> Result<String, HubError> {
        let client = self.client(id).await?;
        Ok(client.map_or_else(|| id.to_owned(), |client| client.resource.described()))
    }

    async fn render_home(&self, visitor: &SignedInUser, form: NewTokenForm<'_>) -> HubResult {
        let hub = self.hub;
        let owner = visitor.member.name();
        let offset = Query::from_uri(self.head.uri()).parameter("offset");
        let offset = offset.and_then(|text| str::from_utf8(&text).ok()?.parse().ok());
        let offset: u64 = offset.unwrap_or(0);
        let of_owner = TokenFilter::owner(owner);
        // One more shows whether there are older ones.
        let tokens = hub
            .store
            .newest_tokens(of_owner, self.head.now(), offset, TOKENS + 1);
        let mut tokens = tokens.await?;
        let has_older = tokens.len() as u64 > TOKENS;
        tokens.truncate(TOKENS as usize);
        let logins = hub
            .store
            .list_sessions(SessionFilter::owner(owner), self.head.now())
            .await?;
        let mut cookies = SetCookies::default();
        self.restore_session_id(visitor, &mut cookies);
        let xsrf = self.xsrf_of(visitor, &mut cookies);
        let here = hub.hub_url.join("home");
        let (own, given): (Vec<_>, Vec<_>) = tokens
            .iter()
            .partition(|token| token.client_id().is_none_or(is_own));

        let (style, now) = (&hub.page_style, self.head.now());
        let mut page = Page::wide(style, &format!("Logged in as {owner}"));
        page = match self.take_notice(visitor, &mut cookies) {
            Notice::Nothing => page,
            Notice::Status(text) => page.status(&text),
            Notice::NewToken(token) => page
                .status("Token created. Copy it now: you will not be able to see it again.")
                .secret(token.expose_str().unwrap_or_default()),
        };
        let (held, mut places) = (visitor.scopes(), Vec::new());
        for client in hub.registry.iter() {
            let Some(access) = client.resource.access_scope() else {
                continue;
            };
            let may = match &hub.members {
                Members::Listed(_) => held.covers(&access, self.members).await?,
                // A directory is not queried for the groups of each server's owner.
                Members::Directory(..) => held.covers_by_name(&access),
            };
            if may {
                places.push(client);
            }
        }
        places.sort_by(|one, other| one.id.cmp(&other.id));
        if !places.is_empty() {
            page = page.heading("Services and servers");
            for client in places {
                page = page.link(&hub.base_url.join(&client.prefix()), &client.resource.described());
            }
        }
        page = page.heading("Personal access tokens");
        if own.is_empty() && offset == 0 {
            page = page.muted("You have no tokens. A token lets a program access the hub on your behalf.");
        }
        for token in own {
            page = revocable(page, token_name(token), token, &here, &xsrf, (style, now));
        }
        page = page.form(&here, "Create token", |fields| {
            fields.hidden("_xsrf", &xsrf);
            fields.hidden("action", "make");
            fields.field(Field::new(FieldKind::Optional, "note", "Note").filled(&form.note));
            fields.choice("expires_in", "Expiration", &TOKEN_LIFETIMES, &form.lifetime);
            let label = "Scopes (space-separated; leave empty for all your permissions)";
            let scopes = Field::new(FieldKind::Optional, "scopes", label).filled(&form.scopes);
            fields.field(match &form.error {
                Some((_, text)) => scopes.with_error(FieldError::Text(text)).first(true),
                None => scopes,
            });
        });
        if !given.is_empty() {
            page = page.heading("Authorized applications");
        }
        for token in given {
            // Its refresh token stands for it.
            if token.family().is_some() && !token.is_refresh() {
                continue;
            }
            let name = self.client_name(token.client_id().unwrap_or_default()).await?;
            page = revocable(page, &name, token, &here, &xsrf, (style, now));
        }
        if has_older {
            let older = format!("{here}?offset={}", offset.saturating_add(TOKENS));
            page = page.link(&older, "Older tokens");
        }
        if offset > 0 {
            page = page.link(&here, "Newest tokens");
        }
        page = page.heading("Active sessions");
        for login in &logins {
            let this = login.id() == visitor.login.id();
            let button = (!this).then_some(Button {
                action: &here,
                label: "Log out",
                question: "",
            });
            page = page.item(
                &of_login(login, this),
                &since(login, style, now),
                button,
                |fields| {
                    fields.hidden("_xsrf", &xsrf);
                    fields.hidden("action", "end");
                    fields.hidden("id", &login.id().to_string());
                },
            );
        }
        let logout = hub.hub_url.join("logout");
        page = page.form(&logout, "Log out", |fields| fields.hidden("_xsrf", &xsrf));
        let everywhere = Button {
            action: &logout,
            label: "Log out everywhere",
            question: "All your sessions will be logged out, this one too.",
        };
        page = page.secondary(&everywhere, |fields| {
            fields.hidden("_xsrf", &xsrf);
            fields.hidden("everywhere", "1");
        });
        if let Some((_, text)) = &form.error {
            page = page.error_title(text);
        }
        let mut response = page_response(page);
        if let Some((status, _)) = form.error {
            *response.status_mut() = status;
        }
        cookies.append_to(response.headers_mut());
        Ok(response)
    }
}

/// An item about a token, with a button that revokes it.
fn revocable<'a>(
    page: Page<'a>,
    name: &str,
    token: &TokenRecord,
    here: &str,
    xsrf: &str,
    (style, now): (&PageStyle, UnixTime),
) -> Page<'a> {
    let button = Button {
        action: here,
        label: "Revoke",
        question: "Programs that use this token will lose access. This cannot be undone.",
    };
    page.item(name, &of_token(token, style, now), Some(button), |fields| {
        fields.hidden("_xsrf", xsrf);
        fields.hidden("action", "revoke");
        fields.hidden("id", &format!("a{}", token.id()));
    })
}

fn token_name(token: &TokenRecord) -> &str {
    let note = token.grant().label().filter(|note| !note.is_empty());
    note.unwrap_or("Unnamed token")
}

/// When a token was created and used, and what for.
fn of_token(token: &TokenRecord, style: &PageStyle, now: UnixTime) -> Details {
    let details = Details::default().time(style, "Created {}", token.created(), now);
    let details = match token.last_used() {
        Some(time) => details.time(style, "Last used {}", time, now),
        None => details.text("Never used"),
    };
    let details = match token.grant().expires_at() {
        Some(time) => details.time(style, "Expires {}", time, now),
        None => details.text("No expiration"),
    };
    if token.client_id().is_some() {
        return details;
    }
    let scopes: Vec<String> = token.grant().scopes().iter().map(scope::description).collect();
    details.text(&scopes.join("; "))
}

fn of_login(login: &SessionRecord, this: bool) -> String {
    let name = login.note().unwrap_or("Unknown device");
    if this {
        format!("{name} (this session)")
    } else {
        name.to_owned()
    }
}

fn since(login: &SessionRecord, style: &PageStyle, now: UnixTime) -> Details {
    let address = login.address().map(|address| address.to_string());
    Details::default()
        .text(&address.unwrap_or_default())
        .time(style, "Logged in {}", login.created(), now)
        .time(style, "Expires {}", login.expires_at(), now)
}

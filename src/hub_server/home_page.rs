//! What a user holds here: tokens and logins, each with a button to end it.

use std::time::Duration;

use super::{
    api_auth::is_own,
    browser_session::SignedInUser,
    date,
    members::Members,
    request::{HubRequest, HubResult},
    response::{self, HubError},
    scope,
    tokens_api::NewToken,
};
use crate::{
    cookies::SetCookies,
    event::Event,
    html::{FieldKind, Page},
    middleware::{error_response::page_response, form::UrlEncodedForm},
    request::query::Query,
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

impl HubRequest<'_> {
    pub(crate) async fn home_page(&self) -> HubResult {
        let sight = self.visitor().await?;
        let stale = matches!(sight, super::browser_session::BrowserSession::Expired);
        let Some(visitor) = sight.known() else {
            return Ok(self.redirect_to_login(stale));
        };
        self.render_home(&visitor, "").await
    }

    pub(crate) async fn submit_home_form(&self) -> HubResult {
        let (visitor, form) = self.visitor_by_form().await?;
        let id = form.text("id");
        match &*form.text("action") {
            "make" => return self.create_token_from_form(&visitor, &form).await,
            "revoke" => {
                // A button that is pressed twice ends what is ended already.
                if let Ok(token) = self.stored(&visitor.member, &id).await {
                    self.revoke(&visitor.member, &token).await?;
                }
            }
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
            }
            "end" => {
                let id: RecordId = id
                    .parse()
                    .map_err(|_| HubError::bad_request("invalid session ID"))?;
                let ended = SessionFilter::owner(visitor.member.name()).and_id(id);
                self.hub.store.end_sessions(ended).await?;
            }
            _ => return Err(HubError::bad_request("unknown action")),
        }
        Ok(response::redirect_found(&self.hub.hub_url.join("home")))
    }

    async fn create_token_from_form(&self, visitor: &SignedInUser, form: &UrlEncodedForm) -> HubResult {
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
        let page = Page::new(&self.hub.page_style, "Token created")
            .paragraph(&format!("`{}`", token.expose()))
            .muted("Copy this token now. You will not be able to see it again.")
            .link(&self.hub.hub_url.join("home"), "Back to tokens");
        Ok(page_response(page))
    }

    async fn render_home(&self, visitor: &SignedInUser, alert: &str) -> HubResult {
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

        let mut page = Page::wide(&self.hub.page_style, &format!("Logged in as {owner}")).alert(alert);
        let (held, mut places) = (visitor.scopes(), Vec::new());
        for client in hub.registry.iter() {
            let access = client.resource.access_scope();
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
            let name = token
                .grant()
                .label()
                .filter(|note| !note.is_empty())
                .unwrap_or("Unnamed token");
            page = page.item(name, &of_token(token), Some((&here, "Revoke")), |fields| {
                fields.hidden("_xsrf", &xsrf);
                fields.hidden("action", "revoke");
                fields.hidden("id", &format!("a{}", token.id()));
            });
        }
        page = page.form(&here, "Create token", |fields| {
            fields.hidden("_xsrf", &xsrf);
            fields.hidden("action", "make");
            fields.field(FieldKind::Optional, "note", "Note", false);
            fields.choice("expires_in", "Expiration", &TOKEN_LIFETIMES, DEFAULT_LIFETIME);
            fields.field(
                FieldKind::Optional,
                "scopes",
                "Scopes (space-separated; leave empty for all your permissions)",
                false,
            );
        });
        if !given.is_empty() {
            page = page.heading("Authorized applications");
        }
        for token in given {
            let id = token.client_id().unwrap_or_default();
            let name = hub
                .registry
                .find(id)
                .map_or_else(|| id.to_owned(), |client| client.resource.described());
            page = page.item(&name, &of_token(token), Some((&here, "Revoke")), |fields| {
                fields.hidden("_xsrf", &xsrf);
                fields.hidden("action", "revoke");
                fields.hidden("id", &format!("a{}", token.id()));
            });
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
            let button = (!this).then_some((here.as_str(), "Log out"));
            page = page.item(&of_login(login, this), &since(login), button, |fields| {
                fields.hidden("_xsrf", &xsrf);
                fields.hidden("action", "end");
                fields.hidden("id", &login.id().to_string());
            });
        }
        let logout = hub.hub_url.join("logout");
        page = page.form(&logout, "Log out", |fields| fields.hidden("_xsrf", &xsrf));
        page = page.secondary_form(&logout, "Log out everywhere", |fields| {
            fields.hidden("_xsrf", &xsrf);
            fields.hidden("everywhere", "1");
        });
        let mut response = page_response(page);
        cookies.append_to(response.headers_mut());
        Ok(response)
    }
}

/// When a token was made and used, and what for.
fn of_token(token: &TokenRecord) -> String {
    let used = token.last_used().map_or_else(
        || "Never used".to_owned(),
        |time| format!("Last used {}", date::to_display(time)),
    );
    let ends = token.grant().expires_at().map_or_else(
        || "No expiration".to_owned(),
        |time| format!("Expires {}", date::to_display(time)),
    );
    let made = date::to_display(token.created());
    let scopes = token.grant().scopes();
    let scopes: Vec<String> = match token.client_id() {
        None => scopes.iter().map(scope::description).collect(),
        Some(_) => Vec::new(),
    };
    let scopes = if scopes.is_empty() {
        String::new()
    } else {
        format!(" · {}", scopes.join("; "))
    };
    format!("Created {made} · {used} · {ends}{scopes}")
}

fn of_login(login: &SessionRecord, this: bool) -> String {
    let name = login.note().unwrap_or("Unknown browser");
    if this {
        format!("{name} (this session)")
    } else {
        name.to_owned()
    }
}

fn since(login: &SessionRecord) -> String {
    let (since, until) = (
        date::to_display(login.created()),
        date::to_display(login.expires_at()),
    );
    format!("Logged in {since} · Expires {until}")
}

//! What a user holds here: tokens and logins, each with a button to end it.

use std::time::Duration;

use super::{
    authorize::capital,
    call::{Answered, Call},
    caller::is_own,
    date, scope,
    tokens::Wished,
    told::{self, Trouble},
    visitor::Visitor,
};
use crate::{
    cookie::SetCookies,
    gate::{form::Form, responses::page_response},
    page::{FieldKind, Page},
    store::{LoginRecord, Logins, RecordId, TokenRecord, Tokens},
};

const LIVES: [(&str, &str); 5] = [
    ("2592000", "30 days"),
    ("86400", "1 day"),
    ("604800", "7 days"),
    ("31536000", "1 year"),
    ("", "No end"),
];

impl Call<'_> {
    pub(crate) async fn home_page(&self) -> Answered {
        let sight = self.visitor().await?;
        let stale = matches!(sight, super::visitor::Sight::Stale);
        let Some(visitor) = sight.known() else {
            return Ok(self.ask_to_log_in(stale));
        };
        self.holdings(&visitor, "").await
    }

    pub(crate) async fn change_holdings(&self) -> Answered {
        let (visitor, form) = self.visitor_by_form().await?;
        let id = form.text("id");
        match &*form.text("action") {
            "make" => return self.make_by_form(&visitor, &form).await,
            "revoke" => {
                // A button that is pressed twice ends what is ended already.
                if let Ok(token) = self.stored(&visitor.member, &id).await {
                    self.revoke(&visitor.member, &token).await?;
                }
            }
            "revoke all" => {
                self.hub.tokens.revoke(Tokens::of(visitor.member.name())).await?;
            }
            "end" => {
                let id: RecordId = id
                    .parse()
                    .map_err(|_| Trouble::bad("expected the id of a login"))?;
                let ended = Logins::of(visitor.member.name()).known_as(id);
                self.hub.store.end_logins(ended).await?;
            }
            _ => return Err(Trouble::bad("expected one of the buttons of the page")),
        }
        Ok(told::found(&self.hub.hub_url.join("home")))
    }

    async fn make_by_form(&self, visitor: &Visitor, form: &Form) -> Answered {
        let note = match form.text("note").trim() {
            "" => "Made on the page of the hub".to_owned(),
            note => note.chars().take(128).collect(),
        };
        let life = form.text("expires_in");
        let life = life.trim();
        let expires_in = match LIVES.iter().any(|(seconds, _)| *seconds == life) {
            true => life.parse().ok().map(Duration::from_secs),
            false => return Err(Trouble::bad("expected one of the lives that the page offers")),
        };
        let scopes = form.text("scopes");
        let scopes: Vec<String> = scopes.split_whitespace().map(str::to_owned).collect();
        let wished = Wished {
            note,
            expires_in,
            scopes: (!scopes.is_empty()).then_some(scopes),
        };
        let (token, _) = self.issue(None, &visitor.member, wished).await?;
        let page = Page::new("Your new token")
            .paragraph(&format!("`{}`", token.expose()))
            .hint("Copy it now: it is shown once, and only its hash is kept.")
            .link(&self.hub.hub_url.join("home"), "Back to your tokens");
        Ok(page_response(page.finish()))
    }

    async fn holdings(&self, visitor: &Visitor, alert: &str) -> Answered {
        let hub = self.hub;
        let owner = visitor.member.name();
        let tokens = hub.tokens.list(Tokens::of(owner)).await?;
        let logins = hub.store.list_logins(Logins::of(owner), self.head.now()).await?;
        let mut cookies = SetCookies::default();
        self.heal_session_id(visitor, &mut cookies);
        let xsrf = self.xsrf_of(visitor, &mut cookies);
        let here = hub.hub_url.join("home");
        let (own, given): (Vec<_>, Vec<_>) = tokens
            .iter()
            .partition(|token| token.client_id().is_none_or(is_own));

        let mut page = Page::wide(&format!("Hello, {owner}")).alert(alert);
        let mut places: Vec<_> = hub
            .registry
            .iter()
            .filter(|client| {
                visitor
                    .held()
                    .covers(&client.resource.access_scope(), &hub.members)
            })
            .collect();
        places.sort_by(|one, other| one.id.cmp(&other.id));
        if !places.is_empty() {
            page = page.heading("Where you may go");
            for client in places {
                page = page.link(
                    &hub.base_url.join(&client.prefix()),
                    &capital(&client.resource.described()),
                );
            }
        }
        page = page.heading("Access tokens");
        if own.is_empty() {
            page = page.hint("You have none. A token lets a program act in your name.");
        }
        for token in own {
            let name = token
                .grant()
                .label()
                .filter(|note| !note.is_empty())
                .unwrap_or("A token");
            page = page.item(name, &of_token(token), Some((&here, "Revoke")), |fields| {
                fields.hidden("_xsrf", &xsrf);
                fields.hidden("action", "revoke");
                fields.hidden("id", &format!("a{}", token.id()));
            });
        }
        page = page.form(&here, "Make a token", |fields| {
            fields.hidden("_xsrf", &xsrf);
            fields.hidden("action", "make");
            fields.field(FieldKind::Optional, "note", "What it is for", false);
            fields.choice("expires_in", "How long it is good", &LIVES);
            fields.field(
                FieldKind::Optional,
                "scopes",
                "Scopes, with blanks between them; all that you may do if empty",
                false,
            );
        });
        if !given.is_empty() {
            page = page.heading("Services that know you");
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
        page = page.heading("Logins");
        for login in &logins {
            let this = login.id() == visitor.login.id();
            let button = (!this).then_some((here.as_str(), "End"));
            page = page.item(&of_login(login, this), &since(login), button, |fields| {
                fields.hidden("_xsrf", &xsrf);
                fields.hidden("action", "end");
                fields.hidden("id", &login.id().to_string());
            });
        }
        let logout = hub.hub_url.join("logout");
        page = page.form(&logout, "Log out", |fields| fields.hidden("_xsrf", &xsrf));
        page = page.plain_form(&logout, "Log out everywhere", |fields| {
            fields.hidden("_xsrf", &xsrf);
            fields.hidden("everywhere", "1");
        });
        let mut response = page_response(page.finish());
        cookies.append_to(response.headers_mut());
        Ok(response)
    }
}

/// When a token was made and used, and what for.
fn of_token(token: &TokenRecord) -> String {
    let used = token.last_used().map_or_else(
        || "never used".to_owned(),
        |time| format!("last used {}", date::for_people(time)),
    );
    let ends = token.grant().expiry().map_or_else(
        || "no end".to_owned(),
        |time| format!("good until {}", date::for_people(time)),
    );
    let made = date::for_people(token.created());
    let scopes = token.grant().scopes();
    let scopes: Vec<String> = match token.client_id() {
        None => scopes.iter().map(scope::described).collect(),
        Some(_) => Vec::new(),
    };
    let scopes = if scopes.is_empty() {
        String::new()
    } else {
        format!(". {}", scopes.join("; "))
    };
    format!("Made {made}, {used}, {ends}{scopes}")
}

fn of_login(login: &LoginRecord, this: bool) -> String {
    let name = login.note().unwrap_or("A browser");
    if this {
        format!("{name} (this one)")
    } else {
        name.to_owned()
    }
}

fn since(login: &LoginRecord) -> String {
    let (since, until) = (
        date::for_people(login.created()),
        date::for_people(login.expires_at()),
    );
    format!("Since {since}, until {until} at the latest")
}

//! Tokens of a user, for programs: listed, made, revoked.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    activity::{missing_scope, truncate},
    api_auth::{ApiCaller, is_own},
    date,
    expanded_scopes::ExpandedScopes,
    request::{HubRequest, HubResult},
    response::{self, HubError},
    scope::{self, Owner},
    user::HubUser,
    username::Username,
};
use crate::{
    denial::Reason,
    event::Event,
    middleware::error_response::{FullResponse, retry_after},
    secret::Secret,
    session::{grant::Grant, identity::Identity, scopes::Scopes},
    store::{RecordId, TokenFilter, TokenRecord},
    token::Token,
};

/// The longest note that is kept, in characters.
const NOTE: usize = 1023;
/// The longest life of a token that is given one: 100 years.
const LIFE: u64 = 100 * 365 * 24 * 60 * 60;

/// A token that is to be made.
pub(crate) struct NewToken {
    pub(crate) note: String,
    pub(crate) expires_in: Option<Duration>,
    /// `None`: all that the owner may do.
    pub(crate) scopes: Option<Vec<String>>,
}

impl HubRequest<'_> {
    pub(crate) async fn list_tokens(&self, name: Option<&Username>) -> HubResult {
        let (_, member) = self.owner(name, "read:tokens").await?;
        let tokens = self.hub.tokens.list(TokenFilter::owner(member.name())).await?;
        let mut models = Vec::new();
        for token in &tokens {
            models.push(self.token_model(token, &member).await?);
        }
        Ok(response::json_response(
            StatusCode::OK,
            &json!({ "api_tokens": models }),
        ))
    }

    pub(crate) async fn one_token(&self, name: Option<&Username>, id: &str) -> HubResult {
        let (_, member) = self.owner(name, "read:tokens").await?;
        let token = self.stored(&member, id).await?;
        Ok(response::json_response(
            StatusCode::OK,
            &self.token_model(&token, &member).await?,
        ))
    }

    /// Revokes a token, or all that the user gave to a client with it.
    pub(crate) async fn revoke_token(&self, name: Option<&Username>, id: &str) -> HubResult {
        let (_, member) = self.owner(name, "tokens").await?;
        let token = self.stored(&member, id).await?;
        self.revoke(&member, &token).await?;
        Ok(response::empty(StatusCode::NO_CONTENT))
    }

    pub(crate) async fn revoke(&self, member: &HubUser, token: &TokenRecord) -> Result<(), HubError> {
        let mine = TokenFilter::owner(member.name());
        let which = match token.client_id().filter(|client| !is_own(client)) {
            Some(client) => mine.and_client(client),
            None => mine.and_id(token.id()),
        };
        self.hub.tokens.revoke(which).await?;
        self.hub.emit(&Event::TokenRevoked {
            username: member.name(),
            id: Some(token.id().as_u64()),
            client: self.client_ip(),
        });
        Ok(())
    }

    /// Notifies the observer of a token that was issued.
    pub(crate) fn report_issued(&self, record: &TokenRecord) {
        self.hub.emit(&Event::TokenIssued {
            username: record.owner(),
            id: record.id().as_u64(),
            label: record.grant().label(),
            client_id: record.client_id(),
            client: self.client_ip(),
        });
    }

    /// Makes a token. With `auth` in the body that is a login, and needs no other credential.
    pub(crate) async fn create_token(&self, name: Option<&Username>) -> HubResult {
        let body = self.json();
        let auth = body
            .as_ref()
            .ok()
            .and_then(|body| body.get("auth"))
            .filter(|auth| !auth.is_null());
        let (caller, member) = match auth {
            Some(auth) => match self.by_login(name, auth).await {
                Ok(member) => (None, member),
                Err(Refused::Answered(response)) => return Ok(*response),
                Err(Refused::Error(trouble)) => return Err(trouble),
            },
            None => {
                let refused = |trouble| match trouble {
                    HubError::Refused(StatusCode::NOT_FOUND, _) => no_permission(name),
                    other => other,
                };
                let (caller, member) = self.owner(name, "tokens").await.map_err(refused)?;
                (Some(caller), member)
            }
        };
        let wished = wished(&body?)?;
        let (token, record) = self.issue(caller.as_ref(), &member, wished).await?;
        let mut model = self.token_model(&record, &member).await?;
        model["token"] = token.expose().into();
        Ok(response::json_response(StatusCode::CREATED, &model))
    }

    /// A new token of `member`.
    ///
    /// `None` for the caller stands for a login of the member's own.
    pub(crate) async fn issue(
        &self,
        caller: Option<&ApiCaller>,
        member: &HubUser,
        wished: NewToken,
    ) -> Result<(Token, TokenRecord), HubError> {
        let (members, owner) = (self.members, Owner::User(member.name()));
        let all = ExpandedScopes::of_member(member);
        let limit = match caller {
            Some(caller) if !caller.may_delegate_all(member, &all, members).await? => Some(caller),
            _ => None,
        };
        let scopes: Scopes = match (wished.scopes, limit) {
            (None, None) => Scopes::from(["inherit"]),
            (None, Some(caller)) => caller.scopes.iter().collect(),
            (Some(scopes), _) => {
                for scope in &scopes {
                    if !scope::is_scope(scope) {
                        let scope = truncate(scope);
                        return Err(HubError::bad_request(format!(
                            "\"Scope '{scope}' for token does not exist\""
                        )));
                    }
                    let expanded = match scope.as_str() {
                        "inherit" => all.clone(),
                        scope => ExpandedScopes::of([scope], owner),
                    };
                    let mut held = all.covers_all(&expanded, members).await?;
                    if let Some(caller) = limit {
                        held = held && caller.scopes.covers_all(&expanded, members).await?;
                    }
                    if !held {
                        let name = member.name();
                        return Err(HubError::bad_request(format!(
                            "Not assigning requested scopes {} not held by User {name}",
                            truncate(scope)
                        )));
                    }
                }
                scopes.iter().collect()
            }
        };
        let now = self.head.now();
        let mut grant = Grant::new(Identity::new(member.name()))
            .with_scopes(scopes)
            .with_label(&wished.note);
        if let Some(life) = wished.expires_in {
            grant = grant.with_expiry(now.saturating_add(life));
        }
        let record = TokenRecord::new(grant, now);
        let token = self.hub.store.issue(record.clone()).await?;
        self.report_issued(&record);
        Ok((token, record))
    }

    /// Who calls, and the member of this name, if the caller holds the scope for them.
    pub(crate) async fn owner(
        &self,
        name: Option<&Username>,
        scope: &str,
    ) -> Result<(ApiCaller, Arc<HubUser>), HubError> {
        let caller = self.require_caller().await?;
        if !caller.scopes.has_name(scope) {
            return Err(missing_scope(scope));
        }
        let name = name.ok_or_else(HubError::not_found_or_forbidden)?;
        let needed = format!("{scope}!user={name}");
        let may = caller.scopes.covers(&needed, self.members).await?;
        let member = self.members.find(name.as_str()).await?.filter(|_| may);
        Ok((caller, member.ok_or_else(HubError::not_found_or_forbidden)?))
    }

    async fn by_login(&self, name: Option<&Username>, auth: &Value) -> Result<Arc<HubUser>, Refused> {
        let text = |field: &str| auth.get(field).and_then(Value::as_str).unwrap_or_default();
        let password = Secret::from(text("password"));
        match self.check_password(text("username"), &password).await {
            Ok(member) if name.is_some_and(|name| name.as_str() == member.name()) => Ok(member),
            Ok(_) => Err(Refused::Error(no_permission(name))),
            // The attempt has notified the observer.
            Err(HubError::Denied(denial)) => {
                let trouble = match denial.reason() {
                    Reason::IncorrectPassword => HubError::forbidden(),
                    Reason::RateLimited => HubError::new(denial.status(), "Too many wrong attempts"),
                    _ => HubError::new(denial.status(), "Please try again in a moment"),
                };
                Err(Refused::Answered(Box::new(retry_after(
                    trouble.into_json_response(),
                    &denial,
                ))))
            }
            Err(trouble) => Err(Refused::Error(trouble)),
        }
    }

    pub(crate) async fn stored(&self, member: &HubUser, id: &str) -> Result<TokenRecord, HubError> {
        let number = id
            .strip_prefix('a')
            .and_then(|number| number.parse::<RecordId>().ok());
        let found = match number {
            Some(number) => {
                self.hub
                    .tokens
                    .list(TokenFilter::owner(member.name()).and_id(number))
                    .await?
            }
            None => Vec::new(),
        };
        let missing = || {
            let (id, name) = (truncate(id), member.name());
            HubError::new(
                StatusCode::NOT_FOUND,
                format!("No such token {id} for user {name}"),
            )
        };
        found.into_iter().next().ok_or_else(missing)
    }

    async fn token_model(&self, token: &TokenRecord, member: &HubUser) -> Result<Value, HubError> {
        let scopes = self.effective_scopes(token, member).await?.unwrap_or_default();
        let client = token.client_id().filter(|client| !is_own(client));
        Ok(json!({
            "user": member.name(),
            "id": format!("a{}", token.id()),
            "kind": "api_token",
            "roles": [],
            "scopes": scopes.iter().collect::<Vec<_>>(),
            "created": date::to_iso8601(token.created()),
            "last_activity": token.last_used().map(date::to_iso8601),
            "expires_at": token.grant().expires_at().map(date::to_iso8601),
            "note": token.grant().label().unwrap_or_default(),
            "session_id": token.session_id(),
            "oauth_client": client.unwrap_or("JupyterHub"),
        }))
    }
}

/// Why a login in the body made no token.
enum Refused {
    Answered(Box<FullResponse>),
    Error(HubError),
}

fn no_permission(name: Option<&Username>) -> HubError {
    let name = name.map_or("", Username::as_str);
    HubError::new(
        StatusCode::FORBIDDEN,
        format!("User {name} not found or no permissions to generate tokens"),
    )
}

/// The token that a body describes. A body that is no object requests a token with defaults.
fn wished(body: &Value) -> Result<NewToken, HubError> {
    let field = |name: &str| body.get(name).filter(|value| !value.is_null());
    if field("scopes").is_some() && field("roles").is_some() {
        return Err(HubError::bad_request(
            "Can only assign one of scopes or roles when creating tokens.",
        ));
    }
    if field("roles")
        .and_then(Value::as_array)
        .is_some_and(|roles| !roles.is_empty())
    {
        return Err(HubError::bad_request("There are no roles here; expected scopes"));
    }
    let scopes = match field("scopes") {
        None => None,
        Some(Value::Array(scopes)) => {
            let texts = scopes.iter().map(|scope| scope.as_str().map(str::to_owned));
            Some(
                texts
                    .collect::<Option<Vec<_>>>()
                    .ok_or_else(|| HubError::bad_request("scopes must be a list of strings"))?,
            )
        }
        Some(_) => return Err(HubError::bad_request("scopes must be a list of strings")),
    };
    let expires_in = match field("expires_in") {
        None => None,
        // Python's `True` is the number 1, and clients in it are known to send what they have.
        Some(Value::Bool(true)) => Some(1),
        Some(Value::Number(number)) if number.is_i64() || number.is_u64() => {
            let seconds = number.as_u64().filter(|seconds| (1..=LIFE).contains(seconds));
            let text = number.to_string();
            let wrong = || {
                HubError::bad_request(format!(
                    "expires_in must be a positive integer or null, not {}",
                    truncate(&text)
                ))
            };
            Some(seconds.ok_or_else(wrong)?)
        }
        Some(other) => {
            let text = match other {
                Value::String(text) => format!("'{}'", truncate(text)),
                other => truncate(&other.to_string()),
            };
            return Err(HubError::bad_request(format!(
                "token expires_in must be null or integer, not {text}"
            )));
        }
    };
    let note = field("note")
        .and_then(Value::as_str)
        .unwrap_or("Requested via api");
    Ok(NewToken {
        note: note.chars().take(NOTE).collect(),
        expires_in: expires_in.map(Duration::from_secs),
        scopes,
    })
}

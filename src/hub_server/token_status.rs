//! What resource servers and clients do with tokens that were issued: introspection (RFC 7662) and revocation (RFC 7009).
//!
//! | request | answer |
//! |---|---|
//! | introspection of a good access token, by a client with a secret | 200, `active` and what it grants now |
//! | introspection of anything else | 200 `{"active": false}` |
//! | introspection by a public client, or without authentication | 401 `invalid_client` |
//! | revocation of a token that the client was given | 200; its family ends with it |
//! | revocation of an unknown token | 200 |
//! | revocation of a token that another client was given | 400 `invalid_grant` |
//! | no token, or two | 400 `invalid_request` |

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    api_auth::{Principal, is_own},
    client_auth::one,
    refresh_token::RefreshToken,
    request::{HubRequest, HubResult},
    response::{self, HubError, oauth_error},
};
use crate::{
    event::Event,
    oauth::OAuthErrorKind,
    store::{TokenFilter, TokenRecord},
    token::PresentedToken,
};

const FIELDS: [&str; 4] = ["client_id", "client_secret", "token", "token_type_hint"];

impl HubRequest<'_> {
    pub(crate) async fn introspect(&self) -> HubResult {
        let form = match self.client_form(&FIELDS) {
            Ok(form) => form,
            Err(response) => return Ok(*response),
        };
        if self
            .client_of_request(&form)
            .await?
            .is_none_or(|client| client.is_public())
        {
            return Ok(self.unknown_client());
        }
        let Some(token) = one(&form, "token") else {
            return Ok(oauth_error(
                OAuthErrorKind::InvalidRequest,
                "Missing token parameter.",
            ));
        };
        let record = match PresentedToken::new(token.as_bytes()) {
            Some(token) => self.hub.tokens.find(token).await?,
            None => None,
        };
        let now = self.head.now();
        let status = match record.filter(|record| !record.is_expired(now)) {
            Some(record) => self.status_of(&record).await?,
            None => None,
        };
        let inactive = || json!({ "active": false });
        Ok(response::json_response(
            StatusCode::OK,
            &status.map_or_else(inactive, Value::Object),
        ))
    }

    /// What a token grants now, or nothing if its owner or its client is gone.
    async fn status_of(&self, record: &TokenRecord) -> Result<Option<Map<String, Value>>, HubError> {
        let Some(caller) = self.of_record(record).await? else {
            return Ok(None);
        };
        let scopes: Vec<&str> = caller.scopes.iter().collect();
        let mut status = Map::new();
        let mut add = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                status.insert(name.to_owned(), value);
            }
        };
        add("active", Some(true.into()));
        add("token_type", Some("Bearer".into()));
        add("sub", Some(record.owner().into()));
        if let Principal::Member(member) = &caller.who {
            add("username", Some(member.name().into()));
        }
        add("scope", Some(scopes.join(" ").into()));
        add("iat", Some(record.created().as_secs().into()));
        let end = record.grant().expires_at();
        add("exp", end.map(|end| end.as_secs().into()));
        let client = record.client_id().filter(|id| !is_own(id));
        add("client_id", client.map(Value::from));
        add("aud", record.resource().map(Value::from));
        add("iss", self.hub.issuer.as_deref().map(Value::from));
        Ok(Some(status))
    }

    /// Revokes a token at the request of the client that it was issued to.
    pub(crate) async fn revoke_for_client(&self) -> HubResult {
        let form = match self.client_form(&FIELDS) {
            Ok(form) => form,
            Err(response) => return Ok(*response),
        };
        let Some(client) = self.client_of_request(&form).await? else {
            return Ok(self.unknown_client());
        };
        let Some(token) = one(&form, "token") else {
            return Ok(oauth_error(
                OAuthErrorKind::InvalidRequest,
                "Missing token parameter.",
            ));
        };
        let hash = match RefreshToken::parse(token) {
            Some(refresh) => Some(refresh.hashes().family),
            None => PresentedToken::new(token.as_bytes()).map(PresentedToken::hash),
        };
        let store = &self.hub.store;
        let record = match hash {
            Some(hash) => store.find(hash).await?,
            None => None,
        };
        let Some(record) = record else {
            return Ok(response::empty(StatusCode::OK));
        };
        if record.client_id() != Some(client.id()) {
            return Ok(oauth_error(OAuthErrorKind::InvalidGrant, ""));
        }
        store.revoke(TokenFilter::id(record.id())).await?;
        self.hub.emit(&Event::TokenRevoked {
            username: record.owner(),
            id: Some(record.id().as_u64()),
            client: self.client_ip(),
        });
        Ok(response::empty(StatusCode::OK))
    }
}

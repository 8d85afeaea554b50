//! The token endpoint: RFC 6749 §4.1.3 and §5, as JupyterHub answers it.
//!
//! | request | answer |
//! |---|---|
//! | a good code, its client's secret, its verifier | 200, the token |
//! | a current refresh token of the client | 200, a token and the next refresh token |
//! | no grant type, or another than these | 400 `unsupported_grant_type` |
//! | `refresh_token`, by a client that gets none | 400 `unauthorized_client` |
//! | no code or refresh token, or something twice | 400 `invalid_request` |
//! | an unknown client, a wrong or no secret, one of a public client, `Basic` | 401 `invalid_client` |
//! | a code or refresh token that is unknown, old, another client's, or was used; a wrong verifier | 400 `invalid_grant` |
//! | a scope that the refresh token has not | 400 `invalid_scope` |
//! | another resource than the one that was authorized, or an unknown one | 400 `invalid_target` |
//! | a verifier is missing, another redirect URI | 400 `invalid_request` |
//!
//! A code that is shown twice by its client ends the token that it was exchanged for. So does a refresh token, with all tokens
//! of its family.

use std::time::Duration;

use http::StatusCode;

use super::{
    client::OAuthClientConfig,
    client_auth::one,
    expanded_scopes::ExpandedScopes,
    refresh_token::RefreshToken,
    request::{HubRequest, HubResult},
    response::{self, HubError, oauth_error},
};
use crate::{
    event::Event,
    middleware::{error_response::FullResponse, form::UrlEncodedForm},
    oauth::{CodeChallenge, CodeVerifier, OAuthErrorKind, TokenResponse},
    secret::Secret,
    session::{grant::Grant, identity::Identity, scopes::Scopes},
    store::{CodeRedemption, RefreshRotation, TokenFilter, TokenRecord},
    token::{PresentedToken, Token},
};

/// How long an access token is valid at most whose client has a refresh token.
const ACCESS_LIFE: Duration = Duration::from_secs(60 * 60);

impl HubRequest<'_> {
    pub(crate) async fn exchange(&self) -> HubResult {
        let sent = self
            .content_type()
            .starts_with("application/x-www-form-urlencoded");
        let Some(form) = sent.then(|| UrlEncodedForm::parse(self.body)).flatten() else {
            return Ok(oauth_error(OAuthErrorKind::UnsupportedGrantType, ""));
        };
        let (is_refresh, name) = match one(&form, "grant_type") {
            Some("authorization_code") => (false, "code"),
            Some("refresh_token") => (true, "refresh_token"),
            _ => return Ok(oauth_error(OAuthErrorKind::UnsupportedGrantType, "")),
        };
        for name in [
            "client_id",
            "client_secret",
            "code",
            "code_verifier",
            "redirect_uri",
            "refresh_token",
            "scope",
        ] {
            if form.all(name).count() > 1 {
                let description = format!("Duplicate {name} parameter.");
                return Ok(oauth_error(OAuthErrorKind::InvalidRequest, &description));
            }
        }
        let missing = || {
            let description = format!("Missing {name} parameter.");
            Ok(oauth_error(OAuthErrorKind::InvalidRequest, &description))
        };
        let credential = one(&form, name);
        if credential.is_none() && !is_refresh {
            return missing();
        }
        let Some(client) = self.client_of(&form).await? else {
            return Ok(self.unknown_client());
        };
        match credential {
            _ if is_refresh && !client.refresh_tokens => {
                Ok(oauth_error(OAuthErrorKind::UnauthorizedClient, ""))
            }
            None => missing(),
            Some(token) if is_refresh => self.refresh(&form, &client, token).await,
            Some(code) => self.redeem(&form, &client, code).await,
        }
    }

    async fn redeem(&self, form: &UrlEncodedForm, client: &OAuthClientConfig, code: &str) -> HubResult {
        let invalid = || Ok(oauth_error(OAuthErrorKind::InvalidGrant, ""));
        let Some(hash) = PresentedToken::new(code.as_bytes()).map(PresentedToken::hash) else {
            return invalid();
        };
        let (now, store) = (self.head.now(), &self.hub.store);
        let record = store.find_code(hash).await?;
        let record = record.filter(|record| record.client_id() == client.id() && record.expires_at() > now);
        let Some(record) = record else {
            return invalid();
        };
        match (record.code_challenge(), one(form, "code_verifier")) {
            (Some(_), None) => {
                return Ok(oauth_error(
                    OAuthErrorKind::InvalidRequest,
                    "Code verifier required.",
                ));
            }
            (Some(challenge), Some(verifier)) if !is_met(challenge, verifier) => return invalid(),
            (None, _) if !client.pkce_optional => return invalid(),
            _ => {}
        }
        if one(form, "redirect_uri").is_some_and(|uri| uri != record.redirect_uri()) {
            return Ok(oauth_error(
                OAuthErrorKind::InvalidRequest,
                "Mismatching redirect URI.",
            ));
        }
        if !self.may_use(record.owner(), client).await? {
            return invalid();
        }
        let resource = match self.resource(form, record.resource()) {
            Ok(resource) => resource,
            Err(response) => return Ok(*response),
        };
        let made = |scopes: &Scopes, life| {
            let grant = Grant::new(Identity::new(record.owner()))
                .with_scopes(scopes.clone())
                .with_expiry(now.saturating_add(life));
            let made = TokenRecord::new(grant, now).with_client(client.id());
            let made = match record.session_id() {
                Some(session_id) => made.with_session(session_id),
                None => made,
            };
            for_resource(made, resource)
        };
        let mut issued = made(record.scopes(), self.access_life(client));
        let refresh = client.refresh_tokens.then(RefreshToken::generate);
        if let Some(refresh) = &refresh {
            // Before the code is redeemed: no client has it yet, and a second use of the code ends it with the access token.
            let made = made(record.scopes(), self.hub.refresh_lifetime);
            issued = issued.with_family(made.id());
            let family = made.id();
            store
                .insert_refresh(refresh.hashes(), made.with_family(family))
                .await?;
        }
        // Before the code is used up, in case the store fails.
        self.keep_client(client).await?;
        let token = Token::generate();
        match store.redeem_code(hash, token.hash(), issued.clone()).await? {
            CodeRedemption::Issued => self.report_issued(&issued),
            CodeRedemption::AlreadyUsed { .. } | CodeRedemption::Unknown => {
                if let Some(family) = issued.family() {
                    store.revoke(TokenFilter::id(family)).await?;
                }
                return invalid();
            }
        }
        Ok(self.issued(client, &token, refresh.as_ref(), record.scopes()))
    }

    async fn refresh(&self, form: &UrlEncodedForm, client: &OAuthClientConfig, sent: &str) -> HubResult {
        let invalid = || Ok(oauth_error(OAuthErrorKind::InvalidGrant, ""));
        let Some(refresh) = RefreshToken::parse(sent) else {
            return invalid();
        };
        let (now, store) = (self.head.now(), &self.hub.store);
        let record = store.find(refresh.hashes().family).await?;
        let of_client =
            |record: &TokenRecord| record.client_id() == Some(client.id()) && !record.is_expired(now);
        let Some(record) = record.filter(of_client) else {
            return invalid();
        };
        let granted = record.grant().scopes();
        let scopes: Scopes = match one(form, "scope") {
            Some(scopes) => scopes.split_ascii_whitespace().collect(),
            None => granted.clone(),
        };
        if !scopes.iter().all(|scope| granted.contains(scope)) {
            return Ok(oauth_error(OAuthErrorKind::InvalidScope, ""));
        }
        if !self.may_use(record.owner(), client).await? {
            return invalid();
        }
        let resource = match self.resource(form, record.resource()) {
            Ok(resource) => resource,
            Err(response) => return Ok(*response),
        };
        let grant = Grant::new(Identity::new(record.owner()))
            .with_scopes(scopes.clone())
            .with_expiry(now.saturating_add(self.access_life(client)));
        let issued = TokenRecord::new(grant, now)
            .with_client(client.id())
            .with_family(record.id());
        let issued = for_resource(issued, resource);
        let (next, token) = (refresh.next(), Token::generate());
        let end = now.saturating_add(self.hub.refresh_lifetime);
        self.keep_client(client).await?;
        let rotated = store.rotate_refresh(
            refresh.hashes(),
            next.hashes().secret,
            end,
            token.hash(),
            issued.clone(),
        );
        match rotated.await? {
            RefreshRotation::Issued => self.report_issued(&issued),
            RefreshRotation::Reused { .. } => {
                self.hub.emit(&Event::TokenRevoked {
                    username: record.owner(),
                    id: Some(record.id().as_u64()),
                    client: self.client_ip(),
                });
                return invalid();
            }
            RefreshRotation::Unknown => return invalid(),
        }
        Ok(self.issued(client, &token, Some(&next), &scopes))
    }

    /// Whether this user may still use what the client is for: that can have changed since they confirmed.
    async fn may_use(&self, owner: &str, client: &OAuthClientConfig) -> Result<bool, HubError> {
        let Some(member) = self.members.find(owner).await? else {
            return Ok(false);
        };
        let Some(access) = client.resource.access_scope() else {
            return Ok(true);
        };
        Ok(ExpandedScopes::of_member(&member)
            .covers(&access, self.members)
            .await?)
    }

    /// The resource that a token is for: the one that was authorized, or else the one that is requested.
    fn resource<'f>(
        &self,
        form: &'f UrlEncodedForm,
        authorized: Option<&'f str>,
    ) -> Result<Option<&'f str>, Box<FullResponse>> {
        let resource = match form.all("resource").count() {
            0 => authorized,
            _ => match one(form, "resource") {
                Some(uri) if authorized.is_none_or(|authorized| authorized == uri) => Some(uri),
                _ => return Err(Box::new(oauth_error(OAuthErrorKind::InvalidTarget, ""))),
            },
        };
        match resource.is_none_or(|uri| self.hub.is_resource(uri)) {
            true => Ok(resource),
            false => Err(Box::new(oauth_error(OAuthErrorKind::InvalidTarget, ""))),
        }
    }

    fn access_life(&self, client: &OAuthClientConfig) -> Duration {
        match client.refresh_tokens {
            true => self.hub.lifetime.min(ACCESS_LIFE),
            false => self.hub.lifetime,
        }
    }

    fn issued(
        &self,
        client: &OAuthClientConfig,
        token: &Token,
        refresh: Option<&RefreshToken>,
        scopes: &Scopes,
    ) -> FullResponse {
        let scopes: Vec<&str> = scopes.iter().collect();
        let mut answer = TokenResponse::new(Secret::from(token.expose()))
            .with_expires_in(self.access_life(client).as_secs())
            .with_scope(&scopes.join(" "));
        if let Some(refresh) = refresh {
            answer = answer.with_refresh_token(refresh.text().clone());
        }
        response::json_text(StatusCode::OK, answer.to_json().expose().to_vec())
    }
}

fn for_resource(record: TokenRecord, resource: Option<&str>) -> TokenRecord {
    match resource {
        Some(resource) => record.with_resource(resource),
        None => record,
    }
}

/// Whether the challenge of the code belongs to this verifier.
fn is_met(challenge: &str, verifier: &str) -> bool {
    let pair = CodeChallenge::parse(challenge).zip(CodeVerifier::parse(verifier));
    pair.is_some_and(|(challenge, verifier)| challenge.matches(&verifier))
}

//! The token endpoint: RFC 6749 §4.1.3 and §5, as JupyterHub answers it.
//!
//! | request | answer |
//! |---|---|
//! | a good code, its client's secret, its verifier | 200, the token |
//! | no grant type, or another than `authorization_code` | 400 `unsupported_grant_type`; `refresh_token`: `unauthorized_client` |
//! | no code, or something twice | 400 `invalid_request` |
//! | an unknown client, a wrong or no secret, one of a public client, `Basic` | 401 `invalid_client` |
//! | a code that is unknown, old, another client's, or was used; a wrong verifier | 400 `invalid_grant` |
//! | a verifier is missing, another redirect URI | 400 `invalid_request` |
//!
//! A code that is shown twice by its client ends the token that it was exchanged for.

use http::StatusCode;

use super::{
    client::OAuthClientConfig,
    expanded_scopes::ExpandedScopes,
    request::{HubRequest, HubResult},
    response::{self, oauth_error},
};
use crate::{
    middleware::form::UrlEncodedForm,
    oauth::{CodeChallenge, CodeVerifier, OAuthErrorKind, TokenResponse},
    secret::Secret,
    session::{grant::Grant, identity::Identity},
    store::{CodeRedemption, TokenRecord},
    token::{PresentedToken, Token},
};

impl HubRequest<'_> {
    pub(crate) async fn exchange(&self) -> HubResult {
        let sent = self
            .content_type()
            .starts_with("application/x-www-form-urlencoded");
        let Some(form) = sent.then(|| UrlEncodedForm::parse(self.body)).flatten() else {
            return Ok(oauth_error(OAuthErrorKind::UnsupportedGrantType, ""));
        };
        let one = |name: &str| {
            form.field(name)
                .and_then(|value| value.expose_str())
                .filter(|text| !text.is_empty())
        };
        match one("grant_type") {
            Some("authorization_code") => {}
            Some("refresh_token") => return Ok(oauth_error(OAuthErrorKind::UnauthorizedClient, "")),
            _ => return Ok(oauth_error(OAuthErrorKind::UnsupportedGrantType, "")),
        }
        for name in [
            "client_id",
            "client_secret",
            "code",
            "code_verifier",
            "redirect_uri",
        ] {
            if form.all(name).count() > 1 {
                let description = format!("Duplicate {name} parameter.");
                return Ok(oauth_error(OAuthErrorKind::InvalidRequest, &description));
            }
        }
        let Some(code) = one("code") else {
            return Ok(oauth_error(
                OAuthErrorKind::InvalidRequest,
                "Missing code parameter.",
            ));
        };
        let Some(client) = self.client_of(&form) else {
            self.refused(crate::denial::Reason::UnknownToken);
            return Ok(oauth_error(OAuthErrorKind::InvalidClient, ""));
        };
        let Some(hash) = PresentedToken::new(code.as_bytes()).map(PresentedToken::hash) else {
            return Ok(oauth_error(OAuthErrorKind::InvalidGrant, ""));
        };
        let now = self.head.now();
        let record = self.hub.store.find_code(hash).await?;
        let record = record.filter(|record| record.client_id() == client.id() && record.expires_at() > now);
        let Some(record) = record else {
            return Ok(oauth_error(OAuthErrorKind::InvalidGrant, ""));
        };
        match (record.code_challenge(), one("code_verifier")) {
            (Some(_), None) => {
                return Ok(oauth_error(
                    OAuthErrorKind::InvalidRequest,
                    "Code verifier required.",
                ));
            }
            (Some(challenge), Some(verifier)) if !is_met(challenge, verifier) => {
                return Ok(oauth_error(OAuthErrorKind::InvalidGrant, ""));
            }
            (None, _) if !client.pkce_optional => return Ok(oauth_error(OAuthErrorKind::InvalidGrant, "")),
            _ => {}
        }
        if one("redirect_uri").is_some_and(|uri| uri != record.redirect_uri()) {
            return Ok(oauth_error(
                OAuthErrorKind::InvalidRequest,
                "Mismatching redirect URI.",
            ));
        }
        // What the user may do can have changed since the code was made.
        let Some(member) = self.members.find(record.owner()).await? else {
            return Ok(oauth_error(OAuthErrorKind::InvalidGrant, ""));
        };
        let held = ExpandedScopes::of_member(&member);
        if let Some(access) = client.resource.access_scope()
            && !held.covers(&access, self.members).await?
        {
            return Ok(oauth_error(OAuthErrorKind::InvalidGrant, ""));
        }
        let grant = Grant::new(Identity::new(member.name()))
            .with_scopes(record.scopes().clone())
            .with_expiry(now.saturating_add(self.hub.lifetime));
        let token = Token::generate();
        let issued = TokenRecord::new(grant, now).with_client(client.id());
        let issued = match record.session_id() {
            Some(session_id) => issued.with_session(session_id),
            None => issued,
        };
        match self
            .hub
            .store
            .redeem_code(hash, token.hash(), issued.clone())
            .await?
        {
            CodeRedemption::Issued => self.report_issued(&issued),
            CodeRedemption::AlreadyUsed { .. } | CodeRedemption::Unknown => {
                return Ok(oauth_error(OAuthErrorKind::InvalidGrant, ""));
            }
        }
        let scopes: Vec<&str> = record.scopes().iter().collect();
        let answer = TokenResponse::new(Secret::from(token.expose()))
            .with_expires_in(self.hub.lifetime.as_secs())
            .with_scope(&scopes.join(" "));
        Ok(response::json_text(
            StatusCode::OK,
            answer.to_json().expose().to_vec(),
        ))
    }
}

impl HubRequest<'_> {
    /// The client that a form authenticates: by its secret, or by its id alone if it has none.
    fn client_of(&self, form: &UrlEncodedForm) -> Option<&OAuthClientConfig> {
        let one = |name: &str| form.field(name).and_then(|value| value.expose_str());
        let client = self.hub.registry.find(one("client_id")?)?;
        let known = match one("client_secret").filter(|secret| !secret.is_empty()) {
            Some(secret) => {
                PresentedToken::new(secret.as_bytes()).is_some_and(|secret| client.verify_secret(secret))
            }
            None => client.is_public(),
        };
        known.then_some(client)
    }
}

/// Whether the challenge of the code belongs to this verifier.
fn is_met(challenge: &str, verifier: &str) -> bool {
    let pair = CodeChallenge::parse(challenge).zip(CodeVerifier::parse(verifier));
    pair.is_some_and(|(challenge, verifier)| challenge.matches(&verifier))
}

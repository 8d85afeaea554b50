//! The check of a logout token: OpenID Connect Back-Channel Logout 1.0, section 2.6.

use std::time::Duration;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use openidconnect::{
    JsonWebKey as _,
    core::{CoreJsonWebKeyUse, CoreJwsSigningAlgorithm},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{discovery::Metadata, error::SignInError, openid_connect::OpenIdConnect};
use crate::{clock::UnixTime, digest::sha256, token::TokenHash};

/// The event of a logout token.
const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// The time for which a logout token without `exp` is accepted.
const MAX_AGE: Duration = Duration::from_secs(120);
/// The most keys that a signature is tried with.
const TRIED: usize = 4;

/// The header of a logout token.
#[derive(Deserialize)]
struct Header {
    alg: CoreJwsSigningAlgorithm,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<serde::de::IgnoredAny>,
}

/// Why a logout token is not accepted.
enum Rejection {
    /// No key that is known made the signature: the provider may have a new one.
    Key,
    Other(&'static str),
}

/// Returns what stands for a session at a provider: the hash of the issuer and `sid`; without `sid`, of `sub`.
pub(super) fn provider_session(issuer: &str, claims: &Map<String, Value>) -> Option<TokenHash> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let (kind, id) = match (text("sid"), text("sub")) {
        (Some(sid), _) => ("sid", sid),
        (None, Some(sub)) => ("sub", sub),
        (None, None) => return None,
    };
    Some(TokenHash::from(sha256(
        format!("{kind}\n{issuer}\n{id}").as_bytes(),
    )))
}

impl OpenIdConnect {
    /// Returns which session at the provider has ended by this logout token.
    pub(super) async fn ended_session(&self, token: &str, now: UnixTime) -> Result<TokenHash, SignInError> {
        let metadata = self.discovery.metadata().await?;
        let checked = match self.check_logout_token(token, &metadata, now) {
            Err(Rejection::Key) => {
                let metadata = self.discovery.with_recent_keys(&metadata).await?;
                self.check_logout_token(token, &metadata, now)
            }
            checked => checked,
        };
        checked.map_err(|rejection| {
            SignInError::rejected(match rejection {
                Rejection::Key => "the logout token is signed by no key of the provider",
                Rejection::Other(text) => text,
            })
        })
    }

    /// Checks a logout token: section 2.6.
    fn check_logout_token(
        &self,
        token: &str,
        metadata: &Metadata,
        now: UnixTime,
    ) -> Result<TokenHash, Rejection> {
        let parts = token
            .rsplit_once('.')
            .and_then(|(message, signature)| Some((message, message.split_once('.')?, signature)));
        let Some((message, (header, payload), signature)) = parts else {
            return Err(Rejection::Other("expected a signed logout token"));
        };
        let decode = |part: &str| {
            let decoded = BASE64_URL_SAFE_NO_PAD.decode(part);
            decoded.map_err(|_| Rejection::Other("expected a logout token in base64url"))
        };
        let json = |_| Rejection::Other("expected a logout token of JSON objects");
        let parsed: Header = serde_json::from_slice(&decode(header)?).map_err(json)?;
        let claims: Map<String, Value> = serde_json::from_slice(&decode(payload)?).map_err(json)?;
        let is_logout = |typ: &str| {
            ["logout+jwt", "application/logout+jwt", "JWT"]
                .iter()
                .any(|name| typ.eq_ignore_ascii_case(name))
        };
        if parsed.crit.is_some() || !parsed.typ.as_deref().is_none_or(is_logout) {
            return Err(Rejection::Other("expected a logout token of a known type"));
        }
        let supported = metadata.id_token_signing_alg_values_supported();
        if !self.algorithms.contains(&parsed.alg) || !supported.contains(&parsed.alg) {
            return Err(Rejection::Other(
                "expected a logout token of an accepted algorithm",
            ));
        }
        self.check_logout_claims(&claims, now).map_err(Rejection::Other)?;
        // A key is needed for a token that is right otherwise only, so no other makes this server fetch keys.
        let signature = decode(signature)?;
        let keys = metadata.jwks().keys().iter().filter(|key| {
            let named = key.key_id().map(|id| id.as_str());
            let same_kid = parsed.kid.is_none() || named.is_none() || named == parsed.kid.as_deref();
            same_kid && key.key_use() != Some(&CoreJsonWebKeyUse::Encryption)
        });
        let is_signed = keys.take(TRIED).any(|key| {
            key.verify_signature(&parsed.alg, message.as_bytes(), &signature)
                .is_ok()
        });
        if !is_signed {
            return Err(Rejection::Key);
        }
        provider_session(self.discovery.issuer(), &claims).ok_or(Rejection::Other(
            "expected a logout token with `sid` or `sub`, found neither",
        ))
    }

    fn check_logout_claims(&self, claims: &Map<String, Value>, now: UnixTime) -> Result<(), &'static str> {
        let time = |name: &str| claims.get(name).and_then(Value::as_f64);
        let (now, skew) = (now.as_secs() as f64, self.clock_skew.as_secs_f64());
        let audience = claims.get("aud");
        let is_client = |value: &Value| value.as_str() == Some(&*self.client_id);
        let is_own = audience.is_some_and(|audience| {
            is_client(audience) || audience.as_array().is_some_and(|list| list.iter().any(is_client))
        });
        let events = claims.get("events").and_then(Value::as_object);
        let issued_at = time("iat").ok_or("expected a logout token with `iat`, found none")?;
        let expires_at = match claims.get("exp") {
            None => issued_at + MAX_AGE.as_secs_f64(),
            Some(_) => time("exp").ok_or("expected `exp` of a logout token as a number")?,
        };
        match () {
            () if claims.get("iss").and_then(Value::as_str) != Some(self.discovery.issuer()) => {
                Err("the logout token is from another issuer")
            }
            () if !is_own => Err("the logout token is for another client"),
            () if issued_at > now + skew => Err("the logout token was issued in the future"),
            () if expires_at + skew <= now => Err("the logout token has expired"),
            () if !events.is_some_and(|events| events.get(LOGOUT).is_some_and(Value::is_object)) => {
                Err("expected the event of a logout in the logout token")
            }
            // An ID token is no logout token.
            () if claims.contains_key("nonce") => Err("expected a logout token without nonce"),
            () => Ok(()),
        }
    }
}

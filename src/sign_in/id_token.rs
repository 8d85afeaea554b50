//! The check of an ID token: OpenID Connect Core 1.0, section 3.1.3.7.

use std::time::Duration;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use chrono::{DateTime, Utc};
use openidconnect::{
    ClaimsVerificationError, ClientId, IdTokenVerifier, IssuerUrl, Nonce, SignatureVerificationError,
    core::{CoreIdToken, CoreJsonWebKey, CoreJwsSigningAlgorithm},
};
use serde_json::{Map, Value};

use super::discovery::Metadata;
use crate::clock::UnixTime;

/// What an ID token must be.
pub(super) struct IdTokenCheck<'a> {
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) algorithms: &'a [CoreJwsSigningAlgorithm],
    pub(super) clock_skew: Duration,
    pub(super) now: UnixTime,
}

/// Every algorithm with a public key: never `none`, and never a MAC, whose key might be a public one.
pub(super) const ASYMMETRIC: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

impl IdTokenCheck<'_> {
    /// Returns the claims of a valid ID token.
    pub(super) fn claims(
        &self,
        token: &CoreIdToken,
        metadata: &Metadata,
    ) -> Result<Map<String, Value>, ClaimsVerificationError> {
        let supported = metadata.id_token_signing_alg_values_supported();
        let algorithms = self
            .algorithms
            .iter()
            .filter(|algorithm| supported.contains(algorithm));
        // A skew moves the clock back for the expiry, and forward for the time of issue.
        let earlier = date(self.now.as_secs().saturating_sub(self.clock_skew.as_secs()));
        let later = date(self.now.saturating_add(self.clock_skew).as_secs());
        let verifier = IdTokenVerifier::<CoreJsonWebKey>::new_public_client(
            ClientId::new(self.client_id.to_owned()),
            IssuerUrl::clone(metadata.issuer()),
            metadata.jwks().clone(),
        )
        .set_allowed_algs(algorithms.cloned())
        .set_time_fn(move || earlier)
        .set_issue_time_verifier_fn(move |issued| {
            if issued > later {
                return Err("the ID token was issued in the future".to_owned());
            }
            Ok(())
        });
        token.claims(&verifier, &Nonce::new(self.nonce.to_owned()))?;
        let claims = payload(&token.to_string())
            .ok_or_else(|| ClaimsVerificationError::Other("the claims are no JSON object".to_owned()))?;
        self.check_more(&claims)?;
        Ok(claims)
    }

    /// Checks what the crate `openidconnect` does not.
    fn check_more(&self, claims: &Map<String, Value>) -> Result<(), ClaimsVerificationError> {
        if let Some(party) = claims.get("azp")
            && party.as_str() != Some(self.client_id)
        {
            return Err(ClaimsVerificationError::InvalidAudience(
                "the authorized party `azp` is not this client".to_owned(),
            ));
        }
        if let Some(not_before) = claims.get("nbf")
            && !not_before
                .as_f64()
                .is_some_and(|time| time <= self.now.saturating_add(self.clock_skew).as_secs() as f64)
        {
            return Err(ClaimsVerificationError::Expired(
                "the ID token is not valid yet".to_owned(),
            ));
        }
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
        if subject.is_empty() || subject.len() > 255 || subject.chars().any(char::is_control) {
            return Err(ClaimsVerificationError::InvalidSubject(
                "expected 1 to 255 bytes without control characters".to_owned(),
            ));
        }
        Ok(())
    }
}

/// Returns whether other keys of the provider could verify the token: it changes them without notice.
pub(super) fn may_have_new_key(error: &ClaimsVerificationError) -> bool {
    use SignatureVerificationError::{CryptoError, NoMatchingKey};
    matches!(
        error,
        ClaimsVerificationError::SignatureVerification(NoMatchingKey | CryptoError(_))
    )
}

/// Returns the claims that a JWT holds, verified or not.
fn payload(jwt: &str) -> Option<Map<String, Value>> {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

fn date(seconds: u64) -> DateTime<Utc> {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    DateTime::from_timestamp(seconds, 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

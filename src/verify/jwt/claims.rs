//! What the claims of a JWT must say, and the grant that they make.

use std::time::Duration;

use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

use super::{compact::Header, key_set::algorithm, rejection::Rejection};
use crate::{
    clock::UnixTime,
    session::{grant::Grant, identity::Identity, scopes::Scopes},
};

/// Changes the grant of a token, or rejects the token.
pub(super) type MapGrant = dyn Fn(Grant) -> Option<Grant> + Send + Sync;

/// The rules for the tokens of one issuer.
pub(super) struct Rules {
    pub(super) issuer: Box<str>,
    /// Empty if any audience is accepted.
    pub(super) audiences: Vec<Box<str>>,
    /// The algorithms that are accepted of those of the keys; all if empty.
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) leeway: Duration,
    pub(super) any_type: bool,
    pub(super) username_claim: Box<str>,
    pub(super) map_grant: Option<Box<MapGrant>>,
}

/// The longest client id that becomes the label of a grant.
const MAX_LABEL: usize = 100;

impl Rules {
    /// Checks what is checked before the signature, and returns the algorithm.
    pub(super) fn check_header(
        &self,
        header: &Header,
        claims: &Map<String, Value>,
    ) -> Result<Algorithm, Rejection> {
        if claims.get("iss").and_then(Value::as_str) != Some(&*self.issuer) {
            return Err(Rejection::OtherIssuer);
        }
        if !self.any_type && !header.typ.as_deref().is_some_and(is_access_token) {
            return Err(Rejection::Type);
        }
        let algorithm = algorithm(&header.alg);
        algorithm
            .filter(|algorithm| self.algorithms.is_empty() || self.algorithms.contains(algorithm))
            .ok_or(Rejection::Algorithm)
    }

    /// Checks the claims of a token whose signature is right, and returns its grant.
    ///
    /// The grant ends `leeway` after `exp`. Whether it has ended is for the caller to check.
    pub(super) fn grant(&self, claims: Map<String, Value>, now: UnixTime) -> Result<Grant, Rejection> {
        let audience = claims.get("aud");
        let is_audience = |audience: &&str| self.audiences.iter().any(|own| **own == **audience);
        if !self.audiences.is_empty() && !texts(audience).any(|audience| is_audience(&audience)) {
            return Err(Rejection::Audience);
        }
        let expires_at = claims.get("exp").and_then(time).ok_or(Rejection::Expiry)?;
        if let Some(not_before) = claims.get("nbf") {
            let not_before = time(not_before).ok_or(Rejection::NotYetValid)?;
            if not_before > now + self.leeway {
                return Err(Rejection::NotYetValid);
            }
        }
        if claims.contains_key("cnf") {
            return Err(Rejection::BoundToKey);
        }
        let username = claims.get(&*self.username_claim).and_then(Value::as_str);
        let username = username
            .filter(|name| !name.is_empty() && !name.chars().any(char::is_control))
            .ok_or(Rejection::Username)?;
        let mut grant = Grant::new(Identity::new(username))
            .with_scopes(scopes(&claims))
            .with_expiry(expires_at + self.leeway);
        let client = ["client_id", "azp"]
            .iter()
            .find_map(|name| claims.get(*name)?.as_str());
        let is_label =
            |client: &&str| client.len() <= MAX_LABEL && client.bytes().all(|byte| byte.is_ascii_graphic());
        if let Some(client) = client.filter(is_label) {
            grant = grant.with_label(client);
        }
        let grant = grant.with_claims(claims);
        match &self.map_grant {
            Some(map_grant) => map_grant(grant).ok_or(Rejection::Mapping),
            None => Ok(grant),
        }
    }
}

/// Returns `true` for `at+jwt`, a media type in any case: RFC 9068 section 4.
fn is_access_token(typ: &str) -> bool {
    ["at+jwt", "application/at+jwt"]
        .iter()
        .any(|name| typ.eq_ignore_ascii_case(name))
}

/// The scopes in `scope` (RFC 8693), else in `scp`: a text with spaces between them, or a list.
fn scopes(claims: &Map<String, Value>) -> Scopes {
    let claim = claims.get("scope").or_else(|| claims.get("scp"));
    texts(claim).flat_map(str::split_ascii_whitespace).collect()
}

/// A text, or the texts of a list.
fn texts(claim: Option<&Value>) -> impl Iterator<Item = &str> {
    let list = claim.and_then(Value::as_array).map(Vec::as_slice);
    claim
        .and_then(Value::as_str)
        .into_iter()
        .chain(list.unwrap_or_default().iter().filter_map(Value::as_str))
}

/// Seconds since 1970, perhaps with a fraction, which is cut off.
fn time(claim: &Value) -> Option<UnixTime> {
    let fraction = || claim.as_f64().filter(|seconds| *seconds >= 0.0);
    let seconds = claim
        .as_u64()
        .or_else(|| fraction().map(|seconds| seconds as u64));
    seconds.map(UnixTime::from_secs)
}

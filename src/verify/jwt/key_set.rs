//! The keys of an issuer: a JWK set.

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind,
    crypto::rust_crypto::DEFAULT_PROVIDER,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

use super::compact::CompactJwt;
use crate::{
    digest::{DigestKey, sha256},
    session::grant::Grant,
    store::ExpiringMap,
};

/// The maximum number of keys in a set.
const MAX_KEYS: usize = 100;

/// How many keys are tried for one token. More than one fits only where a `kid` is missing.
const TRIED: usize = 4;

/// The maximum number of verified tokens that are remembered.
const VERIFIED: usize = 16_384;

/// The keys of an issuer, and the tokens that they verified: these are forgotten with the keys.
pub(super) struct KeySet {
    /// The SHA-256 of the JSON.
    pub(super) digest: [u8; 32],
    keys: Vec<VerificationKey>,
    /// Grants by the SHA-256 of the token.
    pub(super) verified: ExpiringMap<DigestKey, Grant>,
}

/// A public key, and the algorithms that it may be used with.
struct VerificationKey {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// The algorithm of this name, if it has a public key: never `none`, and none with a shared secret.
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    // RFC 9864 gives EdDSA on this curve its own name.
    let name = if name == "Ed25519" { "EdDSA" } else { name };
    let algorithm: Algorithm = name.parse().ok()?;
    (algorithm.family() != AlgorithmFamily::Hmac).then_some(algorithm)
}

impl KeySet {
    /// Reads a JWK set (RFC 7517). Keys that cannot verify a signature are left out: keys for encryption, secrets, RSA keys
    /// of less than 2048 bits, unknown curves.
    ///
    /// # Errors
    ///
    /// What was expected and found: it is no JWK set, has too many keys, or none that can be used.
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Jwks {
            keys: Vec<Value>,
        }
        // The text of the error is left out: it quotes what was found.
        let jwks: Jwks = serde_json::from_slice(json).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!("expected a JWK set, found none (line {line}, column {column})")
        })?;
        if jwks.keys.len() > MAX_KEYS {
            return Err(format!(
                "expected a JWK set of at most {MAX_KEYS} keys, found {}",
                jwks.keys.len()
            ));
        }
        let (count, keys) = (jwks.keys.len(), jwks.keys.into_iter());
        let keys: Vec<_> = keys.filter_map(VerificationKey::new).collect();
        if keys.is_empty() {
            return Err(format!(
                "expected public keys for RSA (2048 bits or more), ECDSA (P-256, P-384) or Ed25519, found none among {count}"
            ));
        }
        Ok(Self {
            digest: sha256(json),
            keys,
            verified: ExpiringMap::new(VERIFIED),
        })
    }

    /// Returns whether one of the keys signed the token; `None` if there is no key with its `kid` and algorithm.
    pub(super) fn verifies(&self, jwt: &CompactJwt<'_>, algorithm: Algorithm) -> Option<bool> {
        let kid = jwt.header.kid.as_ref();
        let fits = |key: &&VerificationKey| {
            let same_kid = kid.is_none() || key.kid.is_none() || key.kid.as_ref() == kid;
            same_kid && key.algorithms.contains(&algorithm)
        };
        let mut fitting = self.keys.iter().filter(fits).take(TRIED).peekable();
        fitting.peek()?;
        Some(fitting.any(|key| key.verifies(jwt, algorithm)))
    }
}

impl VerificationKey {
    fn new(jwk: Value) -> Option<Self> {
        // A key for an algorithm that is not known is not used with another one.
        let named = match jwk.get("alg") {
            None | Some(Value::Null) => None,
            Some(name) => Some(algorithm(name.as_str()?)?),
        };
        let jwk: Jwk = serde_json::from_value(jwk).ok()?;
        let is_for_signatures = matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
        let operations = jwk.common.key_operations.as_ref();
        if !is_for_signatures || operations.is_some_and(|listed| !listed.contains(&KeyOperations::Verify)) {
            return None;
        }
        let fitting = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => AlgorithmFamily::Rsa.algorithms(),
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                &[Algorithm::ES256]
            }
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => {
                &[Algorithm::ES384]
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                &[Algorithm::EdDSA]
            }
            _ => return None,
        };
        let mut algorithms = fitting.to_vec();
        algorithms.retain(|fitting| named.is_none_or(|named| named == *fitting));
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        let first = algorithms.first()?;
        // The length comes first: the verifier of Ed25519 panics at a short key.
        let is_usable =
            has_right_length(&key, *first) && (DEFAULT_PROVIDER.verifier_factory)(first, &key).is_ok();
        is_usable.then_some(Self {
            kid: jwk.common.key_id,
            algorithms,
            key,
        })
    }

    fn verifies(&self, jwt: &CompactJwt<'_>, algorithm: Algorithm) -> bool {
        let verifier = (DEFAULT_PROVIDER.verifier_factory)(&algorithm, &self.key);
        verifier.is_ok_and(|verifier| verifier.verify(jwt.message, &jwt.signature).is_ok())
    }
}

/// Returns `true` for an RSA key of 2048 to 8192 bits, and a point of the length that the curve has.
fn has_right_length(key: &DecodingKey, algorithm: Algorithm) -> bool {
    match (key.kind(), algorithm) {
        (DecodingKeyKind::RsaModulusExponent { n, .. }, _) => {
            let zeros = n.iter().take_while(|byte| **byte == 0).count();
            let bits = n
                .get(zeros)
                .map_or(0, |first| (n.len() - zeros) * 8 - first.leading_zeros() as usize);
            (2048..=8192).contains(&bits)
        }
        (DecodingKeyKind::SecretOrDer(point), Algorithm::ES256) => point.len() == 65,
        (DecodingKeyKind::SecretOrDer(point), Algorithm::ES384) => point.len() == 97,
        (DecodingKeyKind::SecretOrDer(point), _) => point.len() == 32,
    }
}

//! An issuer of tokens with keys of its own.

use std::sync::{Arc, LazyLock, Mutex};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use portcullis::{
    Event, Verification,
    clock::UnixTime,
    testing::TestClock,
    token::PresentedToken,
    verify::{JwtVerifier, JwtVerifierBuilder, TokenVerifier as _},
};
use rand::TryRng as _;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384};
use rsa::pkcs1::EncodeRsaPrivateKey as _;
use serde_json::{Map, Value, json};

pub(super) const ISSUER: &str = "https://login.example.org";
pub(super) const AUDIENCE: &str = "https://api.example.org";
/// What the clocks of the tests show.
pub(super) const NOW: u64 = 1_800_000_000;

/// A key pair of an issuer.
pub(super) struct Key {
    pub(super) kid: &'static str,
    pub(super) algorithm: Algorithm,
    pub(super) private: EncodingKey,
}

pub(super) fn elliptic(kid: &'static str, algorithm: Algorithm) -> Key {
    let kind = match algorithm {
        Algorithm::ES256 => &PKCS_ECDSA_P256_SHA256,
        _ => &PKCS_ECDSA_P384_SHA384,
    };
    let pair = KeyPair::generate_for(kind).expect("a key pair");
    Key {
        kid,
        algorithm,
        private: EncodingKey::from_ec_der(pair.serialized_der()),
    }
}

fn ed25519(kid: &'static str) -> Key {
    // PKCS #8 as RFC 8410 has it, and the 32 bytes of a key.
    let prefix = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
    let mut bytes = [0; 32];
    rand::rngs::SysRng
        .try_fill_bytes(&mut bytes)
        .expect("random bytes");
    Key {
        kid,
        algorithm: Algorithm::EdDSA,
        private: EncodingKey::from_ed_der(&[prefix, &bytes[..]].concat()),
    }
}

fn rsa(kid: &'static str, bits: usize) -> Key {
    let pair = rsa::PrivateKey::new(&mut rand::rngs::SysRng, bits).expect("a key pair");
    Key {
        kid,
        algorithm: Algorithm::RS256,
        private: EncodingKey::from_rsa_der(pair.to_pkcs1_der().expect("DER").as_bytes()),
    }
}

pub(super) static RSA: LazyLock<Key> = LazyLock::new(|| rsa("rsa", 2048));
pub(super) static SMALL_RSA: LazyLock<Key> = LazyLock::new(|| rsa("small", 1024));
pub(super) static P256: LazyLock<Key> = LazyLock::new(|| elliptic("p256", Algorithm::ES256));
pub(super) static P384: LazyLock<Key> = LazyLock::new(|| elliptic("p384", Algorithm::ES384));
pub(super) static ED25519: LazyLock<Key> = LazyLock::new(|| ed25519("ed25519"));

impl Key {
    /// The public key, as a JWK with its `kid`.
    pub(super) fn jwk(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.private, self.algorithm).expect("a JWK");
        let mut jwk = serde_json::to_value(jwk).expect("JSON");
        jwk["kid"] = self.kid.into();
        jwk
    }

    /// The header of an access token.
    pub(super) fn header(&self) -> Header {
        Header {
            typ: Some("at+jwt".to_owned()),
            kid: Some(self.kid.to_owned()),
            ..Header::new(self.algorithm)
        }
    }

    /// An access token with these claims.
    pub(super) fn sign(&self, claims: &Value) -> String {
        encode(&self.header(), claims, &self.private).expect("a token")
    }

    /// A valid token.
    pub(super) fn token(&self) -> String {
        self.sign(&claims(json!({})))
    }
}

/// The claims of a valid token, changed: `null` removes one.
pub(super) fn claims(changes: Value) -> Value {
    let mut claims = Map::from_iter([
        ("iss".to_owned(), json!(ISSUER)),
        ("aud".to_owned(), json!(AUDIENCE)),
        ("sub".to_owned(), json!("alice")),
        ("client_id".to_owned(), json!("agent")),
        ("scope".to_owned(), json!("read write")),
        ("iat".to_owned(), json!(NOW - 10)),
        ("exp".to_owned(), json!(NOW + 600)),
    ]);
    let Value::Object(changes) = changes else {
        panic!("expected an object, found {changes}");
    };
    for (name, value) in changes {
        match value {
            Value::Null => claims.remove(&name),
            value => claims.insert(name, value),
        };
    }
    claims.into()
}

/// A JWK set.
pub(super) fn jwks(keys: impl IntoIterator<Item = Value>) -> String {
    json!({ "keys": keys.into_iter().collect::<Vec<_>>() }).to_string()
}

/// The settings of a verifier with all keys, whose clock stands at [`NOW`].
pub(super) fn verifier() -> JwtVerifierBuilder {
    let keys = [&*RSA, &*P256, &*P384, &*ED25519].map(Key::jwk);
    JwtVerifier::builder(ISSUER)
        .audience(AUDIENCE)
        .jwks(jwks(keys))
        .clock(TestClock::new(UnixTime::from_secs(NOW)))
}

/// The reasons that a verifier reported.
#[derive(Clone, Default)]
pub(super) struct Reasons(Arc<Mutex<Vec<&'static str>>>);

impl Reasons {
    pub(super) fn observed_by(&self, verifier: JwtVerifierBuilder) -> JwtVerifierBuilder {
        let reasons = self.0.clone();
        verifier.observer(move |event: &Event<'_>| match event {
            Event::JwtRejected { reason } => reasons.lock().expect("one at a time").push(reason),
            other => panic!("{other:?}"),
        })
    }

    /// The reasons since the last call.
    pub(super) fn take(&self) -> String {
        std::mem::take(&mut *self.0.lock().expect("one at a time")).join(", ")
    }
}

/// The result for `token`: the user and their scopes, or why there is none.
pub(super) async fn verify(verifier: &JwtVerifier, token: &str) -> String {
    let token = PresentedToken::new(token.as_bytes()).expect("a token");
    match verifier.verify(token).await {
        Verification::Valid(grant) => {
            let scopes: Vec<&str> = grant.scopes().iter().collect();
            format!("{}: {}", grant.identity().username(), scopes.join(" "))
        }
        Verification::Rejected(reason) => reason.to_string(),
        Verification::Unavailable(error) => error.cause().to_string(),
        Verification::Unknown => "unknown".to_owned(),
        other => panic!("{other:?}"),
    }
}

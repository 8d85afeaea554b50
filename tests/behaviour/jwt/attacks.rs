//! What an attacker may send instead of a token. Source: RFC 8725.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, crypto::sign, encode};
use rsa::pkcs1::EncodeRsaPublicKey as _;
use serde_json::{Value, json};

use super::issuer::{ED25519, Key, P256, RSA, Reasons, SMALL_RSA, claims, elliptic, verifier, verify};

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token with any header, signed with `key` by the algorithm of the key.
fn signed(header: &Value, key: &Key) -> String {
    let message = format!("{}.{}", part(header), part(&claims(json!({}))));
    let signature = sign(message.as_bytes(), &key.private, key.algorithm).expect("a signature");
    format!("{message}.{signature}")
}

/// Tokens signed by HMAC with what an attacker finds in a public key.
fn algorithm_confusion() -> Vec<(&'static str, String)> {
    let jwk = RSA.jwk();
    let modulus = URL_SAFE_NO_PAD
        .decode(jwk["n"].as_str().expect("n"))
        .expect("base64url");
    let exponent = URL_SAFE_NO_PAD
        .decode(jwk["e"].as_str().expect("e"))
        .expect("base64url");
    let number = |bytes: &[u8]| rsa::BoxedUint::from_be_slice_vartime(bytes);
    let public = rsa::PublicKey::new(number(&modulus), number(&exponent)).expect("a key");
    let der = public.to_pkcs1_der().expect("DER").as_bytes().to_vec();
    let secrets = [
        ("the modulus", modulus),
        ("the DER of the key", der),
        ("the JWK", jwk.to_string().into_bytes()),
        ("a space", b" ".to_vec()),
    ];
    let tokens = secrets.into_iter().flat_map(|(name, secret)| {
        [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512].map(|alg| {
            let header = Header { alg, ..RSA.header() };
            let key = EncodingKey::from_secret(&secret).expect("a secret");
            (name, encode(&header, &claims(json!({})), &key).expect("a token"))
        })
    });
    tokens.collect()
}

#[tokio::test]
async fn no_token_of_an_attacker_is_accepted() {
    let reasons = Reasons::default();
    let verifier = reasons.observed_by(verifier()).build().expect("settings");
    let valid = P256.token();
    let (message, signature) = valid.rsplit_once('.').expect("three parts");
    let (header, payload) = message.split_once('.').expect("three parts");
    let unsigned = |alg: &str, signature: &str| {
        format!(
            "{}.{payload}.{signature}",
            part(&json!({"alg": alg, "typ": "at+jwt", "kid": "p256"}))
        )
    };
    let own = elliptic("p256", Algorithm::ES256);
    let own_key = |extra: Value| {
        let mut header = json!({"alg": "ES256", "typ": "at+jwt"});
        header
            .as_object_mut()
            .expect("an object")
            .extend(extra.as_object().expect("an object").clone());
        signed(&header, &own)
    };
    let key = own.jwk();
    let other_claims = part(&claims(json!({"sub": "admin"})));
    let mut table = vec![
        ("none", unsigned("none", ""), "`alg`"),
        ("none with a signature", unsigned("none", signature), "`alg`"),
        ("None", unsigned("None", ""), "`alg`"),
        ("nOnE", unsigned("nOnE", ""), "`alg`"),
        ("an empty algorithm", unsigned("", ""), "`alg`"),
        ("an unknown algorithm", unsigned("ES256K", signature), "`alg`"),
        ("no signature", unsigned("ES256", ""), "signature"),
        (
            "the algorithm of another key",
            unsigned("EdDSA", signature),
            "`kid`",
        ),
        ("a larger curve", unsigned("ES384", signature), "`kid`"),
        (
            "a signature of zeros",
            unsigned("ES256", &URL_SAFE_NO_PAD.encode([0; 64])),
            "signature",
        ),
        (
            "a signature in DER",
            unsigned("ES256", &URL_SAFE_NO_PAD.encode([0x30; 71])),
            "signature",
        ),
        (
            "another payload",
            format!("{header}.{other_claims}.{signature}"),
            "signature",
        ),
        (
            "a key in the header",
            own_key(json!({"kid": "p256", "jwk": key})),
            "signature",
        ),
        (
            "a key in the header, no kid",
            own_key(json!({"jwk": key})),
            "signature",
        ),
        (
            "a key URL",
            own_key(json!({"kid": "p256", "jku": "https://evil.example/jwks"})),
            "signature",
        ),
        (
            "a certificate URL",
            own_key(json!({"kid": "p256", "x5u": "https://evil.example/x"})),
            "signature",
        ),
        (
            "a certificate",
            own_key(json!({"kid": "p256", "x5c": ["MIIB"]})),
            "signature",
        ),
        (
            "a path as kid",
            own_key(json!({"kid": "../../../../dev/null"})),
            "`kid`",
        ),
        (
            "SQL as kid",
            own_key(json!({"kid": "x' UNION SELECT 'key'--"})),
            "`kid`",
        ),
        ("an empty kid", own_key(json!({"kid": ""})), "`kid`"),
        ("a long kid", own_key(json!({"kid": "k".repeat(4_000)})), "`kid`"),
        (
            "a kid of another key",
            signed(&json!({"alg": "ES256", "typ": "at+jwt", "kid": "rsa"}), &P256),
            "`kid`",
        ),
        (
            "a critical extension",
            signed(
                &json!({"alg": "ES256", "typ": "at+jwt", "kid": "p256", "crit": ["b64"], "b64": true}),
                &P256,
            ),
            "`crit`",
        ),
        ("a small RSA key", SMALL_RSA.token(), "`kid`"),
    ];
    table.extend(
        algorithm_confusion()
            .into_iter()
            .map(|(name, token)| (name, token, "`alg`")),
    );
    for (attack, token, reason) in table {
        assert_eq!(verify(&verifier, &token).await, "unknown token", "{attack}");
        let found = reasons.take();
        assert!(found.contains(reason), "{attack}: {found}");
    }
    assert_eq!(verify(&verifier, &valid).await, "alice: read write");
}

#[tokio::test]
async fn what_is_not_a_signed_jwt_is_unknown() {
    let verifier = verifier().build().expect("settings");
    let valid = P256.token();
    let [header, payload, signature] = valid.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts");
    };
    let list = URL_SAFE_NO_PAD.encode("[]");
    for text in [
        "opaque",
        ".",
        "..",
        "...",
        "a.b.c",
        &format!("{header}.{payload}"),
        &format!("{header}.{payload}.{signature}."),
        &format!("{header}.{payload}.{signature}.{signature}.{signature}"),
        &format!("{header}=.{payload}.{signature}"),
        &format!("{header}.{payload}.{signature}="),
        &format!("{header}.{list}.{signature}"),
        &format!("{list}.{payload}.{signature}"),
        // The same signature with the unused bits of its last character set.
        &format!("{header}.{payload}.{}B", &signature[..signature.len() - 1]),
        &format!(
            "{}.{payload}.{signature}",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","alg":"none","kid":"p256","typ":"at+jwt"}"#)
        ),
    ] {
        assert_eq!(verify(&verifier, text).await, "unknown", "{text}");
    }
    // A key of another curve is not used, however short its signature is.
    assert_eq!(verify(&verifier, &ED25519.token()).await, "alice: read write");
}

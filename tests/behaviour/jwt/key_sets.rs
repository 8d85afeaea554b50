//! Key sets, and the settings of a verifier.

use portcullis::verify::JwtVerifier;
use serde_json::{Value, json};

use super::issuer::{ED25519, P256, RSA, SMALL_RSA, claims, jwks, verifier, verify};

#[tokio::test]
async fn keys_that_cannot_verify_are_left_out() {
    let changed = |key: &super::issuer::Key, name: &str, value: Value| {
        let mut jwk = key.jwk();
        jwk[name] = value;
        jwk
    };
    let unusable = [
        json!({"kty": "oct", "kid": "secret", "k": "c2VjcmV0"}),
        json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": "c2hvcnQ"}),
        json!({"kty": "OKP", "crv": "X25519", "x": ED25519.jwk()["x"]}),
        json!({"kty": "OKP", "crv": "Ed25519"}),
        json!({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}),
        json!({"kty": 7}),
        json!("text"),
        json!(null),
        changed(&P256, "x", json!("AA")),
        changed(&P256, "crv", json!("P-384")),
        changed(&P256, "use", json!("enc")),
        changed(&P256, "key_ops", json!(["sign"])),
        changed(&P256, "alg", json!("ES256K")),
        changed(&P256, "alg", json!("HS256")),
        changed(&RSA, "alg", json!("RSA-OAEP")),
        SMALL_RSA.jwk(),
    ];
    for jwk in &unusable {
        let error = verifier().jwks(jwks([jwk.clone()])).build().expect_err("no key");
        assert!(error.to_string().contains("found none among 1"), "{jwk}: {error}");
    }
    let some = unusable.into_iter().chain([P256.jwk()]);
    let verifier = verifier().jwks(jwks(some)).build().expect("one key");
    assert_eq!(verify(&verifier, &P256.token()).await, "alice: read write");
}

#[tokio::test]
async fn a_token_without_kid_and_a_key_without_kid_are_compared_by_algorithm() {
    let mut anonymous = P256.jwk();
    anonymous.as_object_mut().expect("an object").remove("kid");
    let verifier = verifier()
        .jwks(jwks([RSA.jwk(), anonymous]))
        .build()
        .expect("settings");
    assert_eq!(verify(&verifier, &P256.token()).await, "alice: read write");
    let header = jsonwebtoken::Header {
        kid: None,
        ..RSA.header()
    };
    let token = jsonwebtoken::encode(&header, &claims(json!({})), &RSA.private).expect("a token");
    assert_eq!(verify(&verifier, &token).await, "alice: read write");
}

#[tokio::test]
async fn only_allowed_algorithms_are_accepted() {
    let verifier = verifier().algorithms(["ES256"]).build().expect("settings");
    assert_eq!(verify(&verifier, &P256.token()).await, "alice: read write");
    assert_eq!(verify(&verifier, &RSA.token()).await, "unknown token");
}

#[test]
fn wrong_settings_are_named() {
    let base = || JwtVerifier::builder("https://login.example.org");
    let set = || jwks([P256.jwk()]);
    let many = || jwks(std::iter::repeat_n(P256.jwk(), 10_000));
    for (builder, expected) in [
        (
            base().jwks(set()),
            "audience: expected the identifier of this server",
        ),
        (
            verifier().danger_allow_any_audience(),
            "audience: danger_allow_any_audience()",
        ),
        (
            verifier().algorithms(["none"]),
            "algorithms: expected algorithms with a public key",
        ),
        (verifier().algorithms(["HS256"]), "found \"HS256\""),
        (verifier().algorithms(["ES256", "es384"]), "found \"es384\""),
        (
            verifier().jwks_file("/nowhere/jwks.json"),
            "jwks_file: expected a JWK set in /nowhere/jwks.json",
        ),
        (
            verifier().jwks(""),
            "jwks: expected a JWK set, found none (line 1",
        ),
        (verifier().jwks("[]"), "jwks: expected a JWK set"),
        (
            verifier().jwks(r#"{"keys": "S3CRET"}"#),
            "jwks: expected a JWK set",
        ),
        (verifier().jwks(r#"{"keys": []}"#), "found none among 0"),
        (verifier().jwks(many()), "at most 100 keys, found 10000"),
    ] {
        let error = builder.build().expect_err("a wrong setting").to_string();
        assert!(error.contains(expected) && !error.contains("S3CRET"), "{error}");
    }
}

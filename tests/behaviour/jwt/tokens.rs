//! Tokens that an issuer made, and what the claims must say.

use std::time::Duration;

use jsonwebtoken::{Algorithm, Header, encode};
use portcullis::{
    AuthLayer, Grant, TokenVerifier as _, Verification, clock::UnixTime, testing::TestClock,
    token::PresentedToken, verify::JwtVerifier,
};
use serde_json::{Value, json};

use super::issuer::{ED25519, ISSUER, Key, NOW, P256, P384, RSA, Reasons, claims, jwks, verifier, verify};
use crate::common::{request, send};

/// The public keys and the tokens of RFC 7515, appendices A.2 and A.3.
const RFC_7515: [(&str, &str); 2] = [
    (
        r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#,
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    ),
    (
        r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    ),
];

#[tokio::test]
async fn tokens_of_rfc_7515_are_verified() {
    for (key, token) in RFC_7515 {
        let verifier = JwtVerifier::builder("joe")
            .danger_allow_any_audience()
            .allow_any_type()
            .username_claim("iss")
            .jwks(format!("{{\"keys\": [{key}]}}"))
            .clock(TestClock::new(UnixTime::from_secs(1_300_819_000)))
            .build()
            .expect("settings");
        assert_eq!(verify(&verifier, token).await, "joe: ");
        let changed = token.replace(".eyJpc3MiOiJqb2Ui", ".eyJpc3MiOiJqb2Ug");
        assert_ne!(verify(&verifier, &changed).await, "joe: ");
    }
}

#[tokio::test]
async fn a_token_is_accepted_by_each_kind_of_key() {
    let verifier = verifier().build().expect("settings");
    for key in [&*RSA, &*P256, &*P384, &*ED25519] {
        assert_eq!(
            verify(&verifier, &key.token()).await,
            "alice: read write",
            "{}",
            key.kid
        );
    }
    for algorithm in [
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
    ] {
        let header = Header {
            alg: algorithm,
            ..RSA.header()
        };
        let token = encode(&header, &claims(json!({})), &RSA.private).expect("a token");
        // The JWK names no algorithm but its own.
        let any = verifier_of(without_alg(&RSA));
        assert_eq!(verify(&any, &token).await, "alice: read write", "{algorithm:?}");
        assert_eq!(verify(&verifier, &token).await, "unknown token", "{algorithm:?}");
    }
}

fn without_alg(key: &Key) -> Value {
    let mut jwk = key.jwk();
    jwk.as_object_mut().expect("an object").remove("alg");
    jwk
}

fn verifier_of(jwk: Value) -> JwtVerifier {
    verifier().jwks(jwks([jwk])).build().expect("settings")
}

#[tokio::test]
async fn claims_decide_who_is_accepted_and_why_not() {
    let reasons = Reasons::default();
    let verifier = reasons.observed_by(verifier()).build().expect("settings");
    for (changes, expected, reason) in [
        (json!({}), "alice: read write", ""),
        (
            json!({"aud": ["https://other.example", "https://api.example.org"]}),
            "alice: read write",
            "",
        ),
        (json!({"scope": null, "scp": ["a", "b c"]}), "alice: a b c", ""),
        (json!({"scope": null, "scp": "a b"}), "alice: a b", ""),
        (json!({"scope": null}), "alice: ", ""),
        (json!({"scope": 7}), "alice: ", ""),
        (json!({"exp": NOW as f64 + 0.5}), "alice: read write", ""),
        (json!({"nbf": NOW + 60}), "alice: read write", ""),
        (
            json!({"iss": "https://other.example"}),
            "unsupported token",
            "`iss`",
        ),
        (json!({"iss": null}), "unsupported token", "`iss`"),
        (json!({"iss": [ISSUER]}), "unsupported token", "`iss`"),
        (json!({"aud": "https://other.example"}), "unknown token", "`aud`"),
        (
            json!({"aud": "https://api.example.org/"}),
            "unknown token",
            "`aud`",
        ),
        (json!({"aud": null}), "unknown token", "`aud`"),
        (
            json!({"aud": {"https://api.example.org": 1}}),
            "unknown token",
            "`aud`",
        ),
        (json!({"exp": null}), "unknown token", "`exp`"),
        (json!({"exp": "1900000000"}), "unknown token", "`exp`"),
        (json!({"exp": -1}), "unknown token", "`exp`"),
        (json!({"nbf": NOW + 61}), "unknown token", "`nbf`"),
        (json!({"nbf": "0"}), "unknown token", "`nbf`"),
        (json!({"cnf": {"jkt": "x"}}), "unknown token", "`cnf`"),
        (json!({"sub": null}), "unknown token", "username"),
        (json!({"sub": ""}), "unknown token", "username"),
        (json!({"sub": 7}), "unknown token", "username"),
        (json!({"sub": "a\nb"}), "unknown token", "username"),
    ] {
        let token = ED25519.sign(&claims(changes.clone()));
        for _ in 0..2 {
            assert_eq!(verify(&verifier, &token).await, expected, "{changes}");
            let found = reasons.take();
            assert!(
                found.contains(reason) && found.is_empty() == reason.is_empty(),
                "{changes}: {found}"
            );
        }
    }
}

#[tokio::test]
async fn the_type_must_be_that_of_an_access_token_unless_any_is_allowed() {
    let (strict, any) = (
        verifier().build().expect("settings"),
        verifier().allow_any_type().build().expect("settings"),
    );
    for (typ, accepted) in [
        (Some("at+jwt"), true),
        (Some("application/at+jwt"), true),
        (Some("AT+JWT"), true),
        (Some("JWT"), false),
        (Some("dpop+jwt"), false),
        (Some(""), false),
        (None, false),
    ] {
        let header = Header {
            typ: typ.map(str::to_owned),
            ..ED25519.header()
        };
        let token = encode(&header, &claims(json!({})), &ED25519.private).expect("a token");
        assert_eq!(
            verify(&strict, &token).await == "alice: read write",
            accepted,
            "{typ:?}"
        );
        assert_eq!(verify(&any, &token).await, "alice: read write", "{typ:?}");
    }
}

#[tokio::test]
async fn a_remembered_token_ends_with_its_leeway_after_expiry() {
    let clock = TestClock::new(UnixTime::from_secs(NOW));
    let verifier = verifier().clock(clock.clone()).build().expect("settings");
    let auth = AuthLayer::builder().bearer_tokens(verifier).clock(clock.clone());
    let auth = auth.build().expect("settings");
    let token = ED25519.token();
    for (after, status) in [(0, 200), (1, 200), (658, 200), (1, 401), (1, 401), (4_000, 401)] {
        clock.advance(Duration::from_secs(after));
        let lines = format!("GET /\nauthorization: Bearer {token}");
        let answer = send(&auth, request(&lines)).await;
        assert_eq!(answer.status, status, "{after} s later: {}", answer.text);
        if status == 401 {
            let challenge = answer.header("www-authenticate");
            assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
        }
    }
}

#[tokio::test]
async fn the_grant_has_claims_client_and_what_the_mapping_adds() {
    struct Tenant(String);
    let verifier = verifier()
        .username_claim("email")
        .map_grant(|grant: Grant| {
            let tenant = grant.claims()?.get("tenant")?.as_str()?.to_owned();
            Some(grant.with_groups(["staff"]).with_data(Tenant(tenant)))
        })
        .build()
        .expect("settings");
    let token = P256.sign(&claims(json!({"email": "a@example.org", "tenant": "blue"})));
    for _ in 0..2 {
        let presented = PresentedToken::new(token.as_bytes()).expect("a token");
        let Verification::Valid(grant) = verifier.verify(presented).await else {
            panic!("a valid token");
        };
        assert_eq!(grant.identity().username(), "a@example.org");
        assert_eq!(grant.label(), Some("agent"));
        assert_eq!(grant.expires_at(), Some(UnixTime::from_secs(NOW + 660)));
        assert!(grant.groups().eq(["staff"]));
        assert_eq!(grant.data::<Tenant>().map(|tenant| &*tenant.0), Some("blue"));
        assert_eq!(
            grant.claims().and_then(|claims| claims.get("aud")),
            claims(json!({})).get("aud")
        );
        assert!(!format!("{grant:?}").contains("blue"), "{grant:?}");
    }
    let no_tenant = P256.sign(&claims(json!({"email": "a@example.org"})));
    assert_eq!(verify(&verifier, &no_tenant).await, "unknown token");
}

#[tokio::test]
async fn issuers_are_told_apart_and_other_tokens_left_to_other_verifiers() {
    let other = JwtVerifier::builder("https://other.example")
        .audience("https://api.example.org")
        .jwks(jwks([P256.jwk()]))
        .clock(TestClock::new(UnixTime::from_secs(NOW)))
        .build()
        .expect("settings");
    let auth = AuthLayer::builder()
        .bearer_tokens(verifier().build().expect("settings"))
        .bearer_tokens(other)
        .clock(TestClock::new(UnixTime::from_secs(NOW)))
        .build()
        .expect("settings");
    let bob = json!({"iss": "https://other.example", "sub": "bob"});
    let third = json!({"iss": "https://third.example"});
    for (token, expected, optional) in [
        (P256.token(), 200, 200),
        (P256.sign(&claims(bob.clone())), 200, 200),
        (ED25519.sign(&claims(bob)), 401, 401),
        // A token that a proxy added for another service.
        (P256.sign(&claims(third)), 401, 200),
    ] {
        let lines = format!("GET /\nauthorization: Bearer {token}");
        assert_eq!(send(&auth, request(&lines)).await.status, expected);
        assert_eq!(send(&auth.optional(), request(&lines)).await.status, optional);
    }
}

//! The metadata of a protected resource, and the challenges that name it.

use axum::{Router, routing::post};
use portcullis::{
    AllowedHosts, AuthLayer, AuthLayerBuilder, Denial, Grant, Identity, MaybeFuture, Session, TokenSet,
    TokenVerifier, Verification,
    middleware::{Challenge, ProtectedResource},
    token::PresentedToken,
};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::common::{TOKEN, request, send};

const ROOT: &str = "/.well-known/oauth-protected-resource";
const METADATA: &str = "https://mcp.example.org/.well-known/oauth-protected-resource/mcp";

fn resource() -> ProtectedResource {
    ProtectedResource::new("https://mcp.example.org/mcp")
        .authorization_server("https://login.example.org")
        .scopes(["read", "write"])
        .name("Tools")
}

fn builder() -> AuthLayerBuilder {
    let reader = Grant::new(Identity::new("reader")).with_scopes(["read"]);
    let tokens = TokenSet::new([(TOKEN.parse().expect("a token"), reader)]).expect("a set");
    AuthLayer::builder()
        .bearer_tokens(tokens)
        .protected_resource(resource())
}

#[tokio::test]
async fn the_metadata_are_served_to_everybody_at_both_paths() {
    let auth = builder().build().expect("settings").require_scope("write");
    assert!(auth.page_paths().eq([&*format!("{ROOT}/mcp"), ROOT]));
    for path in [ROOT, &format!("{ROOT}/mcp")] {
        for credential in [
            "",
            "\nauthorization: Bearer wrong",
            "\norigin: https://app.example",
        ] {
            let answer = send(&auth, request(&format!("GET {path}{credential}"))).await;
            assert_eq!(
                (answer.status.as_u16(), answer.header("content-type")),
                (200, "application/json")
            );
            assert_eq!(answer.header("access-control-allow-origin"), "*");
            let found: Value = serde_json::from_str(&answer.text).expect("JSON");
            let expected = json!({
                "resource": "https://mcp.example.org/mcp",
                "authorization_servers": ["https://login.example.org"],
                "scopes_supported": ["read", "write"],
                "bearer_methods_supported": ["header"],
                "resource_name": "Tools",
            });
            assert_eq!(found, expected);
        }
        let preflight = format!(
            "OPTIONS {path}\norigin: https://app.example\naccess-control-request-method: GET\n\
             access-control-request-headers: mcp-protocol-version"
        );
        let answer = send(&auth, request(&preflight)).await;
        assert_eq!(answer.status, 204);
        for name in ["access-control-allow-origin", "access-control-allow-headers"] {
            assert_eq!(answer.header(name), "*");
        }
        for (method, status) in [("HEAD", 200), ("POST", 405), ("DELETE", 405)] {
            assert_eq!(
                send(&auth, request(&format!("{method} {path}"))).await.status,
                status,
                "{method}"
            );
        }
    }
    for path in [
        "/.well-known/oauth-protected-resource/other",
        "/.well-known/",
        "/mcp",
    ] {
        assert_eq!(
            send(&auth, request(&format!("GET {path}"))).await.status,
            401,
            "{path}"
        );
    }
}

#[tokio::test]
async fn each_challenge_names_the_metadata_and_the_scopes() {
    async fn handler(session: Session) -> Result<&'static str, Denial> {
        session.require_scope("admin")?;
        Ok("done")
    }
    let auth = builder().build().expect("settings");
    let app = Router::new()
        .route("/handler", post(handler))
        .route(
            "/write",
            post(handler).layer(auth.require_scope("read").require_scope("write")),
        )
        .layer(auth);
    for (path, token, status, expected) in [
        ("/handler", "", 401, ""),
        ("/write", "", 401, ""),
        ("/handler", "wrong", 401, ", error=\"invalid_token\""),
        (
            "/handler",
            TOKEN,
            403,
            ", error=\"insufficient_scope\", scope=\"admin\"",
        ),
        (
            "/write",
            TOKEN,
            403,
            ", error=\"insufficient_scope\", scope=\"write read\"",
        ),
    ] {
        let credential = if token.is_empty() {
            String::new()
        } else {
            format!("\nauthorization: Bearer {token}")
        };
        let request = request(&format!("POST {path}{credential}")).map(axum::body::Body::new);
        let answer = app.clone().oneshot(request).await.expect("infallible");
        let challenge = answer.headers()["www-authenticate"]
            .to_str()
            .expect("visible ASCII");
        let realm = format!("Bearer realm=\"portcullis\", resource_metadata=\"{METADATA}\"");
        assert_eq!(
            (answer.status().as_u16(), challenge),
            (status, &*format!("{realm}{expected}")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_metadata_do_not_wait_for_an_issuer_and_need_an_allowed_host() {
    struct Hangs;
    impl TokenVerifier for Hangs {
        fn verify(&self, _: PresentedToken<'_>) -> MaybeFuture<Verification> {
            MaybeFuture::from_future(std::future::pending())
        }
    }
    let auth = AuthLayer::builder()
        .bearer_tokens(Hangs)
        .protected_resource(resource())
        .allowed_hosts(AllowedHosts::from_list(["mcp.example.org"]).expect("a host"))
        .build()
        .expect("settings");
    for (host, status) in [("mcp.example.org", 200), ("rebound.example", 403)] {
        let lines = format!("GET {ROOT}\nhost: {host}\nauthorization: Bearer slow");
        assert_eq!(send(&auth, request(&lines)).await.status, status, "{host}");
    }
}

#[test]
fn wrong_metadata_are_named() {
    let of = |url: &str| ProtectedResource::new(url).authorization_server("https://login.example.org");
    for (resource, expected) in [
        (of("mcp.example.org"), "absolute http or https URL"),
        (of("/mcp"), "absolute http or https URL"),
        (of("https://mcp.example.org/?tenant=1"), "without query"),
        (of("https://mcp.example.org/#a"), "without query"),
        (of("ftp://mcp.example.org/"), "absolute http or https URL"),
        (
            of("https://a.example").authorization_server("login"),
            "found \"login\"",
        ),
        (
            ProtectedResource::new("https://a.example"),
            "expected an authorization_server",
        ),
        (of("https://a.example").scopes(["a b"]), "found \"a b\""),
        (of("https://a.example").scopes(["a\"b"]), "expected scopes"),
    ] {
        let error = builder()
            .protected_resource(resource)
            .build()
            .expect_err("wrong")
            .to_string();
        assert!(
            error.starts_with("protected_resource: ") && error.contains(expected),
            "{error}"
        );
    }
    let own = Challenge::bearer("mcp")
        .expect("a realm")
        .with_resource_metadata(METADATA.parse().expect("a URL"));
    let error = builder().challenge(own).build().expect_err("two").to_string();
    assert!(error.contains("with_resource_metadata"), "{error}");
    let plain = builder()
        .protected_resource(of("https://a.example/"))
        .build()
        .expect("settings");
    assert!(plain.page_paths().eq([ROOT]));
}

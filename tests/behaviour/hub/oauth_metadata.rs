//! The metadata of the hub as an OAuth server, and the issuer in its responses.

use http::Request;
use http_body_util::Full;
use hyper::body::Bytes;
use portcullis::oauth::AuthorizationResponse;

use super::{World, authorize_query, encoded, json};
use crate::common::Answered;

fn world(origin: &str, base_url: &str) -> World {
    World::with(|hub| {
        hub.public_origin(origin.parse().expect("an origin"))
            .base_url(base_url.parse().expect("a base URL"))
    })
}

pub(super) async fn ask(world: &World, method: &str, path: &str) -> Answered {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost");
    let body = Full::<Bytes>::default();
    world.send(request.body(body).expect("a request")).await
}

#[tokio::test]
async fn metadata_are_served_where_clients_look_for_them() {
    let oauth = "/.well-known/oauth-authorization-server";
    let openid = "/.well-known/openid-configuration";
    for (base_url, path, expected) in [
        ("/", oauth.to_owned(), 200),
        ("/", format!("{oauth}/"), 200),
        ("/", openid.to_owned(), 200),
        ("/", format!("{oauth}/jupyter"), 404),
        ("/", format!("{oauth}x"), 404),
        ("/jupyter/", format!("{oauth}/jupyter"), 200),
        ("/jupyter/", format!("{oauth}/jupyter/"), 200),
        ("/jupyter/", format!("{openid}/jupyter"), 200),
        ("/jupyter/", format!("/jupyter{oauth}"), 200),
        ("/jupyter/", format!("/jupyter{openid}"), 200),
        ("/jupyter/", oauth.to_owned(), 200),
        ("/jupyter/", format!("{oauth}/jupyter2"), 404),
        ("/jupyter/", format!("{oauth}/jupyter/hub"), 404),
        ("/jupyter/", format!("/jupyter2{oauth}"), 404),
        ("/jupyter/", "/.well-known/jwks.json".to_owned(), 404),
    ] {
        let answer = ask(&world("https://hub.example.org", base_url), "GET", &path).await;
        assert_eq!(answer.status.as_u16(), expected, "{base_url} {path}");
        if expected == 200 {
            let issuer = format!("https://hub.example.org{}", base_url.trim_end_matches('/'));
            let found = json(&answer);
            assert_eq!(found["issuer"], *issuer, "{path}");
            let endpoints = ["authorize", "token"].map(|name| format!("{issuer}/hub/api/oauth2/{name}"));
            assert_eq!(found["authorization_endpoint"], *endpoints[0], "{path}");
            assert_eq!(found["token_endpoint"], *endpoints[1], "{path}");
            assert_eq!(found["code_challenge_methods_supported"][0], "S256");
            assert_eq!(answer.header("access-control-allow-origin"), "*");
        }
    }
}

#[tokio::test]
async fn metadata_can_be_read_and_nothing_else() {
    let path = "/.well-known/oauth-authorization-server";
    for (method, expected) in [
        ("GET", 200),
        ("HEAD", 200),
        ("OPTIONS", 204),
        ("POST", 405),
        ("PUT", 405),
    ] {
        let answer = ask(&world("https://hub.example.org", "/"), method, path).await;
        assert_eq!(answer.status.as_u16(), expected, "{method}");
    }
}

#[tokio::test]
async fn a_hub_without_a_public_https_origin_has_no_issuer() {
    let path = "/.well-known/oauth-authorization-server";
    for (origin, expected) in [
        (None, 404),
        (Some("http://hub.example.org"), 404),
        (Some("http://127.0.0.1.example.org"), 404),
        (Some("https://hub.example.org"), 200),
        (Some("http://127.0.0.1:8000"), 200),
        (Some("http://[::1]:8000"), 200),
        (Some("http://localhost"), 200),
    ] {
        let world = match origin {
            Some(origin) => world(origin, "/"),
            None => World::new(),
        };
        let found = ask(&world, "GET", path).await.status.as_u16();
        assert_eq!(found, expected, "{origin:?}");
    }
}

#[tokio::test]
async fn the_issuer_is_named_in_codes_and_errors() {
    let none = format!("{}&x", authorize_query().replace("S256", "plain"));
    for (origin, query, expected) in [
        (
            Some("http://localhost"),
            authorize_query(),
            Some("http://localhost"),
        ),
        (Some("http://localhost"), none.clone(), Some("http://localhost")),
        (None, authorize_query(), None),
        (None, none, None),
    ] {
        let world = match origin {
            Some(origin) => world(origin, "/"),
            None => World::new(),
        };
        let mut admin = world.browser_of("admin").await;
        let url = format!("/hub/api/oauth2/authorize?{query}");
        let mut answer = admin.get(&url).await;
        if answer.status == 200 {
            let xsrf = super::hidden(&answer.text, "_xsrf").remove(0);
            answer = admin.post(&url, &[("_xsrf", &xsrf), ("scopes", "self")]).await;
        }
        let location = answer.header("location").to_owned();
        let (_, sent) = location.split_once('?').expect("a query");
        let read = AuthorizationResponse::parse(sent.as_bytes()).expect("a response");
        assert_eq!(read.issuer(), expected, "{location}");
        assert_eq!(read.state(), Some("st"));
        let named = sent.contains(&format!("iss={}", encoded("http://localhost")));
        assert_eq!(named, expected.is_some());
    }
}

#[tokio::test]
async fn pages_of_every_origin_may_read_what_public_clients_request() {
    let world = World::with(|hub| {
        hub.public_origin("https://hub.example.org".parse().expect("an origin"))
            .dynamic_registration(9)
    });
    for (method, path, is_open) in [
        ("GET", "/.well-known/oauth-authorization-server", true),
        ("POST", "/hub/api/oauth2/token", true),
        ("POST", "/hub/api/oauth2/register", true),
        ("POST", "/hub/api/oauth2/revoke", true),
        ("POST", "/hub/api/oauth2/introspect", false),
        ("GET", "/hub/api/oauth2/authorize", false),
        ("GET", "/hub/api/user", false),
        ("POST", "/hub/login", false),
    ] {
        for sent in ["OPTIONS", method] {
            let request = Request::builder()
                .method(sent)
                .uri(path)
                .header("host", "localhost")
                .header("origin", "http://localhost:6274")
                .header("access-control-request-method", method)
                .header(
                    "access-control-request-headers",
                    "content-type,mcp-protocol-version",
                )
                .body(Full::<Bytes>::default())
                .expect("a request");
            let answer = world.send(request).await;
            let allowed = |name: &str| {
                answer
                    .parts
                    .headers
                    .get(name)
                    .and_then(|value| value.to_str().ok())
            };
            // Errors as well: a page must be able to read why.
            assert_eq!(
                allowed("access-control-allow-origin"),
                is_open.then_some("*"),
                "{sent} {path}"
            );
            assert_eq!(allowed("access-control-allow-credentials"), None, "{sent} {path}");
            if sent == "OPTIONS" {
                assert_eq!(answer.status == 204, is_open, "{path}");
                let methods = allowed("access-control-allow-methods").unwrap_or_default();
                assert_eq!(methods.split(", ").any(|one| one == method), is_open, "{path}");
                assert_eq!(allowed("access-control-allow-headers"), is_open.then_some("*"));
            }
        }
    }
}

//! A desktop agent with a web UI: a header of its own, a few public routes, loopback only.

use http::HeaderName;
use portcullis::{AllowedHosts, AuthLayer, authenticate::TokenSource};

use super::Outside;
use crate::common::{TOKEN, request, send};

#[tokio::test]
async fn it_has_a_header_of_its_own_and_a_few_public_routes() -> Outside {
    // user:
    let auth = AuthLayer::builder()
        .token(TOKEN.parse()?)
        .token_sources([TokenSource::Header(HeaderName::from_static("x-agent-key"))])
        .allowed_hosts(AllowedHosts::loopback())
        .build()?
        .public_paths(["/", "/favicon.ico"]);
    // asserted:
    for (lines, status) in [
        (format!("GET /run\nx-agent-key: {TOKEN}"), 200),
        ("GET /run\nx-agent-key: wrong".to_owned(), 401),
        (format!("GET /run\nauthorization: Bearer {TOKEN}"), 401),
        ("GET /".to_owned(), 200),
        ("GET /favicon.ico".to_owned(), 200),
        ("GET /favicon.ico/".to_owned(), 401),
        ("GET /\nhost: evil.example".to_owned(), 403),
        (format!("GET /run\nhost: evil.example\nx-agent-key: {TOKEN}"), 403),
    ] {
        assert_eq!(
            send(&auth, request(&lines)).await.status.as_u16(),
            status,
            "{lines}"
        );
    }
    Ok(())
}

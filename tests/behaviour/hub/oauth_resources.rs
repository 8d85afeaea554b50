//! Tokens for one resource server.

use http::Request;
use portcullis::{hub_server::HubBuilder, store::MemoryTokenStore, testing::TestClock};
use serde_json::Value;

use super::{
    NOW, SECRET, World, form, json,
    oauth_metadata::ask,
    oauth_public::{exchange, outcome, query, with_assistant, world},
};

const MCP: &str = "https://mcp.example.org/mcp";

fn listing(resources: &[&str]) -> World {
    World::without_users(|hub| with_assistant(hub).resources(resources))
}

async fn audience(world: &World, token: &str) -> Value {
    let request = Request::post("/hub/api/oauth2/introspect")
        .header("host", "localhost")
        .header("authorization", format!("Bearer {SECRET}"))
        .header("content-type", "application/x-www-form-urlencoded");
    let body = form(&[("token", token)]);
    json(&world.send(request.body(body.into()).expect("a request")).await)["aud"].clone()
}

#[tokio::test]
async fn a_resource_is_an_absolute_uri_that_is_known() {
    for (listed, resource, expected) in [
        (&[][..], MCP, "a code"),
        (&[], "http://127.0.0.1:3000/mcp", "a code"),
        (&[], "http://localhost:3000", "a code"),
        (&[], "http://mcp.example.org/mcp", "invalid_target"),
        (&[], "https://mcp.example.org/mcp#x", "invalid_target"),
        (&[], "https://me@mcp.example.org", "invalid_target"),
        (&[], "/mcp", "invalid_target"),
        (&[], "mcp", "invalid_target"),
        (&[], "urn:mcp", "invalid_target"),
        (&[MCP], MCP, "a code"),
        (&[MCP], "https://mcp.example.org/mcp/", "invalid_target"),
        (&[MCP], "https://other.example.org/mcp", "invalid_target"),
    ] {
        let world = listing(listed);
        let mut alice = world.browser_of("alice").await;
        let found = outcome(&world, &mut alice, &query(&[("resource", resource)])).await;
        assert_eq!(found, expected, "{listed:?} {resource}");
    }
    let world = world();
    let mut alice = world.browser_of("alice").await;
    for more in [
        form(&[("resource", MCP), ("resource", "https://b.example")]),
        "resource=".to_owned(),
    ] {
        let query = format!("{}&{more}", query(&[]));
        assert_eq!(
            outcome(&world, &mut alice, &query).await,
            "invalid_target",
            "{more}"
        );
    }
}

#[tokio::test]
async fn a_token_is_for_the_resource_that_was_authorized() {
    const OTHER: &str = "https://api.example.org";
    for (authorized, requested, expected) in [
        (MCP, "", Ok(MCP)),
        (MCP, MCP, Ok(MCP)),
        (MCP, OTHER, Err("invalid_target")),
        ("", MCP, Ok(MCP)),
        ("", "http://mcp.example.org", Err("invalid_target")),
        ("", "", Ok("")),
    ] {
        let world = world();
        let mut alice = world.browser_of("alice").await;
        let code = world.code(&mut alice, &query(&[("resource", authorized)])).await;
        let code = code.expect("a code");
        let answer = json(&world.exchange(&exchange(&code, &[("resource", requested)])).await);
        let what = format!("{authorized} {requested}");
        match expected {
            Err(error) => assert_eq!(answer["error"], error, "{what}"),
            Ok(resource) => {
                let token = answer["access_token"].as_str().expect("a token");
                let found = audience(&world, token).await;
                assert_eq!(found.as_str().unwrap_or_default(), resource, "{what}");
                // The next one is for the same resource, and for no other.
                let refresh = answer["refresh_token"].as_str().expect("a token");
                let mut fields = vec![
                    ("client_id", "assistant"),
                    ("grant_type", "refresh_token"),
                    ("refresh_token", refresh),
                ];
                if !resource.is_empty() {
                    let other = [fields.clone(), vec![("resource", OTHER)]].concat();
                    assert_eq!(json(&world.exchange(&other).await)["error"], "invalid_target");
                }
                let twice = [fields.clone(), vec![("resource", MCP), ("resource", MCP)]].concat();
                assert_eq!(json(&world.exchange(&twice).await)["error"], "invalid_target");
                if !requested.is_empty() {
                    fields.push(("resource", resource));
                }
                let next = json(&world.exchange(&fields).await);
                let token = next["access_token"].as_str().expect("a token");
                let found = audience(&world, token).await;
                assert_eq!(found.as_str().unwrap_or_default(), resource, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn the_page_names_the_resource_and_the_metadata_those_that_are_listed() {
    let world = listing(&[MCP]);
    let mut alice = world.browser_of("alice").await;
    let query = query(&[("resource", MCP)]);
    let page = alice.get(&format!("/hub/api/oauth2/authorize?{query}")).await;
    assert!(page.text.contains(MCP), "{}", page.text);
    for (world, expected) in [(&world, serde_json::json!([MCP])), (&listing(&[]), Value::Null)] {
        let found = json(&ask(world, "GET", "/.well-known/oauth-authorization-server").await);
        assert_eq!(found["protected_resources"], expected);
    }
}

#[tokio::test]
async fn the_hub_accepts_no_token_for_another_server() {
    for (resource, expected) in [
        ("", 200),
        ("https://hub.example.org", 200),
        ("https://hub.example.org/services/whoami", 200),
        (MCP, 403),
        ("https://hub.example.org.evil.example", 403),
        ("https://hub.example.org:444/", 403),
    ] {
        let world = world();
        let mut alice = world.browser_of("alice").await;
        let code = world.code(&mut alice, &query(&[("resource", resource)])).await;
        let code = code.expect("a code");
        let answer = json(&world.exchange(&exchange(&code, &[])).await);
        let token = answer["access_token"].as_str().expect("a token");
        let found = world.call("GET", "/user", Some(token), "").await.status.as_u16();
        assert_eq!(found, expected, "{resource}");
    }
}

#[test]
fn resources_are_checked_when_the_hub_is_built() {
    for (uri, expected) in [
        (MCP, true),
        ("http://localhost:3000/mcp", true),
        ("http://mcp.example.org", false),
        ("https://mcp.example.org#x", false),
        ("mcp", false),
    ] {
        let hub: HubBuilder = super::builder(MemoryTokenStore::new(), &TestClock::new(NOW));
        let error = hub.resources([uri]).build().err();
        assert_eq!(error.is_none(), expected, "{uri}");
        if let Some(error) = error {
            assert_eq!(error.setting(), "resources");
        }
    }
}

//! Clients that register themselves.

use std::time::Duration;

use http::Request;
use portcullis::{
    hub_server::{Hub, HubBuilder},
    request::Peer,
    store::MemoryTokenStore,
    testing::TestClock,
};
use serde_json::{Value, json as object};

use super::{
    NOW, World, json,
    oauth_metadata::ask,
    oauth_public::{exchange, outcome, query, with_assistant},
};
use crate::common::Answered;

const CALLBACK: &str = "http://127.0.0.1/callback";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn world(limit: u64) -> World {
    World::without_users(|hub| {
        with_assistant(hub)
            .dynamic_registration(limit)
            .dynamic_client_scopes(["custom:tools:read"])
    })
}

async fn register_from(world: &World, address: [u8; 4], body: &str) -> Answered {
    let mut request = Request::post("/hub/api/oauth2/register")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(body.to_owned().into())
        .expect("a request");
    request.extensions_mut().insert(Peer::Ip((address, 1).into()));
    world.send(request).await
}

async fn register(world: &World, metadata: &Value) -> Answered {
    register_from(world, [192, 0, 2, 1], &metadata.to_string()).await
}

async fn registered(world: &World, name: &str) -> String {
    let answer = register(
        world,
        &object!({ "client_name": name, "redirect_uris": [CALLBACK] }),
    )
    .await;
    assert_eq!(answer.status, 201, "{answer:?}");
    json(&answer)["client_id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_client_without_a_secret_registers_with_redirect_uris_of_https_loopback_or_its_own_scheme() {
    let long = format!("https://app.example/{}", "x".repeat(1100));
    let eleven: Vec<String> = (0..11)
        .map(|number| format!("https://app.example/{number}"))
        .collect();
    for (metadata, expected) in [
        (object!({ "redirect_uris": [CALLBACK] }), ""),
        (
            object!({ "redirect_uris": ["https://app.example/cb", "http://localhost:9/cb"] }),
            "",
        ),
        (
            object!({ "redirect_uris": ["cursor://anysphere.cursor-retrieval/oauth/callback", "com.example.app:/cb"] }),
            "",
        ),
        (
            object!({
                "redirect_uris": [CALLBACK],
                "token_endpoint_auth_method": "none",
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
                "scope": "anything",
                "logo_uri": "https://app.example/logo.png",
            }),
            "",
        ),
        (object!({}), "invalid_redirect_uri"),
        (object!({ "redirect_uris": [] }), "invalid_redirect_uri"),
        (object!({ "redirect_uris": CALLBACK }), "invalid_redirect_uri"),
        (object!({ "redirect_uris": [1] }), "invalid_redirect_uri"),
        (
            object!({ "redirect_uris": ["http://app.example/cb"] }),
            "invalid_redirect_uri",
        ),
        (
            object!({ "redirect_uris": [CALLBACK, "http://app.example/cb"] }),
            "invalid_redirect_uri",
        ),
        (
            object!({ "redirect_uris": ["https://app.example/cb#x"] }),
            "invalid_redirect_uri",
        ),
        (
            object!({ "redirect_uris": ["https://me@app.example/cb"] }),
            "invalid_redirect_uri",
        ),
        (object!({ "redirect_uris": ["/cb"] }), "invalid_redirect_uri"),
        (
            object!({ "redirect_uris": ["javascript:alert(1)"] }),
            "invalid_redirect_uri",
        ),
        (
            object!({ "redirect_uris": ["javascript://app.example/%0aalert(1)"] }),
            "invalid_redirect_uri",
        ),
        (object!({ "redirect_uris": [long] }), "invalid_redirect_uri"),
        (object!({ "redirect_uris": eleven }), "invalid_redirect_uri"),
        (
            object!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "client_secret_post" }),
            "invalid_client_metadata",
        ),
        (
            object!({ "redirect_uris": [CALLBACK], "grant_types": ["client_credentials"] }),
            "invalid_client_metadata",
        ),
        (
            object!({ "redirect_uris": [CALLBACK], "response_types": ["token"] }),
            "invalid_client_metadata",
        ),
        (object!([CALLBACK]), "invalid_client_metadata"),
        (object!("text"), "invalid_client_metadata"),
    ] {
        let answer = register(&world(9), &metadata).await;
        let found = json(&answer);
        if expected.is_empty() {
            assert_eq!(answer.status, 201, "{metadata}");
            assert_eq!(found["redirect_uris"], metadata["redirect_uris"]);
            assert_eq!(found["token_endpoint_auth_method"], "none");
            assert_eq!(found["scope"], "custom:tools:read");
            assert_eq!(found["client_secret"], Value::Null);
        } else {
            assert_eq!(answer.status, 400, "{metadata}");
            assert_eq!(found["error"], expected, "{metadata}");
        }
    }
    let form = register_from(&world(9), [192, 0, 2, 1], "redirect_uris=x").await;
    assert_eq!(json(&form)["error"], "invalid_client_metadata");
}

#[tokio::test]
async fn registration_is_off_unless_it_is_switched_on() {
    for (world, status) in [(world(9), 201), (World::new(), 404)] {
        let answer = register(&world, &object!({ "redirect_uris": [CALLBACK] })).await;
        assert_eq!(answer.status.as_u16(), status);
    }
    for (world, expected) in [
        (
            world(9),
            object!("https://hub.example.org/hub/api/oauth2/register"),
        ),
        (World::without_users(with_assistant), Value::Null),
    ] {
        let metadata = json(&ask(&world, "GET", "/.well-known/oauth-authorization-server").await);
        assert_eq!(metadata["registration_endpoint"], expected);
    }
    let answer = ask(&world(9), "GET", "/hub/api/oauth2/register").await;
    assert_eq!(answer.status, 405);
}

#[tokio::test]
async fn a_registered_client_gets_tokens_with_the_scopes_of_dynamic_clients() {
    let world = world(9);
    let id = registered(&world, "Assistant").await;
    let mut alice = world.browser_of("alice").await;
    for (changes, expected) in [
        (&[][..], "a code"),
        (&[("redirect_uri", CALLBACK)], "a code"),
        (&[("redirect_uri", "https://app.example/cb")], "400"),
        (
            &[("code_challenge", ""), ("code_challenge_method", "")],
            "invalid_request",
        ),
        (&[("scope", "custom:tools:run")], "invalid_scope"),
        (&[("client_id", "dynamic-unknown")], "400"),
        (&[("client_id", &*format!("{id}x"))], "400"),
    ] {
        let changes = [&[("client_id", &*id)], changes].concat();
        let found = outcome(&world, &mut alice, &query(&changes)).await;
        assert_eq!(found, expected, "{changes:?}");
    }
    let code = world
        .code(&mut alice, &query(&[("client_id", &id)]))
        .await
        .expect("a code");
    // Another client cannot redeem it.
    let other = json(&world.exchange(&exchange(&code, &[])).await);
    assert_eq!(other["error"], "invalid_grant");
    let answer = json(&world.exchange(&exchange(&code, &[("client_id", &id)])).await);
    let token = answer["access_token"].as_str().expect("a token");
    assert_eq!(world.call("GET", "/user", Some(token), "").await.status, 200);
    let page = alice.get("/hub/home").await.text;
    assert!(page.contains("Assistant"), "{page}");
    // The same hub after a restart, and without registration.
    let restart = |registration: bool| {
        let hub: HubBuilder =
            with_assistant(super::builder(std::sync::Arc::clone(&world.store), &world.clock));
        World {
            hub: if registration {
                hub.dynamic_registration(9)
            } else {
                hub
            }
            .build()
            .expect("a hub"),
            clock: world.clock.clone(),
            store: std::sync::Arc::clone(&world.store),
        }
    };
    for (registration, status) in [(true, 200), (false, 403)] {
        let answer = restart(registration).call("GET", "/user", Some(token), "").await;
        assert_eq!(answer.status.as_u16(), status, "{registration}");
    }
}

#[tokio::test]
async fn an_application_with_a_scheme_of_its_own_gets_its_code_there() {
    let world = world(9);
    let uri = "cursor://anysphere.cursor-retrieval/oauth/callback";
    let answer = register(&world, &object!({ "redirect_uris": [uri] })).await;
    let id = json(&answer)["client_id"].as_str().expect("an id").to_owned();
    let mut alice = world.browser_of("alice").await;
    for (sent, expected) in [
        (uri, "a code"),
        ("cursor://anysphere.cursor-retrieval:1/oauth/callback", "400"),
        ("cursor://another.extension/oauth/callback", "400"),
        ("cursors://anysphere.cursor-retrieval/oauth/callback", "400"),
    ] {
        let query = query(&[("client_id", &id), ("redirect_uri", sent)]);
        assert_eq!(outcome(&world, &mut alice, &query).await, expected, "{sent}");
    }
    let url = format!(
        "/hub/api/oauth2/authorize?{}",
        query(&[("client_id", &id), ("redirect_uri", uri)])
    );
    let page = alice.get(&url).await;
    let policy = page.header("content-security-policy");
    assert!(policy.contains("form-action 'self' cursor:;"), "{policy}");
    let xsrf = super::hidden(&page.text, "_xsrf").remove(0);
    let answer = alice.post(&url, &[("_xsrf", &xsrf), ("deny", "1")]).await;
    let location = answer.header("location");
    assert!(
        location.starts_with(&format!("{uri}?error=access_denied&")),
        "{location}"
    );
}

#[tokio::test]
async fn the_consent_page_escapes_the_name_and_says_that_it_is_not_verified() {
    let world = world(9);
    for (name, shown) in [
        (
            "<script>alert(1)</script>",
            "&lt;script&gt;alert(1)&lt;/script&gt;",
        ),
        ("\u{202e}tnatsissA\u{0}\n", "Authorize tnatsissA?"),
        ("", "An application without a name"),
        (&"n".repeat(1000), &*"n".repeat(80)),
    ] {
        let id = registered(&world, name).await;
        let mut alice = world.browser_of("alice").await;
        let url = format!("/hub/api/oauth2/authorize?{}", query(&[("client_id", &id)]));
        let page = alice.get(&url).await.text;
        assert!(page.contains(shown), "{page}");
        assert!(page.contains("Its name is not verified."), "{page}");
        assert!(!page.contains("<script>alert") && !page.contains(&"n".repeat(81)));
    }
    let mut alice = world.browser_of("alice").await;
    let page = alice
        .get(&format!("/hub/api/oauth2/authorize?{}", query(&[])))
        .await
        .text;
    assert!(
        !page.contains("Its name is not verified."),
        "of a configured client: {page}"
    );
}

#[tokio::test]
async fn the_number_of_clients_is_bounded_and_unused_ones_make_room() {
    let world = world(2);
    let metadata = object!({ "redirect_uris": [CALLBACK] });
    let used = registered(&world, "used").await;
    let unused = registered(&world, "unused").await;
    let mut alice = world.browser_of("alice").await;
    let code = world
        .code(&mut alice, &query(&[("client_id", &used)]))
        .await
        .expect("a code");
    let answer = json(&world.exchange(&exchange(&code, &[("client_id", &used)])).await);
    assert_eq!(register(&world, &metadata).await.status, 503);
    world.clock.advance(DAY);
    let found = outcome(&world, &mut alice, &query(&[("client_id", &unused)])).await;
    assert_eq!(found, "400", "a client that was not used for a day is unknown");
    assert_eq!(register(&world, &metadata).await.status, 201);
    assert_eq!(register(&world, &metadata).await.status, 503);
    // One that was used is known for as long as its refresh token.
    world.clock.advance(28 * DAY);
    let refresh = answer["refresh_token"].as_str().expect("a token");
    let fields = [
        ("client_id", &*used),
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh),
    ];
    assert_eq!(world.exchange(&fields).await.status, 200);
}

#[tokio::test]
async fn an_address_registers_ten_clients_in_an_hour() {
    let world = world(1000);
    let metadata = object!({ "redirect_uris": [CALLBACK] }).to_string();
    for number in 0..12 {
        let answer = register_from(&world, [192, 0, 2, 1], &metadata).await;
        let expected = if number < 10 { 201 } else { 429 };
        assert_eq!(answer.status.as_u16(), expected, "{number}");
        if expected == 429 {
            assert_eq!(answer.header("retry-after"), "3600");
        }
    }
    assert_eq!(register_from(&world, [192, 0, 2, 2], &metadata).await.status, 201);
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(register_from(&world, [192, 0, 2, 1], &metadata).await.status, 201);
}

#[test]
fn scopes_of_dynamic_clients_are_checked_when_the_hub_is_built() {
    let hub: HubBuilder = super::builder(MemoryTokenStore::new(), &TestClock::new(NOW));
    let built: Result<Hub, _> = hub.dynamic_client_scopes(["nonsense"]).build();
    assert_eq!(built.expect_err("no scope").setting(), "dynamic_client_scopes");
}

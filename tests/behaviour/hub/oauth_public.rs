//! Clients without a secret.

use portcullis::{
    AllowedOrigins,
    hub_server::{HubBuilder, HubUser, OAuthClientConfig},
};

use super::{Browser, CHALLENGE, SECRET, VERIFIER, World, form, hidden, json};

pub(super) const LOOPBACK: &str = "http://127.0.0.1/callback";

/// A hub with the public client `assistant`, which may request a scope that alice has and bob has not.
pub(super) fn world() -> World {
    World::without_users(with_assistant)
}

pub(super) fn with_assistant(hub: HubBuilder) -> HubBuilder {
    let member = |name| HubUser::new(name).expect("a name");
    let alice = member("alice").with_scopes(["custom:tools:read", "custom:tools:run"]);
    hub.user(alice.expect("scopes"))
        .user(member("bob"))
        .user(member("admin").as_admin())
        .client(assistant())
        .client(OAuthClientConfig::public("another", [LOOPBACK]).expect("a client"))
        .public_origin("https://hub.example.org".parse().expect("an origin"))
        .additional_origins(AllowedOrigins::parse(["http://localhost"]).expect("an origin"))
}

pub(super) fn assistant() -> OAuthClientConfig {
    OAuthClientConfig::public("assistant", [LOOPBACK, "https://app.example/cb"])
        .and_then(|client| client.with_allowed_scopes(["custom:tools:read", "custom:tools:run"]))
        .expect("a client")
        .with_name("The <b>Assistant</b>")
        .skip_consent()
        .allow_without_pkce()
}

/// The query of its authorization request, with some parameters changed; an empty value removes one.
pub(super) fn query(changes: &[(&str, &str)]) -> String {
    let mut fields = vec![
        ("client_id", "assistant"),
        ("redirect_uri", "http://127.0.0.1:49152/callback"),
        ("response_type", "code"),
        ("state", "st"),
        ("scope", "custom:tools:read"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    change(&mut fields, changes);
    form(&fields)
}

/// The fields by which it exchanges a code, changed likewise.
pub(super) fn exchange<'a>(code: &'a str, changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![
        ("client_id", "assistant"),
        ("grant_type", "authorization_code"),
        ("redirect_uri", "http://127.0.0.1:49152/callback"),
        ("code_verifier", VERIFIER),
        ("code", code),
    ];
    change(&mut fields, changes);
    fields
}

fn change<'a>(fields: &mut Vec<(&'a str, &'a str)>, changes: &[(&'a str, &'a str)]) {
    for (name, value) in changes {
        fields.retain(|(known, _)| known != name);
        if !value.is_empty() {
            fields.push((name, value));
        }
    }
}

/// What a request for a code comes to: `a code`, the error of the redirect, or the status of the page.
pub(super) async fn outcome(world: &World, browser: &mut Browser<'_>, query: &str) -> String {
    match world.code(browser, query).await {
        Ok(_) => "a code".to_owned(),
        Err(answer) => {
            let location = answer.header("location").to_owned();
            let error = location
                .split(['?', '&'])
                .find_map(|pair| pair.strip_prefix("error="));
            error.map_or_else(|| answer.status.as_u16().to_string(), str::to_owned)
        }
    }
}

#[tokio::test]
async fn a_public_client_needs_a_challenge_by_s256_and_one_of_its_redirect_uris() {
    let world = world();
    let mut alice = world.browser_of("alice").await;
    for (changes, expected) in [
        (&[][..], "a code"),
        (
            &[("code_challenge", ""), ("code_challenge_method", "")],
            "invalid_request",
        ),
        (&[("code_challenge_method", "")], "invalid_request"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("code_challenge", "")], "invalid_request"),
        (&[("redirect_uri", LOOPBACK)], "a code"),
        (&[("redirect_uri", "http://127.0.0.1:1/callback")], "a code"),
        (&[("redirect_uri", "https://app.example/cb")], "a code"),
        // There are two.
        (&[("redirect_uri", "")], "400"),
        (&[("redirect_uri", "http://localhost:1/callback")], "400"),
        (&[("redirect_uri", "http://127.0.0.1:1/callback/")], "400"),
        (&[("redirect_uri", "http://127.0.0.1:1/other")], "400"),
        (&[("redirect_uri", "https://127.0.0.1:1/callback")], "400"),
        (&[("redirect_uri", "http://127.0.0.1:0/callback")], "400"),
        (
            &[("redirect_uri", "http://127.0.0.1:1@evil.example/callback")],
            "400",
        ),
        (&[("redirect_uri", "https://app.example:444/cb")], "400"),
        (&[("redirect_uri", "https://app.example/cb?x")], "400"),
        (&[("redirect_uri", "https://evil.example/cb")], "400"),
        (&[("scope", "custom:tools:write")], "invalid_scope"),
        (&[("scope", "users")], "invalid_scope"),
    ] {
        let found = outcome(&world, &mut alice, &query(changes)).await;
        assert_eq!(found, expected, "{changes:?}");
    }
}

#[tokio::test]
async fn a_public_client_exchanges_a_code_by_its_verifier_alone() {
    let world = world();
    let mut alice = world.browser_of("alice").await;
    for (changes, expected) in [
        (&[][..], None),
        (&[("redirect_uri", "")], None),
        (&[("code_verifier", "")], Some("invalid_request")),
        (&[("code_verifier", &*"w".repeat(43))], Some("invalid_grant")),
        (&[("client_secret", SECRET)], Some("invalid_client")),
        (&[("client_id", "")], Some("invalid_client")),
        (&[("client_id", "nothing")], Some("invalid_client")),
        // A client with a secret cannot leave it out.
        (&[("client_id", "service-ext")], Some("invalid_client")),
        (
            &[("client_id", "service-ext"), ("client_secret", SECRET)],
            Some("invalid_grant"),
        ),
        (
            &[("redirect_uri", "http://127.0.0.1:1/callback")],
            Some("invalid_request"),
        ),
    ] {
        let code = world.code(&mut alice, &query(&[])).await.expect("a code");
        let answer = world.exchange(&exchange(&code, changes)).await;
        assert_eq!(json(&answer)["error"].as_str(), expected, "{changes:?}");
        assert_eq!(answer.status == 200, expected.is_none(), "{changes:?}");
    }
}

#[tokio::test]
async fn a_token_of_a_public_client_has_the_scopes_that_its_owner_holds() {
    let world = world();
    for (user, expected) in [
        (
            "alice",
            "custom:tools:read read:users:groups!user read:users:name!user",
        ),
        ("bob", "read:users:groups!user read:users:name!user"),
    ] {
        let mut browser = world.browser_of(user).await;
        let code = world.code(&mut browser, &query(&[])).await.expect("a code");
        let answer = json(&world.exchange(&exchange(&code, &[])).await);
        assert_eq!(answer["scope"], expected);
        let token = answer["access_token"].as_str().expect("a token");
        let model = json(&world.call("GET", "/user", Some(token), "").await);
        assert_eq!(model["name"], user);
        assert_eq!(world.call("GET", "/users", Some(token), "").await.status, 403);
    }
}

#[tokio::test]
async fn users_are_asked_each_time_and_the_name_is_escaped() {
    let world = world();
    let mut alice = world.browser_of("alice").await;
    let url = format!("/hub/api/oauth2/authorize?{}", query(&[]));
    for round in 0..2 {
        let page = alice.get(&url).await;
        assert_eq!(page.status, 200, "{round}");
        assert!(
            page.text.contains("The &lt;b&gt;Assistant&lt;/b&gt;"),
            "{}",
            page.text
        );
        let policy = page.header("content-security-policy");
        assert!(
            policy.contains("form-action 'self' http://127.0.0.1:49152;"),
            "{policy}"
        );
        assert!(!hidden(&page.text, "scopes").is_empty());
        world.code(&mut alice, &query(&[])).await.expect("a code");
    }
}

#[test]
fn a_public_client_is_registered_with_redirect_uris_that_others_cannot_read() {
    for (uris, expected) in [
        (&["http://127.0.0.1/cb"][..], true),
        (&["http://localhost:9/cb", "https://app.example/cb"], true),
        (&["http://[::1]/"], true),
        (&[], false),
        (&["http://app.example/cb"], false),
        (&["http://127.0.0.1.app.example/cb"], false),
        (&["https://app.example/cb", "http://app.example/cb"], false),
        (&["https://app.example/cb#x"], false),
        (&["https://me@app.example/cb"], false),
        (&["/callback"], false),
        (&["com.example.app:/cb", "cursor://mcp/cb"], true),
        (&["file:///cb"], false),
        (&["javascript:alert(1)"], false),
    ] {
        let found = OAuthClientConfig::public("app", uris);
        assert_eq!(found.is_ok(), expected, "{uris:?}");
    }
    assert!(OAuthClientConfig::public("", [LOOPBACK]).is_err());
    assert!(OAuthClientConfig::public("an id", [LOOPBACK]).is_err());
}

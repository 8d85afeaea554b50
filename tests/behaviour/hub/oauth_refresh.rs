//! Refresh tokens of the hub's clients.

use std::time::Duration;

use portcullis::{
    hub_server::{HubBuilder, OAuthClientConfig},
    store::{TokenFilter, TokenStore as _},
};
use serde_json::Value;

use super::{
    Browser, SECRET, World, authorize_query, exchange_fields, json,
    oauth_public::{assistant, exchange, query, world},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The answer to the exchange of a code of the assistant.
async fn issued(world: &World, browser: &mut Browser<'_>) -> Value {
    let code = world.code(browser, &query(&[])).await.expect("a code");
    json(&world.exchange(&exchange(&code, &[])).await)
}

async fn refresh(world: &World, token: &str, changes: &[(&str, &str)]) -> Value {
    let mut fields = vec![
        ("client_id", "assistant"),
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
    ];
    for (name, value) in changes {
        fields.retain(|(known, _)| known != name);
        if !value.is_empty() {
            fields.push((name, value));
        }
    }
    json(&world.exchange(&fields).await)
}

fn text<'v>(answer: &'v Value, name: &str) -> &'v str {
    answer[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name}: {answer}"))
}

async fn works(world: &World, token: &str) -> bool {
    world.call("GET", "/user", Some(token), "").await.status == 200
}

#[tokio::test]
async fn each_use_gives_an_access_token_and_the_next_refresh_token() {
    let world = world();
    let mut alice = world.browser_of("alice").await;
    let mut last = issued(&world, &mut alice).await;
    assert_eq!(last["expires_in"], 3600);
    for round in 0..3 {
        world.clock.advance(Duration::from_secs(3000));
        let next = refresh(&world, text(&last, "refresh_token"), &[]).await;
        assert_ne!(
            text(&next, "refresh_token"),
            text(&last, "refresh_token"),
            "{round}"
        );
        assert_eq!(next["scope"], last["scope"]);
        assert!(works(&world, text(&next, "access_token")).await);
        // The earlier access token is valid for its hour.
        assert!(works(&world, text(&last, "access_token")).await);
        last = next;
    }
    world.clock.advance(Duration::from_secs(3601));
    assert!(!works(&world, text(&last, "access_token")).await);
}

#[tokio::test]
async fn a_second_use_ends_all_tokens_of_the_family_and_no_others() {
    let world = world();
    let mut alice = world.browser_of("alice").await;
    let other = issued(&world, &mut alice).await;
    let first = issued(&world, &mut alice).await;
    let second = refresh(&world, text(&first, "refresh_token"), &[]).await;
    let third = refresh(&world, text(&second, "refresh_token"), &[]).await;
    let again = refresh(&world, text(&first, "refresh_token"), &[]).await;
    assert_eq!(again["error"], "invalid_grant");
    for answer in [&first, &second, &third] {
        assert!(!works(&world, text(answer, "access_token")).await);
        let again = refresh(&world, text(answer, "refresh_token"), &[]).await;
        assert_eq!(again["error"], "invalid_grant");
    }
    assert!(works(&world, text(&other, "access_token")).await);
    assert!(refresh(&world, text(&other, "refresh_token"), &[]).await["error"].is_null());
}

#[tokio::test]
async fn a_refresh_token_is_bound_to_its_client_and_scopes() {
    let world = world();
    let mut alice = world.browser_of("alice").await;
    let both = query(&[("scope", "custom:tools:read custom:tools:run")]);
    for (changes, expected) in [
        (&[][..], None),
        (&[("scope", "custom:tools:run")], None),
        (&[("scope", "custom:tools:write")], Some("invalid_scope")),
        (&[("scope", "custom:tools:run self")], Some("invalid_scope")),
        (&[("client_id", "another")], Some("invalid_grant")),
        (&[("client_id", "unknown")], Some("invalid_client")),
        (&[("client_id", "")], Some("invalid_client")),
        (&[("client_secret", SECRET)], Some("invalid_client")),
        // It gets no refresh tokens.
        (
            &[("client_id", "service-ext"), ("client_secret", SECRET)],
            Some("unauthorized_client"),
        ),
        (&[("refresh_token", "")], Some("invalid_request")),
        (&[("refresh_token", "x")], Some("invalid_grant")),
    ] {
        let code = world.code(&mut alice, &both).await.expect("a code");
        let first = json(&world.exchange(&exchange(&code, &[])).await);
        let token = text(&first, "refresh_token").to_owned();
        let found = refresh(&world, &token, changes).await;
        assert_eq!(found["error"].as_str(), expected, "{changes:?}");
        if changes == [("scope", "custom:tools:run")] {
            assert_eq!(found["scope"], "custom:tools:run");
            // The next one may have all of them again.
            let next = refresh(&world, text(&found, "refresh_token"), &[]).await;
            assert_eq!(next["scope"], first["scope"]);
        } else if expected.is_some() {
            // A request that is refused uses nothing up.
            assert!(
                refresh(&world, &token, &[]).await["error"].is_null(),
                "{changes:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_refresh_token_is_no_access_token_nor_the_other_way_round() {
    let world = world();
    let mut alice = world.browser_of("alice").await;
    let first = issued(&world, &mut alice).await;
    let (access, token) = (text(&first, "access_token"), text(&first, "refresh_token"));
    let key = token.split('.').next().expect("a key");
    for wrong in [
        token,
        key,
        &format!("refresh token {key}"),
        &format!("refresh%20token%20{key}"),
    ] {
        assert!(!works(&world, wrong).await, "{wrong}");
    }
    assert_eq!(refresh(&world, access, &[]).await["error"], "invalid_grant");
}

#[tokio::test]
async fn a_refresh_token_ends_when_it_is_idle_for_too_long() {
    for (idle, expected) in [(29 * DAY, None), (30 * DAY, Some("invalid_grant"))] {
        let world = world();
        let mut alice = world.browser_of("alice").await;
        let mut last = issued(&world, &mut alice).await;
        for _ in 0..3 {
            world.clock.advance(20 * DAY);
            last = refresh(&world, text(&last, "refresh_token"), &[]).await;
        }
        world.clock.advance(idle);
        last = refresh(&world, text(&last, "refresh_token"), &[]).await;
        assert_eq!(last["error"].as_str(), expected, "{idle:?}");
    }
}

#[tokio::test]
async fn a_logout_a_revocation_and_the_removal_of_the_user_end_the_family() {
    for way in [
        "nothing",
        "logout",
        "revoke",
        "revoke an access token",
        "remove the user",
    ] {
        let world = world();
        let mut alice = world.browser_of("alice").await;
        let first = issued(&world, &mut alice).await;
        let xsrf = alice.xsrf().await;
        let listed = world
            .store
            .list(TokenFilter::owner("alice"), super::NOW)
            .await
            .expect("a list");
        let id = |refresh| {
            let found = listed.iter().find(|token| token.is_refresh() == refresh);
            format!("a{}", found.expect("a token").id())
        };
        match way {
            "logout" => drop(alice.post("/hub/logout", &[("_xsrf", &xsrf)]).await),
            "revoke" => {
                let page = alice.get("/hub/home").await.text;
                assert!(page.contains(&id(true)) && !page.contains(&id(false)), "one item");
                let fields = [("_xsrf", &*xsrf), ("action", "revoke"), ("id", &id(true))];
                drop(alice.post("/hub/home", &fields).await);
            }
            "revoke an access token" => {
                let fields = [("_xsrf", &*xsrf), ("action", "revoke"), ("id", &id(false))];
                drop(alice.post("/hub/home", &fields).await);
            }
            "remove the user" => assert!(world.hub.users().remove("alice")),
            _ => {}
        }
        let expected = way == "nothing";
        assert_eq!(
            works(&world, text(&first, "access_token")).await,
            expected,
            "{way}"
        );
        let next = refresh(&world, text(&first, "refresh_token"), &[]).await;
        assert_eq!(next["error"].is_null(), expected, "{way}");
    }
}

#[tokio::test]
async fn a_code_that_is_used_twice_ends_the_refresh_token() {
    let world = world();
    let mut alice = world.browser_of("alice").await;
    let code = world.code(&mut alice, &query(&[])).await.expect("a code");
    let first = json(&world.exchange(&exchange(&code, &[])).await);
    let again = json(&world.exchange(&exchange(&code, &[])).await);
    assert_eq!(again["error"], "invalid_grant");
    assert!(!works(&world, text(&first, "access_token")).await);
    let next = refresh(&world, text(&first, "refresh_token"), &[]).await;
    assert_eq!(next["error"], "invalid_grant");
    let left = world.store.list(TokenFilter::owner("alice"), super::NOW).await;
    assert_eq!(
        left.expect("a list"),
        [],
        "the second exchange leaves nothing either"
    );
}

#[tokio::test]
async fn refresh_tokens_are_switched_for_each_client() {
    for (public, switched, expected) in [
        (true, None, true),
        (true, Some(false), false),
        (false, None, false),
        (false, Some(true), true),
    ] {
        let switch = |client: OAuthClientConfig| match switched {
            Some(on) => client.refresh_tokens(on),
            None => client,
        };
        let world = World::with(|hub: HubBuilder| {
            let token = "a-token-of-a-service".parse().expect("a token");
            let service = OAuthClientConfig::service("old", super::REDIRECT_URI, &token);
            hub.client(switch(service.expect("a client")))
                .client(switch(assistant()))
                .refresh_token_lifetime(DAY)
        });
        let mut admin = world.browser_of("admin").await;
        let answer = if public {
            issued(&world, &mut admin).await
        } else {
            let query = authorize_query().replace("service-ext", "service-old");
            let code = world.code(&mut admin, &query).await.expect("a code");
            let mut fields = exchange_fields(&code);
            fields.retain(|(name, _)| !name.starts_with("client_"));
            fields.extend([
                ("client_id", "service-old"),
                ("client_secret", "a-token-of-a-service"),
            ]);
            json(&world.exchange(&fields).await)
        };
        assert_eq!(
            answer["refresh_token"].is_string(),
            expected,
            "{public} {switched:?}"
        );
        let life = if expected { 3600 } else { 14 * 24 * 60 * 60 };
        assert_eq!(answer["expires_in"], life, "{public} {switched:?}");
    }
}

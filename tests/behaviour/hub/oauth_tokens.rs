//! Introspection and revocation of tokens.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::Request;
use portcullis::{
    Grant, Identity, Secret, Verification,
    store::{TokenRecord, TokenStore as _},
    token::PresentedToken,
    verify::{IntrospectionVerifier, TokenVerifier as _},
};
use serde_json::{Value, json as object};

use super::{
    NOW, OTHER_SECRET, SECRET, SERVER_TOKEN, World, form, json,
    oauth_public::{exchange, query, world},
};
use crate::common::Answered;

async fn post(world: &World, path: &str, authorization: &str, fields: &[(&str, &str)]) -> Answered {
    let mut request = Request::post(format!("/hub/api/oauth2/{path}"))
        .header("host", "localhost")
        .header("content-type", "application/x-www-form-urlencoded");
    if !authorization.is_empty() {
        request = request.header("authorization", authorization);
    }
    world
        .send(request.body(form(fields).into()).expect("a request"))
        .await
}

fn basic(pair: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(pair))
}

/// The access and the refresh token of the assistant for alice.
async fn issued(world: &World) -> (String, String) {
    let mut alice = world.browser_of("alice").await;
    let code = world.code(&mut alice, &query(&[])).await.expect("a code");
    let answer = json(&world.exchange(&exchange(&code, &[])).await);
    let text = |name: &str| answer[name].as_str().expect("a token").to_owned();
    (text("access_token"), text("refresh_token"))
}

#[tokio::test]
async fn introspection_is_for_clients_with_a_secret() {
    let world = world();
    let (token, _) = issued(&world).await;
    let (id, secret) = (("client_id", "service-ext"), ("client_secret", SECRET));
    let good = basic(&format!("service-ext:{SECRET}"));
    for (authorization, fields, expected) in [
        (String::new(), vec![id, secret], 200),
        (good.clone(), vec![], 200),
        (format!("Bearer {SECRET}"), vec![], 200),
        (format!("token {SECRET}"), vec![], 200),
        (format!("Bearer {SERVER_TOKEN}"), vec![], 200),
        // The id is encoded as in a form.
        (basic(&format!("service%2Dext:{SECRET}")), vec![], 200),
        (String::new(), vec![], 401),
        (String::new(), vec![id], 401),
        (String::new(), vec![("client_id", "assistant")], 401),
        (String::new(), vec![id, ("client_secret", OTHER_SECRET)], 401),
        (basic("assistant:"), vec![], 401),
        (basic(&format!("assistant:{SECRET}")), vec![], 401),
        (basic("service-ext:"), vec![], 401),
        (basic(SECRET), vec![], 401),
        (basic("%zz:x"), vec![], 401),
        ("Basic !".to_owned(), vec![], 401),
        ("Digest x".to_owned(), vec![id, secret], 401),
        // A user's token is no client's.
        (format!("Bearer {token}"), vec![], 401),
        (good.clone(), vec![id, secret], 401),
    ] {
        let mut fields = fields;
        fields.push(("token", &token));
        let answer = post(&world, "introspect", &authorization, &fields).await;
        assert_eq!(answer.status.as_u16(), expected, "{authorization} {fields:?}");
        match expected {
            200 => assert_eq!(json(&answer)["active"], true),
            _ => assert_eq!(json(&answer)["error"], "invalid_client"),
        }
    }
    for fields in [vec![], vec![("token", "")], vec![("token", "a"), ("token", "b")]] {
        let answer = post(&world, "introspect", &good, &fields).await;
        assert_eq!(json(&answer)["error"], "invalid_request", "{fields:?}");
    }
    let answer = world.call("GET", "/oauth2/introspect", Some(SECRET), "").await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "POST"));
    let answer = world.call("POST", "/oauth2/introspect", Some(SECRET), "{}").await;
    assert_eq!(json(&answer)["error"], "invalid_request", "not a form");
}

#[tokio::test]
async fn introspection_says_what_a_token_grants_now() {
    let world = world();
    let (token, refresh) = issued(&world).await;
    let status = async |token: &str| {
        let authorization = format!("Bearer {SECRET}");
        json(&post(&world, "introspect", &authorization, &[("token", token)]).await)
    };
    let now = NOW.as_secs();
    assert_eq!(
        status(&token).await,
        object!({
            "active": true,
            "client_id": "assistant",
            "exp": now + 3600,
            "iat": now,
            "iss": "https://hub.example.org",
            "scope": "custom:tools:read read:users:groups!user=alice read:users:name!user=alice",
            "sub": "alice",
            "token_type": "Bearer",
            "username": "alice",
        })
    );
    let inactive = object!({ "active": false });
    for wrong in ["unknown", &*refresh, "two words", SECRET, "\u{e9}"] {
        assert_eq!(status(wrong).await, inactive, "{wrong}");
    }
    // A token of alice's own.
    let own = TokenRecord::new(
        Grant::new(Identity::new("alice")).with_scopes(["custom:tools:run"]),
        NOW,
    );
    let own = world.store.issue(own).await.expect("issued");
    let found = status(own.expose()).await;
    assert_eq!(
        (&found["active"], &found["client_id"]),
        (&true.into(), &Value::Null)
    );
    assert_eq!(found["exp"], Value::Null);
    // Her scopes change, then she is gone.
    let alice = portcullis::hub_server::HubUser::new("alice").expect("a name");
    world.hub.users().set(alice);
    let scope = status(&token).await["scope"].to_string();
    assert!(!scope.contains("custom:"), "{scope}");
    world.hub.users().remove("alice");
    assert_eq!(status(&token).await, inactive);
}

#[tokio::test]
async fn an_expired_token_is_not_active() {
    let world = world();
    let (token, _) = issued(&world).await;
    for (seconds, expected) in [(3599, true), (1, false)] {
        world.clock.advance(std::time::Duration::from_secs(seconds));
        let authorization = format!("Bearer {SECRET}");
        let answer = post(&world, "introspect", &authorization, &[("token", &token)]).await;
        assert_eq!(json(&answer)["active"], expected);
    }
}

#[tokio::test]
async fn the_introspection_verifier_of_a_resource_server_accepts_the_hubs_tokens() {
    let world = world();
    let (token, refresh) = issued(&world).await;
    for (secret, token, expected) in [
        (SECRET, &*token, "alice"),
        (SECRET, &refresh, "unknown"),
        (SECRET, "else", "unknown"),
        (OTHER_SECRET, &token, "unavailable"),
    ] {
        let verifier = IntrospectionVerifier::builder("http://localhost/hub/api/oauth2/introspect")
            .client("service-ext", &Secret::from(secret))
            .http_client(world.hub.clone())
            .clock(world.clock.clone())
            .build()
            .expect("a verifier");
        let presented = PresentedToken::new(token.as_bytes()).expect("a token");
        let found = match verifier.verify(presented).await {
            Verification::Valid(grant) => {
                assert!(grant.scopes().contains("custom:tools:read"));
                grant.identity().username().to_owned()
            }
            Verification::Unknown => "unknown".to_owned(),
            Verification::Unavailable(_) => "unavailable".to_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(found, expected, "{token}");
    }
}

#[tokio::test]
async fn a_client_revokes_its_own_tokens_and_no_others() {
    let id = ("client_id", "assistant");
    for (what, authorization, fields, status, error) in [
        ("access", String::new(), vec![id], 200, None),
        ("refresh", String::new(), vec![id], 200, None),
        (
            "hint",
            String::new(),
            vec![id, ("token_type_hint", "refresh_token")],
            200,
            None,
        ),
        ("unknown", String::new(), vec![id], 200, None),
        (
            "unknown",
            basic(&format!("service-ext:{SECRET}")),
            vec![],
            200,
            None,
        ),
        ("access", String::new(), vec![], 401, Some("invalid_client")),
        (
            "access",
            String::new(),
            vec![("client_id", "unknown")],
            401,
            Some("invalid_client"),
        ),
        (
            "access",
            String::new(),
            vec![id, ("client_secret", "x")],
            401,
            Some("invalid_client"),
        ),
        (
            "access",
            String::new(),
            vec![("client_id", "service-ext")],
            401,
            Some("invalid_client"),
        ),
        (
            "access",
            basic("assistant:x"),
            vec![],
            401,
            Some("invalid_client"),
        ),
        (
            "access",
            basic(&format!("service-ext:{SECRET}")),
            vec![],
            400,
            Some("invalid_grant"),
        ),
        (
            "refresh",
            format!("Bearer {SECRET}"),
            vec![],
            400,
            Some("invalid_grant"),
        ),
        ("none", String::new(), vec![id], 400, Some("invalid_request")),
    ] {
        let world = world();
        let (access, refresh) = issued(&world).await;
        let mut fields = fields;
        match what {
            "none" => {}
            "refresh" => fields.push(("token", &refresh)),
            "unknown" => fields.push(("token", "else")),
            _ => fields.push(("token", &access)),
        }
        let answer = post(&world, "revoke", &authorization, &fields).await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{what} {authorization} {fields:?}"
        );
        if error.is_some() {
            assert_eq!(json(&answer)["error"].as_str(), error);
        }
        let left = world.call("GET", "/user", Some(&access), "").await.status == 200;
        let expected = status != 200 || what == "unknown";
        assert_eq!(left, expected, "{what} {authorization} {fields:?}");
        let fields = [id, ("grant_type", "refresh_token"), ("refresh_token", &refresh)];
        assert_eq!(world.exchange(&fields).await.status == 200, expected, "{what}");
    }
}

//! Logouts that a provider sends.

use std::sync::Arc;

use http::StatusCode;
use http_body_util::Full;
use portcullis::{
    AuthLayer,
    clock::UnixTime,
    store::{MemoryTokenStore, SqliteTokenStore},
    testing::TestClock,
};
use serde_json::{Value, json};

use super::{
    Browser, NOW, lazy,
    provider::{Fault, Signature, TestProvider},
    settings, staff,
};
use crate::common::{Answered, request, send};

const LOGOUT: &str = "/login/test-id/logout";

/// A provider whose sessions have this id, and a layer that keeps sessions.
async fn world(sid: Value) -> (TestProvider, AuthLayer, Arc<MemoryTokenStore>) {
    let provider = TestProvider::start().await;
    provider.set().claims = Box::new(move |claims| claims["sid"] = sid.clone());
    let store = Arc::new(MemoryTokenStore::new());
    let layer = layer(&provider, &store);
    (provider, layer, store)
}

fn layer(provider: &TestProvider, store: &Arc<MemoryTokenStore>) -> AuthLayer {
    settings(&TestClock::new(UnixTime::from_secs(NOW)))
        .sessions(Arc::clone(store))
        .sign_in_with("Test ID", lazy(provider).with_backchannel_logout(), staff)
        .build()
        .expect("a layer")
}

async fn post(layer: &AuthLayer, token: &str) -> Answered {
    let lines = format!("POST {LOGOUT}\ncontent-type: application/x-www-form-urlencoded");
    let body = Full::from(format!("logout_token={token}"));
    send(layer, request(&lines).map(|_| body)).await
}

async fn logged_in(layer: &AuthLayer, provider: &TestProvider) -> Browser {
    let mut browser = Browser::default();
    assert_eq!(browser.log_in(layer, provider).await.status, 302);
    assert!(is_accepted(layer, &browser).await);
    browser
}

async fn is_accepted(layer: &AuthLayer, browser: &Browser) -> bool {
    let mut copy = Browser(browser.0.clone());
    copy.get(layer, "/page").await.status == 200
}

#[tokio::test]
async fn a_logout_token_ends_the_sessions_of_its_provider_session_on_every_replica() {
    let (provider, layer_one, store) = world(json!("one")).await;
    let other_replica = layer(&provider, &store);
    let (first, second) = (
        logged_in(&layer_one, &provider).await,
        logged_in(&other_replica, &provider).await,
    );
    provider.set().claims = Box::new(|claims| claims["sid"] = json!("two"));
    let of_other_session = logged_in(&layer_one, &provider).await;

    let answer = post(&layer_one, &provider.logout_token(|_, _| {})).await;
    assert_eq!(
        (answer.status, answer.header("cache-control")),
        (StatusCode::OK, "no-store")
    );
    for replica in [&layer_one, &other_replica] {
        assert!(!is_accepted(replica, &first).await);
        assert!(!is_accepted(replica, &second).await);
        assert!(is_accepted(replica, &of_other_session).await);
    }
    // The end of a session that is gone is no error: the provider may send it twice.
    assert_eq!(
        post(&other_replica, &provider.logout_token(|_, _| {}))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn without_session_ids_the_subject_counts() {
    let (provider, layer, _) = world(Value::Null).await;
    let browser = logged_in(&layer, &provider).await;
    let of_another = provider.logout_token(|_, claims| {
        claims["sid"] = Value::Null;
        claims["sub"] = json!("8");
    });
    assert_eq!(post(&layer, &of_another).await.status, 200);
    assert!(is_accepted(&layer, &browser).await);
    let token = provider.logout_token(|_, claims| claims["sid"] = Value::Null);
    assert_eq!(post(&layer, &token).await.status, 200);
    assert!(!is_accepted(&layer, &browser).await);
}

#[tokio::test]
async fn a_logout_token_that_is_not_valid_ends_nothing() {
    let (provider, layer, _) = world(json!("one")).await;
    let browser = logged_in(&layer, &provider).await;
    let claim = |name: &'static str, value: Value| {
        (
            format!("{name} {value}"),
            provider.logout_token(move |_, claims| claims[name] = value.clone()),
        )
    };
    let header = |name: &'static str, value: Value| {
        (
            format!("{name} {value}"),
            provider.logout_token(move |header, _| header[name] = value.clone()),
        )
    };
    let signed = |signature| {
        provider.set().signature = signature;
        let token = provider.logout_token(|_, _| {});
        provider.set().signature = Signature::Good;
        (format!("{signature:?}"), token)
    };
    let event = "http://schemas.openid.net/event/backchannel-logout";
    let rows = [
        claim("iss", json!("https://id.example.org")),
        claim("iss", Value::Null),
        claim("aud", json!("other")),
        claim("aud", json!([])),
        claim("aud", Value::Null),
        claim("iat", json!(NOW + 61)),
        claim("iat", Value::Null),
        claim("exp", json!(NOW - 61)),
        claim("exp", json!("soon")),
        claim("events", json!({})),
        claim("events", json!({"other": {}})),
        claim("events", json!({event: true})),
        claim("events", json!([event])),
        claim("nonce", json!("a")),
        claim("nonce", Value::Null),
        header("typ", json!("at+jwt")),
        header("crit", json!(["exp"])),
        header("alg", json!("none")),
        header("alg", json!("ES384")),
        signed(Signature::Missing),
        signed(Signature::MacWithPoint),
        signed(Signature::MacWithKeySet),
        signed(Signature::MacWithSecret),
        signed(Signature::OtherKey),
        signed(Signature::Changed),
        ("no token".to_owned(), String::new()),
        ("no JWT".to_owned(), "a.b".to_owned()),
        ("four parts".to_owned(), provider.logout_token(|_, _| {}) + ".a"),
        (
            "neither sid nor sub".to_owned(),
            provider.logout_token(|_, claims| {
                claims["sid"] = Value::Null;
                claims["sub"] = Value::Null;
            }),
        ),
    ];
    for (what, token) in rows {
        let answer = post(&layer, &token).await;
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        assert!(is_accepted(&layer, &browser).await, "{what}");
    }
    // Without `exp` a token is accepted for two minutes.
    for (age, status) in [(181, 400), (179, 200)] {
        let token = provider.logout_token(move |_, claims| {
            claims["exp"].take();
            claims.as_object_mut().expect("an object").remove("exp");
            claims["iat"] = json!(NOW - age);
        });
        assert_eq!(post(&layer, &token).await.status, status, "{age}");
    }
    assert!(!is_accepted(&layer, &browser).await);
}

#[tokio::test]
async fn only_a_post_is_a_logout() {
    let (provider, layer, _) = world(json!("one")).await;
    let browser = logged_in(&layer, &provider).await;
    let mut copy = Browser(browser.0.clone());
    let token = provider.logout_token(|_, _| {});
    let answer = copy.get(&layer, &format!("{LOGOUT}?logout_token={token}")).await;
    assert_eq!(answer.status, 405);
    assert!(is_accepted(&layer, &browser).await);
}

#[tokio::test]
async fn tokens_of_unknown_keys_do_not_make_the_server_fetch_keys_again_and_again() {
    let (provider, layer, _) = world(json!("one")).await;
    let browser = logged_in(&layer, &provider).await;
    let fetched = provider.set().requests[1];
    for number in 0..20 {
        let token = provider.logout_token(move |header, _| header["kid"] = json!(format!("key-{number}")));
        assert_eq!(post(&layer, &token).await.status, 400);
    }
    assert_eq!(provider.set().requests[1], fetched);
    assert!(is_accepted(&layer, &browser).await);
}

#[tokio::test]
async fn while_the_provider_is_down_before_the_first_login_a_logout_is_tried_again() {
    let provider = TestProvider::start().await;
    provider.set().discovery_fault = Fault::Status(500);
    let layer = layer(&provider, &Arc::new(MemoryTokenStore::new()));
    let answer = post(&layer, &provider.logout_token(|_, _| {})).await;
    assert_eq!(answer.status, 503);
    assert_ne!(answer.header("retry-after"), "");
}

#[tokio::test]
async fn a_session_in_sqlite_ends_after_a_restart() {
    let provider = TestProvider::start().await;
    provider.set().claims = Box::new(|claims| claims["sid"] = json!("one"));
    let folder = tempfile::tempdir().expect("a folder");
    let layer = || {
        settings(&TestClock::new(UnixTime::from_secs(NOW)))
            .sessions(SqliteTokenStore::open(folder.path().join("store")).expect("a store"))
            .sign_in_with("Test ID", lazy(&provider).with_backchannel_logout(), staff)
            .build()
            .expect("a layer")
    };
    let browser = logged_in(&layer(), &provider).await;
    assert_eq!(
        post(&layer(), &provider.logout_token(|_, _| {})).await.status,
        200
    );
    assert!(!is_accepted(&layer(), &browser).await);
}

#[tokio::test]
async fn signed_cookies_cannot_be_ended_by_a_provider_so_a_store_is_required() {
    let provider = TestProvider::start().await;
    let built = settings(&TestClock::new(UnixTime::from_secs(NOW)))
        .sign_in_with("Test ID", lazy(&provider).with_backchannel_logout(), staff)
        .build();
    let error = built.expect_err("no store").to_string();
    assert!(error.contains("sessions(store)"), "{error}");
}

//! Limits on requests to the hub, and what counts as a failure of it.

use std::time::Duration;

use portcullis::{AuthLayer, testing::TestClock};

use crate::{
    common::{request, send},
    hub_client_token_lookup::{
        Browser, Does, FakeHub, NOW, alice, by_token, gives, hub_layer, settings, state, user,
    },
};

/// The hub's refusal, four seconds later.
fn late() -> Does {
    Does::AnswersAfter(Duration::from_secs(4), 403, vec![])
}

/// The path of the way back from the hub, for the browser that is returned.
async fn begun(layer: &AuthLayer) -> (Browser, String) {
    let mut browser = Browser::default();
    let state = state(&browser.open(layer, "/user/alice/").await);
    (
        browser,
        format!("/user/alice/oauth_callback?code=c&state={state}"),
    )
}

/// Lets all tasks run until they wait.
pub(crate) async fn settle() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

fn flood_of_unknown_tokens(layer: &AuthLayer) {
    for number in 0..100 {
        let layer = layer.clone();
        tokio::spawn(async move { by_token(&layer, &format!("unknown{number}"), "").await });
    }
}

fn flood_of_callbacks(layer: &AuthLayer, begun: Vec<(Browser, String)>) -> Vec<tokio::task::JoinHandle<u16>> {
    let open = |(mut browser, target): (Browser, String)| {
        let layer = layer.clone();
        tokio::spawn(async move {
            let answer = browser.open(&layer, &target).await;
            assert_eq!(answer.status == 503, !answer.header("retry-after").is_empty());
            answer.status.as_u16()
        })
    };
    begun.into_iter().map(open).collect()
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_one_kind_of_request_leaves_the_others_their_share() {
    let hub = FakeHub::that(alice());
    let clock = TestClock::new(NOW);
    let layer = hub_layer(settings(&hub), &clock);
    assert_eq!(by_token(&layer, "known", "").await.status, 200);
    let (mut browser, target) = begun(&layer).await;
    gives(&hub, "lies-in-a-cookie");
    assert_eq!(browser.open(&layer, &target).await.status, 302);
    let mut waiting = Vec::new();
    for _ in 0..40 {
        waiting.push(begun(&layer).await);
    }
    // The answers are too old now.
    clock.advance(Duration::from_secs(301));
    hub.now(late());
    let calls = hub.calls();
    flood_of_unknown_tokens(&layer);
    settle().await;
    assert_eq!(hub.calls() - calls, 32);
    let (mut another, target) = waiting.pop().expect("one of forty");
    let callbacks = flood_of_callbacks(&layer, waiting);
    settle().await;
    assert_eq!(hub.calls() - calls, 32 + 16);

    hub.now(alice());
    assert_eq!(by_token(&layer, "known", "").await.status, 200);
    assert_eq!(browser.open(&layer, "/user/alice/").await.status, 200);
    assert_eq!(by_token(&layer, "another", "").await.status, 502);
    assert_eq!(another.open(&layer, &target).await.status, 503);
    assert_eq!(hub.calls() - calls, 32 + 16 + 2);
    let mut overloaded = 0;
    for callback in callbacks {
        overloaded += usize::from(callback.await.expect("no panic") == 503);
    }
    // 16 had a place and got an answer that is no use, the others had no place.
    assert_eq!(overloaded, 39);
    // None of this was the hub's failure, and every place is free again.
    settle().await;
    assert_eq!(by_token(&layer, "another", "").await.status, 200);
    gives(&hub, "lies-in-another-cookie");
    assert_eq!(another.open(&layer, &target).await.status, 302);
}

#[tokio::test(start_paused = true)]
async fn the_sessions_of_one_token_take_one_place() {
    let hub = FakeHub::that(late());
    let layer = hub_layer(settings(&hub), &TestClock::new(NOW));
    for number in 0..100 {
        let layer = layer.clone();
        let session = format!("cookie: jupyterhub-session-id={number}");
        tokio::spawn(async move { by_token(&layer, "t", &session).await });
    }
    settle().await;
    assert_eq!(hub.calls(), 1);
}

#[tokio::test]
async fn only_failures_of_the_hub_open_the_circuit() {
    let text = |status: u16, body: &str| Does::Answers(status, body.as_bytes().to_vec());
    for (does, is_failure) in [
        (user("a\nb", &["access:servers"]), false),
        (user("", &["access:servers"]), false),
        (
            text(200, r#"{"kind": "admin", "name": "alice", "scopes": []}"#),
            false,
        ),
        (text(200, "{}"), false),
        (text(400, ""), false),
        (text(401, ""), false),
        (text(403, ""), false),
        (text(404, ""), false),
        (text(406, "blocked by a firewall"), false),
        (text(200, "<html>"), true),
        (text(200, ""), true),
        (text(302, ""), true),
        (text(408, ""), true),
        (text(429, ""), true),
        (text(500, ""), true),
        (text(503, ""), true),
        (Does::Refuses, true),
        (Does::NeverEnds, true),
    ] {
        let hub = FakeHub::that(does.clone());
        let layer = hub_layer(settings(&hub), &TestClock::new(NOW));
        for number in 0..10 {
            let answer = by_token(&layer, &format!("t{number}"), "").await;
            assert_ne!(answer.status, 200, "{does:?}");
        }
        assert_eq!(hub.calls(), if is_failure { 5 } else { 10 }, "{does:?}");
        hub.now(alice());
        let status = by_token(&layer, "good", "").await.status;
        assert_eq!(status == 200, !is_failure, "{does:?}");
    }
}

#[tokio::test]
async fn only_failures_of_the_hub_at_a_callback_open_the_circuit() {
    let text = |status: u16, body: &str| Does::Answers(status, body.as_bytes().to_vec());
    for (does, is_failure) in [
        (text(400, r#"{"error": "invalid_grant"}"#), false),
        (text(400, "plain"), false),
        (text(500, ""), true),
        (Does::Refuses, true),
    ] {
        let hub = FakeHub::that(does.clone());
        let layer = hub_layer(settings(&hub), &TestClock::new(NOW));
        for _ in 0..10 {
            let (mut browser, target) = begun(&layer).await;
            let status = browser.open(&layer, &target).await.status;
            assert!(status == 403 || status == 503, "{does:?}: {status}");
        }
        assert_eq!(hub.calls(), if is_failure { 5 } else { 10 }, "{does:?}");
        hub.now(alice());
        let by = "GET /user/alice/api/x\nauthorization: token t";
        let status = send(&layer, request(by)).await.status;
        assert_eq!(status == 200, !is_failure, "{does:?}");
    }
}

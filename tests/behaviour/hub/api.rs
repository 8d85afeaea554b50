//! The hub's API for programs.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::Request;
use hyper::body::{Body, Bytes, Frame};
use tower::ServiceExt as _;

use super::{MINUTE, PASSWORD, SECRET, SERVER_TOKEN, World, json};

fn by_login(more: &str) -> String {
    format!(r#"{{"auth": {{"username": "alice", "password": "{PASSWORD}"}}{more}}}"#)
}

#[tokio::test]
async fn a_token_may_not_make_itself_more() {
    let world = World::new();
    let body = by_login(r#", "scopes": ["tokens!user", "read:users:name!user"]"#);
    let little = json(&world.call("POST", "/users/alice/tokens", None, &body).await)["token"].clone();
    let little = little.as_str();
    let made = json(&world.call("POST", "/users/alice/tokens", little, "{}").await);
    let scopes = serde_json::json!([
        "read:tokens!user=alice",
        "read:users:groups!user=alice",
        "read:users:name!user=alice",
        "tokens!user=alice"
    ]);
    assert_eq!(
        made["scopes"], scopes,
        "what it holds itself, when nothing is said"
    );
    for more in [r#"["inherit"]"#, r#"["self"]"#, r#"["access:servers!user"]"#] {
        let body = format!(r#"{{"scopes": {more}}}"#);
        assert_eq!(
            world
                .call("POST", "/users/alice/tokens", little, &body)
                .await
                .status,
            400,
            "{more}"
        );
    }
    let all = json(
        &world
            .call("POST", "/users/alice/tokens", None, &by_login(""))
            .await,
    )["token"]
        .clone();
    let made = json(
        &world
            .call("POST", "/users/alice/tokens", all.as_str(), "{}")
            .await,
    );
    assert_eq!(made["scopes"].as_array().map(Vec::len), Some(15), "{made}");
}

#[tokio::test]
async fn a_cookie_calls_the_api_only_from_a_page_of_the_hub() {
    let world = World::new();
    let mut alice = world.browser_of("alice").await;
    let xsrf = alice.xsrf().await;
    let set = |browser: &mut super::Browser<'_>, fields: &[(&str, &str)]| {
        browser.fields = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
    };
    let xsrf = ("x-xsrftoken", xsrf.as_str());
    let json_type = ("content-type", "application/json");
    for (case, method, fields, expected) in [
        ("with the value", "GET", &[xsrf][..], 200),
        ("without", "GET", &[], 403),
        ("an invented one", "GET", &[("x-xsrftoken", "x1")], 403),
        (
            "another site",
            "GET",
            &[xsrf, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors")],
            403,
        ),
        ("JSON, with the value", "POST", &[xsrf, json_type], 201),
        ("JSON, without", "POST", &[json_type], 403),
        ("a form, with the value", "POST", &[xsrf], 403),
        (
            "text, with the value",
            "POST",
            &[xsrf, ("content-type", "text/plain")],
            403,
        ),
    ] {
        set(&mut alice, fields);
        let answer = match method {
            "GET" => alice.get("/hub/api/user").await,
            _ => alice.send("POST", "/hub/api/users/alice/tokens", "{}").await,
        };
        assert_eq!(answer.status.as_u16(), expected, "{case}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/json", "{case}");
    }
}

#[tokio::test]
async fn a_token_ends_when_it_is_said_to() {
    let world = World::new();
    let made = json(
        &world
            .call(
                "POST",
                "/users/alice/tokens",
                None,
                &by_login(r#", "expires_in": 60"#),
            )
            .await,
    );
    let token = made["token"].as_str();
    assert_eq!(made["expires_at"], "2026-11-22T01:54:40.000000Z");
    world.clock.advance(MINUTE - std::time::Duration::from_secs(1));
    assert_eq!(world.call("GET", "/user", token, "").await.status, 200);
    world.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(world.call("GET", "/user", token, "").await.status, 403);
}

#[tokio::test]
async fn a_caller_sees_what_its_scopes_allow_and_nothing_else() {
    let world = World::new();
    let alice = json(
        &world
            .call("POST", "/users/alice/tokens", None, &by_login(""))
            .await,
    )["token"]
        .clone();
    for (token, path, expected) in [
        (alice.as_str(), "/users/alice", 200),
        (alice.as_str(), "/users/bob", 404),
        (alice.as_str(), "/users/no-such-user", 404),
        (alice.as_str(), "/users/bob/tokens", 404),
        (alice.as_str(), "/users/..%2Fbob", 404),
        (alice.as_str(), "/users", 403),
        (Some(SECRET), "/users", 200),
        (Some(SECRET), "/users/bob", 200),
        (Some(SECRET), "/users/no-such-user", 404),
        (Some(SERVER_TOKEN), "/users/alice", 200),
        (Some(SERVER_TOKEN), "/users/alice/tokens", 403),
        (Some(SERVER_TOKEN), "/users/bob", 404),
        (None, "/users/alice", 403),
    ] {
        let answer = world.call("GET", path, token, "").await;
        assert_eq!(answer.status.as_u16(), expected, "{path}: {answer:?}");
    }
    let all = json(&world.call("GET", "/users", Some(SECRET), "").await);
    let names: Vec<_> = all
        .as_array()
        .expect("a list")
        .iter()
        .map(|user| user["name"].clone())
        .collect();
    assert_eq!(names, ["admin", "alice", "bob"]);
    assert_eq!(
        (&all[0]["admin"], &all[2]["groups"]),
        (&true.into(), &serde_json::json!(["staff"]))
    );
}

#[tokio::test]
async fn activity_is_noted_whole_or_not_at_all_and_never_in_the_future() {
    let world = World::new();
    let report = |body: &'static str| world.call("POST", "/users/alice/activity", Some(SERVER_TOKEN), body);
    let seen = async || {
        json(&world.call("GET", "/users/alice", Some(SERVER_TOKEN), "").await)["last_activity"].clone()
    };
    assert!(seen().await.is_null());
    let broken = r#"{"last_activity": "2026-01-01T00:00:00Z", "servers": {"nope": {"last_activity": "2026-01-01T00:00:00Z"}}}"#;
    assert_eq!(report(broken).await.status, 400);
    assert!(seen().await.is_null());
    assert_eq!(
        report(r#"{"servers": {"": {"last_activity": "2026-01-01T00:00:00.5Z"}}}"#)
            .await
            .status,
        200
    );
    assert_eq!(seen().await, "2026-01-01T00:00:00.000000Z");
    assert_eq!(
        report(r#"{"last_activity": "2025-01-01T00:00:00Z"}"#)
            .await
            .status,
        200
    );
    assert_eq!(
        seen().await,
        "2026-01-01T00:00:00.000000Z",
        "an older report changes nothing"
    );
    assert_eq!(
        report(r#"{"last_activity": "2999-01-01T00:00:00Z"}"#)
            .await
            .status,
        200
    );
    assert_eq!(
        seen().await,
        "2026-11-22T01:53:40.000000Z",
        "a time in the future counts as now"
    );
}

#[tokio::test]
async fn a_token_of_a_client_is_revoked_with_all_that_it_was_given() {
    let world = World::new();
    let mut admin = world.browser_of("admin").await;
    let (one, two) = (
        world.oauth_token(&mut admin).await,
        world.oauth_token(&mut admin).await,
    );
    let xsrf = admin.xsrf().await;
    admin.fields = vec![("x-xsrftoken".to_owned(), xsrf)];
    let list = json(&admin.get("/hub/api/users/admin/tokens").await);
    let id = list["api_tokens"][0]["id"].as_str().expect("an id").to_owned();
    admin
        .fields
        .push(("origin".to_owned(), "http://localhost".to_owned()));
    assert_eq!(
        admin
            .send("DELETE", &format!("/hub/api/users/admin/tokens/{id}"), "")
            .await
            .status,
        204
    );
    for token in [one, two] {
        assert_eq!(world.call("GET", "/user", Some(&token), "").await.status, 403);
    }
}

#[tokio::test]
async fn nothing_that_is_sent_is_more_than_a_refusal() {
    let world = World::new();
    for body in [
        "",
        "null",
        "[]",
        "{",
        "\u{0}",
        "{\"auth\": 1}",
        "{\"auth\": {\"username\": []}}",
        "{\"auth\": {}, \"scopes\": 1}",
    ] {
        for (method, path) in [
            ("POST", "/users/alice/tokens"),
            ("POST", "/users/alice/activity"),
            ("POST", "/oauth2/token"),
            ("POST", "/oauth2/authorize"),
            ("DELETE", "/users/alice/tokens/a1"),
            ("PATCH", "/users/alice"),
        ] {
            let status = world.call(method, path, None, body).await.status;
            assert!(status.is_client_error(), "{method} {path} {body:?}: {status}");
        }
    }
    let answer = world.call("GET", "/user", Some("token with spaces"), "").await;
    assert_eq!(answer.status, 403, "a hub client would turn 401 into 500");
}

/// A body that begins and never goes on.
struct Begun(Option<Bytes>);

impl Body for Begun {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.take() {
            Some(chunk) => Poll::Ready(Some(Ok(Frame::data(chunk)))),
            None => Poll::Pending,
        }
    }
}

#[tokio::test]
async fn a_body_that_never_arrives_gets_408_on_every_path() {
    let world = World::with(|hub| hub.body_timeout(Duration::from_millis(1)));
    for path in [
        "/hub/login",
        "/hub/logout",
        "/hub/home",
        "/hub/nowhere",
        "/hub/api/oauth2/authorize",
        "/hub/api/oauth2/token",
        "/hub/api/users/alice/tokens",
        "/hub/api/users/alice/activity",
    ] {
        let body = Begun(Some(Bytes::from_static(b"username=a")));
        let request = Request::post(path).header("host", "localhost").body(body);
        let answer = world.hub.clone().oneshot(request.expect("a request")).await;
        let answer = answer.expect("infallible");
        assert_eq!(answer.status(), 408, "{path}");
        assert_eq!(answer.headers()["connection"], "close", "{path}");
        assert!(!answer.headers().contains_key("set-cookie"), "{path}");
    }
}

#[tokio::test]
async fn activity_with_a_date_that_does_not_exist_is_refused() {
    let world = World::new();
    for date in [
        "2026-03-00T00:00:00Z",
        "2026-00-10T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "0000-00-00T00:00:00Z",
    ] {
        for body in [
            format!(r#"{{"last_activity": "{date}"}}"#),
            format!(r#"{{"servers": {{"": {{"last_activity": "{date}"}}}}}}"#),
        ] {
            let answer = world
                .call("POST", "/users/alice/activity", Some(SERVER_TOKEN), &body)
                .await;
            assert_eq!(answer.status, 400, "{body}");
        }
    }
}

#[tokio::test]
async fn a_jwt_that_a_proxy_added_leaves_a_call_to_the_cookie() {
    let world = World::new();
    let mut alice = world.browser_of("alice").await;
    let xsrf = alice.xsrf().await;
    for (length, with_cookie) in [(513, 200), (8_000, 200), (8_001, 403)] {
        let jwt = "a".repeat(length);
        alice.fields = vec![
            ("x-xsrftoken".to_owned(), xsrf.clone()),
            ("authorization".to_owned(), format!("Bearer {jwt}")),
        ];
        let answer = alice.get("/hub/api/user").await;
        assert_eq!(answer.status, with_cookie, "{length}: {answer:?}");
        let alone = world.call("GET", "/user", Some(&jwt), "").await;
        assert_eq!(alone.status, 403, "{length}: {alone:?}");
    }
}

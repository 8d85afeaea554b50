//! Servers of users: the hub's response for one that does not run, and how one is stopped.

use std::sync::{Arc, Mutex};

use http::Request;
use portcullis::{BackendError, MaybeFuture, hub_server::Hub};

use super::{MINUTE, PASSWORD, SECRET, SERVER_TOKEN, World, json};
use crate::common::Answered;

async fn token_of(world: &World, name: &str, scopes: &str) -> String {
    let body =
        format!(r#"{{"auth": {{"username": "{name}", "password": "{PASSWORD}"}}, "scopes": {scopes}}}"#);
    let made = world
        .call("POST", &format!("/users/{name}/tokens"), None, &body)
        .await;
    json(&made)["token"].as_str().expect("a token").to_owned()
}

async fn send(world: &World, method: &str, path: &str, fields: &[(&str, &str)]) -> Answered {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    world
        .send(request.body(String::new().into()).expect("a request"))
        .await
}

#[tokio::test]
async fn an_api_request_to_a_server_that_does_not_run_gets_424_as_json() {
    let world = World::new();
    let alice = token_of(&world, "alice", r#"["access:servers!user"]"#).await;
    let bob = token_of(&world, "bob", r#"["access:servers!user"]"#).await;
    let (alice, bob) = (format!("token {alice}"), format!("token {bob}"));
    let server = format!("token {SERVER_TOKEN}");
    let html = ("accept", "text/html,*/*;q=0.8");
    let program = ("accept", "application/json, text/javascript, */*; q=0.01");
    let by = |token| ("authorization", token);
    for (method, path, fields, status, kind) in [
        (
            "GET",
            "/hub/user/alice/api/status",
            &[by(&*alice)][..],
            424,
            "json",
        ),
        ("HEAD", "/hub/user/alice/api/status", &[by(&alice)], 424, "json"),
        (
            "GET",
            "/hub/user/alice/gpu/api/kernels",
            &[by(&alice)],
            424,
            "json",
        ),
        ("GET", "/hub/user/alice/api/status", &[by(&server)], 424, "json"),
        (
            "GET",
            "/hub/user/alice/files",
            &[by(&alice), program],
            424,
            "json",
        ),
        ("GET", "/hub/user/alice/lab", &[by(&alice), html], 424, "html"),
        ("GET", "/hub/user/alice/lab", &[by(&alice)], 424, "html"),
        ("POST", "/hub/user/alice/api/contents", &[], 424, "json"),
        ("PUT", "/hub/user/alice/lab", &[html], 424, "json"),
        ("OPTIONS", "/hub/user/alice/api/status", &[], 424, "json"),
        // A proxy without a route sends these; a redirect would turn the POST into a GET.
        ("POST", "/user/alice/api/kernels", &[by(&alice)], 424, "json"),
        ("DELETE", "/user/alice/api/sessions/1", &[], 424, "json"),
        ("GET", "/user/alice/api/status", &[by(&alice)], 302, ""),
        // The hub does not say whether a server that the client has no access to exists.
        ("GET", "/hub/user/alice/api/status", &[by(&bob)], 404, "json"),
        (
            "GET",
            "/hub/user/no-such-user/api/status",
            &[by(&bob)],
            404,
            "json",
        ),
        ("GET", "/hub/user/alice/lab", &[by(&bob), html], 404, "html"),
        ("GET", "/hub/user/alice/api/status", &[], 403, "json"),
        (
            "GET",
            "/hub/user/alice/api/status",
            &[by("token unknown")],
            403,
            "json",
        ),
        ("GET", "/hub/user/alice/lab", &[html], 302, ""),
        ("GET", "/hub/user/alice/apis", &[html], 302, ""),
    ] {
        let answer = send(&world, method, path, fields).await;
        let case = format!("{method} {path} {fields:?}: {answer:?}");
        assert_eq!(answer.status.as_u16(), status, "{case}");
        let location = answer.header("location");
        match kind {
            "json" => {
                assert_eq!(answer.header("content-type"), "application/json", "{case}");
                assert!(json(&answer)["status"] == status, "{case}");
            }
            "html" => assert!(answer.header("content-type").starts_with("text/html"), "{case}"),
            _ if path.starts_with("/hub/") => assert!(location.starts_with("/hub/login?next="), "{case}"),
            _ => assert_eq!(location, format!("/hub{path}"), "{case}"),
        }
    }
}

#[tokio::test]
async fn a_user_redirect_leads_to_the_same_path_at_the_users_own_server() {
    let world = World::new();
    let mut alice = world.browser_of("alice").await;
    for (path, expected) in [
        ("/hub/user-redirect", "/user/alice/"),
        ("/hub/user-redirect/", "/user/alice/"),
        ("/hub/spawn", "/user/alice/"),
        ("/hub/spawn/alice?next=%2F%2Fevil.example", "/user/alice/"),
        ("/hub/spawn-pending/alice/gpu", "/user/alice/"),
        (
            "/hub/user-redirect/lab/tree/a%20b.ipynb?x=1&y=%2F",
            "/user/alice/lab/tree/a%20b.ipynb?x=1&y=%2F",
        ),
        (
            "/hub/user-redirect//evil.example/x",
            "/user/alice//evil.example/x",
        ),
        ("/user-redirect/lab?x=1", "/hub/user-redirect/lab?x=1"),
    ] {
        let answer = alice.get(path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("location")),
            (302, expected),
            "{path}"
        );
    }
    let answer = world.browser().get("/hub/user-redirect/lab?x=1").await;
    let login = "/hub/login?next=%2Fhub%2Fuser-redirect%2Flab%3Fx%3D1";
    assert_eq!((answer.status.as_u16(), answer.header("location")), (302, login));
    let answer = alice.send("POST", "/hub/user-redirect/lab", "").await;
    assert_eq!(answer.status, 405);
}

#[tokio::test]
async fn a_proxy_gets_a_page_for_each_status_that_it_answers_with() {
    let world = World::new();
    for (path, status, words) in [
        (
            "/hub/error/503?url=%2Fuser%2Falice",
            200,
            "Your server appears to be down",
        ),
        ("/hub/error/404?url=%2F%22%3E%3Cscript%3E", 200, "404 Not Found"),
        ("/hub/error/999", 200, "999"),
        ("/hub/error/1", 404, "Page not found"),
        ("/hub/error/x", 404, "Page not found"),
    ] {
        let answer = send(&world, "GET", path, &[]).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {answer:?}");
        assert!(answer.text.contains(words), "{path}: {answer:?}");
        assert!(!answer.text.contains("<script>"), "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn an_unknown_path_is_a_page_for_a_browser_and_json_for_a_program() {
    let world = World::new();
    for path in ["/hub/nowhere", "/hub/error"] {
        for (accept, media_type) in [
            ("text/html,*/*;q=0.8", "text/html; charset=utf-8"),
            ("*/*", "application/json"),
            ("text/html;q=0, application/json", "application/json"),
        ] {
            let answer = send(&world, "GET", path, &[("accept", accept)]).await;
            let found = (answer.status.as_u16(), answer.header("content-type"));
            assert_eq!(found, (404, media_type), "{path} {accept}");
            assert!(answer.text.contains("does not exist"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_client_of_the_api_stops_a_server_until_it_reports_activity_again() {
    let stopped = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&stopped);
    let world = World::with(move |hub| {
        hub.server_stopper(move |user, server| {
            let mut log = log.lock().expect("no panic");
            log.push(format!("{user}/{server}"));
            MaybeFuture::Ready(match log.len() {
                1 => Err(BackendError::new("the first attempt fails")),
                _ => Ok(()),
            })
        })
    });
    let admin = token_of(&world, "admin", r#"["admin:servers", "admin:users"]"#).await;
    let users = async |state: &str| -> Vec<String> {
        let answer = world
            .call("GET", &format!("/users?state={state}"), Some(&admin), "")
            .await;
        let answer = json(&answer);
        let names = answer.as_array().expect("a list").iter();
        names
            .map(|user| user["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    let servers =
        async || json(&world.call("GET", "/users/alice", Some(&admin), "").await)["servers"].clone();
    assert_eq!(servers().await[""]["started"], "2026-11-22T01:53:40.000000Z");
    assert_eq!(users("ready").await, ["alice"]);
    assert_eq!(users("inactive").await, ["admin", "bob"]);

    world.clock.advance(MINUTE);
    let little = token_of(&world, "alice", r#"["read:servers!user"]"#).await;
    let alice = token_of(&world, "alice", r#"["delete:servers!user"]"#).await;
    let bob = token_of(&world, "bob", r#"["servers!user"]"#).await;
    for (token, path, status) in [
        (Some(&*little), "/users/alice/server", 403),
        (Some(&bob), "/users/alice/server", 404),
        (Some(SECRET), "/users/alice/server", 403),
        (None, "/users/alice/server", 403),
        (Some(&alice), "/users/alice/servers/gpu", 404),
        (Some(&alice), "/users/alice/servers/%zz", 404),
        (Some(&bob), "/users/bob/server", 404),
        (Some(&alice), "/users/alice/server", 503),
        (Some(&alice), "/users/alice/server", 204),
        (Some(&admin), "/users/alice/server", 400),
    ] {
        let answer = world.call("DELETE", path, token, "").await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {answer:?}");
    }
    assert_eq!(*stopped.lock().expect("no panic"), ["alice/", "alice/"]);
    let is_running = async |hub: &Hub| hub.is_server_running("alice", "").await.expect("an answer");
    assert!(!is_running(&world.hub).await);
    let restarted = world.restarted();
    assert!(
        !is_running(&restarted.hub).await,
        "a stopped server stays stopped when the hub restarts"
    );
    assert_eq!(servers().await, serde_json::json!({}));
    assert_eq!(users("ready").await, Vec::<String>::new());

    let report = async |time: &str| {
        let body = format!(r#"{{"servers": {{"": {{"last_activity": "{time}"}}}}}}"#);
        let answer = world
            .call("POST", "/users/alice/activity", Some(SERVER_TOKEN), &body)
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    report("2026-11-22T01:54:40Z").await;
    assert_eq!(
        servers().await,
        serde_json::json!({}),
        "a report of before the stop is late"
    );
    world.clock.advance(MINUTE);
    report("2026-11-22T01:55:00Z").await;
    assert_eq!(servers().await[""]["started"], "2026-11-22T01:55:00.000000Z");
    assert!(is_running(&world.hub).await && is_running(&restarted.hub).await);
}

#[tokio::test]
async fn what_the_hub_cannot_do_it_refuses_with_a_reason_and_a_way_on() {
    let world = World::new();
    let alice = token_of(&world, "alice", r#"["servers!user"]"#).await;
    let answer = world
        .call("DELETE", "/users/alice/server", Some(&alice), "")
        .await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("server_stopper"), "{answer:?}");
    let answer = world.call("POST", "/users/alice/server", Some(&alice), "").await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "DELETE"));
    assert_eq!(
        json(&answer),
        serde_json::json!({ "status": 405, "message": "Method Not Allowed" })
    );
    let mut alice = world.browser_of("alice").await;
    let answer = alice.send("HEAD", "/hub/api/oauth2/authorize", "").await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("allow")),
        (405, "GET, POST")
    );
    let answer = alice.get("/hub/user/alice/lab").await;
    assert!(answer.text.contains("href=\"/hub/home\""), "{answer:?}");
}

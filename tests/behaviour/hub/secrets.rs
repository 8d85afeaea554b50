//! No secret that passes through a hub appears in its output.

use std::sync::{Arc, Mutex};

use portcullis::{
    Event,
    hub_server::{Hub, OAuthClientConfig},
};

use super::{OTHER_SECRET, PASSWORD, SECRET, SERVER_TOKEN, World, authorize_query, exchange_fields, json};

#[tokio::test]
async fn tokens_that_are_issued_and_revoked_and_clients_that_are_authorized_are_events() {
    let output = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&output);
    let world = World::with(|hub| {
        hub.observer(move |event: &Event<'_>| {
            let line = match event {
                Event::TokenIssued {
                    username,
                    label,
                    client_id,
                    ..
                } => {
                    format!("{username} issued {label:?} to {client_id:?}")
                }
                Event::TokenRevoked { username, id, .. } => format!("{username} revoked {}", id.is_some()),
                Event::ClientAuthorized {
                    username,
                    client_id,
                    scopes,
                    ..
                } => {
                    format!("{username} authorized {client_id} {}", scopes.is_empty())
                }
                _ => return,
            };
            log.lock().expect("one at a time").push(line);
        })
    });
    let take = || std::mem::take(&mut *output.lock().expect("one at a time"));
    let mut admin = world.browser_of("admin").await;
    world.oauth_token(&mut admin).await;
    let client = "service-ext";
    assert_eq!(
        take(),
        [
            format!("admin authorized {client} false"),
            format!("admin issued None to Some({client:?})")
        ]
    );
    let body = format!(r#"{{"note": "ci", "auth": {{"username": "alice", "password": "{PASSWORD}"}}}}"#);
    let made = json(&world.call("POST", "/users/alice/tokens", None, &body).await);
    let (token, id) = (
        made["token"].as_str().expect("a token"),
        made["id"].as_str().expect("an id"),
    );
    assert_eq!(take(), ["alice issued Some(\"ci\") to None"]);
    let path = format!("/users/alice/tokens/{id}");
    assert_eq!(world.call("DELETE", &path, Some(token), "").await.status, 204);
    assert_eq!(take(), ["alice revoked true"]);
    let xsrf = admin.xsrf().await;
    admin
        .post("/hub/home", &[("_xsrf", &xsrf), ("action", "revoke all")])
        .await;
    assert_eq!(take(), ["admin revoked false"]);
}

#[tokio::test]
async fn no_event_and_no_debug_text_holds_a_secret() {
    let output = Arc::new(Mutex::new(String::new()));
    let log = Arc::clone(&output);
    let world = World::with(|hub| {
        let shown = format!("{hub:?}");
        assert_eq!(shown, "HubBuilder");
        hub.observer(move |event: &Event<'_>| {
            let mut log = log.lock().expect("one at a time");
            log.push_str(&format!("{event:?}\n"));
            if let Event::Denied { path, .. } = event {
                log.push_str(&format!("{path}\n"));
            }
        })
    });
    let mut admin = world.browser_of("admin").await;
    let token = world.oauth_token(&mut admin).await;
    let code = world.code(&mut admin, &authorize_query()).await.expect("a code");
    let mut fields = exchange_fields(&code);
    fields[1].1 = OTHER_SECRET;
    assert_eq!(world.exchange(&fields).await.status, 401);
    assert_eq!(
        world
            .browser()
            .log_in("alice", "a wrong password of hers")
            .await
            .status,
        403
    );
    assert_eq!(
        world
            .call("GET", "/users/bob", Some(SERVER_TOKEN), "")
            .await
            .status,
        404
    );
    assert_eq!(
        world.call("GET", "/users", Some(SERVER_TOKEN), "").await.status,
        403
    );
    let body = format!(r#"{{"auth": {{"username": "alice", "password": "{PASSWORD}"}}}}"#);
    let made = json(&world.call("POST", "/users/alice/tokens", None, &body).await)["token"].clone();
    let lost = format!("/users/{}", made.as_str().expect("a token"));
    assert_eq!(world.call("GET", &lost, Some(&token), "").await.status, 404);
    admin.get("/hub/logout").await;
    let client = OAuthClientConfig::service("x", "/cb", &SECRET.parse().expect("a token")).expect("a client");
    let mut output = output.lock().expect("one at a time").clone();
    output.push_str(&format!("{:?} {client:?} {:?}", world.hub, world.hub.users()));
    for expected in [
        "LoggedIn",
        "LoggedOut",
        "IncorrectPassword",
        "UnknownToken",
        "InsufficientScope",
        "TokenIssued",
        "ClientAuthorized",
    ] {
        assert!(output.contains(expected), "{expected} in {output}");
    }
    let cookies: Vec<&str> = admin.cookies.values().map(String::as_str).collect();
    let secrets = [
        &*token,
        &*code,
        PASSWORD,
        SECRET,
        OTHER_SECRET,
        SERVER_TOKEN,
        "a wrong password of hers",
    ];
    for secret in secrets.iter().chain(&cookies) {
        assert!(!output.contains(secret), "{secret} in {output}");
    }
    assert!(!output.contains(made.as_str().expect("a token")), "{output}");
    let _: fn(&Hub) -> portcullis::hub_server::HubUsers = Hub::users;
}

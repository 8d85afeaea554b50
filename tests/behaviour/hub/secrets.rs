//! What a hub tells of the secrets that pass through it: nothing.

use std::sync::{Arc, Mutex};

use portcullis::{
    Event,
    hub_server::{Hub, OAuthClientConfig},
};

use super::{OTHER_SECRET, PASSWORD, SECRET, SERVER_TOKEN, World, authorize_query, exchange_fields, json};

#[tokio::test]
async fn no_event_and_no_debug_text_holds_a_secret() {
    let told = Arc::new(Mutex::new(String::new()));
    let log = Arc::clone(&told);
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
    let mut told = told.lock().expect("one at a time").clone();
    told.push_str(&format!("{:?} {client:?} {:?}", world.hub, world.hub.users()));
    for expected in [
        "LoggedIn",
        "LoggedOut",
        "IncorrectPassword",
        "UnknownToken",
        "InsufficientScope",
    ] {
        assert!(told.contains(expected), "{expected} in {told}");
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
        assert!(!told.contains(secret), "{secret} in {told}");
    }
    assert!(!told.contains(made.as_str().expect("a token")), "{told}");
    let _: fn(&Hub) -> portcullis::hub_server::HubUsers = Hub::users;
}

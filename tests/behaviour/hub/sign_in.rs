//! Logins at a hub by an identity provider, over real sockets.

use portcullis::{
    Denial, Grant, Identity, Secret,
    hub_server::{Hub, HubBuilder, HubUser},
    sign_in::{Claims, OpenIdConnect},
    store::MemoryTokenStore,
};
use serde_json::json;

use super::{Browser, NOW, PASSWORD, World};
use crate::{
    common::Answered,
    sign_in::{
        provider::{Fault, SECRET, Signature, TestProvider},
        target,
    },
};

fn grant(claims: &Claims) -> Result<Grant, Denial> {
    match claims.texts("groups").any(|group| group == "staff") {
        true => Ok(Grant::new(Identity::new(
            claims.text("preferred_username").unwrap_or_default(),
        ))),
        false => Err(Denial::insufficient_scope("staff")),
    }
}

fn provider_of(provider: &TestProvider) -> OpenIdConnect {
    OpenIdConnect::lazy(&provider.issuer, "app", Secret::from(SECRET)).expect("a provider")
}

/// A provider whose user has this name, and a hub where users log in at it.
async fn world(name: &'static str) -> (TestProvider, World) {
    let provider = TestProvider::start().await;
    provider.set().now = NOW.as_secs();
    provider.set().claims = Box::new(move |claims| claims["preferred_username"] = json!(name));
    let world = World::with(|hub| hub.sign_in_with("Test ID", provider_of(&provider), grant));
    (provider, world)
}

async fn begin(browser: &mut Browser<'_>, next: &str) -> String {
    let answer = browser.get(&format!("/hub/login/test-id{next}")).await;
    assert_eq!(answer.status, 302, "{answer:?}");
    answer.header("location").to_owned()
}

async fn log_in(browser: &mut Browser<'_>, provider: &TestProvider, next: &str) -> Answered {
    let url = begin(browser, next).await;
    browser.get(&target(&provider.authorize(&url))).await
}

async fn is_logged_in(browser: &mut Browser<'_>) -> bool {
    browser.get("/hub/home").await.status == 200
}

#[tokio::test]
async fn a_member_logs_in_at_the_provider_and_comes_back_to_the_page() {
    let (provider, world) = world("admin").await;
    let mut browser = world.browser();
    let page = browser.get("/hub/login?next=%2Fhub%2Ftoken").await;
    for part in [
        "type=\"password\"",
        "Log in with Test ID",
        "href=\"/hub/login/test-id?next=%2Fhub%2Ftoken\"",
    ] {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
    let url = begin(&mut browser, "?next=%2Fhub%2Ftoken").await;
    let redirect_uri = "redirect_uri=http%3A%2F%2Flocalhost%2Fhub%2Flogin%2Fcallback";
    assert!(url.contains(redirect_uri), "{url}");
    let answer = browser.get(&target(&provider.authorize(&url))).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("location")),
        (302, "/hub/token")
    );
    let home = browser.get("/hub/home").await;
    assert!(home.text.contains("admin"), "{}", home.text);
    assert!(
        browser
            .cookies
            .keys()
            .all(|(name, _)| !name.contains("oauth-state")),
        "the state is used up"
    );
    // A service sees the same user.
    let code = world.code(&mut browser, &super::authorize_query()).await;
    assert!(code.is_ok(), "{code:?}");
    // A browser that is logged in does not go to the provider again.
    let again = browser.get("/hub/login/test-id").await;
    assert_eq!(again.header("location"), "/hub/home");
}

#[tokio::test]
async fn another_session_id_and_login_take_the_place_of_those_of_the_browser() {
    let (provider, world) = world("alice").await;
    let mut browser = world.browser();
    let url = begin(&mut browser, "").await;
    // Meanwhile the browser logs in with a password.
    assert_eq!(browser.log_in("bob", PASSWORD).await.status, 302);
    let mut bob = browser.clone();
    assert!(is_logged_in(&mut bob).await);
    let answer = browser.get(&target(&provider.authorize(&url))).await;
    assert_eq!(answer.header("location"), "/hub/home", "{answer:?}");
    assert!(browser.get("/hub/home").await.text.contains("alice"));
    assert!(!is_logged_in(&mut bob).await, "the replaced login has ended");
}

#[tokio::test]
async fn a_user_who_is_no_member_or_has_no_group_is_not_logged_in() {
    for (name, group, text) in [
        ("outsider", "staff", "Your account is not a user of this hub"),
        ("", "staff", "Your account is not a user of this hub"),
        ("../alice", "staff", "Your account is not a user of this hub"),
        ("alice", "guests", "403"),
    ] {
        let (provider, world) = world("alice").await;
        provider.set().claims = Box::new(move |claims| {
            claims["preferred_username"] = json!(name);
            claims["groups"] = json!([group]);
        });
        let mut browser = world.browser();
        let answer = log_in(&mut browser, &provider, "").await;
        assert_eq!(answer.status, 403, "{name}: {answer:?}");
        assert!(
            answer.text.contains(text) || text == "403",
            "{name}: {}",
            answer.text
        );
        assert!(!is_logged_in(&mut browser).await, "{name}");
    }
}

#[tokio::test]
async fn a_bad_response_of_the_provider_creates_no_login() {
    let (provider, world) = world("alice").await;
    for signature in [
        Signature::Missing,
        Signature::OtherKey,
        Signature::Changed,
        Signature::MacWithSecret,
    ] {
        provider.set().signature = signature;
        let mut browser = world.browser();
        let answer = log_in(&mut browser, &provider, "").await;
        assert!(
            [403, 503].contains(&answer.status.as_u16()),
            "{signature:?}: {answer:?}"
        );
        assert!(!is_logged_in(&mut browser).await, "{signature:?}");
    }
    provider.set().signature = Signature::Good;
    provider.set().token_fault = Fault::Status(500);
    let mut browser = world.browser();
    let answer = log_in(&mut browser, &provider, "").await;
    assert_eq!(answer.status, 503);
    assert!(!is_logged_in(&mut browser).await);
    provider.set().token_fault = Fault::None;

    // The state of another browser, a state used twice, and no state.
    let mut victim = world.browser();
    let url = begin(&mut victim, "").await;
    let callback = target(&provider.authorize(&url));
    let mut attacker = world.browser();
    assert_eq!(attacker.get(&callback).await.status, 403);
    assert!(!is_logged_in(&mut attacker).await);
    assert_eq!(victim.get(&callback).await.status, 302);
    let mut again = world.browser();
    assert_eq!(again.get(&callback).await.status, 403);
    for (query, status) in [
        ("", 400),
        ("?code=a&state=a", 403),
        ("?error=access_denied&state=a", 403),
    ] {
        let answer = world.browser().get(&format!("/hub/login/callback{query}")).await;
        assert_eq!(answer.status, status, "{query}");
    }
}

#[tokio::test]
async fn next_leads_to_no_other_site() {
    let (provider, world) = world("alice").await;
    for next in [
        "https://evil.example/",
        "//evil.example/",
        "/%5Cevil.example/",
        "/hub/login",
        "/hub/logout",
        "/hub/login/callback?code=a",
    ] {
        let mut browser = world.browser();
        let answer = log_in(&mut browser, &provider, &format!("?next={next}")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("location")),
            (302, "/hub/home"),
            "{next}"
        );
    }
}

#[tokio::test]
async fn without_a_password_verifier_the_page_has_buttons_alone() {
    let provider = TestProvider::start().await;
    let hub = |change: fn(HubBuilder, OpenIdConnect) -> HubBuilder| {
        let hub = Hub::builder(MemoryTokenStore::new()).user(HubUser::new("alice").expect("a name"));
        change(hub, provider_of(&provider)).build()
    };
    let world = World::with(|hub| hub);
    let world = World {
        hub: hub(|hub, provider| hub.sign_in_with("Test ID", provider, grant)).expect("a hub"),
        ..world
    };
    let mut browser = world.browser();
    let page = browser.get("/hub/login").await;
    assert!(
        page.text.contains("Log in with Test ID") && !page.text.contains("<form"),
        "{}",
        page.text
    );
    assert_eq!(
        browser.post("/hub/login", &[("username", "alice")]).await.status,
        405
    );
    for method in ["HEAD", "POST"] {
        assert_eq!(
            browser.send(method, "/hub/login/test-id", "").await.status,
            405,
            "{method}"
        );
    }
    assert_eq!(browser.get("/hub/login/other").await.status, 404);

    for (wrong, part) in [
        (hub(|hub, _| hub), "sign_in_with()"),
        (
            hub(|hub, provider| hub.sign_in_with("!", provider, grant)),
            "letters or digits",
        ),
        (
            hub(|hub, provider| hub.sign_in_with("Test ID", provider.with_provider_logout(), grant)),
            "with_provider_logout",
        ),
    ] {
        let error = wrong.expect_err("settings that cannot be").to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_hub_without_providers_has_no_page_of_one() {
    let world = World::new();
    for path in ["/hub/login/test-id", "/hub/login/callback?code=a&state=b"] {
        assert_eq!(world.browser().get(path).await.status, 404, "{path}");
    }
}

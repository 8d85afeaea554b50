//! Sign-in at an OpenID provider, over real sockets.

mod attacks;
mod backchannel;
mod oauth2;
pub(crate) mod provider;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use portcullis::{
    AuthLayer, AuthLayerBuilder, ConfigError, Denial, Event, Grant, Keyring, PasswordHash, Secret,
    clock::UnixTime,
    sign_in::{Claims, OpenIdConnect},
    testing::TestClock,
};
use serde_json::json;
use url::Url;

use self::provider::{Fault, SECRET, TestProvider};
use crate::common::{Answered, request, send};

pub(crate) const NOW: u64 = 1_795_000_000;

/// Members of staff may log in.
fn staff(claims: &Claims) -> Result<Grant, Denial> {
    match claims.texts("groups").any(|group| group == "staff") {
        true => Ok(claims.grant().with_scopes(["read"])),
        false => Err(Denial::insufficient_scope("staff")),
    }
}

fn lazy(provider: &TestProvider) -> OpenIdConnect {
    OpenIdConnect::lazy(&provider.issuer, "app", Secret::from(SECRET)).expect("a provider")
}

fn settings(clock: &TestClock) -> AuthLayerBuilder {
    let keyring = Keyring::from_secret(Secret::from("32 bytes that all replicas have in common"));
    AuthLayer::builder()
        .clock(clock.clone())
        .keyring(keyring.expect("a key"))
}

fn layer(provider: &TestProvider) -> AuthLayer {
    let clock = TestClock::new(UnixTime::from_secs(NOW));
    settings(&clock)
        .sign_in_with("Test ID", lazy(provider), staff)
        .build()
        .expect("a layer")
}

/// A browser: it keeps cookies.
#[derive(Default)]
struct Browser(BTreeMap<String, String>);

impl Browser {
    async fn get(&mut self, layer: &AuthLayer, target: &str) -> Answered {
        let cookies: Vec<_> = self
            .0
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let cookies = cookies.join("; ");
        let lines = format!(
            "GET {target}\nSec-Fetch-Mode: navigate\nSec-Fetch-Dest: document\nAccept: text/html\nCookie: {cookies}"
        );
        let answer = send(layer, request(&lines)).await;
        for line in answer.set_cookies() {
            let (name, value) = line
                .split(';')
                .next()
                .and_then(|pair| pair.split_once('='))
                .expect("a cookie");
            match value {
                "" => self.0.remove(name),
                _ => self.0.insert(name.to_owned(), value.to_owned()),
            };
        }
        answer
    }

    /// Begins a login, and returns the URL at the provider.
    async fn begin(&mut self, layer: &AuthLayer, next: &str) -> String {
        let answer = self.get(layer, &format!("/login/test-id?next={next}")).await;
        assert_eq!(answer.status, 302, "{answer:?}");
        answer.header("location").to_owned()
    }

    /// Logs in, and returns the answer to the callback.
    async fn log_in(&mut self, layer: &AuthLayer, provider: &TestProvider) -> Answered {
        let url = self.begin(layer, "/page?a=b").await;
        self.get(layer, &target(&provider.authorize(&url))).await
    }

    fn is_logged_in(&self) -> bool {
        self.0.keys().any(|name| name.starts_with("username-"))
    }
}

/// What a browser requests for `url`.
pub(crate) fn target(url: &Url) -> String {
    format!("{}?{}", url.path(), url.query().unwrap_or_default())
}

#[tokio::test]
async fn a_login_leads_from_the_button_through_the_provider_to_the_page() {
    let provider = TestProvider::start().await;
    let layer = layer(&provider);
    let mut browser = Browser::default();
    let refused = browser.get(&layer, "/page?a=b").await;
    assert_eq!(refused.header("location"), "/login?next=%2Fpage%3Fa%3Db");
    let page = browser.get(&layer, refused.header("location")).await;
    assert!(page.text.contains("Log in with Test ID"), "{}", page.text);
    assert!(
        page.text.contains("href=\"/login/test-id?next=%2Fpage%3Fa%3Db\""),
        "{}",
        page.text
    );
    assert!(!page.text.contains("<form"), "nothing to type: {}", page.text);

    let url = browser.begin(&layer, "%2Fpage%3Fa%3Db").await;
    let query: BTreeMap<String, String> = Url::parse(&url)
        .expect("a URL")
        .query_pairs()
        .into_owned()
        .collect();
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "app"),
        ("redirect_uri", "http://localhost/login/callback"),
        ("scope", "openid profile email"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(query.get(name).map(String::as_str), Some(value), "{name}");
    }
    let back = browser.get(&layer, &target(&provider.authorize(&url))).await;
    assert_eq!(
        (back.status.as_u16(), back.header("location")),
        (302, "/page?a=b")
    );
    assert_eq!(browser.get(&layer, "/page").await.text, "7 by Cookie");
    assert!(
        !browser.0.keys().any(|name| name.contains("oauth-state")),
        "the state is used up"
    );
    assert_eq!(provider.set().requests, [1, 1, 1]);

    // A logged-in browser does not go to the provider again.
    let again = browser.get(&layer, "/login/test-id?next=/other").await;
    assert_eq!(again.header("location"), "/other");
}

#[tokio::test]
async fn a_provider_stands_beside_the_password_form_and_other_providers() {
    let provider = TestProvider::start().await;
    let clock = TestClock::new(UnixTime::from_secs(NOW));
    let hash = "sha1:1b1c1d1e1f10:0f3dd5d6e8d0b1a0a3f1c2d3e4f5061728394a5b"
        .parse::<PasswordHash>()
        .expect("a hash");
    let layer = settings(&clock)
        .password(hash)
        .sign_in_with("Acme <SSO>", lazy(&provider), staff)
        .sign_in_with("Test ID", lazy(&provider), staff)
        .build()
        .expect("a layer");
    let page = Browser::default().get(&layer, "/login").await;
    for part in [
        "type=\"password\"",
        "Log in with Acme &lt;SSO&gt;",
        "/login/acme-sso?",
        "/login/test-id?",
    ] {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
}

#[tokio::test]
async fn a_restart_or_another_replica_completes_a_login() {
    let provider = TestProvider::start().await;
    let (one, other) = (layer(&provider), layer(&provider));
    let mut browser = Browser::default();
    let url = browser.begin(&one, "/page").await;
    let back = browser.get(&other, &target(&provider.authorize(&url))).await;
    assert_eq!(back.header("location"), "/page");
    assert_eq!(browser.get(&one, "/page").await.text, "7 by Cookie");
}

#[tokio::test]
async fn twenty_tabs_log_in_in_any_order() {
    let provider = TestProvider::start().await;
    let clock = TestClock::new(UnixTime::from_secs(NOW));
    let layer = settings(&clock)
        .sign_in_with("Test ID", lazy(&provider), staff)
        .build()
        .expect("a layer");
    let mut browser = Browser::default();
    let mut callbacks = Vec::new();
    for tab in 0..20 {
        clock.advance(Duration::from_secs(1));
        let url = browser.begin(&layer, &format!("/tab{tab}")).await;
        callbacks.push(target(&provider.authorize(&url)));
    }
    // The eight last ones are remembered.
    for (tab, callback) in callbacks.iter().enumerate().rev().take(8) {
        let back = browser.get(&layer, callback).await;
        assert_eq!(back.header("location"), format!("/tab{tab}"));
    }
    // The others meet a browser that is logged in.
    let back = browser.get(&layer, &callbacks[0]).await;
    assert_eq!(back.header("location"), "/");
}

#[tokio::test]
async fn a_login_that_took_too_long_starts_again_once() {
    let provider = TestProvider::start().await;
    let clock = TestClock::new(UnixTime::from_secs(NOW));
    let layer = settings(&clock)
        .sign_in_with("Test ID", lazy(&provider), staff)
        .build()
        .expect("a layer");
    let mut browser = Browser::default();
    let url = browser.begin(&layer, "/page").await;
    clock.advance(Duration::from_secs(700));
    let again = browser.get(&layer, &target(&provider.authorize(&url))).await;
    assert!(
        again.header("location").starts_with(&provider.issuer),
        "{again:?}"
    );
    let url = again.header("location").to_owned();
    clock.advance(Duration::from_secs(700));
    let refused = browser.get(&layer, &target(&provider.authorize(&url))).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    assert!(!browser.is_logged_in());
}

#[tokio::test]
async fn claims_come_from_the_id_token_first_and_from_user_info_then() {
    let provider = TestProvider::start().await;
    let seen = Arc::new(Mutex::new(String::new()));
    let clock = TestClock::new(UnixTime::from_secs(NOW));
    let note = Arc::clone(&seen);
    let layer = settings(&clock)
        .sign_in_with("Test ID", lazy(&provider), move |claims| {
            let groups: Vec<_> = claims.texts("groups").collect();
            *note.lock().expect("a lock") = format!("{} {groups:?}", claims.text("name").unwrap_or_default());
            staff(claims)
        })
        .build()
        .expect("a layer");
    assert_eq!(Browser::default().log_in(&layer, &provider).await.status, 302);
    assert_eq!(*seen.lock().expect("a lock"), "Alice [\"staff\"]");

    provider.set().claims = Box::new(|claims| claims["groups"] = json!(["guests"]));
    let denied = Browser::default().log_in(&layer, &provider).await;
    assert_eq!(denied.status, 403);
    assert!(
        denied.text.contains("Your account does not have permission"),
        "{}",
        denied.text
    );
}

#[tokio::test]
async fn a_client_authenticates_as_the_metadata_or_the_settings_say() {
    let provider = TestProvider::start().await;
    let clock = TestClock::new(UnixTime::from_secs(NOW));
    let public =
        |provider: &TestProvider| OpenIdConnect::lazy(&provider.issuer, "app", None).expect("a provider");
    let post_only = json!(["client_secret_post"]);
    for (name, client, methods, in_header, in_form) in [
        ("no methods", lazy(&provider), json!(null), true, false),
        (
            "both",
            lazy(&provider),
            json!(["client_secret_post", "client_secret_basic"]),
            true,
            false,
        ),
        ("post only", lazy(&provider), post_only.clone(), false, true),
        (
            "post, set",
            lazy(&provider).with_client_secret_post(),
            json!(null),
            false,
            true,
        ),
        (
            "a public client",
            public(&provider),
            json!(["none"]),
            false,
            false,
        ),
    ] {
        provider.set().metadata = Box::new(move |metadata| {
            if !methods.is_null() {
                metadata["token_endpoint_auth_methods_supported"] = methods.clone();
            }
        });
        let layer = settings(&clock)
            .sign_in_with("Test ID", client, staff)
            .build()
            .expect("a layer");
        assert_eq!(
            Browser::default().log_in(&layer, &provider).await.status,
            302,
            "{name}"
        );
        let (field, form) = provider.set().token_request.clone();
        assert_eq!(field.starts_with("Basic "), in_header, "{name}");
        assert_eq!(
            form.get("client_secret").map(String::as_str),
            in_form.then_some(SECRET),
            "{name}"
        );
        assert_eq!(form.contains_key("client_id"), !in_header, "{name}");
    }
}

#[tokio::test]
async fn an_unknown_key_id_fetches_the_keys_once() {
    let provider = TestProvider::start().await;
    let layer = layer(&provider);
    for (key_id, fetched) in [("one", 1), ("one", 1), ("two", 2), ("two", 2)] {
        if provider.set().requests[1] < fetched && fetched > 1 {
            provider.rotate_key(key_id);
        }
        assert_eq!(Browser::default().log_in(&layer, &provider).await.status, 302);
        assert_eq!(provider.set().requests[1], fetched, "{key_id}");
    }
    // A key that is replaced under its old id is found as well.
    provider.rotate_key("two");
    assert_eq!(Browser::default().log_in(&layer, &provider).await.status, 302);
    // A key id that stays unknown costs one request for each login.
    provider.set().header = Box::new(|header| header["kid"] = json!("unknown"));
    assert_eq!(Browser::default().log_in(&layer, &provider).await.status, 403);
    assert_eq!(provider.set().requests[1], 4);
}

#[tokio::test]
async fn a_failing_provider_is_reported_and_creates_no_login() {
    let provider = TestProvider::start().await;
    let clock = TestClock::new(UnixTime::from_secs(NOW));
    for fault in [
        Fault::Status(500),
        Fault::Status(302),
        Fault::Redirect,
        Fault::TenMegabytes,
        Fault::NoJson,
    ] {
        let layer = settings(&clock)
            .sign_in_with("Test ID", lazy(&provider), staff)
            .build()
            .expect("a layer");
        let mut browser = Browser::default();
        let url = browser.begin(&layer, "/page").await;
        provider.set().token_fault = fault;
        let answer = browser.get(&layer, &target(&provider.authorize(&url))).await;
        assert_eq!(answer.status, 503, "{fault:?}");
        assert_eq!(answer.header("retry-after"), "5", "{fault:?}");
        assert!(
            answer.text.contains("href=\"/login/test-id?next=%2Fpage\""),
            "{}",
            answer.text
        );
        assert!(!browser.is_logged_in(), "{fault:?}");
        provider.set().token_fault = Fault::None;

        provider.set().discovery_fault = fault;
        let error = lazy(&provider)
            .discovered()
            .await
            .expect_err("no metadata")
            .to_string();
        assert!(error.starts_with("issuer: expected the metadata"), "{error}");
        provider.set().discovery_fault = Fault::None;
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_provider_has_five_seconds() {
    let provider = TestProvider::start().await;
    let layer = layer(&provider);
    provider.set().discovery_fault = Fault::Hangs;
    let begun = tokio::time::Instant::now();
    let answer = Browser::default().get(&layer, "/login/test-id").await;
    assert_eq!(answer.status, 503);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_lazy_provider_may_be_down_until_the_first_login() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let issuer = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let down = OpenIdConnect::discover(&issuer, "app", None)
        .await
        .expect_err("down");
    assert!(
        down.to_string()
            .contains("`lazy` fetches them at the first login"),
        "{down}"
    );
    let clock = TestClock::new(UnixTime::from_secs(NOW));
    let lazy = OpenIdConnect::lazy(&issuer, "app", None).expect("a provider");
    let layer = settings(&clock)
        .sign_in_with("Test ID", lazy, staff)
        .build()
        .expect("a layer");
    let answer = Browser::default().get(&layer, "/login/test-id").await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "5"));
}

#[tokio::test]
async fn metadata_that_name_another_issuer_or_a_url_without_tls_are_rejected() {
    let provider = TestProvider::start().await;
    for (field, value) in [
        ("issuer", json!("https://id.example.org")),
        ("issuer", json!(format!("{}/", provider.issuer))),
        ("token_endpoint", json!("http://169.254.169.254/latest")),
        ("token_endpoint", json!(null)),
        ("jwks_uri", json!("http://10.0.0.1/keys")),
        ("userinfo_endpoint", json!("http://10.0.0.1/user")),
        ("authorization_endpoint", json!("javascript:alert(1)")),
        ("end_session_endpoint", json!("http://10.0.0.1/logout")),
    ] {
        let name = format!("{field} {value}");
        provider.set().metadata = Box::new(move |metadata| metadata[field] = value.clone());
        assert!(lazy(&provider).discovered().await.is_err(), "{name}");
    }
    provider.set().metadata = Box::new(|_| {});
    assert!(lazy(&provider).discovered().await.is_ok());
}

#[tokio::test]
async fn a_logout_goes_on_at_the_provider_where_the_browser_logged_in() {
    let provider = TestProvider::start().await;
    let logout = format!("{}/end", provider.issuer);
    provider.set().metadata = Box::new(move |metadata| metadata["end_session_endpoint"] = json!(logout));
    let clock = TestClock::new(UnixTime::from_secs(NOW));
    for goes_on in [true, false] {
        let client = match goes_on {
            true => lazy(&provider).with_provider_logout(),
            false => lazy(&provider),
        };
        let layer = settings(&clock)
            .sign_in_with("Test ID", client, staff)
            .build()
            .expect("a layer");
        let mut browser = Browser::default();
        assert_eq!(browser.log_in(&layer, &provider).await.status, 302);
        let answer = browser.get(&layer, "/logout").await;
        let expected = format!(
            "{}/end?client_id=app&post_logout_redirect_uri=http%3A%2F%2Flocalhost%2F",
            provider.issuer
        );
        if goes_on {
            assert_eq!(
                (answer.status.as_u16(), answer.header("location")),
                (302, &*expected)
            );
            assert!(!answer.header("clear-site-data").is_empty());
        } else {
            assert_eq!(answer.status, 200);
        }
        assert!(
            !browser.is_logged_in() && !browser.0.contains_key("login-test-id"),
            "{:?}",
            browser.0
        );
        assert_eq!(browser.get(&layer, "/logout").await.status, 200, "once");
    }
}

#[tokio::test]
async fn secrets_are_in_no_event_and_no_page() {
    let provider = TestProvider::start().await;
    let clock = TestClock::new(UnixTime::from_secs(NOW));
    let events = Arc::new(Mutex::new(String::new()));
    let log = Arc::clone(&events);
    let layer = settings(&clock)
        .sign_in_with("Test ID", lazy(&provider), staff)
        .observer(move |event: &Event<'_>| log.lock().expect("a lock").push_str(&format!("{event:?}\n")))
        .build()
        .expect("a layer");
    let mut pages = format!("{:?} {:?}", lazy(&provider), layer);
    for status in [302, 403, 503] {
        match status {
            403 => provider.set().claims = Box::new(|claims| claims["aud"] = json!("other")),
            503 => provider.set().token_fault = Fault::NoJson,
            _ => {}
        }
        let answer = Browser::default().log_in(&layer, &provider).await;
        assert_eq!(answer.status.as_u16(), status);
        pages.push_str(&answer.text);
    }
    let (_, form) = provider.set().token_request.clone();
    let events = events.lock().expect("a lock").clone();
    assert!(
        events.contains("LoggedIn") && events.contains("Invalid audiences"),
        "{events}"
    );
    for secret in [
        SECRET,
        &form["code_verifier"],
        &form["code"],
        "aaaaaaaaaaaa",
        "eyJ",
    ] {
        assert!(!events.contains(secret), "{secret} in {events}");
        assert!(!pages.contains(secret), "{secret} in {pages}");
    }
}

#[test]
fn a_provider_needs_a_name_of_its_own() {
    let clock = TestClock::new(UnixTime::from_secs(NOW));
    let provider = || OpenIdConnect::lazy("https://id.example.org", "app", None).expect("a provider");
    let build = |names: &[&str]| -> Result<AuthLayer, ConfigError> {
        let settings = names.iter().fold(settings(&clock), |settings, name| {
            settings.sign_in_with(name, provider(), staff)
        });
        settings.build()
    };
    for (names, accepted) in [
        (&["Keycloak"][..], true),
        (&["Keycloak", "Google"], true),
        (&["Keycloak", "keycloak"], false),
        (&["A B", "a-b"], false),
        (&[""], false),
        (&["Callback"], false),
    ] {
        let built = build(names);
        assert_eq!(built.is_ok(), accepted, "{names:?}");
        if let Err(error) = built {
            assert_eq!(error.setting(), "sign_in_with");
        }
    }
    for algorithm in ["none", "HS256", "RS1", ""] {
        assert!(
            provider().with_signing_algorithms([algorithm]).is_err(),
            "{algorithm}"
        );
    }
    assert!(provider().with_signing_algorithms(["RS256", "EdDSA"]).is_ok());
}

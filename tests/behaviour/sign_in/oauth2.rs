//! Sign-in at a provider without ID tokens.

use portcullis::{AuthLayer, Secret, clock::UnixTime, sign_in::OAuth2Provider, testing::TestClock};
use serde_json::json;

use super::{
    Browser, NOW, lazy,
    provider::{Fault, SECRET, TestProvider},
    settings, staff, target,
};

fn oauth2(provider: &TestProvider) -> OAuth2Provider {
    let at = |path: &str| format!("{}{path}", provider.issuer);
    let secret = Secret::from(SECRET);
    OAuth2Provider::new(&at("/authorize"), &at("/token"), &at("/userinfo"), "app", secret)
        .expect("a provider")
}

fn layer(provider: OAuth2Provider) -> AuthLayer {
    let clock = TestClock::new(UnixTime::from_secs(NOW));
    let settings = settings(&clock).sign_in_with("Test ID", provider, |claims| Ok(claims.grant()));
    settings.build().expect("a layer")
}

#[tokio::test]
async fn the_user_endpoint_says_who_the_user_is() {
    let provider = TestProvider::start().await;
    for (claims, client, expected) in [
        (json!({"sub": "7", "id": 8}), oauth2(&provider), Some("7")),
        (json!({"id": 8, "login": "alice"}), oauth2(&provider), Some("8")),
        (
            json!({"uid": "u9"}),
            oauth2(&provider).with_subject_claim("uid"),
            Some("u9"),
        ),
        (json!({"login": "alice"}), oauth2(&provider), None),
        (json!({"id": ""}), oauth2(&provider), None),
        (json!({"id": -1.5}), oauth2(&provider), None),
    ] {
        let (label, layer) = (
            claims.to_string(),
            layer(client.with_scopes(["read:user", "user:email"])),
        );
        provider.set().user_info = Box::new(move |info| *info = claims.clone());
        let mut browser = Browser::default();
        let url = browser.begin(&layer, "/page").await;
        assert!(
            url.contains("scope=read%3Auser+user%3Aemail") || url.contains("scope=read%3Auser%20"),
            "{url}"
        );
        assert!(url.contains("code_challenge_method=S256"), "{url}");
        let answer = browser.get(&layer, &target(&provider.authorize(&url))).await;
        match expected {
            Some(username) => {
                assert_eq!(answer.header("location"), "/page", "{label}");
                assert_eq!(
                    browser.get(&layer, "/page").await.text,
                    format!("{username} by Cookie")
                );
            }
            None => {
                assert_eq!(answer.status, 403, "{label}");
                assert!(!browser.is_logged_in(), "{label}");
            }
        }
    }
}

#[tokio::test]
async fn an_error_of_the_token_endpoint_creates_no_login_whatever_its_status() {
    let provider = TestProvider::start().await;
    let layer = layer(oauth2(&provider));
    for (response, status) in [
        (json!({"error": "bad_verification_code"}), 403),
        (json!({"access_token": 7}), 503),
        (json!({}), 503),
    ] {
        provider.set().token_response = Box::new(move |body| *body = response.clone());
        let mut browser = Browser::default();
        assert_eq!(browser.log_in(&layer, &provider).await.status.as_u16(), status);
        assert!(!browser.is_logged_in());
    }
    for fault in [
        Fault::Status(500),
        Fault::Redirect,
        Fault::TenMegabytes,
        Fault::NoJson,
    ] {
        provider.set().token_fault = fault;
        assert_eq!(
            Browser::default().log_in(&layer, &provider).await.status,
            503,
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn a_response_of_another_server_is_rejected_before_the_code_is_sent() {
    let (honest, malicious) = (TestProvider::start().await, TestProvider::start().await);
    let clock = TestClock::new(UnixTime::from_secs(NOW));
    let layer = settings(&clock)
        .sign_in_with("Test ID", oauth2(&malicious), staff)
        .sign_in_with("Honest", lazy(&honest), staff)
        .build()
        .expect("a layer");
    let mut browser = Browser::default();
    let url = browser.begin(&layer, "/page").await;
    let callback = honest.authorize(&url);
    assert_eq!(browser.get(&layer, &target(&callback)).await.status, 403);
    assert_eq!(malicious.set().requests[2], 0);
}

#[test]
fn endpoints_without_tls_are_rejected() {
    let https = "https://id.example.org/x";
    for (urls, setting) in [
        (["http://id.example.org", https, https], "authorization_endpoint"),
        ([https, "http://10.0.0.1", https], "token_endpoint"),
        ([https, https, "file:///etc/passwd"], "user_endpoint"),
    ] {
        let [authorization, token, user] = urls;
        let built = OAuth2Provider::new(authorization, token, user, "app", Secret::from(SECRET));
        assert_eq!(built.expect_err("no provider").setting(), setting);
    }
}

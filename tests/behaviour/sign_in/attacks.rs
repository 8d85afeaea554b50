//! Attacks on a login. None creates a login.

use serde_json::{Value, json};

use super::{
    Browser, NOW, layer, lazy,
    provider::{Signature, TestProvider},
    settings, staff, target,
};
use portcullis::{clock::UnixTime, testing::TestClock};

#[tokio::test]
async fn an_invalid_id_token_creates_no_login() {
    let provider = TestProvider::start().await;
    let layer = layer(&provider);
    let claims = |name: &'static str, value: Value| (name, Some((name, value)), Signature::Good);
    let signed = |name: &'static str, signature| (name, None, signature);
    for (name, edit, signature) in [
        claims("iss", json!("https://id.example.org")),
        claims("iss", json!(null)),
        claims("aud", json!("other")),
        claims("aud", json!(["other"])),
        claims("aud", json!(["app", "other"])),
        claims("aud", json!([])),
        claims("azp", json!("other")),
        claims("azp", json!(["app"])),
        claims("nonce", json!("of another login")),
        claims("nonce", json!(null)),
        claims("exp", json!(NOW - 61)),
        claims("exp", json!("soon")),
        claims("iat", json!(NOW + 61)),
        claims("nbf", json!(NOW + 61)),
        claims("sub", json!("")),
        claims("sub", json!("a\nb")),
        claims("sub", json!("a".repeat(256))),
        signed("alg none", Signature::Missing),
        signed("a MAC with the public key", Signature::MacWithPoint),
        signed("a MAC with the key set", Signature::MacWithKeySet),
        signed("a MAC with the client secret", Signature::MacWithSecret),
        signed("another key", Signature::OtherKey),
        signed("a signature of another text", Signature::Changed),
    ] {
        let label = format!("{name} {edit:?} {signature:?}");
        {
            let mut settings = provider.set();
            settings.signature = signature;
            settings.claims = Box::new(move |claims| {
                if let Some((name, value)) = &edit {
                    claims[name] = value.clone();
                }
            });
            // The other users' information must not be what refuses the login.
            settings.user_info = Box::new(|claims| claims["sub"] = json!("7"));
        }
        let mut browser = Browser::default();
        let answer = browser.log_in(&layer, &provider).await;
        // An ID token that cannot be read at all is no response that makes sense.
        assert!(
            [403, 503].contains(&answer.status.as_u16()),
            "{label}: {answer:?}"
        );
        assert!(!browser.is_logged_in(), "{label}");
        assert!(
            !browser.0.keys().any(|name| name.contains("oauth-state")),
            "{label}"
        );
    }
}

#[tokio::test]
async fn times_may_differ_by_the_clock_skew() {
    let provider = TestProvider::start().await;
    let layer = layer(&provider);
    for (name, value) in [("exp", NOW - 59), ("iat", NOW + 59), ("nbf", NOW + 59)] {
        provider.set().claims = Box::new(move |claims| claims[name] = json!(value));
        let mut browser = Browser::default();
        assert_eq!(browser.log_in(&layer, &provider).await.status, 302, "{name}");
    }
}

#[tokio::test]
async fn keys_that_a_token_brings_along_are_not_used() {
    let provider = TestProvider::start().await;
    let layer = layer(&provider);
    for (name, value) in [
        ("kid", json!("../../etc/passwd")),
        ("crit", json!(["exp"])),
        ("cty", json!("JWT")),
        ("typ", json!("logout+jwt")),
        ("alg", json!("RS256")),
        ("alg", json!("ES384")),
    ] {
        provider.set().header = Box::new(move |header| header[name] = value.clone());
        let mut browser = Browser::default();
        let answer = browser.log_in(&layer, &provider).await;
        assert_eq!(answer.status, 403, "{name}");
        assert!(!browser.is_logged_in(), "{name}");
    }
    provider.set().signature = Signature::OtherKey;
    provider.set().header = Box::new(|header| {
        header["jwk"] = json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"});
        header["jku"] = json!("http://127.0.0.1:1/keys");
    });
    let mut browser = Browser::default();
    assert_eq!(browser.log_in(&layer, &provider).await.status, 403);
}

#[tokio::test]
async fn a_callback_of_another_browser_or_a_used_state_creates_no_login() {
    let provider = TestProvider::start().await;
    let layer = layer(&provider);
    let mut victim = Browser::default();
    let url = victim.begin(&layer, "/page").await;
    let callback = target(&provider.authorize(&url));

    // The state of another browser.
    let mut attacker = Browser::default();
    let answer = attacker.get(&layer, &callback).await;
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(!attacker.is_logged_in());

    // Code injection: the attacker's code with the victim's state.
    let mut attacker = Browser::default();
    let url = attacker.begin(&layer, "/page").await;
    let injected = provider.authorize(&url);
    let code = injected
        .query_pairs()
        .find(|(name, _)| name == "code")
        .expect("a code")
        .1;
    let (path, query) = callback.split_once('?').expect("a query");
    let rest: Vec<_> = query
        .split('&')
        .filter(|pair| !pair.starts_with("code="))
        .collect();
    let mixed = format!("{path}?code={code}&{}", rest.join("&"));
    let cookies = victim.0.clone();
    assert_eq!(victim.get(&layer, &mixed).await.status, 403);
    assert!(!victim.is_logged_in());

    // A state is used once: the browser drops its cookie, and a copy of the cookie finds the code used.
    assert_eq!(victim.get(&layer, &callback).await.status, 403);
    let mut copy = Browser(cookies.clone());
    assert_eq!(copy.get(&layer, &callback).await.status, 302);
    let mut again = Browser(cookies);
    assert_eq!(again.get(&layer, &callback).await.status, 403);
    assert!(!again.is_logged_in());

    for (query, status) in [
        ("", 400),
        ("?code=a", 403),
        ("?state=a", 400),
        ("?code=a&state=a", 403),
        ("?error=access_denied&error_description=Call+0900", 403),
        ("?code=a&code=b&state=a", 400),
    ] {
        let answer = Browser::default()
            .get(&layer, &format!("/login/callback{query}"))
            .await;
        assert_eq!(answer.status.as_u16(), status, "{query}");
        assert!(
            !answer.text.contains("0900"),
            "{query}: the text of a link is not shown"
        );
    }
}

#[tokio::test]
async fn a_response_of_another_issuer_is_rejected_before_the_code_is_sent() {
    let (honest, malicious) = (TestProvider::start().await, TestProvider::start().await);
    let clock = TestClock::new(UnixTime::from_secs(NOW));
    let layer = settings(&clock)
        .sign_in_with("Test ID", lazy(&malicious), staff)
        .sign_in_with("Honest", lazy(&honest), staff)
        .build()
        .expect("a layer");
    // The malicious provider passes the browser on to the honest one.
    let mut browser = Browser::default();
    let url = browser.begin(&layer, "/page").await;
    let callback = honest.authorize(&url.replace(&malicious.issuer, &honest.issuer));
    let answer = browser.get(&layer, &target(&callback)).await;
    assert_eq!(answer.status, 403, "{answer:?}");
    assert_eq!(
        malicious.set().requests[2],
        0,
        "the code was sent to the other provider"
    );

    // One that promises its name in each response must keep the promise.
    let url = browser.begin(&layer, "/page").await;
    let callback = target(&malicious.authorize(&url));
    let without = callback.split("&iss=").next().expect("the rest").to_owned();
    assert_eq!(browser.get(&layer, &without).await.status, 403);
    assert_eq!(malicious.set().requests[2], 0);
    assert!(!browser.is_logged_in());
}

#[tokio::test]
async fn next_leads_to_no_other_site() {
    let provider = TestProvider::start().await;
    let layer = layer(&provider);
    for next in [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "%09//evil.example",
        "javascript:alert(1)",
        "/login",
        "/login/test-id",
        "/login/callback?code=a",
        "/logout",
    ] {
        let mut browser = Browser::default();
        let url = browser.begin(&layer, next).await;
        let answer = browser.get(&layer, &target(&provider.authorize(&url))).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("location")),
            (302, "/"),
            "{next}"
        );
    }
}

#[tokio::test]
async fn user_information_of_another_user_or_a_token_that_is_no_header_is_rejected() {
    let provider = TestProvider::start().await;
    let layer = layer(&provider);
    provider.set().user_info = Box::new(|claims| claims["sub"] = json!("8"));
    assert_eq!(Browser::default().log_in(&layer, &provider).await.status, 403);
    provider.set().user_info = Box::new(|_| {});
    provider.set().token_response = Box::new(|response| response["access_token"] = json!("a\r\nX-Evil: 1"));
    assert_eq!(Browser::default().log_in(&layer, &provider).await.status, 403);
    provider.set().token_response = Box::new(|response| {
        response.as_object_mut().expect("an object").remove("id_token");
    });
    assert_eq!(Browser::default().log_in(&layer, &provider).await.status, 403);
}

#[tokio::test]
async fn a_login_that_the_user_cancels_says_so() {
    let provider = TestProvider::start().await;
    let layer = layer(&provider);
    for (error, status, text) in [
        ("access_denied", 403, "You cancelled the login"),
        ("login_required", 403, "You cancelled the login"),
        ("temporarily_unavailable", 503, "temporarily unavailable"),
        ("invalid_scope", 403, "response is not valid"),
    ] {
        let mut browser = Browser::default();
        let url = browser.begin(&layer, "/page").await;
        let callback = target(&provider.authorize(&url));
        let (_, rest) = callback.split_once("&state=").expect("a state");
        let callback = format!("/login/callback?error={error}&error_description=Call+0900&state={rest}");
        let answer = browser.get(&layer, &callback).await;
        assert_eq!(answer.status.as_u16(), status, "{error}");
        assert!(
            answer.text.contains(text) && !answer.text.contains("0900"),
            "{}",
            answer.text
        );
        assert!(!browser.is_logged_in());
    }
}

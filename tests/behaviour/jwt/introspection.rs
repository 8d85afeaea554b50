//! Tokens that are checked at an OAuth server.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use portcullis::{
    Secret, TokenVerifier as _, Verification,
    clock::UnixTime,
    testing::TestClock,
    token::PresentedToken,
    verify::{IntrospectionVerifier, IntrospectionVerifierBuilder},
};
use serde_json::{Value, json};
use tower::service_fn;

use super::issuer::{AUDIENCE, NOW};

const ENDPOINT: &str = "https://login.example.org/introspect";

/// An OAuth server that responds as the test says (nothing: it hangs), and notes the requests.
#[derive(Clone, Default)]
struct OAuthServer {
    response: Arc<Mutex<Option<(u16, String)>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl OAuthServer {
    fn responds(&self, status: u16, body: &Value) {
        *self.response.lock().expect("one at a time") = Some((status, body.to_string()));
    }

    fn hangs(&self) {
        *self.response.lock().expect("one at a time") = None;
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().expect("one at a time"))
    }

    fn verifier(&self, clock: &TestClock) -> IntrospectionVerifierBuilder {
        let server = self.clone();
        IntrospectionVerifier::builder(ENDPOINT)
            .client("the api", &Secret::from("s:cret+"))
            .clock(clock.clone())
            .http_client(service_fn(move |request: Request<Full<Bytes>>| {
                let server = server.clone();
                async move {
                    let (parts, body) = request.into_parts();
                    let body = body.collect().await.expect("a body").to_bytes();
                    let authorization = parts.headers["authorization"].clone();
                    assert!(authorization.is_sensitive());
                    let line = format!(
                        "{} {} {} {}",
                        parts.method,
                        parts.uri,
                        authorization.to_str().expect("visible ASCII"),
                        String::from_utf8_lossy(&body)
                    );
                    server.asked.lock().expect("one at a time").push(line);
                    let response = server.response.lock().expect("one at a time").clone();
                    match response {
                        None => std::future::pending().await,
                        Some((0, _)) => Err(io::Error::other("connection refused")),
                        Some((status, body)) => {
                            let response = Response::builder().status(status).header("location", "/");
                            Ok(response.body(Full::<Bytes>::from(body)).expect("a response"))
                        }
                    }
                }
            }))
    }
}

fn clock() -> TestClock {
    TestClock::new(UnixTime::from_secs(NOW))
}

async fn verify(verifier: &IntrospectionVerifier, token: &str) -> String {
    let token = PresentedToken::new(token.as_bytes()).expect("a token");
    match verifier.verify(token).await {
        Verification::Valid(grant) => {
            let scopes: Vec<&str> = grant.scopes().iter().collect();
            let end = grant.expires_at().map(|end| end.as_secs() - NOW);
            format!("{}: {} {end:?}", grant.identity().username(), scopes.join(" "))
        }
        Verification::Unknown => "unknown".to_owned(),
        Verification::Unavailable(error) => error.cause().to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_response_decides_who_is_accepted() {
    let down = |text: &str| format!("{ENDPOINT}{text}");
    for (status, response, expected) in [
        (
            200,
            json!({"active": true, "sub": "alice", "scope": "a b"}),
            "alice: a b None".to_owned(),
        ),
        (
            200,
            json!({"active": true, "sub": "alice", "exp": NOW + 9}),
            "alice:  Some(9)".to_owned(),
        ),
        (
            200,
            json!({"active": true, "sub": "alice", "nbf": NOW}),
            "alice:  None".to_owned(),
        ),
        (200, json!({"active": false}), "unknown".to_owned()),
        (
            200,
            json!({"active": false, "sub": "alice"}),
            "unknown".to_owned(),
        ),
        (200, json!({"active": true}), "unknown".to_owned()),
        (200, json!({"active": true, "sub": ""}), "unknown".to_owned()),
        (
            200,
            json!({"active": true, "sub": "alice", "exp": "soon"}),
            "unknown".to_owned(),
        ),
        (
            200,
            json!({"active": true, "sub": "alice", "nbf": NOW + 1}),
            "unknown".to_owned(),
        ),
        (
            200,
            json!({"active": true, "sub": "alice", "cnf": {"jkt": "x"}}),
            "unknown".to_owned(),
        ),
        (
            200,
            json!({"active": "true", "sub": "alice"}),
            down(": expected JSON with `active`"),
        ),
        (
            200,
            json!({"sub": "alice"}),
            down(": expected JSON with `active`"),
        ),
        (200, json!([true]), down(": expected JSON with `active`")),
        (
            200,
            json!("x".repeat(10_000_000)),
            down(" did not respond: length limit exceeded"),
        ),
        (
            401,
            json!({"active": true, "sub": "alice"}),
            down(" responded 401 Unauthorized; check the client and its secret"),
        ),
        (
            302,
            json!({"active": true, "sub": "alice"}),
            down(" responded 302 Found; redirects are not followed"),
        ),
        (500, json!({}), down(" responded 500 Internal Server Error")),
        (0, json!({}), down(" did not respond: connection refused")),
    ] {
        let server = OAuthServer::default();
        server.responds(status, &response);
        let verifier = server.verifier(&clock()).build().expect("settings");
        assert_eq!(verify(&verifier, "a+b").await, expected);
        let asked = "POST https://login.example.org/introspect Basic dGhlK2FwaTpzJTNBY3JldCUyQg== \
                     token_type_hint=access_token&token=a%2Bb";
        assert_eq!(server.asked(), [asked]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_for_another_audience_is_rejected() {
    let server = OAuthServer::default();
    let verifier = server
        .verifier(&clock())
        .audience(AUDIENCE)
        .build()
        .expect("settings");
    for (number, (audience, expected)) in [
        (json!(AUDIENCE), "alice:  None"),
        (json!(["https://other.example", AUDIENCE]), "alice:  None"),
        (json!("https://other.example"), "unknown"),
        (json!(null), "unknown"),
    ]
    .into_iter()
    .enumerate()
    {
        server.responds(200, &json!({"active": true, "sub": "alice", "aud": audience}));
        assert_eq!(verify(&verifier, &format!("token-{number}")).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_is_remembered_and_asked_for_once_at_a_time() {
    let (server, clock) = (OAuthServer::default(), clock());
    let verifier = server.verifier(&clock).build().expect("settings");
    server.responds(200, &json!({"active": true, "sub": "alice"}));
    let requests = (0..50).map(|_| {
        let verifier = verifier.clone();
        tokio::spawn(async move { verify(&verifier, "token").await })
    });
    for request in requests.collect::<Vec<_>>() {
        assert_eq!(request.await.expect("no panic"), "alice:  None");
    }
    assert_eq!(server.asked().len(), 1);
    server.responds(200, &json!({"active": false}));
    for (after, expected, asked) in [
        (59, "alice:  None", 0),
        (1, "unknown", 1),
        (4, "unknown", 0),
        (1, "unknown", 1),
    ] {
        clock.advance(Duration::from_secs(after));
        assert_eq!(verify(&verifier, "token").await, expected, "{after} s later");
        assert_eq!(server.asked().len(), asked, "{after} s later");
    }
    // A remembered token ends with its own expiry.
    server.responds(200, &json!({"active": true, "sub": "bob", "exp": NOW + 65 + 10}));
    for (after, asked) in [(0, 1), (9, 0), (1, 1)] {
        clock.advance(Duration::from_secs(after));
        assert!(verify(&verifier, "short").await.starts_with("bob"));
        assert_eq!(server.asked().len(), asked, "{after} s later");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_down_is_asked_seldom_and_delays_no_request_for_long() {
    let (server, clock) = (OAuthServer::default(), clock());
    let verifier = server.verifier(&clock).build().expect("settings");
    server.responds(200, &json!({"active": true, "sub": "alice"}));
    assert_eq!(verify(&verifier, "known").await, "alice:  None");
    server.asked();
    server.hangs();
    let begun = tokio::time::Instant::now();
    assert!(
        verify(&verifier, "slow")
            .await
            .contains("no answer within 5 seconds")
    );
    assert_eq!(begun.elapsed().as_secs(), 5);
    server.responds(503, &json!({}));
    for number in 0..100 {
        let found = verify(&verifier, &format!("token-{number}")).await;
        assert!(
            found.contains("503") || found.contains("no request until later"),
            "{found}"
        );
    }
    assert_eq!(server.asked().len(), 5, "the circuit is open");
    assert_eq!(verify(&verifier, "known").await, "alice:  None");
    clock.advance(Duration::from_secs(5));
    server.responds(200, &json!({"active": true, "sub": "bob"}));
    assert_eq!(verify(&verifier, "new").await, "bob:  None");
}

#[test]
fn wrong_settings_are_named() {
    let build = |url: &str, secret: Option<&str>| {
        let builder = IntrospectionVerifier::builder(url);
        match secret {
            Some(secret) => builder.bearer_token(&Secret::from(secret)).build(),
            None => builder.build(),
        }
    };
    for (url, secret, expected) in [
        (ENDPOINT, None, "client: expected the id and the secret"),
        (ENDPOINT, Some("S3CRET\n"), "client: expected"),
        (
            "http://login.example.org/",
            Some("S3CRET"),
            "introspection endpoint: expected an https URL",
        ),
    ] {
        let error = build(url, secret).expect_err("wrong").to_string();
        assert!(
            error.starts_with(expected) && !error.contains("S3CRET"),
            "{error}"
        );
    }
    let verifier = build("http://localhost:8080/introspect", Some("S3CRET")).expect("settings");
    assert!(!format!("{verifier:?}").contains("S3CRET"));
}

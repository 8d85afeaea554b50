//! What users of the crate test their own code with: an identity on a request, and a clock.

use http::Request;
use portcullis::{
    AuthLayer, AuthMethod, Grant, Identity, Reason, RequestHead,
    clock::UnixTime,
    testing::{TestClock, TestIdentity},
};

use crate::common::{TOKEN, refused_for, request, send};

fn auth() -> AuthLayer {
    AuthLayer::token(TOKEN.parse().expect("a token"))
}

#[tokio::test]
async fn a_layer_accepts_its_test_identity_without_a_credential() {
    let (auth, alice) = (auth(), TestIdentity::new("alice"));
    for layer in [auth.clone(), auth.optional(), auth.public_paths(["/other"])] {
        let answer = send(&layer, alice.authenticate(&auth, request("POST /"))).await;
        assert_eq!(answer.text, "alice by Token");
    }
}

#[tokio::test]
async fn a_test_identity_is_not_accepted_by_another_layer() {
    let alice = TestIdentity::new("alice");
    refused_for(
        &send(&auth(), alice.authenticate(&auth(), request("GET /"))).await,
        401,
        Reason::MissingCredential,
    );
    refused_for(
        &send(&auth(), alice.insert_into(request("GET /"))).await,
        401,
        Reason::MissingCredential,
    );
}

#[tokio::test]
async fn all_other_rules_of_the_layer_hold_for_a_test_identity() {
    let clock = TestClock::new(UnixTime::from_secs(1_000));
    let auth = AuthLayer::builder()
        .token(TOKEN.parse().expect("a token"))
        .clock(clock.clone())
        .build()
        .expect("a layer");
    let alice = TestIdentity::new("alice").with_scopes(["read"]);
    let by_cookie = alice.clone().with_auth_method(AuthMethod::Cookie);
    let ending =
        TestIdentity::from_grant(Grant::new(Identity::new("bob")).with_expiry(UnixTime::from_secs(1_060)));
    let ask = async |layer: &AuthLayer, who: &TestIdentity, lines: &str| {
        send(layer, who.authenticate(&auth, request(lines))).await
    };

    assert_eq!(
        ask(&auth.require_scope("read"), &alice, "GET /").await.status,
        200
    );
    let answer = ask(&auth.require_scope("write"), &alice, "GET /").await;
    refused_for(&answer, 403, Reason::InsufficientScope);
    refused_for(
        &ask(&auth, &alice, "GET /\nhost: evil.example").await,
        403,
        Reason::DisallowedHost,
    );
    refused_for(&ask(&auth, &by_cookie, "POST /").await, 403, Reason::CrossSite);
    assert_eq!(ask(&auth, &by_cookie, "GET /").await.text, "alice by Cookie");

    assert_eq!(ask(&auth, &ending, "GET /").await.status, 200);
    clock.advance(std::time::Duration::from_secs(60));
    refused_for(&ask(&auth, &ending, "GET /").await, 401, Reason::ExpiredToken);
}

#[test]
fn a_request_without_a_host_is_given_one_and_another_keeps_its_own() {
    let (auth, alice) = (auth(), TestIdentity::new("alice"));
    let host = |request: Request<()>| {
        let request = alice.authenticate(&auth, request);
        String::from_utf8(RequestHead::new(&request).host().expect("a host").to_vec()).expect("text")
    };
    assert_eq!(host(Request::new(())), "localhost");
    let named = Request::get("/")
        .header("host", "a.example")
        .body(())
        .expect("a request");
    assert_eq!(host(named), "a.example");
    let absolute = Request::get("http://b.example/").body(()).expect("a request");
    assert_eq!(host(absolute), "b.example");
}

#[tokio::test]
async fn a_fast_password_hash_is_good_enough_as_a_value_and_weak_as_a_text() {
    use std::sync::{Arc, Mutex};

    use portcullis::{
        Event, PasswordHash,
        password::{HashingPool, PasswordCheck},
        testing::fast_password_hash,
    };

    let fast = fast_password_hash("short");
    let read: PasswordHash = fast.expose().parse().expect("its own text");
    let pool = HashingPool::shared();
    for (hash, password, expected) in [
        (&fast, "short", PasswordCheck::Correct { needs_rehash: false }),
        (&read, "short", PasswordCheck::Correct { needs_rehash: true }),
        (&fast, "Short", PasswordCheck::Incorrect),
        (&fast_password_hash(""), "", PasswordCheck::Incorrect),
    ] {
        let check = pool.verify(Some(Arc::new(hash.clone())), password.into()).await;
        assert_eq!(check.expect("an answer"), expected, "{password:?}");
    }
    assert!(!fast.is_weak() && read.is_weak());

    let warned = Arc::new(Mutex::new(Vec::new()));
    for hash in [fast, read] {
        let told = Arc::clone(&warned);
        let observer = move |event: &Event<'_>| {
            if let Event::WeakPasswordHash { .. } = event {
                told.lock().expect("no panic").push(());
            }
        };
        let layer = AuthLayer::builder().password(hash).observer(observer).build();
        let head = request("POST /login");
        let login = layer
            .expect("a layer")
            .verify_password(RequestHead::new(&head), "", &"short".into());
        assert!(login.await.is_ok());
    }
    assert_eq!(warned.lock().expect("no panic").len(), 1, "of the text alone");
}

//! How the keys of an issuer are read: one task at a time, within limits, and through outages.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{Request, Response};
use http_body_util::{Full, combinators::UnsyncBoxBody};
use hyper::{
    body::{Body, Bytes, Frame, Incoming},
    service::service_fn as hyper_service_fn,
};
use hyper_util::rt::TokioIo;
use portcullis::{
    Event,
    clock::UnixTime,
    testing::TestClock,
    verify::{JwtVerifier, JwtVerifierBuilder},
};
use serde_json::json;
use tokio::{net::TcpListener, sync::mpsc};
use tower::service_fn;

use super::issuer::{AUDIENCE, ED25519, ISSUER, Key, NOW, P256, RSA, claims, elliptic, jwks, verify};

const JWKS: &str = "https://login.example.org/jwks";
const OPENID: &str = "https://login.example.org/.well-known/openid-configuration";
const OAUTH: &str = "https://login.example.org/.well-known/oauth-authorization-server";

/// What a server does with a request.
#[derive(Clone)]
enum Does {
    Responds(u16, String),
    /// Sends a body that does not end.
    Streams,
    /// Sends one byte each second.
    Trickles,
    Hangs,
    Refuses,
}

/// What the server does for each path, and the requests that it has received.
type ServerState = (HashMap<String, Does>, Vec<String>);

/// A server that does as the test says, and records its requests.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<ServerState>>);

impl Server {
    /// A server whose keys are at [`JWKS`].
    fn with_keys<'a>(keys: impl IntoIterator<Item = &'a Key>) -> Self {
        let server = Self::default();
        server.publishes(keys);
        server
    }

    fn publishes<'a>(&self, keys: impl IntoIterator<Item = &'a Key>) {
        self.does(JWKS, Does::Responds(200, jwks(keys.into_iter().map(Key::jwk))));
    }

    fn does(&self, url: &str, does: Does) {
        self.0
            .lock()
            .expect("one at a time")
            .0
            .insert(url.to_owned(), does);
    }

    /// The URLs since the last call.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("one at a time").1)
    }

    fn respond(&self, url: String) -> Does {
        let mut state = self.0.lock().expect("one at a time");
        let does = state.0.get(&url).cloned();
        state.1.push(url);
        does.unwrap_or(Does::Responds(404, String::new()))
    }

    /// The settings of a verifier that queries this server, at the URL in its metadata.
    fn verifier(&self, clock: &TestClock) -> JwtVerifierBuilder {
        let server = self.clone();
        JwtVerifier::builder(ISSUER)
            .audience(AUDIENCE)
            .clock(clock.clone())
            .http_client(service_fn(move |request: Request<Full<Bytes>>| {
                let does = server.respond(request.uri().to_string());
                async move {
                    let body = match does {
                        Does::Responds(status, text) => {
                            let body = UnsyncBoxBody::new(Full::from(text));
                            let response = Response::builder()
                                .status(status)
                                .header("location", "https://evil.example/jwks");
                            return Ok::<_, io::Error>(response.body(body).expect("a response"));
                        }
                        Does::Hangs => std::future::pending().await,
                        Does::Refuses => return Err(io::Error::other("connection refused")),
                        Does::Streams => endless(Duration::ZERO, vec![b' '; 65_536]),
                        Does::Trickles => endless(Duration::from_secs(1), b" ".to_vec()),
                    };
                    Ok(Response::new(body))
                }
            }))
    }
}

fn endless(pause: Duration, chunk: Vec<u8>) -> UnsyncBoxBody<Bytes, Infallible> {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        while sender.send(Bytes::from(chunk.clone())).await.is_ok() {
            tokio::time::sleep(pause).await;
        }
    });
    UnsyncBoxBody::new(Chunks(receiver))
}

struct Chunks(mpsc::Receiver<Bytes>);

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0
            .poll_recv(context)
            .map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}

fn clock() -> TestClock {
    TestClock::new(UnixTime::from_secs(NOW))
}

/// Lets tasks in the background finish.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// A token that does not expire in these tests.
fn token(key: &Key) -> String {
    key.sign(&claims(json!({"exp": NOW + 1_000_000})))
}

const ALICE: &str = "alice: read write";

#[tokio::test(start_paused = true)]
async fn the_metadata_of_the_issuer_name_the_keys() {
    let metadata =
        |issuer: &str, url: &str| Does::Responds(200, json!({"issuer": issuer, "jwks_uri": url}).to_string());
    for (openid, oauth, expected, asked) in [
        (Some(metadata(ISSUER, JWKS)), None, ALICE, &[OPENID, JWKS][..]),
        (None, Some(metadata(ISSUER, JWKS)), ALICE, &[OPENID, OAUTH, JWKS]),
        (
            Some(metadata("https://evil.example", JWKS)),
            Some(metadata(ISSUER, JWKS)),
            ALICE,
            &[OPENID, OAUTH, JWKS],
        ),
        (
            None,
            None,
            "openid-configuration responded 404 Not Found; https",
            &[OPENID, OAUTH],
        ),
        (
            Some(metadata("https://evil.example", JWKS)),
            None,
            "expected the issuer \"https://login.example.org\", found \"https://evil.example\"",
            &[OPENID, OAUTH],
        ),
        (
            Some(metadata(ISSUER, "http://127.0.0.1/jwks")),
            None,
            "`jwks_uri`: expected an https URL",
            &[OPENID, OAUTH],
        ),
        (
            Some(metadata(ISSUER, "https://login.example.org/gone")),
            None,
            "/gone responded 404",
            &[OPENID, "https://login.example.org/gone"],
        ),
    ] {
        let server = Server::with_keys([&*P256]);
        for (url, does) in [(OPENID, openid), (OAUTH, oauth)] {
            if let Some(does) = does {
                server.does(url, does);
            }
        }
        let verifier = server.verifier(&clock()).build().expect("settings");
        let found = verify(&verifier, &P256.token()).await;
        assert!(found.contains(expected), "{found}");
        assert_eq!(server.asked(), asked);
    }
}

#[tokio::test(start_paused = true)]
async fn many_requests_wait_for_one_task() {
    let server = Server::with_keys([&*P256]);
    let verifier = server
        .verifier(&clock())
        .jwks_url(JWKS)
        .build()
        .expect("settings");
    let requests = (0..100).map(|_| {
        let verifier = verifier.clone();
        tokio::spawn(async move { verify(&verifier, &P256.token()).await })
    });
    for request in requests.collect::<Vec<_>>() {
        assert_eq!(request.await.expect("no panic"), ALICE);
    }
    assert_eq!(server.asked(), [JWKS]);
}

#[tokio::test(start_paused = true)]
async fn old_keys_are_read_again_in_the_background_and_removed_ones_end() {
    let (server, clock) = (Server::with_keys([&*P256, &*ED25519]), clock());
    let verifier = server.verifier(&clock).jwks_url(JWKS).build().expect("settings");
    let (kept, removed) = (token(&P256), token(&ED25519));
    for token in [&kept, &removed] {
        assert_eq!(verify(&verifier, token).await, ALICE);
    }
    server.publishes([&*P256]);
    clock.advance(Duration::from_secs(299));
    assert_eq!(verify(&verifier, &removed).await, ALICE);
    settle().await;
    assert_eq!(server.asked(), [JWKS], "the keys are not old yet");

    clock.advance(Duration::from_secs(1));
    for _ in 0..3 {
        assert_eq!(
            verify(&verifier, &removed).await,
            ALICE,
            "no request waits for the task"
        );
    }
    settle().await;
    assert_eq!(server.asked(), [JWKS]);
    assert_eq!(verify(&verifier, &removed).await, "unknown token");
    assert_eq!(verify(&verifier, &kept).await, ALICE);
}

#[tokio::test(start_paused = true)]
async fn a_new_key_is_found_at_once_and_unknown_ones_cause_few_requests() {
    let (server, clock) = (Server::with_keys([&*P256]), clock());
    let verifier = server.verifier(&clock).jwks_url(JWKS).build().expect("settings");
    assert_eq!(verify(&verifier, &P256.token()).await, ALICE);
    server.publishes([&*P256, &*RSA]);
    clock.advance(Duration::from_secs(10));
    assert_eq!(verify(&verifier, &RSA.token()).await, ALICE);
    assert_eq!(server.asked(), [JWKS, JWKS]);

    let forged = elliptic("forged", P256.algorithm);
    for (after, asked) in [(0, 0), (9, 0), (1, 1), (1, 0), (8, 0), (1, 1)] {
        clock.advance(Duration::from_secs(after));
        for _ in 0..20 {
            assert_eq!(verify(&verifier, &forged.token()).await, "unknown token");
        }
        assert_eq!(server.asked().len(), asked, "{after} s later");
    }
    let other = forged.sign(&claims(json!({"iss": "https://other.example"})));
    clock.advance(Duration::from_secs(60));
    assert_eq!(verify(&verifier, &other).await, "unsupported token");
    assert_eq!(server.asked(), [""; 0], "a token of another issuer causes none");
}

#[tokio::test(start_paused = true)]
async fn keys_are_used_for_a_day_while_the_issuer_is_down() {
    let (server, clock) = (Server::default(), clock());
    let outages = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&outages);
    let verifier = server
        .verifier(&clock)
        .jwks_url(JWKS)
        .observer(move |event: &Event<'_>| {
            if let Event::KeySetUnavailable { error } = event {
                assert!(error.to_string().contains("connection refused"), "{error}");
                counted.fetch_add(1, Ordering::Relaxed);
            }
        })
        .build()
        .expect("settings");
    let (token, down) = (token(&P256), "did not respond: connection refused");

    server.does(JWKS, Does::Refuses);
    for (after, asked) in [(0, 1), (4, 0), (1, 1)] {
        clock.advance(Duration::from_secs(after));
        for _ in 0..20 {
            assert!(verify(&verifier, &token).await.contains(down));
        }
        assert_eq!(server.asked().len(), asked, "{after} s later");
    }
    server.publishes([&*P256]);
    clock.advance(Duration::from_secs(5));
    assert_eq!(verify(&verifier, &token).await, ALICE);
    server.asked();
    assert_eq!(outages.load(Ordering::Relaxed), 1);

    server.does(JWKS, Does::Refuses);
    for (after, expected, asked) in [
        (300, ALICE, 1),
        (1, ALICE, 0),
        (4, ALICE, 1),
        (24 * 3600 - 306, ALICE, 1),
        (1, down, 0),
        (4, down, 1),
    ] {
        clock.advance(Duration::from_secs(after));
        for _ in 0..20 {
            let found = verify(&verifier, &token).await;
            assert!(found.contains(expected), "{after} s later: {found}");
            settle().await;
        }
        assert_eq!(server.asked().len(), asked, "{after} s later");
    }
    assert_eq!(outages.load(Ordering::Relaxed), 2, "each outage is reported once");
    server.publishes([&*P256]);
    clock.advance(Duration::from_secs(5));
    assert_eq!(verify(&verifier, &token).await, ALICE);
}

#[tokio::test(start_paused = true)]
async fn what_a_server_does_wrong_is_named_within_the_deadline() {
    let many = jwks(std::iter::repeat_n(json!({"kty": "oct", "k": "AA"}), 10_000));
    let large = format!("{{\"keys\": [], \"x\": \"{}\"}}", "x".repeat(10_000_000));
    for (does, expected) in [
        (Does::Hangs, "no answer within 5 seconds"),
        (Does::Trickles, "no answer within 5 seconds"),
        (Does::Streams, "length limit exceeded"),
        (Does::Responds(200, large), "length limit exceeded"),
        (Does::Responds(200, many), "at most 100 keys, found 10000"),
        (
            Does::Responds(200, "<html>S3CRET".to_owned()),
            "expected a JWK set, found none (line 1",
        ),
        (Does::Responds(200, "[".repeat(100_000)), "expected a JWK set"),
        (Does::Responds(200, jwks([])), "found none among 0"),
        (
            Does::Responds(302, String::new()),
            "responded 302 Found; redirects are not followed",
        ),
        (Does::Responds(500, "S3CRET".to_owned()), "responded 500"),
        (Does::Refuses, "connection refused"),
    ] {
        let server = Server::default();
        server.does(JWKS, does);
        let verifier = server
            .verifier(&clock())
            .jwks_url(JWKS)
            .build()
            .expect("settings");
        let begun = tokio::time::Instant::now();
        let found = verify(&verifier, &P256.token()).await;
        assert!(
            found.contains(expected) && !found.contains("S3CRET"),
            "{expected}: {found}"
        );
        assert!(begun.elapsed() <= Duration::from_secs(10), "{expected}");
        assert_eq!(server.asked(), [JWKS]);
        assert!(verifier.fetch_keys().await.is_err());
    }
}

#[tokio::test]
async fn a_file_is_read_again() {
    let (directory, clock) = (tempfile::tempdir().expect("a directory"), clock());
    let path = directory.path().join("jwks.json");
    std::fs::write(&path, jwks([P256.jwk()])).expect("written");
    let verifier = JwtVerifier::builder(ISSUER)
        .audience(AUDIENCE)
        .jwks_file(&path)
        .clock(clock.clone())
        .build()
        .expect("settings");
    assert_eq!(verify(&verifier, &P256.token()).await, ALICE);
    std::fs::write(&path, jwks([RSA.jwk()])).expect("written");
    clock.advance(Duration::from_secs(10));
    assert_eq!(verify(&verifier, &RSA.token()).await, ALICE);
    assert_eq!(verify(&verifier, &P256.token()).await, "unknown token");
    std::fs::remove_file(&path).expect("removed");
    clock.advance(Duration::from_secs(300));
    let error = verifier.fetch_keys().await.expect_err("no file");
    assert!(
        error.cause().to_string().contains("jwks.json"),
        "{}",
        error.cause()
    );
    assert_eq!(verify(&verifier, &RSA.token()).await, ALICE);
}

#[test]
fn without_a_runtime_the_setting_is_named() {
    let verifier = Server::default()
        .verifier(&clock())
        .jwks_url(JWKS)
        .build()
        .expect("settings");
    let result = std::thread::spawn(move || futures_executor(verify(&verifier, &P256.token()))).join();
    assert!(result.expect("no panic").contains("expected to run on tokio"));
}

/// Polls a future that is ready.
fn futures_executor<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing here waits"),
    }
}

#[test]
fn urls_must_be_https_or_local() {
    for url in [
        "http://login.example.org/jwks",
        "ftp://login.example.org",
        "login.example.org",
        "",
    ] {
        let settings = || JwtVerifier::builder(url).audience(AUDIENCE);
        let error = settings().build().expect_err("no https").to_string();
        assert!(error.starts_with("issuer: expected an https URL"), "{error}");
        let error = settings()
            .jwks_url(url)
            .build()
            .expect_err("no https")
            .to_string();
        assert!(error.starts_with("jwks_url: expected an https URL"), "{error}");
    }
    assert!(
        JwtVerifier::builder("http://localhost:8080/realms/a")
            .audience(AUDIENCE)
            .build()
            .is_ok()
    );
    assert!(
        JwtVerifier::builder("https://login.example.org/?a")
            .audience(AUDIENCE)
            .build()
            .is_err()
    );
}

/// The ready client over real sockets.
#[tokio::test]
async fn the_ready_client_reads_keys_over_http_and_follows_no_redirect() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let issuer = format!("http://{}", listener.local_addr().expect("an address"));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (noted, base) = (Arc::clone(&asked), issuer.clone());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let (noted, base) = (Arc::clone(&noted), base.clone());
            let service = hyper_service_fn(move |request: Request<Incoming>| {
                let path = request.uri().path().to_owned();
                let (status, body) = match &*path {
                    "/.well-known/openid-configuration" => (
                        200,
                        json!({"issuer": base, "jwks_uri": format!("{base}/jwks")}).to_string(),
                    ),
                    "/jwks" => (200, jwks([P256.jwk()])),
                    _ => (307, String::new()),
                };
                noted.lock().expect("one at a time").push(path);
                let response = Response::builder().status(status).header("location", "/jwks");
                let response = response.body(Full::new(Bytes::from(body)));
                async move { response }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    let take = || std::mem::take(&mut *asked.lock().expect("one at a time"));
    let verifier = JwtVerifier::builder(&*issuer)
        .audience(AUDIENCE)
        .clock(clock())
        .build()
        .expect("settings");
    verifier.fetch_keys().await.expect("keys");
    assert_eq!(take(), ["/.well-known/openid-configuration", "/jwks"]);
    let token = P256.sign(&claims(json!({"iss": issuer})));
    assert_eq!(verify(&verifier, &token).await, ALICE);

    let moved = JwtVerifier::builder(&*issuer)
        .audience(AUDIENCE)
        .jwks_url(format!("{issuer}/moved"))
        .build()
        .expect("settings");
    let error = moved.fetch_keys().await.expect_err("a redirect");
    assert!(
        error.cause().to_string().contains("redirects are not followed"),
        "{}",
        error.cause()
    );
    assert_eq!(take(), ["/moved"]);
}

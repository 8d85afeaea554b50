//! A server of a hub, before a hub that is well, slow, odd or gone.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::body::{Body, Bytes, Frame};
use portcullis::{
    AuthLayer, Event, HubAuth, Reason, Secret, clock::UnixTime, hub_client::HubAuthBuilder,
    testing::TestClock,
};
use serde_json::{Value, json};
use tower::{Service, service_fn};

use crate::{
    common::{Answered, request, send},
    secret_scanner::{Canary, Sinks},
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

type HubBody = UnsyncBoxBody<Bytes, BoxError>;

/// What the hub does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Does {
    Answers(u16, Vec<u8>),
    AnswersAfter(Duration, u16, Vec<u8>),
    /// Sends its body forever.
    NeverEnds,
    /// Sends one byte of its body each second.
    Trickles,
    Hangs,
    Refuses,
}

/// A hub whose responses the test sets, and which records its requests.
#[derive(Clone, Debug)]
pub(crate) struct FakeHub(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    next: Mutex<VecDeque<Does>>,
    otherwise: Mutex<Does>,
    asked: Mutex<Vec<(String, String)>>,
    calls: AtomicUsize,
}

impl FakeHub {
    pub(crate) fn that(does: Does) -> Self {
        Self(Arc::new(Inner {
            next: Mutex::default(),
            otherwise: Mutex::new(does),
            asked: Mutex::default(),
            calls: AtomicUsize::default(),
        }))
    }

    pub(crate) fn now(&self, does: Does) {
        *self.0.otherwise.lock().expect("one at a time") = does;
    }

    pub(crate) fn does_next(&self, does: Does) {
        self.then(does);
    }

    /// The token of the last lookup.
    pub(crate) fn last_token(&self) -> Option<String> {
        let (_, seen) = self.asked().pop()?;
        seen.strip_prefix("token ").map(str::to_owned)
    }

    fn then(&self, does: Does) {
        self.0.next.lock().expect("one at a time").push_back(does);
    }

    pub(crate) fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    fn asked(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.0.asked.lock().expect("one at a time"))
    }

    pub(crate) fn client(
        &self,
    ) -> impl Service<Request<Full<Bytes>>, Response = Response<HubBody>, Error = BoxError, Future: Send>
    + Clone
    + Send
    + use<> {
        let hub = self.clone();
        service_fn(move |request: Request<Full<Bytes>>| {
            let hub = hub.clone();
            async move { hub.answer(request).await }
        })
    }

    async fn answer(&self, request: Request<Full<Bytes>>) -> Result<Response<HubBody>, BoxError> {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        let line = format!("{} {}", request.method(), request.uri());
        let field = request.headers().get("authorization");
        let mut seen = field.map_or(String::new(), |value| value.to_str().expect("ASCII").to_owned());
        let body = request.into_body().collect().await.expect("a body").to_bytes();
        seen.push_str(&String::from_utf8_lossy(&body));
        self.0.asked.lock().expect("one at a time").push((line, seen));
        let next = self.0.next.lock().expect("one at a time").pop_front();
        let does = next.unwrap_or_else(|| self.0.otherwise.lock().expect("one at a time").clone());
        let whole = |status: u16, body: Vec<u8>| {
            let body = Full::new(Bytes::from(body))
                .map_err(|never| match never {})
                .boxed_unsync();
            let response = Response::builder()
                .status(status)
                .header("location", "http://evil.example/");
            Ok(response.body(body).expect("a response"))
        };
        match does {
            Does::Answers(status, body) => whole(status, body),
            Does::AnswersAfter(delay, status, body) => {
                tokio::time::sleep(delay).await;
                whole(status, body)
            }
            Does::NeverEnds => Ok(Response::new(Endless.boxed_unsync())),
            Does::Trickles => Ok(Response::new(Slow::default().boxed_unsync())),
            Does::Hangs => std::future::pending().await,
            Does::Refuses => Err(io::Error::from(io::ErrorKind::ConnectionRefused).into()),
        }
    }
}

struct Endless;

impl Body for Endless {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        std::task::Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b' '; 4096])))))
    }
}

/// One byte each second.
#[derive(Default)]
struct Slow(Option<std::pin::Pin<Box<tokio::time::Sleep>>>);

impl Body for Slow {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let sleep = || Box::pin(tokio::time::sleep(Duration::from_secs(1)));
        let waiting = self.0.get_or_insert_with(sleep);
        std::task::ready!(std::future::Future::poll(waiting.as_mut(), context));
        self.0 = None;
        std::task::Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b" ")))))
    }
}

pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_795_000_000);

/// alice's server, at `/user/alice/`.
pub(crate) fn settings(hub: &FakeHub) -> HubAuthBuilder {
    settings_with(hub, "0123456789abcdef0123456789abcdef")
}

fn settings_with(hub: &FakeHub, token: &str) -> HubAuthBuilder {
    HubAuth::builder(Secret::from(token))
        .api_url("http://127.0.0.1:8081/hub/api")
        .base_url("/user/alice/".parse().expect("a base"))
        .client_id("jupyterhub-user-alice")
        .access_scopes(["access:servers!server=alice/", "access:servers!user=alice"])
        .http_client(hub.client())
}

pub(crate) fn hub_layer(settings: HubAuthBuilder, clock: &TestClock) -> AuthLayer {
    let hub = settings.build().expect("settings");
    AuthLayer::builder()
        .hub(hub)
        .clock(clock.clone())
        .build()
        .expect("a layer")
}

pub(crate) fn user(name: &str, scopes: &[&str]) -> Does {
    Does::Answers(
        200,
        json!({ "kind": "user", "name": name, "scopes": scopes })
            .to_string()
            .into_bytes(),
    )
}

pub(crate) fn alice() -> Does {
    user("alice", &["access:servers!user=alice"])
}

pub(crate) async fn by_token(layer: &AuthLayer, token: &str, more: &str) -> Answered {
    send(
        layer,
        request(&format!(
            "GET /user/alice/api/contents\nauthorization: token {token}\n{more}"
        )),
    )
    .await
}

#[tokio::test]
async fn only_a_clear_yes_is_accepted_and_only_403_is_a_no() {
    let model = |fields: Value| Does::Answers(200, fields.to_string().into_bytes());
    let no_answer = |does: Does| (does, 502);
    for (does, status) in [
        (alice(), 200),
        (
            model(json!({ "kind": "service", "name": "s", "scopes": ["access:servers"], "more": 1 })),
            200,
        ),
        (
            Does::Answers(403, b"{\"status\": 403, \"message\": null}".to_vec()),
            403,
        ),
        (Does::Answers(403, b"<html>".to_vec()), 403),
        (
            user(
                "bob",
                &[
                    "access:servers!user=bob",
                    "access:servers!group=g",
                    "access:servers!",
                ],
            ),
            403,
        ),
        (user("bob", &[]), 403),
        no_answer(Does::Refuses),
        no_answer(Does::NeverEnds),
        no_answer(Does::Answers(200, b"not json".to_vec())),
        no_answer(Does::Answers(
            200,
            b"<html><title>Log in to the network</title></html>".to_vec(),
        )),
        no_answer(Does::Answers(
            200,
            b"{\"kind\": \"user\", \"name\": \"alice\", \"scopes\": [\"access:serv".to_vec(),
        )),
        no_answer(Does::Answers(200, vec![])),
        no_answer(Does::Answers(200, b"null".to_vec())),
        no_answer(Does::Answers(
            200,
            b"[\"user\", \"alice\", [\"access:servers\"]]".to_vec(),
        )),
        no_answer(Does::Answers(
            200,
            b"{\"kind\":\"user\",\"name\":\"bob\",\"name\":\"alice\",\"scopes\":[\"access:servers\"]}"
                .to_vec(),
        )),
        no_answer(model(json!({ "kind": "user", "name": "alice" }))),
        no_answer(model(
            json!({ "kind": "user", "name": "", "scopes": ["access:servers"] }),
        )),
        no_answer(model(
            json!({ "kind": "user", "name": "a\nb", "scopes": ["access:servers"] }),
        )),
        no_answer(model(
            json!({ "kind": "user", "name": 5, "scopes": ["access:servers"] }),
        )),
        no_answer(model(
            json!({ "kind": "admin", "name": "alice", "scopes": ["access:servers"] }),
        )),
        no_answer(model(
            json!({ "kind": "user", "name": "alice", "scopes": "access:servers" }),
        )),
    ]
    .into_iter()
    .chain(
        [
            201, 204, 301, 302, 304, 400, 401, 404, 405, 429, 500, 502, 503, 599,
        ]
        .map(|status| {
            let body = json!({ "kind": "user", "name": "alice", "scopes": ["access:servers"] });
            no_answer(Does::Answers(status, body.to_string().into_bytes()))
        }),
    ) {
        let hub = FakeHub::that(does.clone());
        let layer = hub_layer(settings(&hub), &TestClock::new(NOW));
        let answer = by_token(&layer, "t", "").await;
        assert_eq!(answer.status, status, "{does:?}: {answer:?}");
        assert_eq!(
            answer.status == 502,
            !answer.header("retry-after").is_empty(),
            "{does:?}"
        );
        // A token is never sent on to where an answer points.
        assert_eq!(hub.calls(), 1, "{does:?}");
        assert_eq!(
            hub.asked(),
            [(
                "GET http://127.0.0.1:8081/hub/api/user".to_owned(),
                "token t".to_owned()
            )]
        );
        let page = send(
            &layer,
            request("GET /user/alice/\nauthorization: token t\naccept: text/html"),
        )
        .await;
        let expected = match status {
            // No user: to the login. A user without access: 403, because a login would lead here again.
            403 if answer.text.contains("access") => 403,
            403 => 302,
            502 => 503,
            status => status,
        };
        assert_eq!(page.status, expected, "{does:?}: {page:?}");
    }
}

// The runtime's time passes as fast as nothing else is to be done.
#[tokio::test(start_paused = true)]
async fn a_hub_has_five_seconds() {
    let late = json!({ "kind": "user", "name": "alice", "scopes": ["access:servers"] }).to_string();
    let asked = tokio::time::Instant::now();
    let asking = [
        Does::Hangs,
        Does::Trickles,
        Does::AnswersAfter(Duration::from_secs(6), 200, late.into_bytes()),
    ]
    .map(|does| {
        let layer = hub_layer(settings(&FakeHub::that(does)), &TestClock::new(NOW));
        tokio::spawn(async move { by_token(&layer, "t", "").await.status })
    });
    for answer in asking {
        assert_eq!(answer.await.expect("no panic"), 502);
    }
    assert!(
        (5..6).contains(&asked.elapsed().as_secs()),
        "{:?}",
        asked.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_code_has_five_seconds_body_included() {
    for does in [Does::Hangs, Does::Trickles] {
        let hub = FakeHub::that(does);
        let layer = hub_layer(settings(&hub), &TestClock::new(NOW));
        let mut browser = Browser::default();
        let state = state(&browser.open(&layer, "/user/alice/").await);
        let asked = tokio::time::Instant::now();
        let target = format!("/user/alice/oauth_callback?code=c&state={state}");
        assert_eq!(browser.open(&layer, &target).await.status, 503);
        assert_eq!(asked.elapsed().as_secs(), 5);
    }
}

#[tokio::test]
async fn no_identity_comes_out_of_ten_thousand_changed_answers() {
    let good = json!({ "kind": "user", "name": "alice", "scopes": ["access:servers!user=alice"], "groups": [], "admin": false });
    let good = good.to_string().into_bytes();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let clock = TestClock::new(NOW);
    let hub = FakeHub::that(Does::Hangs);
    let layer = hub_layer(settings(&hub), &clock);
    let (mut unavailable, mut accepted) = (0, 0);
    for number in 0..10_000 {
        let mut body = good.clone();
        for _ in 0..=random(3) {
            let place = random(body.len());
            match random(5) {
                0 => body.truncate(place.max(1)),
                1 => body[place] = random(256) as u8,
                2 => drop(body.remove(place)),
                3 => body.insert(place, b"{}[]\",:\\0ae "[random(12)]),
                _ => body.rotate_left(place),
            }
            body.resize(body.len().max(1), b' ');
        }
        let status = [200, 200, 200, 200, 201, 302, 401, 500][random(8)];
        hub.now(Does::Answers(status, body.clone()));
        // The circuit closes between them.
        clock.advance(Duration::from_secs(6));
        let answer = by_token(&layer, &format!("t{number}"), "").await;
        let model: Option<Value> = serde_json::from_slice(&body).ok().filter(|_| status == 200);
        let clear = model.filter(|model| {
            let scopes = model["scopes"].as_array();
            model.is_object()
                && (model["kind"] == "user" || model["kind"] == "service")
                && model["name"].as_str().is_some_and(|name| !name.is_empty())
                && scopes.is_some_and(|scopes| scopes.iter().all(Value::is_string))
        });
        match answer.status.as_u16() {
            200 => {
                let model = clear.unwrap_or_else(|| panic!("{status} {}", body.escape_ascii()));
                let scopes = model["scopes"].as_array().expect("a list");
                assert!(scopes.contains(&"access:servers!user=alice".into()), "{model}");
                assert!(answer.text.starts_with(model["name"].as_str().expect("a name")));
                accepted += 1;
            }
            403 => assert!(
                clear.is_some() && answer.text.contains("does not have access"),
                "{answer:?}"
            ),
            502 => unavailable += 1,
            other => panic!("{other} for {status} {}", body.escape_ascii()),
        }
    }
    assert!(
        unavailable > 5_000 && accepted > 50,
        "{unavailable} no answers, {accepted} accepted under another name"
    );
}

#[tokio::test]
async fn a_thousand_requests_with_one_token_need_one_lookup() {
    let body = json!({ "kind": "user", "name": "alice", "scopes": ["access:servers"] }).to_string();
    let hub = FakeHub::that(alice());
    let clock = TestClock::new(NOW);
    let layer = hub_layer(settings(&hub), &clock);
    assert_eq!(by_token(&layer, "t", "").await.status, 200);
    clock.advance(Duration::from_secs(301));
    hub.now(Does::AnswersAfter(
        Duration::from_millis(100),
        200,
        body.into_bytes(),
    ));
    let asking: Vec<_> = (0..1_000)
        .map(|_| {
            let layer = layer.clone();
            tokio::spawn(async move { by_token(&layer, "t", "").await.status })
        })
        .collect();
    for asked in asking {
        assert_eq!(asked.await.expect("no panic"), 200);
    }
    assert_eq!(hub.calls(), 2, "one before the entry ended, and one after");
}

#[tokio::test]
async fn the_first_client_of_a_lookup_may_disconnect() {
    let body = json!({ "kind": "user", "name": "alice", "scopes": ["access:servers"] }).to_string();
    let hub = FakeHub::that(Does::AnswersAfter(
        Duration::from_millis(50),
        200,
        body.into_bytes(),
    ));
    let layer = hub_layer(settings(&hub), &TestClock::new(NOW));
    let gone = tokio::time::timeout(Duration::from_millis(10), by_token(&layer, "t", "")).await;
    assert!(gone.is_err());
    assert_eq!(by_token(&layer, "t", "").await.status, 200);
    assert_eq!(hub.calls(), 1);
}

#[tokio::test]
async fn answers_are_kept_for_token_and_session_as_long_as_they_are_good() {
    let no = || Does::Answers(403, vec![]);
    let hub = FakeHub::that(alice());
    let clock = TestClock::new(NOW);
    let layer = hub_layer(settings(&hub), &clock);
    let session = "cookie: jupyterhub-session-id=0123456789abcdef0123456789abcdef";
    for (claim, does, passes, more, status, calls) in [
        ("looked up", alice(), 0, session, 200, 1),
        ("kept, whatever the hub says now", no(), 299, session, 200, 0),
        (
            "another session, another answer",
            no(),
            0,
            "cookie: jupyterhub-session-id=x",
            403,
            1,
        ),
        (
            "a refusal is kept",
            alice(),
            4,
            "cookie: jupyterhub-session-id=x",
            403,
            0,
        ),
        (
            "for five seconds",
            alice(),
            1,
            "cookie: jupyterhub-session-id=x",
            200,
            1,
        ),
        ("no session is one of its own", no(), 0, "", 403, 1),
        ("an answer ends, used or not", no(), 0, session, 403, 1),
        (
            "two sessions are neither of them",
            alice(),
            6,
            "cookie: jupyterhub-session-id=x; jupyterhub-session-id=y",
            200,
            1,
        ),
        (
            "in whatever order",
            no(),
            0,
            "cookie: jupyterhub-session-id=y; jupyterhub-session-id=x",
            200,
            0,
        ),
    ] {
        hub.now(does);
        clock.advance(Duration::from_secs(passes));
        let before = hub.calls();
        assert_eq!(by_token(&layer, "t", more).await.status, status, "{claim}");
        assert_eq!(hub.calls() - before, calls, "{claim}");
    }
}

#[tokio::test]
async fn a_hub_that_is_gone_is_left_alone_and_those_it_knew_stay() {
    let hub = FakeHub::that(alice());
    let clock = TestClock::new(NOW);
    let layer = hub_layer(settings(&hub), &clock);
    assert_eq!(by_token(&layer, "known", "").await.status, 200);
    hub.now(Does::Refuses);
    let before = hub.calls();
    for number in 0..20 {
        let answer = by_token(&layer, &format!("t{number}"), "").await;
        assert_eq!(answer.status, 502);
        assert!(answer.set_cookies().is_empty());
    }
    assert_eq!(hub.calls() - before, 5, "after five failures no request is sent");
    clock.advance(Duration::from_secs(5));
    assert_eq!(by_token(&layer, "t", "").await.status, 502);
    assert_eq!(by_token(&layer, "t", "").await.status, 502);
    assert_eq!(hub.calls() - before, 6, "one probe");
    assert_eq!(by_token(&layer, "known", "").await.status, 200);
    hub.now(alice());
    clock.advance(Duration::from_secs(5));
    assert_eq!(
        by_token(&layer, "t", "").await.status,
        200,
        "the next probe closes the circuit"
    );
    assert_eq!(by_token(&layer, "u", "").await.status, 200);
}

#[tokio::test]
async fn at_most_thirty_two_lookups_of_unknown_tokens_run_at_once() {
    let hub = FakeHub::that(Does::Hangs);
    let layer = hub_layer(settings(&hub), &TestClock::new(NOW));
    let asking: Vec<_> = (0..100)
        .map(|number| {
            let layer = layer.clone();
            tokio::spawn(async move { by_token(&layer, &format!("t{number}"), "").await.status })
        })
        .collect();
    for asked in asking {
        assert_eq!(asked.await.expect("no panic"), 502);
    }
    assert_eq!(hub.calls(), 32);
}

/// A browser: its cookies, by name.
#[derive(Clone, Default)]
pub(crate) struct Browser(pub(crate) Vec<(String, String)>);

impl Browser {
    pub(crate) async fn open(&mut self, layer: &AuthLayer, target: &str) -> Answered {
        let line: Vec<_> = self
            .0
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let cookies = if line.is_empty() {
            String::new()
        } else {
            format!("cookie: {}", line.join("; "))
        };
        let answer = send(
            layer,
            request(&format!("GET {target}\naccept: text/html\n{cookies}")),
        )
        .await;
        for line in answer.set_cookies() {
            let (pair, attributes) = line.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a pair");
            self.0.retain(|(kept, _)| kept != name);
            if !attributes.contains("Max-Age=0") {
                self.0.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }

    fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// The parameter `state` of a redirect to the hub.
#[track_caller]
pub(crate) fn state(answer: &Answered) -> String {
    assert_eq!(answer.status, 302, "{answer:?}");
    let location = answer.header("location");
    assert!(location.starts_with("/hub/api/oauth2/authorize?"), "{location}");
    let (_, state) = location.split_once("&state=").expect("a state");
    state.to_owned()
}

fn gives_a_token(hub: &FakeHub) {
    gives(hub, "B1SRtkF5j4MQzcHB1TqbUH1QO2MKj4");
}

/// The hub's next answer is the token for a code.
pub(crate) fn gives(hub: &FakeHub, token: &str) {
    let answer = json!({ "access_token": token, "expires_in": 1_209_600, "token_type": "Bearer" });
    hub.then(Does::Answers(200, answer.to_string().into_bytes()));
}

#[tokio::test]
async fn a_login_cookie_ends_with_the_token_of_the_hub() {
    let clock = TestClock::new(NOW);
    for (unavailable, expected) in [
        (json!(3_600), 3_600),
        (json!(0), 1_209_600),
        (json!(null), 1_209_600),
        (json!(99_000_000), 1_209_600),
    ] {
        let hub = FakeHub::that(alice());
        let layer = hub_layer(settings(&hub), &clock);
        let mut browser = Browser::default();
        let state = state(&browser.open(&layer, "/user/alice/").await);
        let answer = json!({ "access_token": "abc", "expires_in": unavailable, "token_type": "Bearer" });
        hub.then(Does::Answers(200, answer.to_string().into_bytes()));
        let target = format!("/user/alice/oauth_callback?code=c0de&state={state}");
        let line = browser.open(&layer, &target).await.set_cookies().swap_remove(0);
        assert!(
            line.contains(&format!("Max-Age={expected}")),
            "{unavailable}: {line}"
        );
    }
}

#[tokio::test]
async fn a_login_goes_to_the_hub_and_back_to_the_page() {
    let hub = FakeHub::that(alice());
    let clock = TestClock::new(NOW);
    let layer = hub_layer(settings(&hub), &clock);
    let mut browser = Browser::default();
    let state = state(
        &browser
            .open(&layer, "/user/alice/files/a%20b?x=1&token=abc")
            .await,
    );
    assert_eq!(browser.names(), ["jupyterhub-user-alice-oauth-state"]);

    // The server is restarted meanwhile, with the same environment.
    let layer = hub_layer(settings(&hub), &clock);
    clock.advance(Duration::from_secs(600));
    gives_a_token(&hub);
    let back = browser
        .open(
            &layer,
            &format!("/user/alice/oauth_callback?code=c0de&state={state}"),
        )
        .await;
    assert_eq!(
        (back.status.as_u16(), back.header("location")),
        (302, "/user/alice/files/a%20b?x=1"),
        "{back:?}"
    );
    assert!(
        back.set_cookies()[0].starts_with("jupyterhub-user-alice="),
        "the session comes first"
    );
    assert_eq!(browser.names(), ["jupyterhub-user-alice", "_xsrf"]);
    let (_, value) = &browser.0[0];
    assert!(
        !value.contains("B1SRtk") && !value.contains("QjFTUn"),
        "the token is encrypted: {value}"
    );

    let asked = hub.asked();
    let (line, form) = &asked[0];
    assert_eq!(line, "POST http://127.0.0.1:8081/hub/api/oauth2/token");
    assert!(
        form.starts_with(
            "client_id=jupyterhub-user-alice&client_secret=0123456789abcdef0123456789abcdef&grant_type=authorization_code&code=c0de&redirect_uri=%2Fuser%2Falice%2Foauth_callback&code_verifier="
        ),
        "{form}"
    );
    assert_eq!(asked[1].1, "token B1SRtkF5j4MQzcHB1TqbUH1QO2MKj4");

    let calls = hub.calls();
    let page = browser.open(&layer, "/user/alice/").await;
    assert_eq!(
        (page.status.as_u16(), page.text.as_str()),
        (200, "alice by Cookie")
    );
    assert_eq!(hub.calls(), calls, "what the login learnt is remembered");
    // The same response of the hub again: the browser is logged in, so there is nothing to deny.
    let again = browser
        .open(
            &layer,
            &format!("/user/alice/oauth_callback?code=c0de&state={state}"),
        )
        .await;
    assert_eq!(
        (again.status.as_u16(), again.header("location")),
        (302, "/user/alice/")
    );

    let out = browser.open(&layer, "/user/alice/logout").await;
    assert_eq!(
        (out.status.as_u16(), out.header("location")),
        (302, "/hub/logout")
    );
    assert_eq!(browser.names(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_login_that_took_too_long_starts_over_once() {
    let hub = FakeHub::that(alice());
    let clock = TestClock::new(NOW);
    let layer = hub_layer(settings(&hub), &clock);
    let mut browser = Browser::default();
    let first = state(&browser.open(&layer, "/user/alice/page").await);
    clock.advance(Duration::from_secs(601));
    // The browser dropped the cookie by itself.
    browser.0.clear();
    let again = browser
        .open(
            &layer,
            &format!("/user/alice/oauth_callback?code=c&state={first}"),
        )
        .await;
    let second = state(&again);
    assert_ne!(first, second);
    let mut quick = browser.clone();
    gives_a_token(&hub);
    let back = quick
        .open(
            &layer,
            &format!("/user/alice/oauth_callback?code=c&state={second}"),
        )
        .await;
    assert_eq!(
        (back.status.as_u16(), back.header("location")),
        (302, "/user/alice/")
    );
    clock.advance(Duration::from_secs(601));
    let calls = hub.calls();
    let over = browser
        .open(
            &layer,
            &format!("/user/alice/oauth_callback?code=c&state={second}"),
        )
        .await;
    assert_eq!(over.status, 403, "{over:?}");
    clock.advance(Duration::from_secs(24 * 3600));
    let forgotten = browser
        .open(
            &layer,
            &format!("/user/alice/oauth_callback?code=c&state={first}"),
        )
        .await;
    assert_eq!(forgotten.status, 403, "{forgotten:?}");
    assert_eq!(hub.calls(), calls, "no code was sent");
}

#[tokio::test]
async fn a_state_of_another_browser_is_rejected() {
    let hub = FakeHub::that(alice());
    let clock = TestClock::new(NOW);
    let layer = hub_layer(settings(&hub), &clock);
    let mut mallory = Browser::default();
    let other_state = state(&mallory.open(&layer, "/user/alice/").await);
    let mut victim = Browser::default();
    let own = state(&victim.open(&layer, "/user/alice/").await);
    let another = hub_layer(settings(&hub).client_id("jupyterhub-user-alice-two"), &clock);
    let elsewhere = state(&Browser::default().open(&another, "/user/alice/").await);
    let mut changed = own.clone().into_bytes();
    let last = changed.len() / 2;
    changed[last] ^= 1;
    let changed = String::from_utf8(changed).expect("ASCII");
    for (query, status) in [
        (format!("code=c&state={other_state}"), 403),
        (format!("code=c&state={elsewhere}"), 403),
        (format!("code=c&state={changed}"), 403),
        ("code=c&state=NgFnR4Y0ETU_7eEK9kXeyQ".to_owned(), 403),
        (format!("code=c&state={own}&state={own}"), 400),
        (format!("code=c&code=d&state={own}"), 400),
        (format!("state={own}"), 400),
        ("code=c".to_owned(), 400),
        (format!("code=%ff&state={own}"), 400),
        (
            format!("error=access_denied&error_description=%3Cscript%3E&state={own}"),
            400,
        ),
        (String::new(), 400),
    ] {
        let answer = victim
            .open(&layer, &format!("/user/alice/oauth_callback?{query}"))
            .await;
        assert_eq!(answer.status, status, "{query}: {answer:?}");
        assert!(!answer.text.contains("<script>"), "{}", answer.text);
        assert!(answer.header("location").is_empty(), "never a loop: {query}");
    }
    assert_eq!(hub.calls(), 0, "the hub gets no request for any of them");
    let posted = send(
        &layer,
        request("POST /user/alice/oauth_callback\ncontent-type: application/x-www-form-urlencoded"),
    )
    .await;
    assert_eq!(posted.status, 405);
    let head = send(
        &layer,
        request(&format!("HEAD /user/alice/oauth_callback?code=c&state={own}")),
    )
    .await;
    assert_eq!(head.status, 405);
}

#[tokio::test]
async fn many_tabs_log_in_at_once_and_eight_are_remembered() {
    let hub = FakeHub::that(alice());
    let layer = hub_layer(settings(&hub), &TestClock::new(NOW));
    let mut browser = Browser::default();
    let mut states = Vec::new();
    for tab in 0..20 {
        states.push(state(&browser.open(&layer, &format!("/user/alice/{tab}")).await));
        assert_eq!(browser.0.len(), (tab + 1).min(8));
    }
    let names = browser.names();
    assert!(
        names
            .iter()
            .all(|name| name.starts_with("jupyterhub-user-alice-oauth-state")),
        "{names:?}"
    );
    for (tab, state) in states.iter().enumerate().rev() {
        let kept = browser
            .0
            .iter()
            .filter(|(name, _)| name.contains("oauth-state"))
            .count();
        gives_a_token(&hub);
        let back = browser
            .open(
                &layer,
                &format!("/user/alice/oauth_callback?code=c&state={state}"),
            )
            .await;
        assert_eq!(back.status, 302);
        let expected = if kept > 0 {
            format!("/user/alice/{tab}")
        } else {
            "/user/alice/".to_owned()
        };
        // Of one second, which were dropped is chance.
        assert!(
            [expected.as_str(), "/user/alice/"].contains(&back.header("location")),
            "{tab}"
        );
    }
    assert_eq!(
        browser
            .names()
            .iter()
            .filter(|name| name.contains("oauth-state"))
            .count(),
        0
    );
    let mut long = Browser::default();
    let target = format!("/user/alice/{}", "x".repeat(1_100));
    let begun = state(&long.open(&layer, &target).await);
    hub.0.next.lock().expect("one at a time").clear();
    gives_a_token(&hub);
    let back = long
        .open(
            &layer,
            &format!("/user/alice/oauth_callback?code=c&state={begun}"),
        )
        .await;
    assert_eq!(
        back.header("location"),
        "/user/alice/",
        "a target that is too long is dropped"
    );
}

#[tokio::test]
async fn the_hubs_answer_to_a_code_is_shown() {
    let error = |text: &str| text.as_bytes().to_vec();
    for (first, second, status) in [
        (
            Does::Answers(400, error(r#"{"error": "invalid_grant"}"#)),
            None,
            403,
        ),
        (
            Does::Answers(
                400,
                error(r#"{"error": "invalid_request", "error_description": "Code verifier required."}"#),
            ),
            None,
            403,
        ),
        (
            Does::Answers(401, error(r#"{"error": "invalid_client"}"#)),
            None,
            403,
        ),
        (Does::Answers(400, error("plain")), None, 503),
        (Does::Answers(403, vec![]), None, 503),
        (Does::Answers(500, vec![]), None, 503),
        (Does::Answers(302, vec![]), None, 503),
        (Does::Answers(200, error("{}")), None, 403),
        (Does::Answers(200, error(r#"{"access_token": "a b"}"#)), None, 403),
        (
            Does::Answers(200, error(r#"{"access_token": "abc", "token_type": "mac"}"#)),
            None,
            403,
        ),
        (Does::Refuses, None, 503),
        (
            Does::Answers(200, error(r#"{"access_token": "abc"}"#)),
            Some(Does::Answers(403, vec![])),
            403,
        ),
        (
            Does::Answers(200, error(r#"{"access_token": "abc"}"#)),
            Some(user("bob", &[])),
            403,
        ),
        (
            Does::Answers(200, error(r#"{"access_token": "abc"}"#)),
            Some(Does::Refuses),
            503,
        ),
        (
            Does::Answers(200, error(r#"{"access_token": "abc"}"#)),
            Some(alice()),
            302,
        ),
    ] {
        let hub = FakeHub::that(second.clone().unwrap_or(Does::Refuses));
        let layer = hub_layer(settings(&hub), &TestClock::new(NOW));
        let mut browser = Browser::default();
        let state = state(&browser.open(&layer, "/user/alice/").await);
        hub.then(first.clone());
        let back = browser
            .open(
                &layer,
                &format!("/user/alice/oauth_callback?code=c&state={state}"),
            )
            .await;
        assert_eq!(back.status, status, "{first:?} {second:?}: {back:?}");
        let logged_in = browser.names().contains(&"jupyterhub-user-alice");
        assert_eq!(logged_in, status == 302, "{first:?} {second:?}");
        assert_eq!(status == 503, !back.header("retry-after").is_empty());
    }
}

#[tokio::test]
async fn a_cookie_that_the_hub_no_longer_knows_is_removed_and_one_without_an_answer_is_kept() {
    let hub = FakeHub::that(alice());
    let clock = TestClock::new(NOW);
    let layer = hub_layer(settings(&hub), &clock);
    let mut browser = Browser::default();
    let begun = state(&browser.open(&layer, "/user/alice/").await);
    gives_a_token(&hub);
    browser
        .open(
            &layer,
            &format!("/user/alice/oauth_callback?code=c&state={begun}"),
        )
        .await;
    clock.advance(Duration::from_secs(301));
    hub.now(Does::Answers(500, vec![]));
    let down = browser.open(&layer, "/user/alice/").await;
    assert_eq!(down.status, 503, "{down:?}");
    assert!(browser.names().contains(&"jupyterhub-user-alice"));
    hub.now(Does::Answers(403, vec![]));
    let gone = browser.open(&layer, "/user/alice/").await;
    state(&gone);
    assert!(
        !browser.names().contains(&"jupyterhub-user-alice"),
        "{:?}",
        browser.names()
    );
}

#[tokio::test]
async fn a_token_in_the_url_is_kept_only_where_it_is_allowed_and_a_page_is_opened() {
    let foreign = "sec-fetch-site: cross-site\norigin: http://evil.example";
    for (allowed, more, status, kept) in [
        (false, "accept: text/html", 302, false),
        (false, "sec-fetch-mode: websocket", 200, false),
        (false, "accept: text/html\nsec-fetch-mode: websocket", 200, false),
        (
            false,
            &format!("sec-fetch-mode: websocket\n{foreign}"),
            200,
            false,
        ),
        (true, "accept: text/html", 303, true),
        (true, "accept: text/html\nsec-fetch-mode: navigate", 303, true),
        (true, "accept: text/html\nsec-fetch-mode: cors", 200, false),
        (true, "accept: text/html\nsec-fetch-mode: no-cors", 200, false),
        (true, "accept: application/json", 200, false),
        (true, "", 200, false),
        (true, "sec-fetch-mode: websocket", 200, false),
        (true, &format!("sec-fetch-mode: websocket\n{foreign}"), 200, false),
        // A browser without Fetch Metadata.
        (true, "upgrade: websocket\nconnection: upgrade", 200, false),
    ] {
        let hub = FakeHub::that(alice());
        let settings = if allowed {
            settings(&hub).allow_token_in_url()
        } else {
            settings(&hub)
        };
        let layer = hub_layer(settings, &TestClock::new(NOW));
        let by = format!("GET /user/alice/x?token=abc\n{more}");
        let answer = send(&layer, request(&by)).await;
        assert_eq!(answer.status, status, "{allowed} {more}: {answer:?}");
        let mut lines = answer.set_cookies().into_iter();
        let cookie = lines.find(|line| line.starts_with("jupyterhub-user-alice="));
        assert_eq!(cookie.is_some(), kept, "{allowed} {more}: {answer:?}");
        if kept {
            let pair = answer.cookie("jupyterhub-user-alice");
            let page = send(&layer, request(&format!("GET /user/alice/x\ncookie: {pair}"))).await;
            assert_eq!(page.text, "alice by Cookie");
        }
    }
}

#[test]
fn what_the_environment_lacks_is_named() {
    let base = [
        ("JUPYTERHUB_API_TOKEN", "0123456789abcdef0123456789abcdef"),
        ("JUPYTERHUB_API_URL", "http://127.0.0.1:8081/hub/api"),
        ("JUPYTERHUB_BASE_URL", "/"),
        ("JUPYTERHUB_CLIENT_ID", "jupyterhub-user-alice"),
        (
            "JUPYTERHUB_OAUTH_ACCESS_SCOPES",
            "[\"access:servers!user=alice\"]",
        ),
        ("JUPYTERHUB_OAUTH_CALLBACK_URL", "/user/alice/oauth_callback"),
        ("JUPYTERHUB_SERVICE_PREFIX", "/user/alice/"),
    ];
    let with = |name: &str, value: Option<&str>| {
        HubAuth::builder_from_vars(&|asked| match value {
            _ if asked == name => value.map(str::to_owned),
            _ => base
                .iter()
                .find(|(known, _)| *known == asked)
                .map(|(_, value)| (*value).to_owned()),
        })
        .and_then(HubAuthBuilder::build)
    };
    assert!(with("", None).is_ok());
    for (name, value) in [
        ("JUPYTERHUB_API_TOKEN", None),
        ("JUPYTERHUB_API_TOKEN", Some("")),
        ("JUPYTERHUB_API_TOKEN", Some("two words")),
        ("JUPYTERHUB_API_URL", None),
        ("JUPYTERHUB_API_URL", Some("127.0.0.1:8081")),
        ("JUPYTERHUB_API_URL", Some("ftp://127.0.0.1/hub/api")),
        ("JUPYTERHUB_API_URL", Some("http:///hub/api")),
        ("JUPYTERHUB_BASE_URL", Some("/a//b/")),
        ("JUPYTERHUB_CLIENT_ID", None),
        ("JUPYTERHUB_CLIENT_ID", Some("a;b")),
        ("JUPYTERHUB_OAUTH_ACCESS_SCOPES", None),
        ("JUPYTERHUB_OAUTH_ACCESS_SCOPES", Some("access:servers")),
        ("JUPYTERHUB_OAUTH_ACCESS_SCOPES", Some("[]")),
        ("JUPYTERHUB_OAUTH_ACCESS_SCOPES", Some("[1]")),
        (
            "JUPYTERHUB_OAUTH_ACCESS_SCOPES",
            Some("[\"access:servers!user=\"]"),
        ),
        ("JUPYTERHUB_OAUTH_CALLBACK_URL", Some("/elsewhere")),
        ("JUPYTERHUB_SERVICE_PREFIX", None),
        ("JUPYTERHUB_SERVICE_PREFIX", Some("/user/../")),
        ("JUPYTERHUB_HOST", Some("hub.example")),
        ("JUPYTERHUB_PUBLIC_URL", Some("//hub.example/")),
        ("JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED", Some("perhaps")),
        ("JUPYTERHUB_COOKIE_OPTIONS", Some("[]")),
        ("JUPYTERHUB_COOKIE_OPTIONS", Some("{\"SameSite\": \"sometimes\"}")),
        ("JUPYTERHUB_COOKIE_OPTIONS", Some("{\"path\": \"/evil/\"}")),
        ("JUPYTERHUB_ACTIVITY_URL", Some("/hub/api")),
        ("JUPYTERHUB_ACTIVITY_INTERVAL", Some("-1")),
        ("JUPYTERHUB_ACTIVITY_INTERVAL", Some("soon")),
    ] {
        let error = with(name, value).expect_err(name);
        assert_eq!(error.setting(), name, "{value:?}: {error}");
        assert!(!error.to_string().contains("0123456789abcdef"));
    }
    let empty = with("JUPYTERHUB_HOST", Some(" "));
    assert!(
        empty.is_ok(),
        "a hub sets to nothing what it has nothing to say of"
    );
}

#[tokio::test]
async fn a_public_origin_is_the_only_host_in_addition_to_addresses() {
    let hub = FakeHub::that(alice());
    let settings = settings(&hub).public_origin("https://hub.example".parse().expect("an origin"));
    let layer = hub_layer(settings, &TestClock::new(NOW));
    for (host, status) in [
        ("hub.example", 200),
        ("127.0.0.1:4711", 200),
        ("localhost:4711", 200),
        ("evil.example", 403),
    ] {
        let answer = send(
            &layer,
            request(&format!(
                "GET /user/alice/api\nhost: {host}\nauthorization: token t"
            )),
        )
        .await;
        assert_eq!(answer.status, status, "{host}: {answer:?}");
    }
    let refused = send(&layer, request("GET /user/alice/\nhost: evil.example")).await;
    crate::common::refused_for(&refused, 403, Reason::DisallowedHost);
}

#[test]
fn nothing_of_a_hub_shows_its_token() {
    let settings = settings(&FakeHub::that(Does::Hangs));
    let shown = format!("{settings:?}");
    let shown = format!("{shown} {:?}", settings.build().expect("settings"));
    assert!(!shown.contains("0123456789abcdef"), "{shown}");
}

/// The secrets that pass through a hub's server: its own token, that of a program, the code of a login and its token.
#[tokio::test]
async fn no_secret_of_a_login_or_a_token_is_leaked_whatever_the_hub_does() {
    let [own, sent, code, issued] = ["own", "sent", "code", "issued"].map(Canary::new);
    let sinks = Sinks::default();
    let given = json!({ "access_token": issued.text(), "token_type": "Bearer" }).to_string();
    let echo = format!("{} {} {} {}", own.text(), sent.text(), code.text(), issued.text()).into_bytes();
    for does in [
        alice(),
        user("bob", &[]),
        Does::Answers(403, echo.clone()),
        Does::Answers(400, echo.clone()),
        Does::Answers(200, echo),
        Does::Refuses,
    ] {
        let hub = FakeHub::that(does);
        let settings = settings_with(&hub, own.text()).allow_token_in_url();
        sinks.debug("Debug", &settings);
        let auth = settings.build().expect("settings");
        sinks.debug("Debug", &auth);
        let log = sinks.clone();
        let layer = AuthLayer::builder()
            .hub(auth)
            .clock(TestClock::new(NOW))
            .observer(move |event: &Event<'_>| log.debug("event", event))
            .build()
            .expect("a layer");
        sinks.debug("Debug", &layer);
        let mut browser = Browser::default();
        let state = state(&browser.open(&layer, "/user/alice/").await);
        hub.does_next(Does::Answers(200, given.clone().into_bytes()));
        let back = format!("/user/alice/oauth_callback?code={}&state={state}", code.text());
        for answer in [
            by_token(&layer, sent.text(), "").await,
            by_token(&layer, sent.text(), "accept: text/html").await,
            send(
                &layer,
                request(&format!("GET /user/alice/x?token={}", sent.text())),
            )
            .await,
            browser.open(&layer, &back).await,
            browser.open(&layer, "/user/alice/").await,
            browser.open(&layer, "/user/alice/logout").await,
        ] {
            sinks.debug("answer", &answer);
        }
    }
    for canary in [&own, &sent, &code, &issued] {
        assert_eq!(sinks.leaks_of(canary, &[]), [] as [String; 0]);
    }
    assert!(sinks.count("event") > 3 && sinks.count("answer") > 20);
}

#[tokio::test]
async fn a_jwt_that_a_proxy_added_is_never_sent_to_the_hub_and_the_cookie_counts() {
    let hub = FakeHub::that(alice());
    let layer = hub_layer(settings(&hub), &TestClock::new(NOW));
    let mut browser = Browser::default();
    let state = state(&browser.open(&layer, "/user/alice/lab").await);
    gives_a_token(&hub);
    let callback = format!("/user/alice/oauth_callback?code=c0de&state={state}");
    browser.open(&layer, &callback).await;
    let (name, value) = &browser.0[0];
    let cookie = format!("cookie: {name}={value}\nsec-fetch-mode: navigate");
    hub.asked();
    let jwt = "a".repeat(513);
    let answer = by_token(&layer, &jwt, &cookie).await;
    assert_eq!(answer.text, "alice by Cookie", "{answer:?}");
    let alone = by_token(&layer, &jwt, "").await;
    assert_eq!(alone.status, 403, "{alone:?}");
    let denial = alone.parts.extensions.get::<portcullis::Denial>();
    assert_eq!(
        denial.map(portcullis::Denial::reason),
        Some(Reason::UnsupportedToken)
    );
    assert!(hub.asked().iter().all(|(_, seen)| !seen.contains(&jwt)));
}

//! Responses of a hub: only a clear yes is accepted, no token is stored but the one that was given, and no secret is
//! leaked.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::{Ready, ready},
    sync::{Arc, LazyLock, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use portcullis::{
    AuthLayer, HubAuth, MaybeFuture, RequestHead, Scopes, Secret, clock::UnixTime, middleware::Decision,
    testing::TestClock,
};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tower_service::Service;

use super::{cut, holds, trim};

const TOKEN: &[u8] = b"0123456789abcdef0123456789abcdef";
const ACCESS: &str = "access:servers!user=alice";

/// A hub with prepared responses, one for each request, which records the tokens that it was sent.
#[derive(Clone)]
struct Hub {
    answers: Arc<Mutex<VecDeque<Response<Full<Bytes>>>>>,
    asked: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Hub {
    fn that_answers(answers: impl IntoIterator<Item = Response<Full<Bytes>>>) -> Self {
        Self {
            answers: Arc::new(Mutex::new(answers.into_iter().collect())),
            asked: Arc::default(),
        }
    }

    /// The layer of alice's server.
    fn layer(&self) -> AuthLayer {
        let hub = HubAuth::builder(Secret::from(TOKEN))
            .api_url("http://127.0.0.1:8081/hub/api")
            .base_url("/user/alice/".parse().expect("a base"))
            .client_id("jupyterhub-user-alice")
            .access_scopes([ACCESS])
            .http_client(self.clone())
            .build();
        AuthLayer::builder()
            .hub(hub.expect("settings"))
            .clock(TestClock::new(UnixTime::from_secs(1_700_000_000)))
            .build()
            .expect("a layer")
    }
}

impl Service<Request<Full<Bytes>>> for Hub {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        if let Some(sent) = request.headers().get("authorization") {
            let mut asked = self.asked.lock().expect("one at a time");
            asked.push(sent.as_bytes().to_vec());
        }
        let next = self.answers.lock().expect("one at a time").pop_front();
        ready(Ok(next.expect("no more requests than answers")))
    }
}

/// A status, optionally a space and the header `Retry-After`, and on the next line the body.
pub fn run(data: &[u8]) {
    let (head, body) = cut(data, b'\n');
    let (status, retry_after) = cut(head, b' ');
    let status = std::str::from_utf8(status)
        .ok()
        .and_then(|status| status.parse().ok());
    let Some(status) = status.filter(|status| (200..600).contains(status)) else {
        return;
    };
    let answer = |body: &[u8]| {
        let mut answer = Response::new(Full::from(body.to_vec()));
        *answer.status_mut() = http::StatusCode::from_u16(status).expect("in range");
        if let Ok(value) = http::HeaderValue::from_bytes(trim(retry_after)) {
            answer.headers_mut().insert("retry-after", value);
        }
        answer
    };
    let runtime = Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let value: Option<Value> = serde_json::from_slice(body).ok();
    for (body, exact) in [
        (Some(body.to_vec()), false),
        // Written again, no key appears twice; for a duplicate key the two readers differ.
        (value.as_ref().map(|value| value.to_string().into_bytes()), true),
    ] {
        let Some(body) = body else { continue };
        let said = serde_json::from_slice::<IgnoredAny>(&body)
            .map(|_| value.as_ref())
            .ok();
        let told = Told { status, said, exact };
        told.of_a_user(&runtime, answer(&body));
        told.of_a_token(&runtime, answer(&body));
    }
}

/// An answer as a second reader has it.
struct Told<'a> {
    status: u16,
    /// Its JSON, if it is; without a value where that reader is stricter about what does not matter.
    said: Option<Option<&'a Value>>,
    /// Whether both readers must agree.
    exact: bool,
}

impl Told<'_> {
    /// A program comes with a token, and the hub says whose it is.
    fn of_a_user(&self, runtime: &Runtime, answer: Response<Full<Bytes>>) {
        let hub = Hub::that_answers([answer]);
        let request = "GET /user/alice/api\nhost: localhost\nauthorization: token S3CRET";
        let decision = decide(runtime, &hub.layer(), request);
        assert_eq!(*hub.asked.lock().expect("one at a time"), [b"token S3CRET"]);
        let clear = self.said.flatten().filter(|_| self.status == 200).and_then(user);
        match decision {
            Decision::Allow { session, .. } => {
                let session = session.expect("every request needs a session");
                assert_eq!(self.status, 200);
                if self.said.expect("JSON").is_some() {
                    let (name, has_access) = clear.expect("a clear yes");
                    assert_eq!((session.identity().username(), has_access), (name, true));
                }
            }
            Decision::Respond(response) => {
                assert!(!self.exact || clear.is_none_or(|(_, has_access)| !has_access));
                let status = response.status().as_u16();
                match status {
                    // A user without access.
                    403 if self.status == 200 => assert!(!self.exact || clear.is_some()),
                    403 => assert_eq!(self.status, 403),
                    502 => {
                        assert_ne!(self.status, 403);
                        assert!(!self.exact || clear.is_none(), "{clear:?}");
                        let after = response.headers()["retry-after"].to_str().expect("digits");
                        assert!(
                            (1..=60).contains(&after.parse::<u64>().expect("digits")),
                            "{after}"
                        );
                    }
                    other => panic!("{other}"),
                }
                contains_no_secret(&response);
            }
            other => panic!("{other:?}"),
        }
    }

    /// A browser comes back with a code, and the hub returns the grant of its token.
    fn of_a_token(&self, runtime: &Runtime, answer: Response<Full<Bytes>>) {
        let alice = json!({ "kind": "user", "name": "alice", "scopes": [ACCESS] });
        let hub = Hub::that_answers([answer, Response::new(Full::from(alice.to_string()))]);
        let Decision::Respond(response) = decide(runtime, &hub.layer(), &RETURN) else {
            panic!("the layer answers the callback");
        };
        let given = self.said.flatten().filter(|_| self.status == 200).and_then(token);
        let kept = response.headers().get_all("set-cookie").iter().any(|line| {
            line.as_bytes().starts_with(b"jupyterhub-user-alice=") && !holds(line.as_bytes(), b"Max-Age=0")
        });
        assert_eq!(kept, response.status() == 302);
        let asked = hub.asked.lock().expect("one at a time");
        match response.status().as_u16() {
            302 => {
                assert_eq!(self.status, 200);
                assert_eq!(response.headers()["location"], "/user/alice/page");
                if self.said.expect("JSON").is_some() {
                    let given = given.expect("a token");
                    assert_eq!(*asked, [format!("token {given}").into_bytes()]);
                }
            }
            status @ (403 | 503) => {
                assert!(!self.exact || given.is_none(), "{status} {given:?}");
                assert!(asked.is_empty());
            }
            other => panic!("{other}"),
        }
        contains_no_secret(&response);
    }
}

/// A browser's way back from the hub, with its state cookie.
static RETURN: LazyLock<String> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let page = "GET /user/alice/page\nhost: localhost\naccept: text/html";
    let Decision::Respond(begun) = decide(&runtime, &Hub::that_answers([]).layer(), page) else {
        panic!("a browser without a session is redirected to the hub");
    };
    let field = |name: &str| begun.headers()[name].to_str().expect("visible ASCII");
    let (_, state) = field("location").split_once("&state=").expect("a state");
    let (cookie, _) = field("set-cookie").split_once(';').expect("attributes");
    format!("GET /user/alice/oauth_callback?code=S3CRET&state={state}\nhost: localhost\ncookie: {cookie}")
});

fn decide(runtime: &Runtime, layer: &AuthLayer, request: &str) -> Decision {
    let request = super::request(request.as_bytes()).expect("a request");
    let _inside = runtime.enter();
    match layer.decide(RequestHead::new(&request)) {
        MaybeFuture::Ready(decision) => decision,
        MaybeFuture::Future(decision) => runtime.block_on(decision),
    }
}

/// Whose model it is, and whether they have access: if it says so clearly.
fn user(model: &Value) -> Option<(&str, bool)> {
    let name = model.as_object()?.get("name")?.as_str()?;
    let known = model["kind"] == "user" || model["kind"] == "service";
    let named = !name.is_empty() && !name.chars().any(char::is_control);
    let scopes = model["scopes"].as_array()?.iter().map(Value::as_str);
    let scopes: Scopes = scopes.collect::<Option<Vec<_>>>()?.into_iter().collect();
    (known && named).then(|| (name, scopes.covers(ACCESS)))
}

/// The bearer token that is given.
fn token(answer: &Value) -> Option<&str> {
    let answer = answer.as_object()?;
    let is = |name: &str, good: fn(&Value) -> bool| {
        answer
            .get(name)
            .is_none_or(|value| value.is_null() || good(value))
    };
    let bearer = is("token_type", |kind| {
        kind.as_str()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"))
    });
    let formed = bearer && is("expires_in", Value::is_u64) && is("scope", Value::is_string);
    let token = answer.get("access_token")?.as_str().filter(|_| formed)?;
    let sendable = (1..=512).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
    sendable.then_some(token)
}

/// No header and no event contains the token or the code.
fn contains_no_secret<B: std::fmt::Debug>(response: &Response<B>) {
    let shown = format!("{response:?}");
    assert!(!shown.contains("S3CRET"), "{shown}");
}

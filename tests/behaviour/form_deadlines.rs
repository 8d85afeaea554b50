//! The body of a form arrives within its time, or the request is answered without it.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Body, Bytes, Frame};
use portcullis::{
    AuthLayer, RequestHead, Token,
    middleware::{Decision, FormSubmission},
};
use tokio::sync::mpsc;
use tower::{Layer, ServiceExt, service_fn};

use crate::common::{TOKEN, request};

fn layer(timeout: Duration) -> AuthLayer {
    AuthLayer::builder()
        .token(TOKEN.parse::<Token>().expect("a token"))
        .form_timeout(timeout)
        .build()
        .expect("a layer")
}

/// A body of the chunks that are sent.
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

async fn post<B>(layer: &AuthLayer, path: &str, body: B) -> Response<()>
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let service = layer.layer(service_fn(|_: Request<B>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    }));
    let lines = format!("POST {path}\ncontent-type: application/x-www-form-urlencoded");
    let answer = service.oneshot(request(&lines).map(|_| body)).await;
    answer.expect("infallible").map(drop)
}

#[track_caller]
fn is_late(answer: &Response<impl Sized>) {
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(answer.headers()["connection"], "close");
    assert!(!answer.headers().contains_key("set-cookie"));
}

#[tokio::test]
async fn form_that_never_arrives_gets_408_on_every_own_path() {
    let layer = layer(Duration::from_millis(10));
    for path in ["/login", "/logout", "/launch"] {
        let (_open, body) = mpsc::channel(1);
        is_late(&post(&layer, path, Chunks(body)).await);
    }
}

#[tokio::test]
async fn form_that_arrives_byte_by_byte_gets_no_more_time() {
    let layer = layer(Duration::from_millis(20));
    let (chunks, body) = mpsc::channel(1);
    // At a byte each millisecond the whole takes sixteen seconds.
    let client = tokio::spawn(async move {
        while chunks.send(Bytes::from_static(b"a")).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    is_late(&post(&layer, "/login", Chunks(body)).await);
    client.await.expect("the body is dropped with the answer");
}

#[tokio::test]
async fn form_that_is_there_needs_no_time() {
    let layer = layer(Duration::ZERO);
    let answer = post(&layer, "/login", Full::from("password=x")).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN, "it has no `_xsrf`");
}

#[test]
fn server_without_tower_and_tokio_has_the_same_deadline() {
    let layer = layer(Duration::from_millis(10));
    let head = request("POST /login\ncontent-type: application/x-www-form-urlencoded");
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let answer = runtime.expect("a runtime without a timer").block_on(async {
        let Decision::NeedsForm(form) = layer.decide(RequestHead::new(&head)).await else {
            panic!("a form is to be read");
        };
        let (_open, body) = mpsc::channel(1);
        form.read_and_respond(Chunks(body)).await
    });
    is_late(&answer);
    assert_eq!(FormSubmission::TIMEOUT, Duration::from_secs(30), "the default");
}

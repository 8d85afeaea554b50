//! The layer in front of every kind of service it is meant for.

use std::{
    convert::Infallible,
    future::Ready,
    future::ready,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use axum::{Extension, Router, routing::get};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use portcullis::{
    AuthLayer, AuthMethod, Authenticator, Grant, Identity, MaybeFuture, Outcome, RequestHead, Session, Token,
    authenticator_fn, middleware::AuthBody,
};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn, util::BoxCloneSyncServiceLayer};

use crate::common::{TOKEN, request};

fn token() -> Token {
    TOKEN.parse().expect("a token")
}

async fn who(Extension(session): Extension<Session>) -> String {
    session.identity().username().to_owned()
}

async fn status<S, B>(service: S, lines: &str) -> StatusCode
where
    S: Service<Request<axum::body::Body>, Response = Response<B>, Error: std::fmt::Debug>,
{
    let request = request(lines).map(axum::body::Body::new);
    service.oneshot(request).await.expect("an answer").status()
}

#[tokio::test]
async fn an_axum_router_inside_outside_and_nested() {
    let auth = AuthLayer::token(token());
    let good = format!("GET /inner\nauthorization: Bearer {TOKEN}");
    let inside = Router::new().route("/inner", get(who)).layer(auth.clone());
    let outside = auth.layer(Router::new().route("/inner", get(who)));
    let nested = Router::new().nest("/a", Router::new().route("/inner", get(who)).layer(auth.clone()));
    assert_eq!(status(inside.clone(), &good).await, StatusCode::OK);
    assert_eq!(status(inside, "GET /inner").await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(outside.clone(), &good).await, StatusCode::OK);
    assert_eq!(status(outside, "GET /inner").await, StatusCode::UNAUTHORIZED);
    assert_eq!(
        status(nested.clone(), &good.replace("/inner", "/a/inner")).await,
        StatusCode::OK
    );
    assert_eq!(status(nested, "GET /a/inner").await, StatusCode::UNAUTHORIZED);
}

/// Counts how often it is called.
#[derive(Clone)]
struct Counting(Arc<AtomicUsize>);

impl Authenticator for Counting {
    fn authenticate(&self, _: RequestHead<'_>) -> MaybeFuture<Outcome> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Outcome::Authenticated(Session::new(
            Grant::new(Identity::new("me")),
            AuthMethod::Other { ambient: false },
        ))
        .into()
    }
}

#[tokio::test]
async fn the_same_layer_twice_authenticates_once_and_another_layer_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let auth = AuthLayer::new(Counting(asked.clone()));
    let admin = get(who).layer(auth.clone());
    let twice = Router::new().route("/inner", admin).layer(auth.clone());
    assert_eq!(status(twice, "GET /inner").await, StatusCode::OK);
    assert_eq!(asked.load(Ordering::Relaxed), 1);

    let scoped = Router::new()
        .route("/inner", get(who).layer(auth.require_scope("admin")))
        .layer(auth.clone());
    assert_eq!(
        status(scoped, "GET /inner").await,
        StatusCode::FORBIDDEN,
        "the inner rule still holds"
    );

    let refusing = AuthLayer::new(authenticator_fn(|_| Outcome::Absent));
    let other = Router::new()
        .route("/inner", get(who).layer(refusing))
        .layer(auth.clone());
    assert_eq!(
        status(other, "GET /inner").await,
        StatusCode::UNAUTHORIZED,
        "a session of another layer does not count"
    );

    let optional = AuthLayer::new(authenticator_fn(|_| Outcome::Absent)).optional();
    let nobody =
        |session: Option<Extension<Session>>| async move { session.map_or("anonymous", |_| "authenticated") };
    let app = Router::new()
        .route("/inner", get(nobody).layer(optional))
        .layer(auth);
    let answer = app
        .oneshot(request("GET /inner").map(axum::body::Body::new))
        .await
        .expect("an answer");
    let text = answer.into_body().collect().await.expect("a body").to_bytes();
    assert_eq!(
        text, "anonymous",
        "nor is it passed on where no login is required"
    );
}

#[tokio::test]
async fn a_hyper_connection_server_over_both_versions() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address: SocketAddr = listener.local_addr().expect("an address");
    let service = AuthLayer::token(token()).layer(service_fn(|_: Request<Incoming>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("in")))
    }));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection_with_upgrades(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    for http2 in [false, true] {
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new())
            .http2_only(http2)
            .build_http();
        for (token, expected) in [(TOKEN, StatusCode::OK), ("wrong", StatusCode::UNAUTHORIZED)] {
            let request = Request::get(format!("http://{address}/"))
                .header("authorization", format!("Bearer {token}"))
                .body(Full::default())
                .expect("a request");
            let answer = client.request(request).await.expect("an answer");
            assert_eq!(answer.status(), expected, "http2 {http2}, {token}");
        }
    }
}

#[tokio::test]
async fn a_tonic_server_with_an_open_health_service() {
    let auth = AuthLayer::bearer_tokens(
        portcullis::TokenSet::new([(token(), Grant::new(Identity::new("client")))]).expect("a set"),
    )
    .public_paths(["/grpc.health.v1.Health/Check"]);
    let (_reporter, health) = tonic_health::server::health_reporter();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(
        tonic::transport::Server::builder()
            .layer(auth)
            .add_service(health)
            .serve_with_incoming(incoming),
    );

    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"))
        .expect("an address")
        .connect()
        .await
        .expect("a channel");
    let mut client = tonic_health::pb::health_client::HealthClient::new(channel);
    client
        .check(tonic_health::pb::HealthCheckRequest {
            service: String::new(),
        })
        .await
        .expect("health is open");

    let ask = || tonic_health::pb::HealthCheckRequest {
        service: String::new(),
    };
    let refused = client.watch(ask()).await.expect_err("watching is not open");
    assert_eq!(refused.code(), tonic::Code::Unauthenticated, "{refused:?}");
    let mut with_token = tonic::Request::new(ask());
    with_token.metadata_mut().insert(
        "authorization",
        format!("Bearer {TOKEN}").parse().expect("a value"),
    );
    client.watch(with_token).await.expect("a token opens it");
}

#[tokio::test]
async fn boxed_and_stacked_services() {
    let stack = ServiceBuilder::new()
        .layer(BoxCloneSyncServiceLayer::new(AuthLayer::token(token())))
        .service(service_fn(|_: Request<axum::body::Body>| async {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }));
    assert_eq!(
        status(stack.clone(), &format!("GET /\nauthorization: token {TOKEN}")).await,
        StatusCode::OK
    );
    assert_eq!(status(stack, "GET /").await, StatusCode::UNAUTHORIZED);
}

/// Ready at the third poll; a clone must be polled again, and calling one that was not polled is a defect.
#[derive(Debug)]
struct Reluctant {
    asked: usize,
}

impl Clone for Reluctant {
    fn clone(&self) -> Self {
        Self { asked: 0 }
    }
}

impl Service<Request<Full<Bytes>>> for Reluctant {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.asked += 1;
        if self.asked < 3 {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Full<Bytes>>) -> Self::Future {
        assert!(self.asked >= 3, "called without being ready");
        self.asked = 0;
        ready(Ok(Response::new(Full::default())))
    }
}

/// Authenticates now, or later.
struct Slow(bool);

impl Authenticator for Slow {
    fn authenticate(&self, _: RequestHead<'_>) -> MaybeFuture<Outcome> {
        let say = || {
            Outcome::Authenticated(Session::new(
                Grant::new(Identity::new("me")),
                AuthMethod::Other { ambient: false },
            ))
        };
        if !self.0 {
            return say().into();
        }
        MaybeFuture::from_future(async move {
            tokio::task::yield_now().await;
            say()
        })
    }
}

#[tokio::test]
async fn only_the_readied_service_is_called_now_and_later() {
    for later in [false, true] {
        let mut service = AuthLayer::new(Slow(later)).layer(Reluctant { asked: 0 });
        for _ in 0..3 {
            let answer = service
                .ready()
                .await
                .expect("ready")
                .call(request("GET /"))
                .await
                .expect("an answer");
            assert_eq!(answer.status(), StatusCode::OK, "later: {later}");
        }
    }
}

#[test]
fn readiness_is_the_inner_services_own() {
    let mut service = AuthLayer::token(token()).layer(Reluctant { asked: 0 });
    let mut context = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut context).is_pending());
    assert!(service.poll_ready(&mut context).is_pending());
    assert!(service.poll_ready(&mut context).is_ready());
}

#[tokio::test]
async fn an_inner_service_that_panics_takes_its_own_request_with_it_and_no_more() {
    let app = AuthLayer::token(token()).layer(service_fn(|request: Request<Full<Bytes>>| async move {
        assert_ne!(request.uri().path(), "/panic", "this handler panics");
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    }));
    let lines = |path: &str| request(&format!("GET {path}\nauthorization: Bearer {TOKEN}"));
    let panicked = tokio::spawn(app.clone().oneshot(lines("/panic"))).await;
    let message = panicked.expect_err("it panics").into_panic();
    let message = message.downcast_ref::<String>().expect("a message");
    assert!(!message.contains(TOKEN), "{message}");
    assert_eq!(
        app.oneshot(lines("/")).await.expect("an answer").status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn dropping_the_answer_at_any_point_leaves_nothing_behind() {
    let app = AuthLayer::new(Slow(true)).layer(Reluctant { asked: 0 });
    for _ in 0..1000 {
        let mut service = app.clone();
        let mut future = Box::pin(service.ready().await.expect("ready").call(request("GET /")));
        let mut context = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut context).is_pending());
        drop(future);
    }
    let answer = app.oneshot(request("GET /")).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
}

/// The answer's body type is nameable, so users can name their stack.
#[expect(dead_code, reason = "it is enough that it compiles")]
type Named = portcullis::middleware::AuthService<Router>;
#[expect(dead_code, reason = "it is enough that it compiles")]
type NamedBody = AuthBody<axum::body::Body>;

/// Admits requests with the field `known` at once, and others when the verifier is released.
struct Blocked(Arc<tokio::sync::Notify>);

impl Authenticator for Blocked {
    fn authenticate(&self, head: RequestHead<'_>) -> MaybeFuture<Outcome> {
        let admitted = || {
            Outcome::Authenticated(Session::new(
                Grant::new(Identity::new("me")),
                AuthMethod::Other { ambient: false },
            ))
        };
        if head.headers().contains_key("known") {
            return admitted().into();
        }
        let released = Arc::clone(&self.0);
        MaybeFuture::from_future(async move {
            released.notified().await;
            admitted()
        })
    }
}

#[tokio::test]
async fn requests_that_wait_for_a_verifier_hold_no_permit_of_a_limit_on_concurrency() {
    let released = Arc::new(tokio::sync::Notify::new());
    let running = Arc::new(AtomicUsize::new(0));
    let handler = {
        let running = Arc::clone(&running);
        move |_: Request<Full<Bytes>>| {
            let running = Arc::clone(&running);
            async move {
                assert!(running.fetch_add(1, Ordering::SeqCst) < 2, "more than the limit");
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
            }
        }
    };
    let service = ServiceBuilder::new()
        .layer(AuthLayer::new(Blocked(Arc::clone(&released))))
        .concurrency_limit(2)
        .service_fn(handler);
    let mut waiting: Vec<_> = (0..10)
        .map(|_| Box::pin(service.clone().oneshot(request("GET /"))))
        .collect();
    for waiting in &mut waiting {
        assert!(poll_once(waiting.as_mut()).is_pending());
    }
    // Ten requests wait for the verifier; none of them keeps a known user out.
    for _ in 0..3 {
        let mut known = pin!(service.clone().oneshot(request("GET /\nknown: yes")));
        let mut answer = Poll::Pending;
        for _ in 0..4 {
            if answer.is_pending() {
                answer = poll_once(known.as_mut());
            }
        }
        assert!(answer.is_ready(), "a known user waits behind unknown ones");
    }
    // Once admitted, they take turns.
    released.notify_waiters();
    for answer in waiting.into_iter().map(tokio::spawn).collect::<Vec<_>>() {
        let answer = answer.await.expect("no panic").expect("infallible");
        assert_eq!(answer.status(), StatusCode::OK);
    }
}

/// Polls a future once, outside of a task.
fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

//! The worst requests of clients that have proved nothing.

use std::{
    convert::Infallible,
    future::Future,
    hint::black_box,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{Empty, Full};
use portcullis::{
    AuthLayer, Event, Grant, Identity, Keyring, MaybeFuture, PasswordVerifier, Secret, Token, TokenSet,
    Verification,
    authenticate::TokenSource,
    clock::UnixTime,
    cookies::{CookieName, RequestCookies},
    hub_server::{Hub, HubUser},
    request::Peer,
    request_policy::{AllowedOrigins, TrustedProxies},
    store::MemoryTokenStore,
};
use tower::{Layer as _, Service, ServiceExt, service_fn, util::BoxCloneService};

const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";
const LOGIN_COOKIE: &str = "username-localhost-8888";
const KIB: usize = 1024;

type Server = BoxCloneService<Request<Full<Bytes>>, Response<()>, Infallible>;

/// A request, the status of its answer, and what both are made by.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) prepare: Box<dyn Fn() -> Trial>,
}

/// One request that is ready to be sent.
pub(crate) struct Trial {
    server: Server,
    request: Request<Full<Bytes>>,
}

impl Trial {
    /// The status of the answer; the rest of it is dropped.
    pub(crate) fn send(mut self) -> StatusCode {
        let answer = self.server.call(black_box(self.request));
        black_box(ready(answer).expect("infallible")).status()
    }
}

/// What `future` returns. Nothing here has anything to wait for.
fn ready<F: Future>(future: F) -> F::Output {
    let mut context = Context::from_waker(Waker::noop());
    let mut future: Pin<&mut F> = pin!(future);
    for _ in 0..100 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
    panic!("expected an answer at once");
}

async fn empty(request: Request<Full<Bytes>>) -> Result<Response<Empty<Bytes>>, Infallible> {
    drop(request);
    Ok(Response::new(Empty::new()))
}

fn server(layer: &AuthLayer) -> Server {
    let inner = layer.layer(service_fn(empty));
    BoxCloneService::new(inner.map_response(|response| response.map(drop)))
}

/// A server with one shared token and default settings.
fn token() -> AuthLayer {
    AuthLayer::token(TOKEN.parse().expect("a token"))
}

/// An API with a set of tokens and default settings.
fn tokens() -> AuthLayer {
    let token: Token = TOKEN.parse().expect("a token");
    AuthLayer::bearer_tokens(TokenSet::new([(token, Grant::new(Identity::new("a")))]).expect("a set"))
}

fn built(change: impl FnOnce(portcullis::AuthLayerBuilder) -> portcullis::AuthLayerBuilder) -> AuthLayer {
    let builder = AuthLayer::builder().token(TOKEN.parse().expect("a token"));
    change(builder).build().expect("a layer")
}

/// Knows no user: what a password costs is measured by the bench `passwords`.
struct Nobody;

impl PasswordVerifier for Nobody {
    fn verify(&self, _: &str, _: &Secret) -> MaybeFuture<Verification> {
        Verification::Unknown.into()
    }
}

fn hub() -> Server {
    let hub = Hub::builder(MemoryTokenStore::new())
        .password_verifier(Nobody)
        .user(HubUser::new("alice").expect("a name"))
        .build()
        .expect("a hub");
    let hub = ServiceExt::<Request<Full<Bytes>>>::map_response(hub, |response| response.map(drop));
    BoxCloneService::new(hub)
}

/// A request, built again for each trial.
#[derive(Clone)]
struct Sent {
    method: Method,
    target: String,
    fields: Vec<(HeaderName, String)>,
    body: String,
}

fn get(target: impl Into<String>) -> Sent {
    Sent {
        method: Method::GET,
        target: target.into(),
        fields: vec![(header::HOST, "localhost:8888".to_owned())],
        body: String::new(),
    }
}

/// A form.
fn post(target: &str, body: impl Into<String>) -> Sent {
    let sent = Sent {
        method: Method::POST,
        body: body.into(),
        ..get(target)
    };
    sent.field(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
}

impl Sent {
    fn field(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    fn extra(self, name: &'static str, value: impl Into<String>) -> Self {
        self.field(HeaderName::from_static(name), value)
    }

    fn host(mut self, host: impl Into<String>) -> Self {
        self.fields[0].1 = host.into();
        self
    }

    fn page(self) -> Self {
        self.field(header::ACCEPT, "text/html")
    }

    fn build(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::from(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = Uri::try_from(self.target.as_str()).expect("a target");
        for (name, value) in &self.fields {
            let value = HeaderValue::from_str(value).expect("a field");
            request.headers_mut().append(name, value);
        }
        request
            .extensions_mut()
            .insert(Peer::Ip("192.0.2.7:50000".parse().expect("an address")));
        request
    }
}

fn row(name: &'static str, status: u16, server: Server, sent: Sent) -> Row {
    Row {
        name,
        status: StatusCode::from_u16(status).expect("a status"),
        prepare: Box::new(move || Trial {
            server: server.clone(),
            request: sent.build(),
        }),
    }
}

/// `count` cookies of one name whose values begin as signed ones do, each of `bytes` bytes, all different.
fn forged(name: &str, count: usize, bytes: usize) -> String {
    let pair = |number: usize| {
        let value = format!("2|1:0|10:1700000000|{number:06}");
        format!("{name}={value:0<bytes$}")
    };
    (0..count).map(pair).collect::<Vec<_>>().join("; ")
}

/// A form sent to a layer of its own with a good `_xsrf`, so that the throttle has counted nothing yet.
fn good_form(name: &'static str, status: u16, rest: String) -> Row {
    let xsrf = |layer: &AuthLayer| {
        let response = ready(layer.layer(service_fn(empty)).oneshot(get("/login").build()));
        let line = response.expect("infallible").headers()[header::SET_COOKIE].clone();
        let line = line.to_str().expect("ASCII").to_owned();
        line.split(';').next().unwrap_or_default().to_owned()
    };
    Row {
        name,
        status: StatusCode::from_u16(status).expect("a status"),
        prepare: Box::new(move || {
            let layer = token();
            let cookie = xsrf(&layer);
            let value = cookie.split_once('=').expect("a pair").1;
            let sent = post("/login", format!("_xsrf={value}&{rest}")).field(header::COOKIE, cookie.clone());
            Trial {
                server: server(&layer),
                request: sent.build(),
            }
        }),
    }
}

pub(crate) fn all() -> Vec<Row> {
    let shared = || server(&token());
    let api = || server(&tokens());
    let open = || server(&AuthLayer::danger_allow_anonymous());
    let observed = || {
        server(&built(|builder| {
            builder.observer(|event: &Event<'_>| drop(black_box(format!("{event:?}"))))
        }))
    };
    let long = "/".to_owned() + &"%20".repeat(20 * KIB);
    let cookies = |line: String| get("/api").field(header::COOKIE, line);
    let several_keys = || {
        let secret = |byte: u8| Secret::from(vec![byte; 32]);
        let keyring = (1..=4).fold(
            Keyring::from_secret(secret(0)).expect("long enough"),
            |keyring, byte| {
                let retires_at = UnixTime::from_secs(u32::MAX.into());
                keyring
                    .with_previous_key(secret(byte), retires_at)
                    .expect("a key")
            },
        );
        server(&built(|builder| builder.keyring(keyring)))
    };
    let listed = || {
        let origins = AllowedOrigins::parse(["https://app.example.net"]).expect("an origin");
        server(&built(|builder| builder.allowed_origins(origins)))
    };
    let proxied = || {
        let proxies = TrustedProxies::parse("192.0.2.0/24").expect("a network");
        server(&built(|builder| builder.trusted_proxies(proxies)))
    };
    let sockets = || {
        server(&built(|builder| {
            builder.token_sources([TokenSource::WebSocketSubprotocol])
        }))
    };
    let any_host = || server(&built(|builder| builder.danger_allow_any_host()));
    let fields = |count: usize| {
        let escaped = "%C3%A9".repeat(KIB / 3);
        (0..count)
            .map(|number| format!("{number}={escaped}&"))
            .collect::<String>()
    };
    let next = format!("/login?next=/{}", "%20".repeat(2047));
    let values = |name: &'static str, line: String| {
        let inner = service_fn(|request: Request<Full<Bytes>>| async move {
            let name = CookieName::custom(LOGIN_COOKIE).expect("a name");
            let cookies = RequestCookies::from_headers(request.headers()).expect("within the bounds");
            black_box(cookies.values(&name).count());
            Ok::<_, Infallible>(Response::new(()))
        });
        row(name, 200, BoxCloneService::new(inner), cookies(line))
    };
    vec![
        row(
            "token/unknown",
            401,
            api(),
            get("/api").field(header::AUTHORIZATION, format!("Bearer {}", "a".repeat(512))),
        ),
        row(
            "token/too-long",
            401,
            shared(),
            get("/api").field(header::AUTHORIZATION, format!("Bearer {}", "a".repeat(8_000))),
        ),
        row(
            "token/spaces",
            401,
            shared(),
            get("/api").field(
                header::AUTHORIZATION,
                format!("Bearer a{}a", " ".repeat(16 * KIB)),
            ),
        ),
        row(
            "token/in-query-escaped",
            401,
            shared(),
            get(format!("/api?token={}", "%61".repeat(2_728))),
        ),
        row(
            "token/protocols",
            401,
            sockets(),
            get("/api")
                .field(header::UPGRADE, "websocket")
                .extra("sec-websocket-protocol", ",".repeat(16 * KIB)),
        ),
        row(
            "query/nearly-token",
            401,
            shared(),
            get(format!("/api?{}", "%74%6f%6b%65&".repeat(8 * KIB / 13))),
        ),
        row(
            "query/separators",
            401,
            shared(),
            get(format!("/api?{}", "&".repeat(8 * KIB))),
        ),
        row(
            "query/too-long",
            414,
            shared(),
            get(format!("/api?{}", "&".repeat(60 * KIB))),
        ),
        row(
            "query/too-long-api",
            401,
            api(),
            get(format!("/api?{}", "&".repeat(60 * KIB))),
        ),
        row(
            "cookies/512-of-the-name",
            401,
            shared(),
            cookies(forged(LOGIN_COOKIE, 512, 38)),
        ),
        row(
            "cookies/8-forged",
            401,
            shared(),
            cookies(forged(LOGIN_COOKIE, 8, 2_000)),
        ),
        row(
            "cookies/8-forged-5-keys",
            401,
            several_keys(),
            cookies(forged(LOGIN_COOKIE, 8, 2_000)),
        ),
        row("cookies/empty", 401, shared(), cookies("; ".repeat(8 * KIB))),
        row("cookies/513", 431, shared(), cookies("a=b;".repeat(513))),
        row(
            "cookies/logins-of-ports",
            401,
            shared(),
            cookies(format!("username-localhost-9999={};", "a".repeat(220)).repeat(512)),
        ),
        row(
            "cookies/too-long",
            431,
            shared(),
            cookies("a=b;".repeat(16 * KIB)),
        ),
        values("cookies/all-values", forged(LOGIN_COOKIE, 512, 38)),
        row("head/host", 400, shared(), get("/api").host("a".repeat(16 * KIB))),
        row(
            "head/any-host",
            401,
            any_host(),
            cookies(forged(LOGIN_COOKIE, 8, 2_000)).host("a".repeat(16 * KIB)),
        ),
        row(
            "head/origin",
            403,
            shared(),
            post("/login", "").field(header::ORIGIN, format!("https://{}", "a".repeat(16 * KIB))),
        ),
        row(
            "head/referer",
            403,
            shared(),
            post("/login", "").field(header::REFERER, format!("https://{}", "a".repeat(16 * KIB))),
        ),
        row(
            "head/accept",
            401,
            shared(),
            get("/api").field(header::ACCEPT, "h".repeat(16 * KIB)),
        ),
        row(
            "head/upgrade",
            200,
            open(),
            get("/api").field(header::UPGRADE, "websocke".repeat(2 * KIB)),
        ),
        row(
            "head/forwarded-for",
            403,
            proxied(),
            post("/login", "")
                .extra("x-forwarded-for", "192.0.2.7,".repeat(1_600) + "192.0.2.7")
                .extra("x-forwarded-host", "localhost"),
        ),
        row("head/preflight", 204, listed(), {
            let sent = Sent {
                method: Method::OPTIONS,
                ..get("/api")
            };
            sent.field(header::ORIGIN, "https://app.example.net")
                .field(header::ACCESS_CONTROL_REQUEST_METHOD, "PUT")
                .field(header::ACCESS_CONTROL_REQUEST_HEADERS, "a,".repeat(8 * KIB))
        }),
        row(
            "page/redirect-8-KiB",
            302,
            shared(),
            get(format!("/?{}", "%20".repeat(2_700))).page(),
        ),
        row("page/redirect-60-KiB", 302, shared(), get(long.clone()).page()),
        row("page/event-60-KiB", 401, observed(), get(long)),
        row("login/page-next", 200, shared(), get(next).page()),
        row(
            "login/page-cookies",
            200,
            shared(),
            get("/login").page().field(
                header::COOKIE,
                forged(LOGIN_COOKIE, 4, 2_000) + "; " + &forged("_xsrf", 8, 900),
            ),
        ),
        row(
            "login/form-too-long",
            413,
            shared(),
            post("/login", "a".repeat(16 * KIB + 1)),
        ),
        row(
            "login/form-separators",
            403,
            shared(),
            post("/login", "&".repeat(16 * KIB)),
        ),
        row("login/form-escaped", 403, shared(), post("/login", fields(7))),
        row(
            "login/form-cookies",
            403,
            shared(),
            post("/login", "_xsrf=x&password=x").field(
                header::COOKIE,
                forged(LOGIN_COOKIE, 4, 2_000) + "; " + &forged("_xsrf", 8, 900),
            ),
        ),
        good_form("login/wrong-token", 401, format!("password={}", "a".repeat(512))),
        good_form(
            "login/long-username",
            401,
            format!("password=x&username={}", "a".repeat(15 * KIB)),
        ),
        row(
            "logout/cookies",
            200,
            shared(),
            get("/logout").field(header::COOKIE, forged(LOGIN_COOKIE, 8, 2_000)),
        ),
        row(
            "launch/unknown",
            403,
            shared(),
            get(format!("/launch?token={}", "%61".repeat(512))).page(),
        ),
        row(
            "hub/login-page",
            200,
            hub(),
            get("/hub/login").field(header::COOKIE, forged("jupyterhub-hub-login", 8, 2_000)),
        ),
        row("hub/login-form", 403, hub(), post("/hub/login", fields(31))),
        row(
            "hub/api-token",
            403,
            hub(),
            get("/hub/api/user").field(header::AUTHORIZATION, format!("token {}", "a".repeat(512))),
        ),
        row(
            "hub/authorize",
            302,
            hub(),
            get(format!(
                "/hub/api/oauth2/authorize?{}",
                "a=%20&".repeat(8 * KIB / 6)
            )),
        ),
        row(
            "hub/exchange",
            400,
            hub(),
            post("/hub/api/oauth2/token", "a=%20&".repeat(60 * KIB / 6)),
        ),
    ]
}

//! Whole requests: access needs the token or a cookie that this layer issued; the token is never returned; a redirect
//! stays on this server.

use std::{
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll, Waker},
};

use http::{Request, Response};
use http_body::Body;
use portcullis::{
    AllowedHosts, AllowedOrigins, AuthLayer, AuthMethod, Grant, Identity, MaybeFuture, RequestHead, Token,
    TokenSet, TrustedProxies,
    authenticate::TokenSource,
    clock::UnixTime,
    middleware::{Decision, ResponseStyle},
    testing::TestClock,
};
use url::{Url, form_urlencoded};

use super::{decoded, holds, replaced};

const TOKEN: &str = "t0k3n-C4n4ry-0123456789abcdef";
const API_KEY: &str = "k3y-C4n4ry-0123456789abcdef";

/// A layer of each kind, and what a browser that is logged in at it would send.
struct TestLayer {
    layer: AuthLayer,
    optional: bool,
    cookie: String,
    xsrf: String,
}

static LAYERS: LazyLock<Vec<TestLayer>> = LazyLock::new(|| {
    let token: Token = TOKEN.parse().expect("a token");
    let key: Token = API_KEY.parse().expect("a token");
    let clock = || TestClock::new(UnixTime::from_secs(1_700_000_000));
    let keys = || TokenSet::new([(key.clone(), Grant::new(Identity::new("program")))]).expect("a set");
    let sources = || {
        let field = TokenSource::Header(http::HeaderName::from_static("x-api-key"));
        [
            TokenSource::Authorization,
            TokenSource::Query,
            TokenSource::WebSocketSubprotocol,
            field,
        ]
    };
    let builders = [
        AuthLayer::builder().token(token.clone()).clock(clock()),
        AuthLayer::builder()
            .token(token.clone())
            .bearer_tokens(keys())
            .token_sources(sources())
            .clock(clock())
            .login_path("/base/login")
            .base_url("/base/".parse().expect("a base"))
            .allowed_hosts(
                AllowedHosts::any_ip().union(AllowedHosts::from_list(["hub.example.org:*"]).expect("a host")),
            )
            .allowed_origins(AllowedOrigins::parse(["https://app.example.net"]).expect("an origin"))
            .trusted_proxies(TrustedProxies::parse("10.0.0.0/8, unix").expect("a network"))
            .observer(|event: &portcullis::Event<'_>| drop(format!("{event:?}")))
            .response_style(ResponseStyle::jupyter()),
        AuthLayer::builder()
            .token(token.clone())
            .clock(clock())
            .csrf_by_origin(),
        AuthLayer::builder().bearer_tokens(keys()).clock(clock()),
    ];
    let layers = builders.map(|builder| builder.build().expect("a layer"));
    let optional = layers[0].optional();
    let kinds = layers
        .into_iter()
        .map(|layer| (layer, false))
        .chain([(optional, true)]);
    kinds
        .map(|(layer, optional)| TestLayer::new(layer, optional))
        .collect()
});

impl TestLayer {
    fn new(layer: AuthLayer, optional: bool) -> Self {
        let login = super::request(
            format!("GET /base/?token={TOKEN}\nhost: localhost\naccept: text/html").as_bytes(),
        );
        let login = login.expect("a request");
        let mut cookies = [String::new(), String::new()];
        if let MaybeFuture::Ready(Decision::Respond(response)) = layer.decide(RequestHead::new(&login)) {
            let lines = response.headers().get_all("set-cookie").iter();
            for line in lines.map(|line| line.to_str().expect("visible ASCII")) {
                let (name, value) = line
                    .split(';')
                    .next()
                    .and_then(|pair| pair.split_once('='))
                    .expect("a pair");
                cookies[usize::from(name == "_xsrf")] = value.to_owned();
            }
        }
        let [cookie, xsrf] = cookies;
        Self {
            layer,
            optional,
            cookie,
            xsrf,
        }
    }
}

/// A request in lines; `{token}`, `{key}`, `{cookie}` and `{xsrf}` stand for good ones.
pub fn run(data: &[u8]) {
    for layer in &*LAYERS {
        let data = replaced(data, b"{token}", TOKEN.as_bytes());
        let data = replaced(&data, b"{key}", API_KEY.as_bytes());
        let data = replaced(&data, b"{cookie}", layer.cookie.as_bytes());
        let data = replaced(&data, b"{xsrf}", layer.xsrf.as_bytes());
        if let Some(request) = super::request(&data) {
            check(layer, &request);
        }
    }
}

fn check(layer: &TestLayer, request: &Request<()>) {
    let head = RequestHead::new(request);
    let checked = match layer.layer.authenticate(head) {
        MaybeFuture::Ready(checked) => checked,
        MaybeFuture::Future(_) => panic!("nothing here must wait"),
    };
    let _ = layer.layer.require_same_origin(head);
    match layer.layer.decide(head) {
        MaybeFuture::Future(_) => panic!("nothing here must wait"),
        MaybeFuture::Ready(Decision::Allow { session, afterwards }) => {
            match &session {
                None => assert!(layer.optional),
                Some(session) => {
                    assert!(checked.is_ok());
                    assert!(
                        is_proved(layer, request, session.auth_method()),
                        "{request:?} by {session:?}"
                    );
                }
            }
            let mut response = Response::new(());
            response
                .headers_mut()
                .insert("content-type", "text/plain".parse().expect("a value"));
            afterwards.apply_to(response.headers_mut());
            check_response(request, &response, b"");
        }
        MaybeFuture::Ready(Decision::Respond(response)) => {
            let (parts, mut body) = response.into_parts();
            let mut context = Context::from_waker(Waker::noop());
            let mut text = Vec::new();
            while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut context) {
                text.extend_from_slice(&frame.into_data().expect("data, and no trailers"));
            }
            check_response(request, &Response::from_parts(parts, ()), &text);
        }
        // Nothing is decided before the form is read.
        MaybeFuture::Ready(Decision::NeedsForm(_)) => assert_eq!(request.method(), "POST"),
        MaybeFuture::Ready(other) => panic!("{other:?}"),
    }
}

/// Whether the request holds what the session is said to be proved by.
fn is_proved(layer: &TestLayer, request: &Request<()>, credential: AuthMethod) -> bool {
    let fields = |name: &str| -> Vec<Vec<u8>> {
        request
            .headers()
            .get_all(name)
            .iter()
            .map(|value| value.as_bytes().to_vec())
            .collect()
    };
    match credential {
        AuthMethod::Token => {
            let query = request.uri().query().unwrap_or_default().as_bytes();
            let places = [
                fields("authorization"),
                fields("x-api-key"),
                fields("sec-websocket-protocol"),
                vec![query.into()],
            ];
            let mut places = places.iter().flatten();
            places.any(|place| {
                [TOKEN, API_KEY]
                    .iter()
                    .any(|token| holds(&decoded(place), token.as_bytes()))
            })
        }
        AuthMethod::Cookie => {
            let cookie = layer.cookie.as_bytes();
            let sent = !cookie.is_empty() && fields("cookie").iter().any(|line| holds(line, cookie));
            let unsafe_method = !matches!(request.method().as_str(), "GET" | "HEAD" | "OPTIONS");
            let site = fields("sec-fetch-site");
            let foreign = site.iter().any(|site| site != b"same-origin" && site != b"none");
            let listed = fields("origin").iter().any(|origin| {
                origin
                    .to_ascii_lowercase()
                    .starts_with(b"https://app.example.net")
            });
            sent && !(unsafe_method && foreign && !listed)
        }
        _ => false,
    }
}

/// The token is not returned, no line is broken, no redirect leads away.
fn check_response(request: &Request<()>, response: &Response<()>, body: &[u8]) {
    let path = decoded(request.uri().path().as_bytes());
    let query = portcullis::request::Query::from_uri(request.uri()).without_token();
    let elsewhere = [
        path,
        decoded(&query),
        request
            .uri()
            .authority()
            .map_or(Vec::new(), |host| host.as_str().into()),
    ];
    let asked: Vec<_> = request
        .headers()
        .get_all("access-control-request-headers")
        .iter()
        .map(|asked| asked.as_bytes().to_vec())
        .collect();
    let asked_method = request
        .headers()
        .get("access-control-request-method")
        .map(|asked| asked.as_bytes().to_vec());
    let own: Vec<_> = elsewhere.iter().chain(&asked).chain(&asked_method).collect();
    for token in [TOKEN, API_KEY] {
        // Who puts it where it is no credential gets it back with the rest of the address.
        if own.iter().any(|text| holds(&decoded(text), token.as_bytes())) {
            return;
        }
        for (name, value) in response.headers() {
            assert!(
                !holds(&decoded(value.as_bytes()), token.as_bytes()),
                "{name}: {value:?}"
            );
        }
        assert!(!holds(body, token.as_bytes()));
    }
    if let Some(location) = response.headers().get("location") {
        let location = location.to_str().expect("visible ASCII");
        let here = Url::parse("https://hub.example.org:8443/base/x").expect("a URL");
        let there = here.join(location).expect("a target");
        assert_eq!(there.origin(), here.origin(), "{location}");
        assert!(
            !there.query_pairs().any(|(name, _)| name == "token"),
            "{location}"
        );
        // Who is sent to the same place without the token keeps the rest of the address.
        let asked = here.join(request.uri().path());
        let same_place =
            asked.is_ok_and(|asked| decoded(asked.path().as_bytes()) == decoded(there.path().as_bytes()));
        let query = request.uri().query().unwrap_or_default();
        let own: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
        for (name, next) in there.query_pairs().filter(|(name, _)| name == "next") {
            if same_place && own.contains(&(name, next.clone())) {
                continue;
            }
            assert_eq!(
                here.join(&next).expect("a target").origin(),
                here.origin(),
                "{location}"
            );
        }
    }
}

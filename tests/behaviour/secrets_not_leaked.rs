//! No secret of a request, a file, a variable or a configuration appears in any output: not in an answer, a log, an
//! event, a trace, an error, nor by `Debug`. A secret of its own in each place, and every sink searched.

use std::{convert::Infallible, error::Error, fmt, os::unix::fs::PermissionsExt, time::Duration};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use portcullis::{
    AllowedHosts, AllowedOrigins, AuthLayer, AuthLayerBuilder, BackendError, BaseUrl, Denial, EnvSource,
    Event, FileSource, Grant, Identity, Keyring, MaybeFuture, Observer, Outcome, Reason, RequestHead, Secret,
    Session, Token, TokenSet,
    authenticate::{LoginCookieAuthenticator, TokenAuthenticator, TokenSource, TokenSources},
    authenticator_fn,
    clock::UnixTime,
    cookies::{CookieJar, CookieName, CookieScope, RequestCookies, SetCookies, SignedValueCodec},
    event::{TracingObserver, request_span},
    middleware::ResponseStyle,
    request::{Query, TokenBuffer},
    request_policy::{CsrfBinding, CsrfTokens, RequestCsrf},
    secret::{BytesSource, SecretSource, SourceChain},
    token::PresentedToken,
    verify::SharedToken,
};
use tower::{Layer, Service, ServiceExt, service_fn};
use tracing::{Subscriber, field::Field, span};
use tracing_subscriber::{layer::Context, layer::SubscriberExt, registry};

use crate::{
    common::request,
    secret_scanner::{Canary, Sinks},
    subprocess,
};

/// Every field of every span and event.
struct Recorder(Sinks);

struct Fields<'a>(&'a Sinks);

impl tracing::field::Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.put("trace", format!("{} = {value:?}", field.name()));
    }
}

impl<S: Subscriber> tracing_subscriber::Layer<S> for Recorder {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
        attributes.record(&mut Fields(&self.0));
    }

    fn on_record(&self, _: &span::Id, values: &span::Record<'_>, _: Context<'_, S>) {
        values.record(&mut Fields(&self.0));
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        event.record(&mut Fields(&self.0));
    }
}

/// Records all of an event, and passes it on to `tracing`.
fn observer(sinks: Sinks) -> impl Observer {
    move |event: &Event<'_>| {
        sinks.debug("event", event);
        match event {
            Event::Denied {
                reason, path, label, ..
            } => sinks.put("event", format!("{reason} {path} {label:?}")),
            Event::Unavailable { error, path } => sinks.put("event", format!("{error} {path}")),
            Event::Admitted { path, .. } => sinks.put("event", format!("{path} {event:?}")),
            _ => {}
        }
        TracingObserver.observe(event);
    }
}

/// The valid credentials of this test's layers.
struct Good {
    shared: Canary,
    key: Canary,
    cookie_secret: Canary,
}

impl Good {
    fn new() -> Self {
        Self {
            shared: Canary::new("the shared token"),
            key: Canary::new("a key of a set"),
            cookie_secret: Canary::new("the cookie secret"),
        }
    }

    fn layers(&self, sinks: &Sinks) -> Vec<AuthLayer> {
        let token = || self.shared.text().parse::<Token>().expect("a token");
        let set = || {
            let entry = (
                self.key.text().parse().expect("a token"),
                Grant::new(Identity::new("program")).with_label("ci"),
            );
            TokenSet::new([entry]).expect("a set")
        };
        let everywhere = || {
            let field = TokenSource::Header(HeaderName::from_static("x-api-key"));
            [
                TokenSource::Authorization,
                TokenSource::Query,
                TokenSource::WebSocketSubprotocol,
                field,
            ]
        };
        let new = || {
            let keyring = Keyring::from_secret(Secret::from(self.cookie_secret.text())).expect("long enough");
            AuthLayer::builder()
                .observer(observer(sinks.clone()))
                .keyring(keyring)
        };
        let later = |outcome: fn() -> Outcome| {
            authenticator_fn(move |_: RequestHead<'_>| {
                MaybeFuture::from_future(async move {
                    tokio::task::yield_now().await;
                    outcome()
                })
            })
        };
        let builders: Vec<AuthLayerBuilder> = vec![
            new().token(token()),
            new().token(token()).response_style(ResponseStyle::jupyter()),
            new().token(token()).login_path("/login"),
            new()
                .token(token())
                .bearer_tokens(set())
                .token_sources(everywhere()),
            new().token(token()).csrf_by_origin().without_session_extension(),
            new()
                .token(token())
                .allowed_hosts(AllowedHosts::from_list(["localhost", "hub.example.org"]).expect("hosts"))
                .allowed_origins(AllowedOrigins::parse(["https://app.example.net"]).expect("origins"))
                .base_url("/lab/".parse::<BaseUrl>().expect("a base")),
            new().bearer_tokens(set()),
            new()
                .token(token())
                .authenticator(later(|| Outcome::Rejected(Reason::UnknownToken))),
            new()
                .token(token())
                .authenticator(later(|| Outcome::Unavailable(BackendError::new("no answer")))),
            new()
                .token(token())
                .authorizer(|_: RequestHead<'_>, session: &Session| session.require_scope("write")),
        ];
        let mut layers: Vec<_> = builders
            .into_iter()
            .map(|builder| builder.build().expect("a layer"))
            .collect();
        let plain = layers[0].clone();
        layers.extend([
            plain.optional(),
            plain.require_scope("admin"),
            plain.public_paths(["/open"]),
        ]);
        layers
    }
}

/// Requests that carry `secret` where a credential may stand, and where one may stray to.
fn carrying(secret: &Canary) -> Vec<String> {
    let (text, escaped) = (secret.text(), secret.escaped());
    let basic = BASE64_STANDARD.encode(format!("alice:{text}"));
    let payload = BASE64_STANDARD.encode(text);
    let targets = [
        format!("/lab?token={text}"),
        format!("/lab?x=1&t%6Fken={escaped}&y"),
        format!("/open?token={text}&token={text}"),
        format!("/lab?token={text}%20"),
        format!("//evil.example/?token={text}"),
        format!("/lab/?token={text}&next=%2Flab"),
    ];
    let fields = [
        format!("authorization: Bearer {text}"),
        format!("authorization: token {text}"),
        format!("authorization: Bearer {text} {text}"),
        format!("authorization: Bearer {text}\nauthorization: Bearer {text}"),
        format!("authorization: Basic {basic}"),
        format!(
            "authorization: Bearer {text}\nreferer: http://localhost/lab?token={text}\nuser-agent: curl {text}"
        ),
        format!("x-api-key: {text}"),
        format!("x-api-key: {text} {text}"),
        format!("upgrade: websocket\nsec-websocket-protocol: v1.token.websocket.jupyter.org.{text}"),
        format!("upgrade: websocket\nsec-websocket-protocol: v1.token.websocket.jupyter.org.{escaped}, a"),
        format!("cookie: username-localhost={text}; _xsrf={text}\nx-xsrftoken: {text}"),
        format!(
            "cookie: username-localhost=\"2|1:0|10:1700000000|18:username-localhost|48:{payload}|{text}\""
        ),
        format!("cookie: username-localhost={text}; username-localhost={text}x; password={text}"),
        format!("referer: http://localhost/?token={text}\nuser-agent: {text}\nproxy-authorization: {text}"),
    ];
    let targets = targets.iter().map(|target| target.clone() + "\n");
    let fields = fields.iter().map(|fields| format!("/lab\n{fields}\n"));
    targets.chain(fields).collect()
}

/// The same request from a browser, a program, a form, a gRPC client, and before a request of another site.
const CLIENTS: [(&str, &str); 6] = [
    ("GET", "accept: text/html\nsec-fetch-mode: navigate"),
    ("GET", "accept: application/json\nsec-fetch-site: cross-site"),
    ("POST", "origin: http://localhost\nsec-fetch-site: same-origin"),
    ("POST", "content-type: application/grpc"),
    ("HEAD", "accept: text/html\nhost: evil.example"),
    (
        "OPTIONS",
        "origin: https://app.example.net\naccess-control-request-method: PUT",
    ),
];

/// Sends `request` and records every part of the response. The handler answers 200, 500, or panics.
async fn exchange(
    layer: &AuthLayer,
    request: Request<Full<Bytes>>,
    handler: Handler,
    sinks: &Sinks,
) -> Option<Answered> {
    sinks.debug("head", &RequestHead::new(&request));
    sinks.debug("query", &Query::from_uri(request.uri()));
    sinks.debug("cookies", &RequestCookies::from_headers(request.headers()));
    sinks.put(
        "decision",
        format!("{:?}", layer.decide(RequestHead::new(&request))),
    );
    sinks.put(
        "check",
        format!("{:?}", layer.authenticate(RequestHead::new(&request)).await),
    );
    let handler_sinks = sinks.clone();
    let mut service = layer.layer(service_fn(move |request: Request<Full<Bytes>>| {
        let handler_sinks = handler_sinks.clone();
        async move {
            handler_sinks.debug("session", &Session::from_extensions(request.extensions()));
            let status = match handler {
                Handler::Answers => StatusCode::OK,
                Handler::Fails => StatusCode::INTERNAL_SERVER_ERROR,
                // No hook is run, so that nothing is printed for it.
                Handler::Panics => std::panic::resume_unwind(Box::new("the handler panics")),
            };
            let mut response = Response::new(Full::<Bytes>::from("the handler's own"));
            *response.status_mut() = status;
            Ok::<_, Infallible>(response)
        }
    }));
    sinks.debug("service", &service);
    let future = service.ready().await.expect("infallible").call(request);
    sinks.put("service", format!("{future:?}"));
    let response = match tokio::spawn(future).await {
        Ok(response) => response.expect("infallible"),
        Err(panic) => {
            let panic = panic.into_panic();
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            sinks.put("panic", text.unwrap_or_else(|| "another".to_owned()));
            return None;
        }
    };
    sinks.put("response", format!("{response:?}"));
    if let Some(denial) = response.extensions().get::<Denial>() {
        sinks.debug("denial", denial);
        sinks.put("denial", denial.to_string());
    }
    let (parts, body) = response.into_parts();
    for (name, value) in &parts.headers {
        let place = match name.as_str() {
            "set-cookie" => "set-cookie",
            "location" => "location",
            _ => "field",
        };
        sinks.put(
            place,
            format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())),
        );
    }
    let body = body.collect().await.expect("a body").to_bytes();
    sinks.put("body", String::from_utf8_lossy(&body));
    let cookies = parts.headers.get_all("set-cookie").iter();
    Some(Answered {
        cookies: cookies
            .map(|line| line.to_str().expect("visible ASCII").to_owned())
            .collect(),
    })
}

struct Answered {
    cookies: Vec<String>,
}

#[derive(Clone, Copy)]
enum Handler {
    Answers,
    Fails,
    Panics,
}

/// Runs `test` with every trace recorded.
fn traced(test: impl Future<Output = ()>, sinks: &Sinks) {
    let subscriber = registry().with(Recorder(sinks.clone()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    tracing::subscriber::with_default(subscriber, || runtime.block_on(test));
}

#[track_caller]
fn assert_no_leak(sinks: &Sinks, canary: &Canary, but: &[&str]) {
    let leaks = sinks.leaks_of(canary, but);
    assert!(
        leaks.is_empty(),
        "{}: {:#?}",
        leaks.len(),
        &leaks[..leaks.len().min(5)]
    );
}

#[test]
fn no_credential_of_a_request_reaches_an_answer_a_log_or_a_trace() {
    let (sinks, good) = (Sinks::default(), Good::new());
    let wrong = Canary::new("a wrong token");
    let mistyped = Canary::of(
        "a mistyped token",
        format!("pcl_{}", Canary::new("mistyped").text()).as_bytes(),
    );
    traced(
        async {
            for layer in good.layers(&sinks) {
                for secret in [&good.shared, &good.key, &wrong, &mistyped] {
                    for lines in carrying(secret) {
                        for (number, (method, fields)) in CLIENTS.into_iter().enumerate() {
                            let handler = [Handler::Answers, Handler::Fails, Handler::Panics][number % 3];
                            let request = request(&format!("{method} {lines}{fields}"));
                            exchange(&layer, request, handler, &sinks).await;
                        }
                    }
                }
            }
        },
        &sinks,
    );
    for place in [
        "body",
        "denial",
        "event",
        "field",
        "location",
        "panic",
        "response",
        "session",
        "set-cookie",
        "trace",
    ] {
        assert!(sinks.count(place) > 0, "nothing was written in {place}");
    }
    for canary in [&good.shared, &good.key, &good.cookie_secret, &wrong, &mistyped] {
        assert_no_leak(&sinks, canary, &[]);
    }
}

#[test]
fn a_valid_cookie_is_sent_to_its_browser_alone() {
    let (sinks, good) = (Sinks::default(), Good::new());
    let mut canaries = Vec::new();
    traced(
        async {
            for layer in good.layers(&sinks) {
                let login = request(&format!(
                    "GET /lab/?token={}\naccept: text/html",
                    good.shared.text()
                ));
                let Some(answered) = exchange(&layer, login, Handler::Answers, &sinks).await else {
                    continue;
                };
                let pairs: Vec<_> = answered
                    .cookies
                    .iter()
                    .filter_map(|line| line.split(';').next())
                    .collect();
                let values = pairs.iter().filter_map(|pair| pair.split_once('='));
                let values: Vec<_> = values.filter(|(_, value)| !value.is_empty()).collect();
                // The signature of the one, all of the other.
                canaries.extend(
                    values
                        .iter()
                        .map(|(name, value)| Canary::of(name, &value.as_bytes()[value.len() - 32..])),
                );
                let cookie = pairs.join("; ");
                for lines in carrying(&good.shared) {
                    for (number, (method, fields)) in CLIENTS.into_iter().enumerate() {
                        let handler = [Handler::Fails, Handler::Panics, Handler::Answers][number % 3];
                        let request = request(&format!("{method} {lines}cookie: {cookie}\n{fields}"));
                        exchange(&layer, request, handler, &sinks).await;
                    }
                }
            }
        },
        &sinks,
    );
    assert!(canaries.len() > 10, "the browsers were logged in");
    for canary in canaries.iter().chain([&good.shared]) {
        assert_no_leak(&sinks, canary, &["set-cookie"]);
    }
    assert_no_leak(&sinks, &good.shared, &[]);
}

#[test]
fn a_token_that_strayed_into_a_path_is_not_logged() {
    let (sinks, good) = (Sinks::default(), Good::new());
    let strayed = Canary::new("a token in a path");
    let text = strayed.text();
    traced(
        async {
            for layer in good.layers(&sinks) {
                for path in [
                    format!("/lab%3Ftoken={text}"),
                    format!("/lab;token={text}/x"),
                    format!("/lab%3FTOKEN%3D{text}"),
                    format!("/lab/token={}", strayed.escaped()),
                    format!("/files/pcl_{text}"),
                ] {
                    for (number, (method, fields)) in CLIENTS.into_iter().enumerate() {
                        let handler = [Handler::Answers, Handler::Fails, Handler::Panics][number % 3];
                        exchange(
                            &layer,
                            request(&format!("{method} {path}\n{fields}")),
                            handler,
                            &sinks,
                        )
                        .await;
                    }
                }
            }
        },
        &sinks,
    );
    assert!(sinks.count("event") > 0 && sinks.count("trace") > 0);
    // The page after the login has the browser's own address; `RequestHead` shows the path to its callers.
    assert_no_leak(&sinks, &strayed, &["head", "location", "response", "decision"]);
}

/// An error and all that caused it.
fn record(sinks: &Sinks, error: &dyn Error) {
    let mut next = Some(error);
    while let Some(error) = next {
        sinks.put("error", error.to_string());
        sinks.debug("error", &error);
        next = error.source();
    }
}

#[test]
fn no_error_contains_the_invalid_secret() {
    let sinks = Sinks::default();
    let secret = Canary::new("an invalid secret");
    let text = secret.text();
    let malformed = [
        format!("{text} {text}"),
        format!("{text}\n\n"),
        format!("{text}\u{e9}"),
        text.repeat(20),
        format!("pcl_{text}"),
    ];
    let now = UnixTime::from_secs(1_700_000_000);
    let keyring = Keyring::generate();
    let grant = Grant::new(Identity::new("one"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("secret");
    for content in &malformed {
        record(&sinks, &content.parse::<Token>().expect_err("no token"));
        record(
            &sinks,
            &Token::load(&BytesSource::new(content.as_str())).expect_err("no token"),
        );
        for list in [
            format!("good,{content},good2"),
            format!("{text},{text}"),
            format!("{text},,{text}x"),
        ] {
            // Spaces around an entry are removed, and it may be valid then.
            if let Err(error) = TokenSet::from_list(&Secret::from(list), grant.clone()) {
                record(&sinks, &error);
            }
        }
        if let Err(error) = content.parse::<portcullis::token::TokenHash>() {
            record(&sinks, &error);
        }
        for mode in [0o600, 0o644] {
            std::fs::write(&path, content).expect("written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("changed");
            let sources: [FileSource; 4] = [
                FileSource::cookie_secret(&path),
                FileSource::new(&path),
                FileSource::new(&path).raw(),
                FileSource::cookie_secret(&path).or_create(),
            ];
            for source in sources {
                sinks.debug("source", &source);
                let first = SourceChain::new([Box::new(source.clone()) as Box<dyn SecretSource>]);
                sinks.debug("source", &first);
                for error in [
                    source.load().err(),
                    first.load().err(),
                    Token::load(&source).err(),
                ] {
                    error.iter().for_each(|error| record(&sinks, error));
                }
            }
        }
    }
    record(
        &sinks,
        &Keyring::from_secret(Secret::from(&text[..20])).expect_err("too short"),
    );
    record(
        &sinks,
        &keyring
            .clone()
            .with_previous_key(Secret::from(&text[..20]), now)
            .expect_err("too short"),
    );
    let mut full = keyring.clone();
    for _ in 0..Keyring::MAX_PREVIOUS_KEYS {
        full = full
            .with_previous_key(Secret::from(text), now)
            .expect("fewer keys than the limit");
    }
    record(
        &sinks,
        &full
            .with_previous_key(Secret::from(text), now)
            .expect_err("too many"),
    );

    let scope = CookieScope::hub_login("/").expect("a scope");
    let jar = CookieJar::signed(&keyring, scope.clone());
    record(
        &sinks,
        &jar.set_cookie(text.repeat(200).as_bytes(), now, true)
            .expect_err("too large"),
    );
    record(
        &sinks,
        &scope
            .set_cookie(b"", &format!("{text};"), None, true)
            .expect_err("malformed"),
    );
    for payload in [
        text.to_owned(),
        format!("{{\"username\": \"{text}\"}}"),
        text.repeat(200),
    ] {
        record(
            &sinks,
            &Identity::from_payload(payload.as_bytes()).expect_err("no identity"),
        );
    }
    let mut buffer = [0; 256];
    let opened = SignedValueCodec::new(&keyring).verify(
        &CookieName::hub_login(),
        text.as_bytes(),
        Duration::from_secs(1),
        || now,
        &mut buffer,
    );
    record(&sinks, &opened.expect_err("forged"));
    let authorization = format!("Bearer {text} {text}");
    let denial = portcullis::authenticate::token_in_authorization(authorization.as_bytes());
    record(&sinks, &denial.expect_err("malformed"));
    let query = format!("token={text}&token={text}");
    record(
        &sinks,
        &Query::new(query.as_bytes())
            .token(&mut TokenBuffer::default())
            .expect_err("two"),
    );
    assert!(sinks.count("error") > 30, "{} errors", sinks.count("error"));
    assert_no_leak(&sinks, &secret, &[]);
}

#[tokio::test]
async fn span_of_a_request_holds_neither_its_token_nor_its_cookies() {
    let secret = Canary::new("a credential of a request");
    let text = secret.text();
    let sinks = Sinks::default();
    let recorder = registry().with(Recorder(sinks.clone()));
    let _guard = tracing::subscriber::set_default(recorder);
    let auth = AuthLayer::token(text.parse().expect("a token"));
    let traced = tower_http::trace::TraceLayer::new_for_http().make_span_with(request_span);
    let service = traced.layer(auth.layer(service_fn(async |_: Request<Full<Bytes>>| {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    })));
    for lines in [
        format!("GET /lab?x=1&token={text}&y=2\naccept: text/html"),
        format!("GET /lab?t%6Fken={}", secret.escaped()),
        format!("GET /lab%3Ftoken={text}"),
        format!("GET /lab\nauthorization: Bearer {text}\ncookie: username-localhost={text}; _xsrf={text}"),
    ] {
        service
            .clone()
            .oneshot(request(&lines))
            .await
            .expect("infallible");
    }
    for expected in ["path = /lab%3Ftoken=...", "query = \"x=1&token=[token]&y=2\""] {
        let found = sinks.leaks_of(&Canary::of(expected, expected.as_bytes()), &[]);
        assert!(!found.is_empty(), "{expected}");
    }
    assert_no_leak(&sinks, &secret, &[]);
}

#[test]
fn no_error_contains_the_value_of_a_variable() {
    let secret = Canary::new("a variable's content");
    if subprocess::task().is_some() {
        let sources = [
            EnvSource::jupyter_token(),
            EnvSource::cookie_secret(),
            EnvSource::new("API_KEYS"),
        ];
        for source in &sources {
            eprintln!("{source:?} {:?} {:?}", source.load(), Token::load(source));
            if let Err(error) = source.load() {
                eprintln!("{error}");
            }
            if let Err(error) = Token::load(source) {
                eprintln!("{error}");
            }
        }
        return;
    }
    let malformed = format!("{} {}", secret.text(), secret.text());
    let mut command = subprocess::command(
        module_path!(),
        "no_error_contains_the_value_of_a_variable",
        "load",
    );
    for variable in ["JUPYTER_TOKEN", "JPY_COOKIE_SECRET", "API_KEYS"] {
        command.env(variable, &malformed);
    }
    let output = command.output().expect("a child");
    let output = String::from_utf8(output.stderr).expect("text");
    for variable in ["JUPYTER_TOKEN", "JPY_COOKIE_SECRET"] {
        assert!(output.contains(variable), "{output}");
    }
    assert!(!secret.is_in(&output), "{output}");
}

#[test]
fn debug_of_what_holds_a_secret_shows_none() {
    let sinks = Sinks::default();
    let secret = Canary::new("a secret that is held");
    let text = secret.text();
    let token: Token = text.parse().expect("a token");
    let presented = PresentedToken::new(text.as_bytes()).expect("a token");
    let grant = Grant::new(Identity::new("one"));
    let keyring = Keyring::from_secret(Secret::from(text))
        .and_then(|keyring| keyring.with_previous_key(Secret::from(text), UnixTime::from_secs(1)))
        .expect("long enough")
        .bound_to_password(text)
        .bound_to_token(text.as_bytes());
    let shared = SharedToken::new(token.clone(), grant.clone());
    let set = TokenSet::new([(token.clone(), grant.clone())]).expect("a set");
    let request = request(&format!(
        "GET /?token={}\nauthorization: Bearer {text}",
        secret.escaped()
    ));
    let head = RequestHead::new(&request);
    let sources = TokenSources::default();
    let mut buffer = TokenBuffer::default();
    let found = sources.extract(head, &mut buffer).expect("one token");
    assert!(found.is_some_and(|found| found.token().expose() == text));
    sinks.debug("found", &found);
    sinks.debug("buffer", &buffer);
    sinks.debug("outcome", &sources);

    let scope = CookieScope::custom(CookieName::session_id(), "/").expect("a scope");
    let now = UnixTime::from_secs(1_700_000_000);
    for jar in [
        CookieJar::signed(&keyring, scope.clone()),
        CookieJar::encrypted(&keyring, scope),
    ] {
        sinks.debug("jar", &jar);
        sinks.debug("jar", &jar.for_host(b"localhost"));
        sinks.debug("jar", &LoginCookieAuthenticator::new(jar.clone()));
        let line = jar.set_cookie(text.as_bytes(), now, true).expect("short enough");
        let value = line
            .to_str()
            .expect("visible ASCII")
            .split(';')
            .next()
            .expect("a pair")
            .to_owned();
        // The cookie itself is a secret of its browser's.
        let cookie = Canary::of("a cookie", &value.as_bytes()[value.len() - 32..]);
        let lines = [value.as_bytes()];
        let cookies = RequestCookies::from_lines(&lines).expect("one");
        sinks.debug("cookies", &cookies);
        sinks.debug("cookies", &cookies.distinct_values(&CookieName::session_id()));
        jar.read(&cookies, || now, |_| Some(()), |read| {
            assert!(
                matches!(read, portcullis::cookies::ReadCookie::Valid(opened) if opened.payload() == text.as_bytes())
            );
            sinks.debug("cookies", &read);
        });
        sinks.debug("cookies", &line);
        let mut set_cookies = SetCookies::default();
        set_cookies.push(line);
        sinks.debug("cookies", &set_cookies);
        assert_no_leak(&sinks, &cookie, &[]);
    }

    let xsrf = CsrfTokens::new(keyring.clone());
    let value = xsrf.issue(CsrfBinding::of_session(text.as_bytes()));
    sinks.debug("xsrf", &xsrf);
    sinks.debug("xsrf", &CsrfBinding::of_session(text.as_bytes()));
    sinks.debug(
        "xsrf",
        &RequestCsrf::new(
            &xsrf,
            CsrfBinding::of_session(text.as_bytes()),
            Some(value.as_bytes()),
        ),
    );
    assert_no_leak(&sinks, &Canary::of("an xsrf value", value.as_bytes()), &[]);

    let builder = AuthLayer::builder()
        .token(token.clone())
        .bearer_tokens(set.clone())
        .keyring(keyring.clone());
    sinks.debug("layer", &builder);
    let layer = builder.build().expect("a layer");
    sinks.debug("layer", &layer);
    sinks.debug("layer", &layer.layer("inner"));
    let held: [&dyn fmt::Debug; 18] = [
        &token,
        &presented,
        &token.to_authorization_header(),
        &token.hash(),
        &Secret::from(text),
        &keyring,
        &SignedValueCodec::new(&keyring),
        &shared,
        &TokenAuthenticator::new(shared.clone()),
        &set,
        &TokenAuthenticator::new(set.clone()),
        &BytesSource::new(text),
        &SourceChain::new([Box::new(BytesSource::new(text)) as Box<dyn SecretSource>]),
        &head,
        &Query::from_uri(request.uri()),
        &BackendError::new(text),
        &Outcome::Unavailable(BackendError::new(text)),
        &Some(Secret::from(text.as_bytes().to_vec())),
    ];
    for held in held {
        sinks.debug("held", held);
    }
    assert_no_leak(&sinks, &secret, &[]);
}

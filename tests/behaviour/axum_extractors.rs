//! What axum handlers take and give: extractors, refusals and cookies.

use axum::{
    Form, Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{Request, StatusCode, request::Parts};
use http_body_util::BodyExt;
use portcullis::{
    AuthLayer, Denial, Event, Grant, Identity, Reason, RequestHead, Session, Token, TokenSet,
    middleware::{Challenge, ResponseStyle},
    testing::TestIdentity,
};
use tower::ServiceExt;

use crate::common::{Answered, TOKEN, request};

async fn name(session: Session) -> String {
    session.identity().username().to_owned()
}

async fn perhaps(session: Option<Session>) -> String {
    session.map_or("anonymous".to_owned(), |session| {
        session.identity().username().to_owned()
    })
}

async fn write(session: Session) -> Result<&'static str, Denial> {
    session.require_scope("write")?;
    Ok("written")
}

fn keys() -> TokenSet {
    let key: Token = TOKEN.parse().expect("a token");
    TokenSet::new([(key, Grant::new(Identity::new("alice")).with_scopes(["read"]))]).expect("a set")
}

fn routes() -> Router {
    Router::new()
        .route("/name", get(name).post(name))
        .route("/perhaps", get(perhaps))
        .route("/write", post(write))
}

async fn ask(app: &Router, request: Request<Body>) -> Answered {
    let (parts, body) = app
        .clone()
        .oneshot(request)
        .await
        .expect("infallible")
        .into_parts();
    let text = body.collect().await.expect("a body").to_bytes();
    Answered {
        status: parts.status,
        parts,
        text: String::from_utf8_lossy(&text).into_owned(),
    }
}

async fn send(app: &Router, lines: &str) -> Answered {
    ask(app, request(lines).map(Body::new)).await
}

#[tokio::test]
async fn a_session_is_extracted_and_an_unauthenticated_request_has_none() {
    let auth = AuthLayer::bearer_tokens(keys());
    let app = routes().layer(auth.optional().public_paths(["/open"]));
    for (lines, status, text) in [
        ("GET /name\nauthorization: Bearer {TOKEN}", 200, "alice"),
        ("GET /perhaps\nauthorization: Bearer {TOKEN}", 200, "alice"),
        ("GET /perhaps", 200, "anonymous"),
        ("GET /perhaps\nauthorization: Bearer wrong", 401, "unknown token"),
        ("GET /name", 401, "missing credentials"),
    ] {
        let answer = send(&app, &lines.replace("{TOKEN}", TOKEN)).await;
        assert_eq!(answer.status.as_u16(), status, "{lines}");
        assert!(answer.text.contains(text), "{lines}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_handler_behind_an_open_path_gets_unauthenticated_requests_too() {
    let app = routes().layer(AuthLayer::bearer_tokens(keys()).public_paths(["/perhaps", "/name"]));
    assert_eq!(send(&app, "GET /perhaps").await.text, "anonymous");
    assert_eq!(send(&app, "GET /name").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_extractor_rejects_an_unauthenticated_request_like_the_layer() {
    let layer_with = |responses| {
        AuthLayer::builder()
            .token(TOKEN.parse().expect("a token"))
            .challenge(Challenge::bearer("the realm").expect("a realm"))
            .response_style(responses)
            .build()
            .expect("a layer")
    };
    for responses in [ResponseStyle::standard(), ResponseStyle::jupyter()] {
        let auth = layer_with(responses);
        let (by_gate, by_extractor) = (routes().layer(auth.clone()), routes().layer(auth.optional()));
        for lines in [
            "GET /name?a=1\naccept: text/html",
            "GET /name\naccept: application/json",
            "POST /name\ncontent-type: application/grpc",
        ] {
            let (expected, found) = (send(&by_gate, lines).await, send(&by_extractor, lines).await);
            assert_eq!(found.status, expected.status, "{lines}");
            assert_eq!(found.text, expected.text, "{lines}");
            for field in [
                "location",
                "www-authenticate",
                "grpc-status",
                "content-type",
                "cache-control",
            ] {
                assert_eq!(found.header(field), expected.header(field), "{lines}: {field}");
            }
            let denial = found
                .parts
                .extensions
                .get::<Denial>()
                .expect("it carries its denial");
            assert_eq!(denial.reason(), Reason::MissingCredential, "{lines}");
        }
    }
}

#[tokio::test]
async fn a_rejection_by_an_extractor_is_an_event() {
    let (told, heard) = std::sync::mpsc::channel();
    let auth = AuthLayer::builder()
        .bearer_tokens(keys())
        .observer(move |event: &Event<'_>| {
            if let Event::Denied { reason, path, .. } = event {
                told.send(format!("{reason} at {path}"))
                    .expect("the test listens");
            }
        })
        .build()
        .expect("a layer");
    send(&routes().layer(auth.optional()), "GET /name").await;
    assert_eq!(
        heard.try_iter().collect::<Vec<_>>(),
        ["missing credentials at /name"]
    );
}

#[tokio::test]
async fn a_route_without_its_layer_is_a_server_error_that_names_the_fix() {
    let auth = AuthLayer::bearer_tokens(keys());
    let without_extension = AuthLayer::builder()
        .bearer_tokens(keys())
        .without_session_extension()
        .build()
        .expect("a layer");
    for (claim, app) in [
        ("no layer", routes()),
        // The layer wraps what is there when it is added.
        ("a layer added first", Router::new().layer(auth).merge(routes())),
        (
            "a layer that passes no session on",
            routes().layer(without_extension),
        ),
    ] {
        for path in ["/name", "/perhaps"] {
            let lines = format!("GET {path}?token={TOKEN}\nauthorization: Bearer {TOKEN}\ncookie: a={TOKEN}");
            let answer = send(&app, &lines).await;
            assert_eq!(
                answer.status,
                StatusCode::INTERNAL_SERVER_ERROR,
                "{claim}: {path}"
            );
            assert!(answer.text.contains(".layer(auth)"), "{claim}: {}", answer.text);
            assert_eq!(answer.header("cache-control"), "no-store", "{claim}");
            let shown = format!("{:?} {}", answer.parts, answer.text);
            assert!(!shown.contains(TOKEN), "{claim}: {shown}");
        }
    }
}

#[tokio::test]
async fn a_handler_requires_a_scope_and_the_denial_names_it() {
    let app = routes().layer(AuthLayer::bearer_tokens(keys()));
    let lines = format!("POST /write\nauthorization: Bearer {TOKEN}");
    let answer = send(&app, &lines).await;
    crate::common::refused_for(&answer, 403, Reason::InsufficientScope);
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(
        answer
            .header("www-authenticate")
            .ends_with("error=\"insufficient_scope\", scope=\"write\""),
        "{answer:?}"
    );
}

/// What a handler answers to `denial`, as a value or in the way of the client.
fn denying(denial: Denial) -> Router {
    let value = denial.clone();
    Router::new().route("/value", get(|| async move { value })).route(
        "/by-client",
        get(|head: Parts| async move { denial.into_response::<Body>(RequestHead::from_parts(&head)) }),
    )
}

#[tokio::test]
async fn a_denial_of_a_handler_has_the_challenge_and_status_of_the_nearest_layer() {
    let metadata = "https://mcp.example.org/.well-known/oauth-protected-resource";
    let layer = |realm: &str, style| {
        let challenge = Challenge::bearer(realm).expect("a realm");
        let challenge = challenge.with_resource_metadata(metadata.parse().expect("a URI"));
        let builder = AuthLayer::builder().bearer_tokens(keys()).challenge(challenge);
        builder.response_style(style).build().expect("a layer")
    };
    let (standard, jupyter) = (ResponseStyle::standard(), ResponseStyle::jupyter());
    let params = format!("Bearer realm=\"mcp\", resource_metadata=\"{metadata}\"");
    for (denial, style, status, expected) in [
        (
            Denial::insufficient_scope("write"),
            standard,
            403,
            format!("{params}, error=\"insufficient_scope\", scope=\"write\""),
        ),
        (
            Denial::new(Reason::UnknownToken),
            standard,
            401,
            format!("{params}, error=\"invalid_token\""),
        ),
        (
            Denial::new(Reason::IncorrectPassword),
            standard,
            401,
            params.clone(),
        ),
        (
            Denial::new(Reason::IncorrectPassword),
            jupyter,
            403,
            String::new(),
        ),
        (Denial::new(Reason::RateLimited), standard, 429, String::new()),
    ] {
        let inner = denying(denial.clone()).layer(layer("mcp", style));
        let nested = inner.clone().layer(layer("outer", standard));
        for (app, path) in [(&inner, "/value"), (&inner, "/by-client"), (&nested, "/value")] {
            let answer = send(app, &format!("GET {path}\nauthorization: Bearer {TOKEN}")).await;
            assert_eq!(answer.status, status, "{denial} {path}");
            assert_eq!(answer.header("www-authenticate"), expected, "{denial} {path}");
            assert_eq!(answer.parts.extensions.get::<Denial>(), Some(&denial), "{path}");
        }
    }
    let app =
        denying(Denial::new(Reason::UnknownToken)).layer(layer("mcp", standard).public_paths(["/value"]));
    let answer = send(&app, "GET /value").await;
    assert!(
        answer.header("www-authenticate").starts_with(&params),
        "a public path: {answer:?}"
    );
}

#[test]
fn a_denial_is_json_whatever_its_detail_says() {
    let denial = Denial::new(Reason::InsufficientScope).with_detail("call \"ops\" \\ or wait");
    let answer: Response = IntoResponse::into_response(denial.clone());
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let told: http::Response<hyper::body::Bytes> = denial.into_response(RequestHead::new(&request("GET /")));
    let value: serde_json::Value = serde_json::from_slice(told.body()).expect("JSON");
    assert_eq!(value["message"], "insufficient scope: call \"ops\" \\ or wait");
}

#[test]
fn a_denial_of_a_handler_is_answered_for_each_kind_of_client() {
    let told = |lines: &str| -> http::Response<hyper::body::Bytes> {
        Denial::insufficient_scope("write").into_response(RequestHead::new(&request(lines)))
    };
    let page = told("GET /\naccept: text/html");
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    assert!(page.body().starts_with(b"<!"), "{page:?}");
    let grpc = told("POST /a.B/C\ncontent-type: application/grpc");
    assert_eq!((grpc.status(), grpc.body().len()), (StatusCode::OK, 0));
    assert_eq!(grpc.headers()["grpc-status"], "7");
}

/// A custom login, which adds cookies to its response.
async fn log_in(
    State(auth): State<AuthLayer>,
    head: Parts,
    Form(who): Form<Vec<(String, String)>>,
) -> Response {
    match who.first() {
        Some((_, name)) => {
            match auth
                .login(RequestHead::from_parts(&head), Grant::new(Identity::new(name)))
                .await
            {
                Ok(cookies) => (cookies, "welcome").into_response(),
                Err(_) => StatusCode::BAD_REQUEST.into_response(),
            }
        }
        None => Denial::new(Reason::IncorrectPassword).into_response(RequestHead::from_parts(&head)),
    }
}

async fn log_out(State(auth): State<AuthLayer>, head: Parts) -> Response {
    let head = RequestHead::from_parts(&head);
    match auth.logout(head).await {
        Ok(cookies) => cookies.into_response(),
        Err(denial) => denial.into_response(head),
    }
}

#[tokio::test]
async fn a_custom_login_sets_its_cookies_in_addition_to_others() {
    let auth = AuthLayer::builder()
        .token(TOKEN.parse().expect("a token"))
        .custom_login_page()
        .build()
        .expect("a layer");
    async fn with_theme(mut answer: Response) -> Response {
        let theme = http::HeaderValue::from_static("theme=dark; Path=/");
        answer.headers_mut().append("set-cookie", theme);
        answer
    }
    let app = Router::new()
        .route("/login", post(log_in))
        .route("/name", get(name))
        .route("/leave", post(log_out))
        .layer(axum::middleware::map_response(with_theme))
        .layer(auth.clone())
        .with_state(auth.clone());
    let form = |body: &'static str| {
        request("POST /login\ncontent-type: application/x-www-form-urlencoded").map(|_| Body::from(body))
    };
    let answer = ask(&app, form("name=alice")).await;
    assert_eq!((answer.status, &*answer.text), (StatusCode::OK, "welcome"));
    assert_eq!(answer.set_cookies().len(), 3, "{answer:?}");
    let session = answer.cookie("username-localhost=");
    assert_eq!(answer.cookie("theme="), "theme=dark");
    assert_eq!(
        send(&app, &format!("GET /name\ncookie: {session}")).await.text,
        "alice"
    );
    assert_eq!(ask(&app, form("")).await.status, StatusCode::UNAUTHORIZED);

    let leave = TestIdentity::new("alice").authenticate(&auth, request("POST /leave").map(Body::new));
    let lines = ask(&app, leave).await.set_cookies();
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("username-localhost=;")
                || line.starts_with("username-localhost=\"\"")),
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_hidden_xsrf_field_is_checked_by_the_extractor_before_the_session_is_handed_over() {
    use portcullis::extract::CsrfForm;

    async fn rename(form: CsrfForm) -> String {
        assert!(!form.session().identity().username().is_empty());
        form.field("name").unwrap_or("none").to_owned()
    }
    let auth = AuthLayer::builder()
        .token(TOKEN.parse().expect("a token"))
        .build()
        .expect("a layer");
    let app = Router::new()
        .route("/rename", post(rename))
        .route("/session", post(name))
        .layer(auth.csrf_in_form());
    let guarded = Router::new().route("/rename", post(rename)).layer(auth.clone());
    let login = crate::common::send(&auth, request(&format!("GET /?token={TOKEN}"))).await;
    let (cookie, xsrf) = (login.cookie("username-"), login.cookie("_xsrf="));
    let value = xsrf.strip_prefix("_xsrf=").expect("a value");
    let (good, bad) = (
        format!("name=x+y&_xsrf={value}"),
        "name=x+y&_xsrf=wrong".to_owned(),
    );
    let none = "name=x+y".to_owned();
    let large = format!("{good}&more={}", "y".repeat(3_000_000));
    let (here, there) = ("origin: http://localhost", "origin: https://evil.example");
    let form = "content-type: application/x-www-form-urlencoded";
    for (what, app, path, fields, body, status, text) in [
        (
            "the value in the form",
            &app,
            "/rename",
            format!("{form}\n{here}"),
            &good,
            200,
            "x y",
        ),
        (
            "another value",
            &app,
            "/rename",
            format!("{form}\n{here}"),
            &bad,
            403,
            "_xsrf",
        ),
        (
            "no value",
            &app,
            "/rename",
            format!("{form}\n{here}"),
            &none,
            403,
            "X-XSRFToken",
        ),
        (
            "another site",
            &app,
            "/rename",
            format!("{form}\n{there}"),
            &good,
            403,
            "origin not allowed",
        ),
        (
            "the value in the header",
            &app,
            "/rename",
            format!("{form}\n{here}\nx-xsrftoken: {value}"),
            &none,
            200,
            "x y",
        ),
        (
            "too large",
            &app,
            "/rename",
            format!("{form}\n{here}"),
            &large,
            413,
            "",
        ),
        (
            "no form",
            &app,
            "/rename",
            format!("content-type: text/plain\n{here}"),
            &good,
            403,
            "csrf_in_form",
        ),
        (
            "a handler that takes the session",
            &app,
            "/session",
            format!("{form}\n{here}"),
            &good,
            500,
            "CsrfForm",
        ),
        (
            "a route that does not read forms",
            &guarded,
            "/rename",
            format!("{form}\n{here}"),
            &good,
            403,
            "in the query",
        ),
    ] {
        let lines = format!("POST {path}\ncookie: {cookie}; {xsrf}\n{fields}");
        let answer = ask(app, request(&lines).map(|_| Body::from(body.clone()))).await;
        assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.text);
        assert!(answer.text.contains(text), "{what}: {}", answer.text);
    }
    // A token in the header is no credential that a browser attaches.
    let lines = format!("POST /rename\nauthorization: Bearer {TOKEN}\n{form}");
    let answer = ask(&app, request(&lines).map(|_| Body::from("name=x"))).await;
    assert_eq!((answer.status.as_u16(), &*answer.text), (200, "x"));
    assert_eq!(send(&app, &format!("POST /rename\n{form}")).await.status, 401);
}

#[tokio::test]
async fn without_an_extractor_after_it_a_layer_with_csrf_in_form_checks_every_form_itself() {
    let builder = || AuthLayer::builder().token(TOKEN.parse().expect("a token"));
    let auth = builder().build().expect("a layer").csrf_in_form();
    let login = crate::common::send(&auth, request(&format!("GET /?token={TOKEN}"))).await;
    let form = request(&format!(
        "POST /rename\norigin: http://localhost\ncookie: {}\ncontent-type: application/x-www-form-urlencoded",
        login.cookie("username-")
    ));
    let head = RequestHead::new(&form);
    let denial = auth.authenticate(head).await.expect_err("no _xsrf");
    assert_eq!(denial.reason(), Reason::CrossSite);
    assert!(matches!(
        auth.decide(head).await,
        portcullis::middleware::Decision::Respond(_)
    ));

    let silent = builder()
        .without_session_extension()
        .build()
        .expect("a layer")
        .csrf_in_form();
    let login = crate::common::send(&silent, request(&format!("GET /?token={TOKEN}"))).await;
    let form = format!(
        "POST /rename\norigin: http://localhost\ncookie: {}\ncontent-type: application/x-www-form-urlencoded",
        login.cookie("username-")
    );
    let answer = crate::common::send(&silent, request(&form)).await;
    assert_eq!(answer.status, 403);
}

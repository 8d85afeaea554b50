//! The layer in every way that routers combine: a user opens the login page, logs in, gets back, and logs out.

use std::convert::Infallible;

use axum::{
    Router,
    body::Body,
    extract::{OriginalUri, Request},
    response::Response,
    routing::get,
};
use http_body_util::BodyExt as _;
use portcullis::{AuthLayer, AuthLayerBuilder};
use tower::{Service, ServiceBuilder, ServiceExt as _, util::option_layer};
use tower_http::{compression::CompressionLayer, cors::CorsLayer, trace::TraceLayer};

use crate::common::{Answered, TOKEN, request};

fn builder(base: &str) -> AuthLayerBuilder {
    AuthLayer::builder()
        .token(TOKEN.parse().expect("a token"))
        .base_url(base.parse().expect("a base"))
        .original_uri(|extensions| extensions.get::<OriginalUri>().map(|uri| &uri.0))
}

/// A layer at `base` with a public path below it.
fn auth(base: &str) -> AuthLayer {
    let auth = builder(base).build().expect("a layer");
    auth.public_paths([format!("{base}health")])
}

/// The application: two guarded pages, and one that is public.
fn routes() -> Router {
    Router::new()
        .route("/", get(|| async { "home" }))
        .route("/page", get(|| async { "page" }))
        .route("/health", get(|| async { "healthy" }))
}

/// A router with the pages of the layer.
fn with_pages(mut app: Router, auth: &AuthLayer) -> Router {
    for path in auth.page_paths() {
        app = app.route_service(path, auth.pages());
    }
    app
}

async fn not_here() -> (http::StatusCode, &'static str) {
    (http::StatusCode::NOT_FOUND, "not here")
}

async fn ask<S>(app: &S, lines: &str, body: &str) -> Answered
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone,
{
    let (mut parts, _) = request(lines).into_parts();
    if !body.is_empty() {
        let form = "application/x-www-form-urlencoded".parse().expect("a type");
        parts.headers.insert("content-type", form);
    }
    let request = Request::from_parts(parts, Body::from(body.to_owned()));
    let answer = app.clone().oneshot(request).await.expect("infallible");
    let (parts, body) = answer.into_parts();
    let text = body.collect().await.expect("a body").to_bytes();
    Answered {
        status: parts.status,
        parts,
        text: String::from_utf8_lossy(&text).into_owned(),
    }
}

const NAVIGATION: &str =
    "accept: text/html\nsec-fetch-site: same-origin\nsec-fetch-mode: navigate\nsec-fetch-dest: document";

/// A login and a logout at an application that browsers see below `base`. A proxy takes `removed` off each path.
async fn log_in_and_out<S>(case: &str, app: S, base: &str, removed: &str)
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone,
{
    let get = async |path: &str, cookies: &str| {
        let path = path
            .strip_prefix(removed)
            .expect("a path that the proxy passes on");
        ask(&app, &format!("GET {path}\n{NAVIGATION}\ncookie: {cookies}"), "").await
    };
    let page = format!("{base}page?x=1");

    let health = get(&format!("{base}health"), "").await;
    assert_eq!(
        (health.status.as_u16(), &*health.text),
        (200, "healthy"),
        "{case}"
    );

    let refused = get(&page, "").await;
    let login = format!(
        "{base}login?next={}%3Fx%3D1",
        format!("{base}page").replace('/', "%2F")
    );
    assert_eq!(
        (refused.status.as_u16(), refused.header("location")),
        (302, &*login),
        "{case}"
    );

    let form = get(&login, "").await;
    assert_eq!(form.status, 200, "{case}: the login page, {}", form.text);
    let xsrf = form.cookie("_xsrf");
    let value = xsrf.trim_start_matches("_xsrf=");
    let action = login
        .strip_prefix(removed)
        .expect("a path that the proxy passes on");
    let head = format!("POST {action}\n{NAVIGATION}\norigin: http://localhost\ncookie: {xsrf}");
    let entered = ask(&app, &head, &format!("_xsrf={value}&password={TOKEN}")).await;
    assert_eq!(
        (entered.status.as_u16(), entered.header("location")),
        (302, &*page),
        "{case}"
    );
    for line in entered.set_cookies() {
        assert!(line.contains(&format!("; Path={base}")), "{case}: {line}");
    }
    let cookies = format!("{}; {}", entered.cookie("username-"), entered.cookie("_xsrf"));

    let seen = get(&page, &cookies).await;
    assert_eq!((seen.status.as_u16(), &*seen.text), (200, "page"), "{case}");

    let cleaned = get(&format!("{page}&token={TOKEN}"), "").await;
    assert_eq!(
        (cleaned.status.as_u16(), cleaned.header("location")),
        (303, &*page),
        "{case}"
    );

    let left = get(&format!("{base}logout"), &cookies).await;
    assert_eq!(left.status, 200, "{case}: {}", left.text);
    assert!(
        left.set_cookies().iter().any(|line| line.contains("Max-Age=0")),
        "{case}"
    );
    let ended = get(&page, &cookies).await;
    assert_eq!(ended.status, 302, "{case}: the login has ended");
}

#[tokio::test]
async fn a_person_logs_in_however_routers_are_combined() {
    let (root, ui) = (auth("/"), auth("/ui/"));
    let cases = [
        ("layer", routes().layer(root.clone()), "/"),
        (
            "layer around a fallback",
            routes().fallback(not_here).layer(root.clone()),
            "/",
        ),
        (
            "route_layer",
            with_pages(routes().route_layer(root.clone()), &root),
            "/",
        ),
        (
            "layer, then fallback",
            with_pages(routes().layer(root.clone()).fallback(not_here), &root),
            "/",
        ),
        (
            "layer, then fallback_service",
            routes().layer(root.clone()).fallback_service(root.pages()),
            "/",
        ),
        (
            "merge into a router with a fallback",
            with_pages(
                Router::new()
                    .merge(routes().layer(root.clone()))
                    .fallback(not_here),
                &root,
            ),
            "/",
        ),
        (
            "nest",
            with_pages(Router::new().nest("/ui", routes().layer(ui.clone())), &ui).fallback(not_here),
            "/ui/",
        ),
        (
            "nest_service",
            Router::new().nest_service("/ui", routes().layer(ui.clone())),
            "/ui/",
        ),
        (
            "layer around a nested router",
            Router::new().nest("/ui", routes()).layer(ui.clone()),
            "/ui/",
        ),
        (
            "ServiceBuilder",
            routes().layer(
                ServiceBuilder::new()
                    .layer(TraceLayer::new_for_http())
                    .layer(CorsLayer::new())
                    .layer(CompressionLayer::new())
                    .layer(root.clone()),
            ),
            "/",
        ),
        (
            "layers of tower-http inside",
            routes()
                .layer(CompressionLayer::new())
                .layer(CorsLayer::new())
                .layer(root.clone()),
            "/",
        ),
        (
            "option_layer",
            routes().layer(option_layer(Some(
                ServiceBuilder::new()
                    .map_response(|response: http::Response<_>| response.map(Body::new))
                    .layer(root.clone()),
            ))),
            "/",
        ),
    ];
    for (case, app, base) in cases {
        log_in_and_out(case, app, base, "").await;
    }
    let around = ServiceBuilder::new()
        .map_response(|response: http::Response<_>| response.map(Body::new))
        .layer(root)
        .service(routes());
    log_in_and_out("a layer around the whole router", around, "/", "").await;
}

#[tokio::test]
async fn a_person_logs_in_where_a_proxy_removes_a_prefix() {
    let builder = || AuthLayer::builder().token(TOKEN.parse().expect("a token"));
    let auth = builder().stripped_prefix("/app").build().expect("a layer");
    let auth = auth.public_paths(["/app/health"]);
    log_in_and_out("a proxy", routes().layer(auth), "/app/", "/app").await;

    // The pages as routes, and a stricter rule further in.
    let auth = builder().stripped_prefix("/app").build().expect("a layer");
    let inner = routes().route_layer(auth.optional());
    let app = with_pages(inner.route_layer(auth.public_paths(["/app/health"])), &auth);
    log_in_and_out("a proxy, route_layer and a layer within", app, "/app/", "/app").await;

    // The router below the proxy has a prefix as well.
    let auth = builder()
        .stripped_prefix("/app")
        .base_url("/app/ui/".parse().expect("a base"))
        .original_uri(|extensions| extensions.get::<OriginalUri>().map(|uri| &uri.0))
        .build()
        .expect("a layer");
    let auth = auth.public_paths(["/app/ui/health"]);
    let app = Router::new().nest_service("/ui", routes().layer(auth));
    log_in_and_out("a proxy and a nested service", app, "/app/ui/", "/app").await;
}

#[tokio::test]
async fn a_login_page_that_is_not_reached_names_the_settings_instead_of_redirecting_for_ever() {
    let auth = AuthLayer::builder().token(TOKEN.parse().expect("a token"));
    let auth = auth
        .base_url("/app/".parse().expect("a base"))
        .build()
        .expect("a layer");
    let app = Router::new().nest_service("/app", routes().layer(auth));
    let refused = ask(&app, &format!("GET /app/page\n{NAVIGATION}"), "").await;
    let login = refused.header("location").to_owned();
    let answer = ask(&app, &format!("GET {login}\n{NAVIGATION}"), "").await;
    assert_eq!(answer.status, 500);
    for setting in ["original_uri", "stripped_prefix"] {
        assert!(answer.text.contains(setting), "{}", answer.text);
    }
}

#[test]
fn a_prefix_that_is_no_path_is_refused() {
    let builder = || AuthLayer::builder().token(TOKEN.parse().expect("a token"));
    for prefix in [
        "", "/", "app", "/app/", "//app", "/a//b", "/a?b", "/a b", "/\u{e9}", "/a%2f",
    ] {
        let error = builder().stripped_prefix(prefix).build().expect_err(prefix);
        assert!(
            error.to_string().starts_with("stripped_prefix: expected a path"),
            "{error}"
        );
    }
    let elsewhere = builder()
        .stripped_prefix("/app")
        .base_url("/ui/".parse().expect("a base"));
    let error = elsewhere.build().expect_err("a base elsewhere").to_string();
    assert!(error.starts_with("base_url: expected a path below"), "{error}");
}

#[tokio::test]
async fn a_server_without_routes_takes_the_layer_around_the_whole_router() {
    use axum::ServiceExt;

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let app = ServiceBuilder::new()
        .map_response(|response: http::Response<_>| response.map(Body::new))
        .layer(auth("/"))
        .service(routes());
    let server =
        tokio::spawn(
            async move { axum::serve(listener, ServiceExt::<Request>::into_make_service(app)).await },
        );
    let answer = tokio::task::spawn_blocking(move || {
        use std::io::{Read as _, Write as _};

        let mut stream = std::net::TcpStream::connect(address).expect("a connection");
        let head = format!("GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    });
    let answer = answer.await.expect("an answer");
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("healthy"),
        "{answer}"
    );
    server.abort();
}

//! The same job done by other crates, by the same counter: `cargo bench --bench peers`.
//!
//! A token in a field, or a value of 80 bytes in a signed cookie: known, and the answer is 200; else 401.

#[allow(dead_code)]
#[path = "../../case/mod.rs"]
mod case;
#[path = "../../counter/mod.rs"]
mod counter;
#[path = "../../paths/mod.rs"]
mod paths;

use std::{
    convert::Infallible,
    future::{Ready, ready},
    process::ExitCode,
    task::{Context, Poll},
};

use axum::{
    Router,
    extract::{FromRef, Request},
    middleware::{Next, from_fn},
    response::{IntoResponse as _, Response},
    routing::get,
};
use axum_extra::extract::cookie::SignedCookieJar;
use bytes::Bytes;
use cookie::{Cookie, CookieJar, Key};
use http::{StatusCode, header};
use http_body_util::Empty;
use subtle::ConstantTimeEq as _;
use tower_cookies::{CookieManagerLayer, Cookies};
#[expect(deprecated, reason = "nothing has taken its place")]
use tower_http::auth::require_authorization::Bearer;
use tower_http::validate_request::ValidateRequestHeaderLayer;
use tower_layer::{Layer, layer_fn};
use tower_service::Service;

use self::case::{Inner, RequestBody, Rows, Sent, layer, service};

const PATH: &str = "/api/contents";
const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";
const COOKIE: &str = "session";
/// As long as what our own row signs.
const VALUE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const KEY: [u8; 64] = [7; 64];

fn main() -> ExitCode {
    let ours = ["token/header/pass", "cookie/signed-80/pass"];
    let ours = paths::all().into_iter().filter(|case| {
        ours.iter().any(|name| {
            case.name()
                .strip_prefix(name)
                .is_some_and(|rest| ["", " (bare)"].contains(&rest))
        })
    });
    let peers: Vec<Rows> = vec![
        service("token/bare/router", || (router(), with_token())),
        service("cookie/bare/router", || (router(), with_cookie())),
        layer("token/header/tower-http", || (bearer(), with_token())),
        service("token/header/axum-from_fn", || {
            (router().layer(from_fn(check)), with_token())
        })
        .over("token/bare/router"),
        layer("cookie/signed/tower-cookies", || (signed(), with_cookie())),
        service("cookie/signed/axum-extra", || (jar(), with_cookie())).over("cookie/bare/router"),
    ];
    let cases: Vec<_> = ours.chain(peers.into_iter().flatten()).collect();
    counter::run(&cases)
}

fn with_token() -> Sent {
    Sent::get(PATH).bearer(TOKEN)
}

fn with_cookie() -> Sent {
    let mut jar = CookieJar::new();
    jar.signed_mut(&Key::from(&KEY)).add(Cookie::new(COOKIE, VALUE));
    let cookie = jar.get(COOKIE).expect("it was added").clone();
    let cookie = Cookie::new(COOKIE, cookie.value())
        .encoded()
        .stripped()
        .to_string();
    Sent::get(PATH).cookies(3, "_xsrf=x", &cookie)
}

/// Its routes are created once: without a state they would be created again for each request.
fn router() -> Router {
    Router::new().route(PATH, get(async || ())).with_state(())
}

#[expect(deprecated, reason = "nothing has taken its place")]
fn bearer() -> ValidateRequestHeaderLayer<Bearer<Empty<Bytes>>> {
    ValidateRequestHeaderLayer::bearer(TOKEN)
}

async fn check(request: Request, next: Next) -> Response {
    let credential = request.headers().get(header::AUTHORIZATION);
    let token = credential.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    if token.is_some_and(|token| bool::from(token.ct_eq(TOKEN.as_bytes()))) {
        next.run(request).await
    } else {
        StatusCode::UNAUTHORIZED.into_response()
    }
}

fn signed() -> impl Layer<Inner, Service = tower_cookies::CookieManager<Signed>> + Copy {
    layer_fn(|inner| {
        let key = Key::from(&KEY);
        CookieManagerLayer::new().layer(Signed { inner, key })
    })
}

/// Lets a request through whose cookie is one that we signed.
#[derive(Clone)]
struct Signed {
    inner: Inner,
    key: Key,
}

impl Service<http::Request<RequestBody>> for Signed {
    type Response = http::Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<RequestBody>) -> Self::Future {
        let cookies = request.extensions().get::<Cookies>();
        let cookie = cookies.and_then(|cookies| cookies.signed(&self.key).get(COOKIE));
        if cookie.is_some_and(|cookie| cookie.value() == VALUE) {
            return self.inner.call(request);
        }
        let mut refused = http::Response::default();
        *refused.status_mut() = StatusCode::UNAUTHORIZED;
        ready(Ok(refused))
    }
}

#[derive(Clone)]
struct Keys(Key);

impl FromRef<Keys> for Key {
    fn from_ref(keys: &Keys) -> Self {
        keys.0.clone()
    }
}

/// A router of the same route, whose handler wants the cookie.
fn jar() -> Router {
    let wanting = async |jar: SignedCookieJar| match jar.get(COOKIE) {
        Some(cookie) if cookie.value() == VALUE => StatusCode::OK,
        _ => StatusCode::UNAUTHORIZED,
    };
    Router::new()
        .route(PATH, get(wanting))
        .with_state(Keys(Key::from(&KEY)))
}

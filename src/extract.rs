//! Extractors and responses for [axum](https://docs.rs/axum): feature `axum`.
//!
//! | a handler | behavior |
//! |---|---|
//! | takes [`Session`] | is called only for authenticated requests |
//! | takes `Option<Session>` | is also called for unauthenticated requests, if the route allows them |
//! | has `session.require_scope("write")?` | continues only with the scope; [`Denial`] is a response |
//! | takes [`CsrfForm`] | reads a form, checks its hidden `_xsrf` field and has the session; for routes with [`csrf_in_form`] |
//! | returns [`SetCookies`] with its response | sets cookies, such as those of `AuthLayer::login` |
//!
//! 1. A session in the request extensions is extracted.
//! 2. If the layer allowed an unauthenticated request ([`optional`], [`public_paths`]), `Option<Session>` is `None`,
//!    and `Session` is rejected with the layer's own response: a redirect to the login page for a browser, 401 for
//!    other clients, status 16 for gRPC clients.
//! 3. If no layer handled the request, both respond 500 with a message that explains the fix. Otherwise a route
//!    without its layer would look as if all its requests were unauthenticated.
//!
//! For a route that requires a scope, [`AuthLayer::require_scope`] is shorter, and its denial is answered in the
//! style of the layer.
//!
//! Behind a trusted proxy the layer needs the address of the connection: serve
//! `app.into_make_service_with_connect_info::<SocketAddr>()` and set [`peer_extractor`].
//!
//! # Example
//!
//! ```
//! use axum::{Router, body::Body, http::Request, routing::{get, post}};
//! use portcullis::{AuthLayer, Denial, Grant, Identity, Session, Token, TokenSet};
//! use tower::ServiceExt;
//!
//! async fn hello(session: Option<Session>) -> String {
//!     session.map_or("hello".into(), |session| format!("hello, {}", session.identity().username()))
//! }
//!
//! async fn publish(session: Session) -> Result<&'static str, Denial> {
//!     session.require_scope("write")?;
//!     Ok("published")
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key: Token = "a-reading-key".parse()?;
//! let auth = AuthLayer::bearer_tokens(TokenSet::new([(key, Grant::new(Identity::new("alice")).with_scopes(["read"]))])?);
//! let app = Router::new()
//!     .route("/publish", post(publish).layer(auth.clone()))
//!     .route("/", get(hello).layer(auth.optional()));
//!
//! let request = |line: &str, key: &str| {
//!     let (method, path) = line.split_once(' ').unwrap();
//!     let request = Request::builder().method(method).uri(path).header("host", "localhost");
//!     request.header("authorization", format!("Bearer {key}")).body(Body::empty()).unwrap()
//! };
//! assert_eq!(app.clone().oneshot(request("GET /", "a-reading-key")).await?.status(), 200);
//! assert_eq!(app.clone().oneshot(request("POST /publish", "a-reading-key")).await?.status(), 403);
//! assert_eq!(app.oneshot(request("POST /publish", "another")).await?.status(), 401);
//! # Ok(()) }
//! ```
//!
//! [`Session`]: crate::Session
//! [`csrf_in_form`]: crate::AuthLayer::csrf_in_form
//! [`AuthLayer::require_scope`]: crate::AuthLayer::require_scope
//! [`public_paths`]: crate::AuthLayer::public_paths
//! [`optional`]: crate::AuthLayer::optional
//! [`peer_extractor`]: crate::AuthLayerBuilder::peer_extractor

use std::convert::Infallible;

use axum_core::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};

pub use self::{
    csrf_form::{CsrfForm, CsrfFormRejection},
    session::SessionRejection,
};
use crate::{cookies::SetCookies, denial::Denial, request::head::RequestHead};

mod csrf_form;
mod session;

/// JSON with the challenge of the layer in front of the handler. [`Denial::into_response`] with the request's head
/// responds in the style that suits the client.
impl IntoResponse for Denial {
    fn into_response(self) -> Response {
        Self::into_response(self, RequestHead::new(&http::Request::new(())))
    }
}

/// Appends the headers, so that other cookies are kept.
impl IntoResponseParts for SetCookies {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        self.append_to(parts.headers_mut());
        Ok(parts)
    }
}

impl IntoResponse for SetCookies {
    fn into_response(self) -> Response {
        (self, ()).into_response()
    }
}

//! What handlers of [axum](https://docs.rs/axum) take and give: feature `axum`.
//!
//! | in a handler | what it means |
//! |---|---|
//! | takes [`Session`] | is called for somebody known only |
//! | takes `Option<Session>` | is called for strangers too, where the route lets them pass |
//! | `session.require_scope("write")?` | goes on for holders of the scope; [`Denial`] is a response |
//! | takes [`CsrfForm`] | reads a form, checks its hidden `_xsrf` field and hands the session over; for routes with [`csrf_in_form`] |
//! | gives [`SetCookies`] beside its answer | sets cookies, as by `AuthLayer::login` |
//!
//! 1. A session in the request's extensions is handed over.
//! 2. Without one, where a gate let a stranger pass ([`optional`], [`public_paths`]), `Option<Session>` is `None`, and
//!    `Session` makes the gate answer as it does elsewhere: the way to the login for a person, 401 for a program,
//!    status 16 for a gRPC client.
//! 3. Where no gate has asked, both are 500, and the answer says what to do: a route without its gate would
//!    otherwise look like one whose visitors are all strangers.
//!
//! A route that asks for a scope as a whole is shorter with [`AuthLayer::require_scope`], which also tells a refusal in the
//! gate's own way.
//!
//! Behind a trusted proxy the layer needs the address of the connection: serve
//! `app.into_make_service_with_connect_info::<SocketAddr>()` and name the place by [`peer_extractor`].
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
//! let ask = |line: &str, key: &str| {
//!     let (method, path) = line.split_once(' ').unwrap();
//!     let request = Request::builder().method(method).uri(path).header("host", "localhost");
//!     request.header("authorization", format!("Bearer {key}")).body(Body::empty()).unwrap()
//! };
//! assert_eq!(app.clone().oneshot(ask("GET /", "a-reading-key")).await?.status(), 200);
//! assert_eq!(app.clone().oneshot(ask("POST /publish", "a-reading-key")).await?.status(), 403);
//! assert_eq!(app.oneshot(ask("POST /publish", "another")).await?.status(), 401);
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

/// Told as to a program: JSON, with the challenge of the layer in front of the handler. [`Denial::into_response`] with
/// the request's head tells each client in its own way.
impl IntoResponse for Denial {
    fn into_response(self) -> Response {
        Self::into_response(self, RequestHead::new(&http::Request::new(())))
    }
}

/// The lines are appended, so that cookies of others stay.
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

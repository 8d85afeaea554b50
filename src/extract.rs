//! What handlers of [axum](https://docs.rs/axum) take and give: feature `axum`.
//!
//! | in a handler | what it means |
//! |---|---|
//! | takes [`Session`] | is called for somebody known only |
//! | takes `Option<Session>` | is called for strangers too, where the route lets them pass |
//! | `session.require_scope("write")?` | goes on for holders of the scope; [`Denial`] is a response |
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
//! [`AuthLayer::require_scope`]: crate::AuthLayer::require_scope
//! [`public_paths`]: crate::AuthLayer::public_paths
//! [`optional`]: crate::AuthLayer::optional
//! [`peer_extractor`]: crate::AuthLayerBuilder::peer_extractor

use std::{convert::Infallible, error::Error, fmt};

use axum_core::{
    body::Body,
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, IntoResponseParts, Response, ResponseParts},
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header, request::Parts};

use crate::{
    cookies::SetCookies, denial::Denial, middleware::unauthenticated::UnauthenticatedRequest,
    request::head::RequestHead, session::Session,
};

/// Why a handler that takes a [`Session`] was not called.
///
/// As a response: what the gate answers to strangers, or 500 with the remedy.
#[derive(Debug)]
pub struct SessionRejection(Kind);

#[derive(Debug)]
enum Kind {
    MissingLayer,
    Unauthenticated(Box<http::Response<Bytes>>),
}

impl SessionRejection {
    /// Whether the request passed no gate on its way: a mistake of whoever put the routes together.
    pub fn is_missing_layer(&self) -> bool {
        matches!(self.0, Kind::MissingLayer)
    }
}

/// Fixed, so that it cannot tell anything of the request or of the server.
const REMEDY: &str = "this handler takes a Session, and no AuthLayer has handed one over: add .layer(auth) after \
                      the route (a layer wraps what is there when it is added), without `without_session_extension`()";

impl fmt::Display for SessionRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::MissingLayer => f.write_str(REMEDY),
            Kind::Unauthenticated(_) => f.write_str("expected a login, found none"),
        }
    }
}

impl Error for SessionRejection {}

impl IntoResponse for SessionRejection {
    fn into_response(self) -> Response {
        match self.0 {
            Kind::MissingLayer => {
                let fields = [
                    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
                    (
                        header::X_CONTENT_TYPE_OPTIONS,
                        HeaderValue::from_static("nosniff"),
                    ),
                ];
                (StatusCode::INTERNAL_SERVER_ERROR, fields, REMEDY).into_response()
            }
            Kind::Unauthenticated(answer) => answer.map(Body::from),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionRejection> {
        if let Some(session) = Self::from_extensions(&parts.extensions) {
            return Ok(session.clone());
        }
        Err(SessionRejection(
            match parts.extensions.get::<UnauthenticatedRequest>() {
                Some(stranger) => {
                    Kind::Unauthenticated(Box::new(stranger.denial_response(RequestHead::from_parts(parts))))
                }
                None => Kind::MissingLayer,
            },
        ))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Session {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, SessionRejection> {
        let session = Self::from_extensions(&parts.extensions).cloned();
        if session.is_none() && parts.extensions.get::<UnauthenticatedRequest>().is_none() {
            return Err(SessionRejection(Kind::MissingLayer));
        }
        Ok(session)
    }
}

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

//! The span of a request, without the token in its URL.

use http::Request;
use tracing::Span;

use super::RedactedPath;
use crate::request::query::Query;

/// Returns an `INFO` span called `request` with the method, the path and the query of a request, redacted: for `TraceLayer` of
/// tower-http.
///
/// The span of `TraceLayer` itself holds the whole URL, so a token in `?token=` ends up in every log line. In this one the
/// value of each parameter `token` is `[token]` ([`Query::redacted`]), and the path is a [`RedactedPath`]. Headers, such as cookies, are not
/// recorded.
///
/// # Security
///
/// `TraceLayer` goes outside of the [`AuthLayer`](crate::AuthLayer), so it sees tokens and cookies unchanged. Leave
/// `DefaultOnResponse::include_headers` off: the response to a login contains its cookie.
///
/// # Example
///
/// ```
/// use axum::{Router, routing::get};
/// use portcullis::{AuthLayer, Token, event::request_span};
/// use tower_http::trace::TraceLayer;
///
/// let app: Router = Router::new()
///     .route("/", get("hello"))
///     .layer(AuthLayer::token(Token::generate()))
///     .layer(TraceLayer::new_for_http().make_span_with(request_span));
/// ```
pub fn request_span<B>(request: &Request<B>) -> Span {
    tracing::info_span!(
        target: "portcullis",
        "request",
        method = %request.method(),
        path = %RedactedPath::new(request.uri().path()),
        query = request.uri().query().map(|_| Query::from_uri(request.uri()).redacted()).as_deref(),
    )
}

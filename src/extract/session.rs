//! The session, and why a handler that takes it was not called.

use std::{error::Error, fmt};

use axum_core::{
    body::Body,
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header, request::Parts};

use crate::{
    middleware::unauthenticated::{UnauthenticatedRequest, UncheckedForm},
    request::head::RequestHead,
    session::Session,
};

/// Why a handler that takes a [`Session`] was not called.
///
/// As a response: that of the layer to an unauthenticated request, or 500 with an explanation.
#[derive(Debug)]
pub struct SessionRejection(Kind);

#[derive(Debug)]
enum Kind {
    MissingLayer,
    UncheckedForm,
    Unauthenticated(Box<http::Response<Bytes>>),
}

impl SessionRejection {
    /// Returns `true` if no layer handled the request, which is a mistake in the routes.
    pub fn is_missing_layer(&self) -> bool {
        matches!(self.0, Kind::MissingLayer)
    }
}

/// A constant, so that it reveals nothing about the request or the server.
const REMEDY: &str = "this handler extracts a Session, but no AuthLayer ran for this route: add .layer(auth) after \
                      the route (a layer wraps what is there when it is added), without `without_session_extension`()";

/// As [`REMEDY`].
const UNCHECKED_FORM: &str = "this handler takes a Session on a route with `csrf_in_form`, where a form comes without its \
                              `_xsrf` checked: take `portcullis::extract::CsrfForm` instead, which has the session";

impl fmt::Display for SessionRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::MissingLayer => f.write_str(REMEDY),
            Kind::UncheckedForm => f.write_str(UNCHECKED_FORM),
            Kind::Unauthenticated(_) => f.write_str("authentication required"),
        }
    }
}

impl Error for SessionRejection {}

impl IntoResponse for SessionRejection {
    fn into_response(self) -> Response {
        match self.0 {
            Kind::MissingLayer | Kind::UncheckedForm => {
                let fields = [
                    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
                    (
                        header::X_CONTENT_TYPE_OPTIONS,
                        HeaderValue::from_static("nosniff"),
                    ),
                ];
                (StatusCode::INTERNAL_SERVER_ERROR, fields, self.to_string()).into_response()
            }
            Kind::Unauthenticated(answer) => answer.map(Body::from),
        }
    }
}

/// Returns the session of a request, or why it has none.
pub(super) fn session(parts: &Parts) -> Result<Session, SessionRejection> {
    let extensions = &parts.extensions;
    if let Some(session) = Session::from_extensions(extensions) {
        return Ok(session.clone());
    }
    Err(SessionRejection(if extensions.get::<UncheckedForm>().is_some() {
        Kind::UncheckedForm
    } else if let Some(unauthenticated) = extensions.get::<UnauthenticatedRequest>() {
        Kind::Unauthenticated(Box::new(
            unauthenticated.denial_response(RequestHead::from_parts(parts)),
        ))
    } else {
        Kind::MissingLayer
    }))
}

impl<S: Sync> FromRequestParts<S> for Session {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, SessionRejection> {
        session(parts)
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Session {
    type Rejection = SessionRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, SessionRejection> {
        let is_anonymous = parts.extensions.get::<UnauthenticatedRequest>().is_some();
        if is_anonymous && Self::from_extensions(&parts.extensions).is_none() {
            return Ok(None);
        }
        session(parts).map(Some)
    }
}

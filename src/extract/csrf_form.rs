//! A form whose hidden `_xsrf` field is checked.

use std::fmt;

use axum_core::{
    body::Body,
    extract::{FromRequest, Request, rejection::BytesRejection},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::StatusCode;

use super::session::{SessionRejection, session};
use crate::{
    deadline::within,
    denial::{Denial, Reason},
    middleware::{FormSubmission, form::UrlEncodedForm, unauthenticated::UncheckedForm},
    request::{head::RequestHead, page_request::is_urlencoded},
    session::Session,
};

/// A form of a page of this server, and the session of the user who sent it.
///
/// For routes with [`AuthLayer::csrf_in_form`](crate::AuthLayer::csrf_in_form), whose pages put the value of
/// [`AuthLayer::csrf_token`](crate::AuthLayer::csrf_token) into a hidden field `_xsrf`; the example is there. The value may also come in the query
/// or in the header `X-XSRFToken`. A request with a token in its header needs none. On other routes the middleware has
/// checked the request, and this only reads the form.
///
/// The body is `application/x-www-form-urlencoded`, of at most as many bytes as axum's `DefaultBodyLimit` says (2 MB unless
/// set), with at most 1,024 fields, and arrives within [`form_timeout`](crate::AuthLayerBuilder::form_timeout). A multipart form cannot be read:
/// put `_xsrf` into the query of its `action`.
///
/// [`bytes`](Self::bytes) is for a deserializer such as `serde_urlencoded::from_bytes`.
pub struct CsrfForm {
    session: Session,
    bytes: Bytes,
    fields: UrlEncodedForm,
}

impl CsrfForm {
    /// Maximum number of fields.
    pub const MAX_FIELDS: usize = 1_024;

    /// Returns the session of the user who sent the form.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Returns the value of the field `name`; `None` if there is none, or several.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.field(name)?.expose_str()
    }

    /// Returns all fields in their order, including `_xsrf`.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.pairs()
    }

    /// Returns the body.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl fmt::Debug for CsrfForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsrfForm").finish_non_exhaustive()
    }
}

/// Why a handler that takes a [`CsrfForm`] was not called.
///
/// As a response: what the middleware answers where `_xsrf` is missing or wrong (403), 400, 408, 413 or 415 for a body that
/// cannot be read, and what [`SessionRejection`] says.
#[derive(Debug)]
pub struct CsrfFormRejection(Kind);

#[derive(Debug)]
enum Kind {
    Session(SessionRejection),
    Body(BytesRejection),
    Answer(Box<http::Response<Bytes>>),
}

impl fmt::Display for CsrfFormRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Session(rejection) => rejection.fmt(f),
            Kind::Body(rejection) => rejection.fmt(f),
            Kind::Answer(answer) => match answer.extensions().get::<Denial>() {
                Some(denial) => denial.fmt(f),
                None => answer.status().fmt(f),
            },
        }
    }
}

impl std::error::Error for CsrfFormRejection {}

impl IntoResponse for CsrfFormRejection {
    fn into_response(self) -> Response {
        match self.0 {
            Kind::Session(rejection) => rejection.into_response(),
            Kind::Body(rejection) => rejection.into_response(),
            Kind::Answer(answer) => answer.map(Body::from),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for CsrfForm {
    type Rejection = CsrfFormRejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, CsrfFormRejection> {
        let (parts, body) = request.into_parts();
        let unchecked = parts.extensions.get::<UncheckedForm>().cloned();
        let known = match &unchecked {
            Some(_) => None,
            None => Some(session(&parts).map_err(|rejection| CsrfFormRejection(Kind::Session(rejection)))?),
        };
        let head = RequestHead::from_parts(&parts);
        let refuse = |status, detail| {
            let denial = Denial::new(Reason::Malformed)
                .with_status(status)
                .with_detail(detail);
            CsrfFormRejection(Kind::Answer(Box::new(denial.into_response(head))))
        };
        if !is_urlencoded(head) {
            return Err(refuse(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                UrlEncodedForm::EXPECTED_TYPE,
            ));
        }
        let limit = unchecked
            .as_ref()
            .map_or(FormSubmission::TIMEOUT, UncheckedForm::timeout);
        // With the extensions, which hold the limit on the body.
        let body = Request::from_parts(parts.clone(), body);
        let bytes = match within(limit, Bytes::from_request(body, state)).await {
            Some(Ok(bytes)) => bytes,
            Some(Err(rejection)) => return Err(CsrfFormRejection(Kind::Body(rejection))),
            None => {
                return Err(refuse(
                    StatusCode::REQUEST_TIMEOUT,
                    "the form did not arrive in time",
                ));
            }
        };
        let fields = UrlEncodedForm::parse_at_most(Self::MAX_FIELDS, &bytes).ok_or_else(|| {
            refuse(
                StatusCode::BAD_REQUEST,
                "expected a form of at most 1024 well-formed fields",
            )
        })?;
        let session = match (unchecked, known) {
            (Some(unchecked), _) => unchecked
                .check(head, &fields.text("_xsrf"))
                .map_err(|answer| CsrfFormRejection(Kind::Answer(answer)))?,
            (None, Some(session)) => session,
            (None, None) => return Err(refuse(StatusCode::BAD_REQUEST, "expected a session")),
        };
        Ok(Self {
            session,
            bytes,
            fields,
        })
    }
}

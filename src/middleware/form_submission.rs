//! A form that is read before one of the layer's own paths can answer.

use std::{sync::Arc, time::Duration};

use http::{HeaderValue, Request, StatusCode, header::CONNECTION};
use http_body::Body;
use http_body_util::{BodyExt as _, Limited};

use crate::{
    deadline::within,
    error::BoxError,
    maybe_future::MaybeFuture,
    middleware::{endpoint::status_response, error_response::FullResponse, route::RouteAuth},
    request::head::RequestHead,
};

/// A form that must be read before the layer can respond.
///
/// Without tower, pass the body to [`FormSubmission::read_and_respond`]; the service that the layer creates does so by
/// itself.
pub struct FormSubmission {
    route: Arc<RouteAuth>,
    head: Request<()>,
}

impl FormSubmission {
    /// The longest form that is read, in bytes.
    pub const MAX_LEN: usize = 16 * 1024;

    /// The default of [`form_timeout`](crate::AuthLayerBuilder::form_timeout).
    pub const TIMEOUT: Duration = Duration::from_secs(30);

    pub(crate) fn new(route: Arc<RouteAuth>, head: RequestHead<'_>) -> Self {
        Self {
            route,
            head: head.to_request(),
        }
    }

    /// Returns the response to the form with this body.
    pub fn respond(self, body: &[u8]) -> MaybeFuture<FullResponse> {
        self.route.submit_form(RequestHead::new(&self.head), body)
    }

    /// Returns the response to the form in `body`, of which at most [`FormSubmission::MAX_LEN`] bytes are read.
    ///
    /// A body that has not arrived whole within [`form_timeout`](crate::AuthLayerBuilder::form_timeout) is answered as by
    /// [`answer_late`](Self::answer_late).
    pub async fn read_and_respond<B>(self, body: B) -> FullResponse
    where
        B: Body<Data: Send, Error: Into<BoxError>> + Send,
    {
        let body = Limited::new(body, Self::MAX_LEN).collect();
        match within(self.route.form_timeout(), body).await {
            Some(Ok(body)) => self.respond(&body.to_bytes()).await,
            Some(Err(_)) => self.respond_too_large(),
            None => self.answer_late(),
        }
    }

    /// Returns the response to a form that takes too long to arrive: 408, and `Connection: close`, which servers leave out
    /// of HTTP/2.
    pub fn answer_late(self) -> FullResponse {
        let mut response = status_response(StatusCode::REQUEST_TIMEOUT);
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
        response
    }

    /// Returns the response to a form that is longer than [`FormSubmission::MAX_LEN`], or that arrived incomplete.
    pub fn respond_too_large(self) -> FullResponse {
        status_response(StatusCode::PAYLOAD_TOO_LARGE)
    }
}

impl std::fmt::Debug for FormSubmission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FormRequest")
    }
}

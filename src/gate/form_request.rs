//! A form that is read before one of the layer's own paths can answer.

use std::{sync::Arc, time::Duration};

use http::{HeaderValue, Request, StatusCode, header::CONNECTION};
use http_body::Body;
use http_body_util::{BodyExt as _, Limited};

use crate::{
    deadline::within,
    error::BoxError,
    gate::{endpoint::plain, passage::Passage, responses::OwnResponse},
    head::Head,
    maybe_future::Answer,
};

/// A form that is to be read before the gate can answer.
///
/// Whoever serves requests without tower hands the body over, by [`FormRequest::read`]; the service that the layer
/// makes does so by itself.
pub struct FormRequest {
    passage: Arc<Passage>,
    head: Request<()>,
}

impl FormRequest {
    /// The longest form that is read, in octets.
    pub const LIMIT: usize = 16 * 1024;

    /// The default of [`form_timeout`](crate::AuthLayerBuilder::form_timeout).
    pub const TIMEOUT: Duration = Duration::from_secs(30);

    pub(crate) fn new(passage: Arc<Passage>, head: Head<'_>) -> Self {
        Self {
            passage,
            head: head.to_request(),
        }
    }

    /// The gate's answer to the form with this body.
    pub fn answer(self, body: &[u8]) -> Answer<OwnResponse> {
        self.passage.take_form(Head::of(&self.head), body)
    }

    /// The gate's answer to the form in `body`, of which no more than [`FormRequest::LIMIT`] octets are read.
    ///
    /// A body that has not arrived whole within [`form_timeout`](crate::AuthLayerBuilder::form_timeout) is answered as by
    /// [`answer_late`](Self::answer_late).
    pub async fn read<B>(self, body: B) -> OwnResponse
    where
        B: Body<Data: Send, Error: Into<BoxError>> + Send,
    {
        let body = Limited::new(body, Self::LIMIT).collect();
        match within(self.passage.form_timeout(), body).await {
            Some(Ok(body)) => self.answer(&body.to_bytes()).await,
            Some(Err(_)) => self.answer_unread(),
            None => self.answer_late(),
        }
    }

    /// The gate's answer to a form that takes too long to arrive: 408, and `Connection: close`, which servers leave out
    /// of HTTP/2.
    pub fn answer_late(self) -> OwnResponse {
        let mut response = plain(StatusCode::REQUEST_TIMEOUT);
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
        response
    }

    /// The gate's answer to a form that is longer than [`FormRequest::LIMIT`], or was never sent whole.
    pub fn answer_unread(self) -> OwnResponse {
        plain(StatusCode::PAYLOAD_TOO_LARGE)
    }
}

impl std::fmt::Debug for FormRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FormRequest")
    }
}

//! The request to the introspection endpoint, and what its response means.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderValue, Method, Request, StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::Full;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{
    http_client::{Transport, describe_failure},
    request::percent,
    secret::Secret,
};

/// The introspection endpoint of an OAuth server.
pub(super) struct Endpoint {
    pub(super) url: Uri,
    /// How this server authenticates itself; sensitive.
    pub(super) authorization: HeaderValue,
    pub(super) transport: Arc<dyn Transport>,
}

/// Why it is not known whether a token is active.
#[derive(Clone, Debug)]
pub(super) struct RequestError {
    pub(super) text: Arc<str>,
    /// The server does not respond, or fails at every request.
    pub(super) is_outage: bool,
}

/// HTTP Basic with the id and the secret of a client, each encoded as in a form: RFC 6749 section 2.3.1.
pub(super) fn basic(id: &str, secret: &Secret) -> HeaderValue {
    let mut pair = Zeroizing::new(String::new());
    percent::form_encode(id.as_bytes(), &mut pair);
    pair.push(':');
    percent::form_encode(secret.expose(), &mut pair);
    let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
    sensitive(&format!("Basic {}", *encoded)).expect("base64 is visible ASCII")
}

/// A header value that is not logged.
pub(super) fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Endpoint {
    /// Checks `token`, and returns the response if the token is active.
    pub(super) async fn ask(&self, token: &Secret) -> Result<Option<Map<String, Value>>, RequestError> {
        let mut form = Zeroizing::new(String::from("token_type_hint=access_token&token="));
        percent::form_encode(token.expose(), &mut form);
        let mut request = Request::new(Full::from(form.as_bytes().to_vec()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.clone();
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let content_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, content_type);
        headers.insert(AUTHORIZATION, self.authorization.clone());
        let failed = |text: String, is_outage| RequestError {
            text: text.into(),
            is_outage,
        };
        let response = self
            .transport
            .send(request)
            .await
            .map_err(|error| failed(describe_failure(&self.url, &*error), true))?;
        let status = response.status();
        if status != StatusCode::OK {
            let hint = match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "; check the client and its secret",
                status if status.is_redirection() => "; redirects are not followed",
                _ => "",
            };
            let is_outage = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            return Err(failed(
                format!("{} responded {status}{hint}", self.url),
                is_outage,
            ));
        }
        let response: Option<Map<String, Value>> = serde_json::from_slice(response.body()).ok();
        let active = response
            .as_ref()
            .and_then(|response| response.get("active")?.as_bool());
        match active {
            Some(active) => Ok(response.filter(|_| active)),
            None => {
                let text = format!("{}: expected JSON with `active`", self.url);
                Err(failed(text, response.is_none()))
            }
        }
    }
}

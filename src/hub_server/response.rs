//! The responses of a hub: JSON for programs, pages for browsers.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{
        ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER,
        WWW_AUTHENTICATE,
    },
};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::{
    denial::{Denial, Reason},
    error::BackendError,
    html::{Page, PageStyle},
    middleware::{
        denial_page::{Links, denial_page},
        error_response::{FullResponse, NO_STORE, page_response, redirect},
    },
    oauth::{OAuthError, OAuthErrorKind},
    request::base_url::BaseUrl,
    store::StoreError,
};

/// Why a request is not answered as it wished to be.
#[derive(Debug)]
pub(crate) enum HubError {
    /// A guard or a limit stopped it.
    Denied(Denial),
    /// The status, and what a page or `message` says. JupyterHub leaves the message out now and then.
    Refused(StatusCode, Option<String>),
    /// The path has no such method, but these.
    NotAllowed(&'static str),
    /// The store, or the password verifier, does not answer.
    Unavailable(BackendError),
}

impl HubError {
    /// There is no such page.
    pub(crate) fn no_page() -> Self {
        let text = "The page you requested does not exist.";
        Self::Refused(StatusCode::NOT_FOUND, Some(text.to_owned()))
    }

    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self::Refused(status, Some(message.into()))
    }

    pub(crate) fn forbidden() -> Self {
        Self::Refused(StatusCode::FORBIDDEN, None)
    }

    /// What may not be known to exist.
    pub(crate) fn not_found_or_forbidden() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "No access to resources or resources not found",
        )
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    fn status(&self) -> StatusCode {
        match self {
            // Hub clients turn 401 into 500.
            Self::Denied(denial) if denial.status() == StatusCode::UNAUTHORIZED => StatusCode::FORBIDDEN,
            Self::Denied(denial) => denial.status(),
            Self::Refused(status, _) => *status,
            Self::NotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn message(&self) -> Option<String> {
        match self {
            Self::Denied(denial) if denial.detail().is_empty() => Some(denial.reason().to_string()),
            Self::Denied(denial) => Some(denial.detail().to_owned()),
            Self::Refused(_, message) => message.clone(),
            Self::NotAllowed(_) => Some("Method Not Allowed".to_owned()),
            Self::Unavailable(_) => {
                Some("Service temporarily unavailable. Please try again in a moment.".to_owned())
            }
        }
    }

    /// For a program.
    pub(crate) fn into_json_response(self) -> FullResponse {
        let status = self.status();
        let body = json!({ "status": status.as_u16(), "message": self.message() });
        self.with_fields(json_response(status, &body))
    }

    /// Whether the request's cookies are too large to read.
    pub(super) fn is_unread(&self) -> bool {
        self.status() == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
    }

    /// For a browser: a page with a link to the home page, or with a button that removes cookies that cannot be read.
    pub(crate) fn into_html_response(self, style: &PageStyle, hub_url: &BaseUrl) -> FullResponse {
        if let Self::Denied(denial) = &self
            && self.is_unread()
        {
            let (home, logout) = (hub_url.join("home"), hub_url.join("logout"));
            let links = Links {
                home: &home,
                login: None,
                logout: Some(&logout),
            };
            let mut response = page_response(denial_page(denial, style, &links));
            *response.status_mut() = self.status();
            return self.with_fields(response);
        }
        let title = match self.status() {
            StatusCode::BAD_REQUEST => "Bad request",
            StatusCode::FORBIDDEN => "Access denied",
            StatusCode::FAILED_DEPENDENCY => "Server is not running",
            StatusCode::NOT_FOUND => "Page not found",
            StatusCode::REQUEST_TIMEOUT => "Request timeout",
            StatusCode::SERVICE_UNAVAILABLE => "Service temporarily unavailable",
            _ => "Something went wrong",
        };
        let mut response = page_response(
            Page::new(style, title)
                .paragraph(&self.message().unwrap_or_default())
                .link(&hub_url.join("home"), "Go to home"),
        );
        *response.status_mut() = self.status();
        self.with_fields(response)
    }

    fn with_fields(self, mut response: FullResponse) -> FullResponse {
        let after = match &self {
            Self::Denied(denial) => denial.retry_after(),
            Self::Unavailable(unavailable) => Some(unavailable.retry_after()),
            Self::Refused(..) | Self::NotAllowed(_) => None,
        };
        if let Some(after) = after {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        if let Self::NotAllowed(methods) = &self {
            let methods = HeaderValue::from_static(methods);
            response.headers_mut().insert(ALLOW, methods);
        }
        // What is left of the body would be read as the next request.
        if self.status() == StatusCode::REQUEST_TIMEOUT {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Self::Denied(denial) = self {
            response.extensions_mut().insert(denial);
        }
        response
    }
}

impl From<Denial> for HubError {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

impl From<Reason> for HubError {
    fn from(reason: Reason) -> Self {
        Self::Denied(Denial::new(reason))
    }
}

impl From<BackendError> for HubError {
    fn from(error: BackendError) -> Self {
        Self::Unavailable(error)
    }
}

impl From<StoreError> for HubError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(error.into())
    }
}

/// A JSON response that caches do not store.
pub(crate) fn json_response(status: StatusCode, body: &Value) -> FullResponse {
    json_text(status, body.to_string())
}

/// The same, of a text that is JSON already.
pub(crate) fn json_text(status: StatusCode, body: impl Into<Bytes>) -> FullResponse {
    let mut response = Response::new(Full::from(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("frame-ancestors 'none'; default-src 'none'"),
    );
    response
}

/// A status, and nothing to say.
pub(crate) fn empty(status: StatusCode) -> FullResponse {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    response
}

/// An OAuth error of the token endpoint (RFC 6749 §5.2).
pub(crate) fn oauth_error(kind: OAuthErrorKind, description: &str) -> FullResponse {
    let error = OAuthError::new(kind).with_description(description);
    let mut response = json_text(error.status(), error.to_json());
    if kind == OAuthErrorKind::InvalidClient {
        let challenge = HeaderValue::from_static("Bearer error=\"invalid_client\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

/// A redirect to `location`; to nowhere if that is no field's value.
pub(crate) fn redirect_found(location: &str) -> FullResponse {
    match HeaderValue::try_from(location) {
        Ok(location) => redirect(StatusCode::FOUND, location),
        Err(_) => empty(StatusCode::BAD_REQUEST),
    }
}

/// JSON's type, and nothing in it: what the hub answers to a report.
pub(crate) fn json_response_empty(status: StatusCode) -> FullResponse {
    let mut response = json_response(status, &Value::Null);
    *response.body_mut() = Full::default();
    response
}

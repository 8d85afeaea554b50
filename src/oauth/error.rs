//! Errors of OAuth, as sent to a browser in a query and to a client in JSON.

use std::fmt;

use http::StatusCode;
use serde::Deserialize;

use super::json::object;

/// An error response of the OAuth flow: RFC 6749 §4.1.2.1 and §5.2.
///
/// # Security
///
/// The description of an error that was received is the sender's text. Escape it before showing it to a user, and never
/// show it alone.
///
/// # Example
///
/// ```
/// use portcullis::oauth::{OAuthError, OAuthErrorKind};
///
/// let error = OAuthError::new(OAuthErrorKind::InvalidGrant);
/// assert_eq!(error.to_json(), r#"{"error":"invalid_grant"}"#);
/// assert_eq!(OAuthError::from_json(br#"{"error": "invalid_grant"}"#), Some(error));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct OAuthError {
    kind: OAuthErrorKind,
    description: Option<String>,
}

/// The kind of an [`OAuthError`]; the names are the standard's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OAuthErrorKind {
    /// `access_denied`: the user, or the provider, denied the request.
    AccessDenied,
    /// `invalid_client`: the client is unknown, or its secret wrong.
    InvalidClient,
    /// `invalid_client_metadata`: what a client says of itself cannot be registered (RFC 7591).
    InvalidClientMetadata,
    /// `invalid_grant`: the code is unknown, used, expired, another client's, or its verifier is wrong.
    InvalidGrant,
    /// `invalid_redirect_uri`: a redirect URI cannot be registered (RFC 7591).
    InvalidRedirectUri,
    /// `invalid_request`: a parameter is missing, malformed, or there twice.
    InvalidRequest,
    /// `invalid_scope`: the scope is unknown, or more than the client may request.
    InvalidScope,
    /// `invalid_target`: the resource is unknown, or not the one that was authorized (RFC 8707).
    InvalidTarget,
    /// An error the standard has no name for.
    Other,
    /// `server_error`: the provider failed.
    ServerError,
    /// `temporarily_unavailable`: the provider is down for now.
    TemporarilyUnavailable,
    /// `unauthorized_client`: the client may not use this way.
    UnauthorizedClient,
    /// `unsupported_grant_type`: the provider has no such way to a token.
    UnsupportedGrantType,
    /// `unsupported_response_type`: the provider gives no such answer.
    UnsupportedResponseType,
}

impl OAuthErrorKind {
    const NAMES: [(Self, &'static str); 14] = [
        (Self::AccessDenied, "access_denied"),
        (Self::InvalidClient, "invalid_client"),
        (Self::InvalidClientMetadata, "invalid_client_metadata"),
        (Self::InvalidGrant, "invalid_grant"),
        (Self::InvalidRedirectUri, "invalid_redirect_uri"),
        (Self::InvalidRequest, "invalid_request"),
        (Self::InvalidScope, "invalid_scope"),
        (Self::InvalidTarget, "invalid_target"),
        (Self::Other, "error"),
        (Self::ServerError, "server_error"),
        (Self::TemporarilyUnavailable, "temporarily_unavailable"),
        (Self::UnauthorizedClient, "unauthorized_client"),
        (Self::UnsupportedGrantType, "unsupported_grant_type"),
        (Self::UnsupportedResponseType, "unsupported_response_type"),
    ];

    /// The standard's name.
    pub fn as_str(self) -> &'static str {
        let named = Self::NAMES.iter().find(|(kind, _)| *kind == self);
        named.map_or("error", |(_, name)| name)
    }

    /// The kind that `name` names; [`OAuthErrorKind::Other`] if it is none of the standard's.
    pub fn from_name(name: &str) -> Self {
        let named = Self::NAMES.iter().find(|(_, known)| *known == name);
        named.map_or(Self::Other, |(kind, _)| *kind)
    }
}

/// The longest description that is kept of an error received.
const DESCRIPTION: usize = 200;

impl OAuthError {
    /// An error without a description.
    pub fn new(kind: OAuthErrorKind) -> Self {
        Self {
            kind,
            description: None,
        }
    }

    /// The same error with a sentence for the developer of the other end. Characters that the standard does not
    /// allow there (others than visible ASCII and spaces, quotes, backslashes) become `?`.
    #[must_use]
    pub fn with_description(self, description: &str) -> Self {
        let allowed = |letter: char| matches!(letter, ' '..='~') && letter != '"' && letter != '\\';
        let text: String = description
            .chars()
            .take(DESCRIPTION)
            .map(|letter| if allowed(letter) { letter } else { '?' })
            .collect();
        Self {
            description: (!text.is_empty()).then_some(text),
            ..self
        }
    }

    pub(super) fn invalid_request(description: &str) -> Self {
        Self::new(OAuthErrorKind::InvalidRequest).with_description(description)
    }

    /// What kind it is.
    pub fn kind(&self) -> OAuthErrorKind {
        self.kind
    }

    /// The sentence that came with it.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The status of a token endpoint's response that reports this error: 401 for `invalid_client`, 5xx for an error of
    /// the provider, else 400.
    pub fn status(&self) -> StatusCode {
        match self.kind {
            OAuthErrorKind::InvalidClient => StatusCode::UNAUTHORIZED,
            OAuthErrorKind::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
            OAuthErrorKind::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The body of a token endpoint's response that reports this error.
    pub fn to_json(&self) -> String {
        let error = self.kind.as_str();
        match &self.description {
            // Neither text needs an escape.
            Some(text) => format!(r#"{{"error":"{error}","error_description":"{text}"}}"#),
            None => format!(r#"{{"error":"{error}"}}"#),
        }
    }

    /// The error in the body of a token endpoint's response, or `None` if it has none.
    pub fn from_json(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Body<'a> {
            #[serde(borrow)]
            error: std::borrow::Cow<'a, str>,
            #[serde(borrow, default)]
            error_description: Option<std::borrow::Cow<'a, str>>,
        }
        let body: Body<'_> = object(body)?;
        Some(Self::from_parts(&body.error, body.error_description.as_deref()))
    }

    /// The error that goes by `name`.
    pub(crate) fn from_parts(name: &str, description: Option<&str>) -> Self {
        Self::new(OAuthErrorKind::from_name(name)).with_description(description.unwrap_or_default())
    }
}

impl fmt::Display for OAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())?;
        match &self.description {
            Some(description) => write!(f, ": {description}"),
            None => Ok(()),
        }
    }
}

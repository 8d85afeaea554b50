//! The message that brings a code, or a refusal: RFC 6749 §4.1.2.

use super::super::{
    error::OAuthError,
    parameters::{FormEncoder, Parameters},
};
use crate::secret::Secret;

/// What sends the browser back: RFC 6749 §4.1.2 and §4.1.2.1.
///
/// # Example
///
/// ```
/// use portcullis::oauth::AuthorizationResponse;
///
/// let answer = AuthorizationResponse::parse(b"code=abc&state=xyz")?;
/// assert_eq!(answer.state(), Some("xyz"));
/// assert_eq!(answer.code().expect("a code").expose_str(), Some("abc"));
///
/// let refused = AuthorizationResponse::parse(b"error=access_denied&state=xyz")?;
/// assert_eq!(refused.code().unwrap_err().to_string(), "access_denied");
/// # Ok::<(), portcullis::oauth::OAuthError>(())
/// ```
#[derive(Clone, Debug)]
pub struct AuthorizationResponse {
    result: Result<Secret, OAuthError>,
    state: Option<String>,
    issuer: Option<String>,
}

impl AuthorizationResponse {
    /// The answer with a code.
    pub fn with_code(code: Secret, state: Option<&str>) -> Self {
        Self {
            result: Ok(code),
            state: state.map(str::to_owned),
            issuer: None,
        }
    }

    /// The answer with an error.
    pub fn with_error(error: OAuthError, state: Option<&str>) -> Self {
        Self {
            result: Err(error),
            state: state.map(str::to_owned),
            issuer: None,
        }
    }

    /// Names the issuer in `iss`: RFC 9207. Default: not named.
    #[must_use]
    pub fn with_issuer(self, issuer: &str) -> Self {
        Self {
            issuer: Some(issuer.to_owned()),
            ..self
        }
    }

    /// The URL that the browser is sent to, at the client's redirect URI.
    pub fn to_url(&self, redirect_uri: &str) -> String {
        let writer = FormEncoder::query_of(redirect_uri);
        let writer = match &self.result {
            Ok(code) => writer.add("code", code.expose_str().unwrap_or_default()),
            Err(error) => writer
                .add("error", error.kind().as_str())
                .add_some("error_description", error.description()),
        };
        writer
            .add_some("state", self.state.as_deref())
            .add_some("iss", self.issuer.as_deref())
            .finish()
    }

    /// The answer that a query holds.
    ///
    /// # Errors
    ///
    /// `invalid_request` if a parameter comes twice or is malformed, or there is neither code nor error.
    pub fn parse(query: &[u8]) -> Result<Self, OAuthError> {
        let read = Parameters::read(query)?;
        let result = match (read.get("error"), read.get("code")) {
            (Some(error), _) => Err(OAuthError::from_parts(error, read.get("error_description"))),
            (None, Some(code)) => Ok(Secret::from(code)),
            (None, None) => return Err(OAuthError::invalid_request("OAuth callback made without a code.")),
        };
        Ok(Self {
            result,
            state: read.owned("state"),
            issuer: read.owned("iss"),
        })
    }

    /// The code.
    ///
    /// # Errors
    ///
    /// The error that the provider reported instead of a code.
    pub fn code(&self) -> Result<&Secret, &OAuthError> {
        self.result.as_ref()
    }

    /// The state, as the client had sent it.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// Returns the issuer that the provider names in `iss`: RFC 9207.
    ///
    /// A client of several providers compares it with the issuer of the one that it sent the browser to.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }
}

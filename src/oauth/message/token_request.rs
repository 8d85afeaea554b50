//! The message that redeems a code: RFC 6749 §4.1.3.

use std::fmt;

use super::super::{
    error::{OAuthError, OAuthErrorKind},
    parameters::{FormEncoder, Parameters},
    pkce::CodeVerifier,
};
use crate::secret::Secret;

/// What redeems a code: RFC 6749 §4.1.3, RFC 7636 §4.5.
///
/// # Security
///
/// The client's secret stands in the body, never in a URL. `Debug` shows client and redirect URI only.
#[derive(Clone)]
pub struct TokenRequest {
    client_id: String,
    client_secret: Option<Secret>,
    code: Secret,
    redirect_uri: Option<String>,
    code_verifier: Option<CodeVerifier>,
}

impl TokenRequest {
    /// A request of this client.
    pub fn new(client_id: &str, client_secret: Secret, code: Secret, verifier: CodeVerifier) -> Self {
        Self {
            client_id: client_id.to_owned(),
            client_secret: Some(client_secret),
            code,
            redirect_uri: None,
            code_verifier: Some(verifier),
        }
    }

    /// Adds the redirect URI of the authorization request. Default: none.
    #[must_use]
    pub fn with_redirect_uri(self, uri: &str) -> Self {
        Self {
            redirect_uri: Some(uri.to_owned()),
            ..self
        }
    }

    /// The body, of type `application/x-www-form-urlencoded`.
    pub fn to_form(&self) -> Secret {
        let secret = self.client_secret.as_ref().and_then(Secret::expose_str);
        let verifier = self.code_verifier.as_ref().map(CodeVerifier::expose);
        let form = FormEncoder::form()
            .add("client_id", &self.client_id)
            .add_some("client_secret", secret)
            .add("grant_type", "authorization_code")
            .add("code", self.code.expose_str().unwrap_or_default())
            .add_some("redirect_uri", self.redirect_uri.as_deref())
            .add_some("code_verifier", verifier);
        Secret::from(form.text.as_bytes())
    }

    /// The request that a body holds.
    ///
    /// # Errors
    ///
    /// For an answer by [`OAuthError::to_json`]: `invalid_request` if a parameter comes twice, is malformed or
    /// missing, `unsupported_grant_type` and, for `refresh_token`, `unauthorized_client`, for any other way than
    /// `authorization_code`, `invalid_client` without a `client_id`, `invalid_grant` if the verifier is none.
    pub fn parse(form: &[u8]) -> Result<Self, OAuthError> {
        let read = Parameters::read(form)?;
        match read.get("grant_type") {
            Some("authorization_code") => {}
            Some("refresh_token") => return Err(OAuthError::new(OAuthErrorKind::UnauthorizedClient)),
            _ => return Err(OAuthError::new(OAuthErrorKind::UnsupportedGrantType)),
        }
        let client_id = read
            .owned("client_id")
            .ok_or_else(|| OAuthError::new(OAuthErrorKind::InvalidClient))?;
        let code = read
            .get("code")
            .ok_or_else(|| OAuthError::invalid_request("Missing code parameter."))?;
        let code_verifier = match read.get("code_verifier") {
            None => None,
            Some(text) => {
                Some(CodeVerifier::parse(text).ok_or_else(|| OAuthError::new(OAuthErrorKind::InvalidGrant))?)
            }
        };
        Ok(Self {
            client_id,
            client_secret: read.get("client_secret").map(Secret::from),
            code: Secret::from(code),
            redirect_uri: read.owned("redirect_uri"),
            code_verifier,
        })
    }

    /// The client.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The client's secret, if it sent one.
    pub fn client_secret(&self) -> Option<&Secret> {
        self.client_secret.as_ref()
    }

    /// The code.
    pub fn code(&self) -> &Secret {
        &self.code
    }

    /// The redirect URI of the authorization request.
    pub fn redirect_uri(&self) -> Option<&str> {
        self.redirect_uri.as_deref()
    }

    /// The verifier.
    pub fn code_verifier(&self) -> Option<&CodeVerifier> {
        self.code_verifier.as_ref()
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRequest")
            .field("client_id", &self.client_id)
            .field("redirect_uri", &self.redirect_uri)
            .finish_non_exhaustive()
    }
}

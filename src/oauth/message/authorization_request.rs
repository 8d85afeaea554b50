//! The authorization request, which requests a code: RFC 6749 §4.1.1.

use super::super::{
    error::{OAuthError, OAuthErrorKind},
    parameters::{FormEncoder, Parameters},
    pkce::CodeChallenge,
};

/// What sends a browser to the provider: RFC 6749 §4.1.1, RFC 7636 §4.3.
///
/// # Example
///
/// ```
/// use portcullis::oauth::{AuthorizationRequest, CodeVerifier};
///
/// let challenge = CodeVerifier::generate().challenge();
/// let request = AuthorizationRequest::new("service-whoami", "state-of-mine", challenge)
///     .with_redirect_uri("/services/whoami/oauth_callback");
/// let url = request.to_url("/hub/api/oauth2/authorize");
/// assert!(url.starts_with("/hub/api/oauth2/authorize?client_id=service-whoami&redirect_uri=%2Fservices%2F"));
///
/// let (_, query) = url.split_once('?').expect("a query");
/// let read = AuthorizationRequest::parse(query.as_bytes())?;
/// assert_eq!(read.client_id(), "service-whoami");
/// assert_eq!(read.code_challenge()?, Some(challenge));
/// # Ok::<(), portcullis::oauth::OAuthError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationRequest {
    client_id: String,
    redirect_uri: Option<String>,
    response_type: Option<String>,
    scope: Option<String>,
    state: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
}

impl AuthorizationRequest {
    /// A request for a code, with a challenge by `S256`.
    pub fn new(client_id: &str, state: &str, challenge: CodeChallenge) -> Self {
        Self {
            client_id: client_id.to_owned(),
            redirect_uri: None,
            response_type: Some("code".to_owned()),
            scope: None,
            state: Some(state.to_owned()),
            code_challenge: Some(challenge.to_string()),
            code_challenge_method: Some(CodeChallenge::METHOD.to_owned()),
        }
    }

    /// Sets the redirect URI. Default: none, which means the registered one.
    #[must_use]
    pub fn with_redirect_uri(self, uri: &str) -> Self {
        Self {
            redirect_uri: Some(uri.to_owned()),
            ..self
        }
    }

    /// Requests these scopes, separated by spaces. Default: none, which means the client's usual ones.
    #[must_use]
    pub fn with_scope(self, scope: &str) -> Self {
        Self {
            scope: Some(scope.to_owned()),
            ..self
        }
    }

    /// The URL that a browser is sent to, at this endpoint.
    pub fn to_url(&self, endpoint: &str) -> String {
        FormEncoder::query_of(endpoint)
            .add("client_id", &self.client_id)
            .add_some("redirect_uri", self.redirect_uri.as_deref())
            .add_some("response_type", self.response_type.as_deref())
            .add_some("scope", self.scope.as_deref())
            .add_some("code_challenge", self.code_challenge.as_deref())
            .add_some("code_challenge_method", self.code_challenge_method.as_deref())
            .add_some("state", self.state.as_deref())
            .finish()
    }

    /// The request that a query holds.
    ///
    /// Errors that are reported by a redirect are found later, by [`check`](Self::check) and
    /// [`code_challenge`](Self::code_challenge), once client and redirect URI are known to belong together.
    ///
    /// # Errors
    ///
    /// Errors to show to the user without a redirect, because the redirect URI is not verified yet:
    /// `invalid_request` if a parameter comes twice or is malformed, or there is no `client_id`.
    pub fn parse(query: &[u8]) -> Result<Self, OAuthError> {
        let read = Parameters::read(query)?;
        let client_id = read
            .owned("client_id")
            .ok_or_else(|| OAuthError::invalid_request("Missing client_id parameter."))?;
        Ok(Self {
            client_id,
            redirect_uri: read.owned("redirect_uri"),
            response_type: read.owned("response_type"),
            scope: read.owned("scope"),
            state: read.owned("state"),
            code_challenge: read.owned("code_challenge"),
            code_challenge_method: read.owned("code_challenge_method"),
        })
    }

    /// Checks that the request is for a code.
    ///
    /// # Errors
    ///
    /// For a redirect: `invalid_request` without a `response_type`, `unsupported_response_type` with another,
    /// and what [`code_challenge`](Self::code_challenge) says.
    pub fn check(&self) -> Result<(), OAuthError> {
        match self.response_type.as_deref() {
            Some("code") => self.code_challenge().map(|_| ()),
            Some(_) => Err(OAuthError::new(OAuthErrorKind::UnsupportedResponseType)),
            None => Err(OAuthError::invalid_request("Missing response_type parameter.")),
        }
    }

    /// The client.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The redirect URI of the response. Compare it with the registered one, byte for byte.
    pub fn redirect_uri(&self) -> Option<&str> {
        self.redirect_uri.as_deref()
    }

    /// The requested scopes.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scope.iter().flat_map(|scope| scope.split_ascii_whitespace())
    }

    /// What the client wants back as it is.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// The challenge, if there is one.
    ///
    /// # Errors
    ///
    /// `invalid_request` if the method is not `S256`, which without its parameter it is not, or the challenge is
    /// none.
    pub fn code_challenge(&self) -> Result<Option<CodeChallenge>, OAuthError> {
        match (
            self.code_challenge.as_deref(),
            self.code_challenge_method.as_deref(),
        ) {
            (None, None | Some(CodeChallenge::METHOD)) => Ok(None),
            (Some(text), Some(CodeChallenge::METHOD)) => CodeChallenge::parse(text)
                .map(Some)
                .ok_or_else(|| OAuthError::invalid_request("The code_challenge is malformed.")),
            _ => Err(OAuthError::invalid_request(
                "Transform algorithm not supported. Use S256.",
            )),
        }
    }
}

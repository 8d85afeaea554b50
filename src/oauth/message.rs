//! The four messages of the code flow, in the standard's order.

use std::fmt;

use serde::Deserialize;

use super::{
    error::{OAuthError, OAuthErrorKind},
    parameters::{Parameters, Writer},
    pkce::{CodeChallenge, CodeVerifier},
};
use crate::secret::Secret;

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

    /// The same request with this redirect URI. Default: none, which means the registered one.
    #[must_use]
    pub fn with_redirect_uri(self, uri: &str) -> Self {
        Self {
            redirect_uri: Some(uri.to_owned()),
            ..self
        }
    }

    /// The same request for these scopes, apart by blanks. Default: none, which means the client's usual ones.
    #[must_use]
    pub fn with_scope(self, scope: &str) -> Self {
        Self {
            scope: Some(scope.to_owned()),
            ..self
        }
    }

    /// The URL that a browser is sent to, at this endpoint.
    pub fn to_url(&self, endpoint: &str) -> String {
        Writer::query_of(endpoint)
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
    /// What the other end may be told by a redirect is judged later, by [`check`](Self::check) and
    /// [`code_challenge`](Self::code_challenge), once client and redirect URI are known to belong together.
    ///
    /// # Errors
    ///
    /// What must be told to the person alone, for nobody knows yet where a redirect would lead:
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

    /// Nothing if a code is asked for.
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

    /// Where the answer is to go. To be compared with the registered one, octet by octet.
    pub fn redirect_uri(&self) -> Option<&str> {
        self.redirect_uri.as_deref()
    }

    /// The scopes asked for.
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
}

impl AuthorizationResponse {
    /// The answer with a code.
    pub fn with_code(code: Secret, state: Option<&str>) -> Self {
        Self {
            result: Ok(code),
            state: state.map(str::to_owned),
        }
    }

    /// The answer with an error.
    pub fn with_error(error: OAuthError, state: Option<&str>) -> Self {
        Self {
            result: Err(error),
            state: state.map(str::to_owned),
        }
    }

    /// The URL that the browser is sent to, at the client's redirect URI.
    pub fn to_url(&self, redirect_uri: &str) -> String {
        let writer = Writer::query_of(redirect_uri);
        let writer = match &self.result {
            Ok(code) => writer.add("code", code.expose_str().unwrap_or_default()),
            Err(error) => writer
                .add("error", error.kind().as_str())
                .add_some("error_description", error.description()),
        };
        writer.add_some("state", self.state.as_deref()).finish()
    }

    /// The answer that a query holds.
    ///
    /// # Errors
    ///
    /// `invalid_request` if a parameter comes twice or is malformed, or there is neither code nor error.
    pub fn parse(query: &[u8]) -> Result<Self, OAuthError> {
        let read = Parameters::read(query)?;
        let result = match (read.get("error"), read.get("code")) {
            (Some(error), _) => Err(OAuthError::told(error, read.get("error_description"))),
            (None, Some(code)) => Ok(Secret::from(code)),
            (None, None) => return Err(OAuthError::invalid_request("OAuth callback made without a code.")),
        };
        Ok(Self {
            result,
            state: read.owned("state"),
        })
    }

    /// The code.
    ///
    /// # Errors
    ///
    /// What the provider told in place of one.
    pub fn code(&self) -> Result<&Secret, &OAuthError> {
        self.result.as_ref()
    }

    /// The state, as the client had sent it.
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

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

    /// The same request with the redirect URI that the code was asked with. Default: none.
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
        let form = Writer::form()
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

    /// The redirect URI that the code was asked with.
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

/// What a code is worth: RFC 6749 §5.1.
///
/// # Example
///
/// ```
/// use portcullis::{Secret, oauth::TokenResponse};
///
/// let answer = TokenResponse::new(Secret::from("abc")).with_scope("read").with_expires_in(60);
/// assert_eq!(answer.to_json().expose_str(), Some(
///     r#"{"access_token":"abc","expires_in":60,"scope":"read","token_type":"Bearer"}"#,
/// ));
/// let read = TokenResponse::parse(answer.to_json().expose())?;
/// assert_eq!(read.access_token().expose_str(), Some("abc"));
/// # Ok::<(), portcullis::oauth::OAuthError>(())
/// ```
#[derive(Clone)]
pub struct TokenResponse {
    access_token: Secret,
    expires_in: Option<u64>,
    scope: Option<String>,
}

impl TokenResponse {
    /// An answer with this token, of type `Bearer`.
    pub fn new(access_token: Secret) -> Self {
        Self {
            access_token,
            expires_in: None,
            scope: None,
        }
    }

    /// The same answer for a token that is good for so many seconds. Default: not told.
    #[must_use]
    pub fn with_expires_in(self, seconds: u64) -> Self {
        Self {
            expires_in: Some(seconds),
            ..self
        }
    }

    /// The same answer with these scopes, apart by blanks. Default: not told.
    #[must_use]
    pub fn with_scope(self, scope: &str) -> Self {
        Self {
            scope: Some(scope.to_owned()),
            ..self
        }
    }

    /// The body, of type `application/json`; the answer is `Cache-Control: no-store`.
    pub fn to_json(&self) -> Secret {
        let mut answer = serde_json::Map::new();
        answer.insert(
            "access_token".to_owned(),
            self.access_token.expose_str().unwrap_or_default().into(),
        );
        if let Some(seconds) = self.expires_in {
            answer.insert("expires_in".to_owned(), seconds.into());
        }
        if let Some(scope) = &self.scope {
            answer.insert("scope".to_owned(), scope.as_str().into());
        }
        answer.insert("token_type".to_owned(), "Bearer".into());
        Secret::from(serde_json::Value::Object(answer).to_string())
    }

    /// The answer that a body holds. A missing `token_type` is taken for `Bearer`.
    ///
    /// # Errors
    ///
    /// The error that the body tells, or else `server_error`: no JSON, no token of 1 to 512 visible ASCII
    /// characters, a token of another type.
    pub fn parse(body: &[u8]) -> Result<Self, OAuthError> {
        #[derive(Deserialize)]
        struct Body {
            access_token: String,
            #[serde(default)]
            token_type: Option<String>,
            #[serde(default)]
            expires_in: Option<u64>,
            #[serde(default)]
            scope: Option<String>,
        }
        let wrong = || {
            OAuthError::from_json(body).unwrap_or_else(|| {
                OAuthError::new(OAuthErrorKind::ServerError)
                    .with_description("the answer of the token endpoint holds no token")
            })
        };
        let body: Body = serde_json::from_slice(body).map_err(|_| wrong())?;
        let bearer = body
            .token_type
            .is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
        let token = Secret::from(body.access_token);
        if !bearer || crate::token::PresentedToken::new(token.expose()).is_none() {
            return Err(OAuthError::new(OAuthErrorKind::ServerError)
                .with_description("the answer of the token endpoint holds no bearer token"));
        }
        Ok(Self {
            access_token: token,
            expires_in: body.expires_in,
            scope: body.scope,
        })
    }

    /// The token.
    pub fn access_token(&self) -> &Secret {
        &self.access_token
    }

    /// For how many seconds it is good, if that was told.
    pub fn expires_in(&self) -> Option<u64> {
        self.expires_in
    }

    /// Its scopes, apart by blanks, if they were told.
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }
}

impl fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenResponse")
    }
}

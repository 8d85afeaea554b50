//! The client's side of the code flow, as values: a redirect out, a request to send, what to remember.

use std::fmt;

use http::HeaderValue;

use super::{
    error::{OAuthError, OAuthErrorKind},
    message::{AuthorizationRequest, AuthorizationResponse, TokenRequest},
    pkce::CodeVerifier,
    state_cookie::{self, StateStore},
};
use crate::{
    clock::UnixTime,
    cookies::{CookieName, CookieScope, Keyring, RequestCookies, SetCookies},
    error::ConfigError,
    secret::Secret,
};

/// A client of an OAuth provider, for one login cookie.
///
/// Nothing is stored on the server: state, PKCE verifier and redirect target are encrypted in a short-lived cookie next
/// to the login cookie, one for each of at most eight pending logins. So a restart or a second replica does not break a
/// login, and several tabs do not disturb each other.
///
/// # Example
///
/// ```
/// use portcullis::{clock::UnixTime, cookies::{CookieScope, RequestCookies}, Keyring, Secret};
/// use portcullis::oauth::{OAuthCallback, OAuthClient};
///
/// let client = OAuthClient::new(
///     "service-whoami",
///     Secret::from("of the client"),
///     "/services/whoami/oauth_callback",
///     "/hub/api/oauth2/authorize",
///     &Keyring::generate(),
///     &CookieScope::service("/", "whoami")?,
/// )?;
/// let now = UnixTime::from_secs(1_795_000_000);
/// let login = client.start_login(Some("/services/whoami/page"), None, now, true);
/// assert!(login.location().to_str()?.starts_with("/hub/api/oauth2/authorize?client_id=service-whoami&"));
///
/// // The browser comes back without the cookie: the login was started in another browser.
/// let (_, query) = login.location().to_str()?.split_once("&state=").expect("a state");
/// let callback = client.handle_callback(format!("code=abc&state={query}").as_bytes(), None, now, true);
/// assert!(matches!(callback, Err(error) if error.status() == 403));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct OAuthClient {
    id: String,
    secret: Secret,
    redirect_uri: String,
    authorize_url: String,
    states: StateStore,
}

impl OAuthClient {
    /// A client with these credentials, whose login cookie lives at `scope`.
    ///
    /// # Errors
    ///
    /// If no name of a cookie can be made from that of `scope`, or the URL is no field's value.
    pub fn new(
        id: &str,
        secret: Secret,
        redirect_uri: &str,
        authorize_url: &str,
        keyring: &Keyring,
        scope: &CookieScope,
    ) -> Result<Self, ConfigError> {
        let client = Self {
            id: id.to_owned(),
            secret,
            redirect_uri: redirect_uri.to_owned(),
            authorize_url: authorize_url.to_owned(),
            states: StateStore::new(keyring, scope)?,
        };
        match state_cookie::location(authorize_url) {
            Some(_) => Ok(client),
            None => Err(ConfigError::new(
                "authorize_url",
                "expected a URL of visible ASCII characters",
            )),
        }
    }

    /// Sends a browser to the provider, to come back to `next` in the end.
    ///
    /// A target of more than 1,024 bytes is dropped. The caller then chooses the redirect target, as for a target that
    /// turns out not to be a URL of this server.
    pub fn start_login(
        &self,
        next: Option<&str>,
        sent: Option<&RequestCookies<'_>>,
        now: UnixTime,
        https: bool,
    ) -> LoginRedirect {
        self.attempt(next, false, sent, now, https)
    }

    fn attempt(
        &self,
        next: Option<&str>,
        is_second_try: bool,
        sent: Option<&RequestCookies<'_>>,
        now: UnixTime,
        https: bool,
    ) -> LoginRedirect {
        let verifier = CodeVerifier::generate();
        let (state, set_cookies) = self
            .states
            .begin(&verifier, next, is_second_try, sent, now, https);
        let url = AuthorizationRequest::new(&self.id, &state, verifier.challenge())
            .with_redirect_uri(&self.redirect_uri)
            .to_url(&self.authorize_url);
        LoginRedirect {
            location: state_cookie::location(&url).expect("the URL was one without its query"),
            set_cookies,
        }
    }

    /// What to do with a browser that the provider sent back with `query`.
    ///
    /// # Errors
    ///
    /// 400 if the query is malformed, lacks code or state, or reports an error of the provider; 403 if the state was not
    /// issued by this server, its cookie is missing, or the second try took too long as well.
    pub fn handle_callback(
        &self,
        query: &[u8],
        sent: Option<&RequestCookies<'_>>,
        now: UnixTime,
        https: bool,
    ) -> Result<OAuthCallback, CallbackError> {
        let answer = AuthorizationResponse::parse(query).map_err(CallbackError::Provider)?;
        let code = answer
            .code()
            .map_err(|error| CallbackError::Provider(error.clone()))?;
        let state = answer.state().ok_or_else(|| {
            CallbackError::Provider(
                OAuthError::new(OAuthErrorKind::InvalidRequest).with_description("OAuth state is missing."),
            )
        })?;
        let parameter = self.states.read(state, now).ok_or(CallbackError::InvalidState)?;
        let remembered = sent.and_then(|sent| self.states.remembered(&parameter, sent, now));
        if parameter.is_expired(now) {
            // Nothing of the answer is used: the browser just goes round once more.
            if parameter.is_second_try {
                return Err(CallbackError::StateExpired);
            }
            let next = remembered.and_then(|remembered| remembered.next);
            let login = self.attempt(next.as_deref(), true, sent, now, https);
            return Ok(OAuthCallback::Restart(login));
        }
        let remembered = remembered.ok_or(CallbackError::MissingCookie)?;
        Ok(OAuthCallback::ExchangeCode(PendingLogin {
            request: TokenRequest::new(&self.id, self.secret.clone(), code.clone(), remembered.verifier)
                .with_redirect_uri(&self.redirect_uri),
            next: remembered.next,
            cookie: remembered.cookie,
        }))
    }

    /// Adds the line that ends this login. Others, in other tabs, go on.
    pub fn clear_login(&self, login: &PendingLogin, https: bool, lines: &mut SetCookies) {
        self.states.remove(&login.cookie, https, lines);
    }

    /// Adds the lines that end all pending logins of a browser.
    pub fn clear_all_logins(&self, sent: &RequestCookies<'_>, https: bool, lines: &mut SetCookies) {
        self.states.end_all(sent, https, lines);
    }
}

impl fmt::Debug for OAuthClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuthClient")
            .field("id", &self.id)
            .field("redirect_uri", &self.redirect_uri)
            .finish_non_exhaustive()
    }
}

/// A redirect to the provider, and the cookie that remembers the login.
#[derive(Debug)]
pub struct LoginRedirect {
    location: HeaderValue,
    set_cookies: SetCookies,
}

impl LoginRedirect {
    /// The URL of the provider to redirect to.
    pub fn location(&self) -> &HeaderValue {
        &self.location
    }

    /// The lines that remember the login.
    pub fn set_cookies(&self) -> &SetCookies {
        &self.set_cookies
    }

    /// The location and the cookies.
    pub fn into_parts(self) -> (HeaderValue, SetCookies) {
        (self.location, self.set_cookies)
    }
}

/// What to do with a browser that came back.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "callers must do one of the two")]
pub enum OAuthCallback {
    /// Send the request, and log the browser in with the grant of the token.
    ExchangeCode(PendingLogin),
    /// The login took too long: send the browser once more to the provider, which most likely knows them by now.
    Restart(LoginRedirect),
}

/// A login whose state is verified; its token is still to be requested.
#[derive(Debug)]
pub struct PendingLogin {
    request: TokenRequest,
    next: Option<String>,
    cookie: CookieName,
}

impl PendingLogin {
    /// What to send to the token endpoint.
    pub fn token_request(&self) -> &TokenRequest {
        &self.request
    }

    /// The page that the user requested, as it was passed to [`OAuthClient::start_login`].
    pub fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }
}

/// A browser that came back and cannot be logged in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallbackError {
    /// The state is valid; the cookie that belongs to it is not in this browser.
    #[error("oauth state does not match: its cookie is missing")]
    MissingCookie,
    /// The login took too long, twice.
    #[error("the login took more than ten minutes, twice")]
    StateExpired,
    /// The provider's answer is malformed, or reports an error.
    #[error("error in oauth: {0}")]
    Provider(OAuthError),
    /// The state was not issued by this server.
    #[error("oauth state does not match")]
    InvalidState,
}

impl CallbackError {
    /// The status of the response that reports this error.
    pub fn status(&self) -> http::StatusCode {
        match self {
            Self::Provider(_) => http::StatusCode::BAD_REQUEST,
            _ => http::StatusCode::FORBIDDEN,
        }
    }
}

//! A provider without ID tokens, such as GitHub.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{
    Request, Response,
    header::{ACCEPT, CONTENT_TYPE},
};
use http_body::Body;
use http_body_util::Full;
use openidconnect::url::Url;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Semaphore;
use tower_service::Service;

use super::{
    claims::Claims,
    error::SignInError,
    http::{ProviderClient, is_allowed},
};
use crate::{
    error::{BoxError, ConfigError},
    http_client::{ServiceTransport, public_tls, ready},
    oauth::{AuthorizationRequest, CodeVerifier, OAuthError, TokenRequest},
    secret::Secret,
};

/// An OAuth 2.0 provider at which users log in, and which has no ID tokens: GitHub, and older servers of companies.
///
/// A login uses the authorization code flow with PKCE and a state. The claims are the JSON object that the user endpoint
/// returns for the access token, and the issuer is the origin of that endpoint. Prefer [`OpenIdConnect`] where the provider
/// has it: here nothing but TLS and the state says that the response belongs to this login.
///
/// The limits on requests and URLs are those of [`OpenIdConnect`].
///
/// [`OpenIdConnect`]: super::OpenIdConnect
///
/// # Example
///
/// ```
/// use portcullis::{AuthLayer, Secret, sign_in::OAuth2Provider};
///
/// let github = OAuth2Provider::new(
///     "https://github.com/login/oauth/authorize",
///     "https://github.com/login/oauth/access_token",
///     "https://api.github.com/user",
///     "my-app",
///     Secret::from("the client secret"),
/// )?
/// .with_scopes(["read:user"]);
/// // The subject is the claim `id`: `login` can change, and be another user's later.
/// let auth = AuthLayer::builder()
///     .sign_in_with("GitHub", github, |claims| Ok(claims.grant()))
///     .build()?;
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
pub struct OAuth2Provider {
    authorization_endpoint: String,
    token_endpoint: String,
    user_endpoint: Url,
    client_id: String,
    client_secret: Secret,
    scopes: String,
    subject_claim: Option<String>,
    client: ProviderClient,
    permits: Semaphore,
}

impl OAuth2Provider {
    /// Creates the provider with its endpoints: for the browser, for the exchange of a code, and for the data of the user.
    ///
    /// # Errors
    ///
    /// If one is not an https URL; http is allowed if all three are on the loopback interface.
    pub fn new(
        authorization_endpoint: &str,
        token_endpoint: &str,
        user_endpoint: &str,
        client_id: &str,
        client_secret: Secret,
    ) -> Result<Self, ConfigError> {
        let endpoint = |name, text: &str| {
            let url = Url::parse(text).ok();
            url.filter(|url| is_allowed(url, url))
                .ok_or_else(|| ConfigError::new(name, format!("expected an https URL, found {text:?}")))
        };
        endpoint("authorization_endpoint", authorization_endpoint)?;
        let issuer = endpoint("token_endpoint", token_endpoint)?;
        let user_endpoint = endpoint("user_endpoint", user_endpoint)?;
        Ok(Self {
            authorization_endpoint: authorization_endpoint.to_owned(),
            token_endpoint: token_endpoint.to_owned(),
            user_endpoint,
            client_id: client_id.to_owned(),
            client_secret,
            scopes: String::new(),
            subject_claim: None,
            client: ProviderClient {
                transport: ready(public_tls()?),
                issuer,
            },
            permits: Semaphore::new(super::http::EXCHANGES),
        })
    }

    /// Sets the scopes to request. Defaults to none.
    #[must_use]
    pub fn with_scopes<T: AsRef<str>>(self, scopes: impl IntoIterator<Item = T>) -> Self {
        let scopes: Vec<_> = scopes
            .into_iter()
            .map(|scope| scope.as_ref().to_owned())
            .collect();
        Self {
            scopes: scopes.join(" "),
            ..self
        }
    }

    /// Sets the claim that identifies a user permanently, a text or an integer. Defaults to `sub` or, without it, `id`.
    #[must_use]
    pub fn with_subject_claim(self, name: &str) -> Self {
        Self {
            subject_claim: Some(name.to_owned()),
            ..self
        }
    }

    /// Sets the HTTP client: see [`OpenIdConnect::with_http_client`](super::OpenIdConnect::with_http_client).
    #[must_use]
    pub fn with_http_client<S, B>(mut self, client: S) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        self.client.transport = Arc::new(ServiceTransport(Mutex::new(client)));
        self
    }

    /// Returns the URL at the provider to which a browser is redirected.
    pub(super) fn authorization_url(
        &self,
        redirect_uri: &str,
        state: &str,
        verifier: &CodeVerifier,
    ) -> String {
        AuthorizationRequest::new(&self.client_id, state, verifier.challenge())
            .with_redirect_uri(redirect_uri)
            .with_scope(&self.scopes)
            .to_url(&self.authorization_endpoint)
    }

    /// Checks the issuer that an authorization response names, if it does: it is on the server that the browser was sent to.
    pub(super) fn check_issuer(&self, named: Option<&str>) -> Result<(), SignInError> {
        let origin = |url: &str| Url::parse(url).map(|url| url.origin()).ok();
        match named {
            Some(issuer) if origin(issuer) != origin(&self.authorization_endpoint) => Err(
                SignInError::rejected("the authorization response is from another issuer"),
            ),
            _ => Ok(()),
        }
    }

    /// Exchanges a code for the claims of the user.
    pub(super) async fn claims(
        &self,
        code: &Secret,
        verifier: &CodeVerifier,
        redirect_uri: &str,
    ) -> Result<Claims, SignInError> {
        let permit = self.permits.try_acquire();
        let _permit = permit.map_err(|_| SignInError::unavailable("too many logins are in progress"))?;
        let form = TokenRequest::new(
            &self.client_id,
            self.client_secret.clone(),
            code.clone(),
            verifier.clone(),
        )
        .with_redirect_uri(redirect_uri)
        .to_form();
        let request = Request::post(&self.token_endpoint)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.expose().to_vec())
            .map_err(SignInError::unavailable)?;
        let response = self
            .client
            .send(request)
            .await
            .map_err(SignInError::unavailable)?;
        // Some providers report an error with 200.
        if let Some(error) = OAuthError::from_json(response.body()) {
            return Err(SignInError::rejected(error));
        }
        let token = serde_json::from_slice(response.body());
        let token: TokenBody = token
            .ok()
            .filter(|_| response.status().is_success())
            .ok_or_else(|| {
                SignInError::unavailable(format!(
                    "the token endpoint responded {} without a token",
                    response.status()
                ))
            })?;
        let mut claims = self
            .client
            .user_info(self.user_endpoint.as_str(), &token.access_token)
            .await?;
        let subject = match &self.subject_claim {
            Some(name) => claims.get(name),
            None => claims.get("sub").or_else(|| claims.get("id")),
        };
        let subject = match subject {
            Some(Value::String(text)) if !text.is_empty() => text.clone(),
            Some(Value::Number(number)) if number.is_u64() => number.to_string(),
            _ => {
                return Err(SignInError::rejected(
                    "expected a claim that identifies the user, found none",
                ));
            }
        };
        let issuer = self.user_endpoint.origin().ascii_serialization();
        claims.insert("sub".to_owned(), subject.into());
        claims.insert("iss".to_owned(), issuer.into());
        Ok(Claims::new(claims))
    }
}

#[derive(Deserialize)]
struct TokenBody {
    access_token: String,
}

impl fmt::Debug for OAuth2Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth2Provider")
            .field("authorization_endpoint", &self.authorization_endpoint)
            .field("client_id", &self.client_id)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

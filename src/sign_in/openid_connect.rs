//! The settings of an OpenID Connect provider.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use openidconnect::{AuthType, core::CoreJwsSigningAlgorithm};
use tokio::sync::Semaphore;
use tower_service::Service;

use super::{
    discovery::Discovery,
    http::{EXCHANGES, ProviderClient, issuer_url},
    id_token::ASYMMETRIC,
};
use crate::{
    error::{BoxError, ConfigError},
    http_client::{ServiceTransport, Transport, public_tls, ready},
    secret::Secret,
};

/// An OpenID Connect provider at which users log in: Keycloak, Microsoft Entra ID, Google, Okta, Auth0, Authentik and others.
///
/// A login uses the authorization code flow with PKCE, a state and a nonce. The ID token must have a valid signature by a
/// key of the provider, and the right issuer, audience, authorized party, nonce and times. The claims of the UserInfo
/// endpoint are added to those of the ID token.
///
/// Requests to the provider follow no redirects, take at most 5 seconds, and read responses of at most 1 MiB. Only https
/// URLs are requested; an issuer on the loopback interface may have http, for tests.
///
/// # Example
///
/// ```no_run
/// use portcullis::{Secret, sign_in::OpenIdConnect};
///
/// # async fn example() -> Result<(), portcullis::ConfigError> {
/// let secret = Secret::from(std::env::var("CLIENT_SECRET").unwrap_or_default());
/// let keycloak = OpenIdConnect::discover("https://id.example.org/realms/staff", "my-app", secret)
///     .await?
///     .with_scopes(["profile", "email", "groups"]);
/// # Ok(())
/// # }
/// ```
pub struct OpenIdConnect {
    pub(super) client_id: String,
    pub(super) client_secret: Option<Secret>,
    pub(super) scopes: Vec<String>,
    pub(super) algorithms: Vec<CoreJwsSigningAlgorithm>,
    pub(super) clock_skew: Duration,
    pub(super) user_info: bool,
    pub(super) provider_logout: bool,
    pub(super) backchannel_logout: bool,
    /// How the client authenticates, if not as the metadata say.
    pub(super) authentication: Option<AuthType>,
    pub(super) discovery: Discovery,
    /// One for each exchange of a code in progress.
    pub(super) permits: Semaphore,
}

impl OpenIdConnect {
    /// Fetches the metadata and keys of the provider, and creates it for a client that is registered there.
    ///
    /// `client_secret` is a [`Secret`], or `None` for a public client. The redirect URI to register is
    /// `<origin><base>login/callback`.
    ///
    /// # Errors
    ///
    /// If `issuer` is not an https URL, if the provider does not respond, or if its metadata are not valid: their `issuer`
    /// must be `issuer`, to the letter.
    pub async fn discover(
        issuer: &str,
        client_id: &str,
        client_secret: impl Into<Option<Secret>>,
    ) -> Result<Self, ConfigError> {
        Self::lazy(issuer, client_id, client_secret)?.discovered().await
    }

    /// Creates the provider without a request: metadata and keys are fetched at the first login. Logins fail, with 503, while
    /// the provider does not respond.
    ///
    /// # Errors
    ///
    /// If `issuer` is not an https URL.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::sign_in::OpenIdConnect;
    ///
    /// let provider = OpenIdConnect::lazy("https://accounts.google.com", "my-app", None)?;
    /// assert!(OpenIdConnect::lazy("http://id.example.org", "my-app", None).is_err());
    /// # Ok::<(), portcullis::ConfigError>(())
    /// ```
    pub fn lazy(
        issuer: &str,
        client_id: &str,
        client_secret: impl Into<Option<Secret>>,
    ) -> Result<Self, ConfigError> {
        let transport = ready(public_tls()?);
        Ok(Self {
            client_id: client_id.to_owned(),
            client_secret: client_secret.into(),
            scopes: vec!["profile".to_owned(), "email".to_owned()],
            algorithms: ASYMMETRIC.to_vec(),
            clock_skew: Duration::from_secs(60),
            user_info: true,
            provider_logout: false,
            backchannel_logout: false,
            authentication: None,
            discovery: discovery(issuer, transport)?,
            permits: Semaphore::new(EXCHANGES),
        })
    }

    /// Fetches the metadata and keys now: for a provider that was created with [`lazy`](Self::lazy) to be configured first.
    ///
    /// # Errors
    ///
    /// As for [`discover`](Self::discover).
    pub async fn discovered(self) -> Result<Self, ConfigError> {
        match self.discovery.metadata().await {
            Ok(_) => Ok(self),
            Err(error) => Err(ConfigError::new(
                "issuer",
                format!(
                    "expected the metadata of an OpenID provider below {:?}, found: {error}; `lazy` fetches them at the \
                     first login",
                    self.discovery.issuer()
                ),
            )),
        }
    }

    /// Sets the scopes to request, in addition to `openid`. Defaults to `profile` and `email`.
    #[must_use]
    pub fn with_scopes<T: Into<String>>(self, scopes: impl IntoIterator<Item = T>) -> Self {
        Self {
            scopes: scopes.into_iter().map(Into::into).collect(),
            ..self
        }
    }

    /// Sets the algorithms that an ID token may be signed with, such as `RS256`. Defaults to all with a public key that are
    /// implemented: `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`, `ES384` and `EdDSA`. Of these, only those
    /// that the metadata of the provider name are accepted.
    ///
    /// # Errors
    ///
    /// If one is none of these. `none` and algorithms with a shared secret, such as `HS256`, are never accepted.
    pub fn with_signing_algorithms<T: AsRef<str>>(
        self,
        algorithms: impl IntoIterator<Item = T>,
    ) -> Result<Self, ConfigError> {
        let read = |name: T| {
            let algorithm = serde_json::from_value(name.as_ref().into()).ok();
            algorithm
                .filter(|algorithm| ASYMMETRIC.contains(algorithm))
                .ok_or_else(|| {
                    let message = format!("expected an algorithm such as RS256, found {:?}", name.as_ref());
                    ConfigError::new("signing_algorithms", message)
                })
        };
        Ok(Self {
            algorithms: algorithms.into_iter().map(read).collect::<Result<_, _>>()?,
            ..self
        })
    }

    /// Sets by how much the clocks of this server and of the provider may differ. Defaults to 60 seconds.
    #[must_use]
    pub fn with_clock_skew(self, clock_skew: Duration) -> Self {
        Self { clock_skew, ..self }
    }

    /// Sends the client secret in the body of the token request (`client_secret_post`). By default it is sent in the
    /// `Authorization` header (`client_secret_basic`), unless the metadata name only the former.
    #[must_use]
    pub fn with_client_secret_post(self) -> Self {
        Self {
            authentication: Some(AuthType::RequestBody),
            ..self
        }
    }

    /// Does not request the UserInfo endpoint. By default it is requested at each login, if the provider has one: some
    /// providers name the user's groups or email address only there.
    #[must_use]
    pub fn without_user_info(self) -> Self {
        Self {
            user_info: false,
            ..self
        }
    }

    /// Logs users out at the provider too, after a logout here, if its metadata have an `end_session_endpoint`. The provider
    /// may let the user confirm, and then redirects to the base URL: register it as the post-logout redirect URI.
    ///
    /// By default a logout ends the login here only.
    #[must_use]
    pub fn with_provider_logout(self) -> Self {
        Self {
            provider_logout: true,
            ..self
        }
    }

    /// Ends sessions when their session at the provider ends. Defaults to no.
    ///
    /// Register `<origin><base>login/<name>/logout` as the back-channel logout URI of the client, and require the session there
    /// (`backchannel_logout_session_required`): a logout token then names the session by `sid`. Every replica with the same store
    /// of sessions refuses the session at its next request. The provider must reach this server by that URL.
    ///
    /// # Errors
    ///
    /// `AuthLayerBuilder::build` fails without `AuthLayerBuilder::sessions`: a signed cookie cannot be ended from elsewhere. A hub
    /// does not take such a provider.
    ///
    /// # Security
    ///
    /// A logout token is checked as an ID token is: signature, issuer, audience and times. One that makes this server fetch
    /// new keys of the provider does so at most once every five seconds. Such a session does not end
    /// when `Grant::with_security_stamp` of the user changes: it is bound to the session at the provider instead.
    ///
    /// Source: OpenID Connect Back-Channel Logout 1.0.
    #[must_use]
    pub fn with_backchannel_logout(self) -> Self {
        Self {
            backchannel_logout: true,
            ..self
        }
    }

    /// Sets the HTTP client: a tower service, such as one that trusts the certificate authority of a company. It must not
    /// follow redirects. Limits on time and size stay as they are.
    ///
    /// Defaults to hyper with rustls and the certificate authorities of browsers.
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
        self.discovery.client.transport = Arc::new(ServiceTransport(Mutex::new(client)));
        self
    }
}

fn discovery(issuer: &str, transport: Arc<dyn Transport>) -> Result<Discovery, ConfigError> {
    let url = issuer_url(issuer)?;
    let client = ProviderClient {
        transport,
        issuer: url,
    };
    Discovery::new(client, issuer).map_err(|error| ConfigError::new("issuer", error.to_string()))
}

impl fmt::Debug for OpenIdConnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenIdConnect")
            .field("issuer", &self.discovery.issuer())
            .field("client_id", &self.client_id)
            .field("scopes", &self.scopes)
            .finish_non_exhaustive()
    }
}

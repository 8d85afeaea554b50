//! What a hub told this process, ready for use.

use std::{fmt, sync::Arc, sync::atomic::AtomicU64, time::Duration};

use http::HeaderValue;

use super::{
    activity::Activity, builder::HubAuthBuilder, ended_logins::EndedLogins, environment::Environment,
    opened_cookies::OpenedCookies, verifier::HubVerifier,
};
use crate::{
    authenticate::TokenSources,
    base_url::BaseUrl,
    cookie::{CookieJar, CookieName, Keyring},
    error::ConfigError,
    guard::Origin,
    oauth::OAuthClient,
    secret::Secret,
};

/// The version of JupyterHub whose protocol is spoken here, for a server's field `X-JupyterHub-Version`: a hub logs
/// a warning if the field is missing, or differs in its first two numbers.
pub const PROTOCOL_VERSION: &str = "6.1.1";

/// What a JupyterHub told this process of itself: who it is, where the hub is, who may come in.
///
/// Cloning counts one reference up; all clones share one cache.
///
/// # Example
///
/// ```no_run
/// use axum::{Router, routing::get};
/// use portcullis::{AuthLayer, HubAuth};
///
/// let hub = HubAuth::from_env()?;
/// let home = hub.base_url().as_str();
/// let app: Router = Router::new().route(home, get(|| async { "hello" })).layer(AuthLayer::hub(hub.clone()));
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct HubAuth(pub(super) Arc<Hub>);

pub(super) struct Hub {
    pub(super) verifier: Arc<HubVerifier>,
    pub(super) oauth: OAuthClient,
    /// The token cookie's.
    pub(super) jar: CookieJar,
    pub(super) opened_cookies: OpenedCookies,
    pub(super) ended_logins: EndedLogins,
    pub(super) session_id: CookieName,
    pub(super) sources: TokenSources,
    pub(super) websocket_sources: TokenSources,
    /// Whether a page that is opened with `?token=` keeps the token as a cookie.
    pub(super) token_in_url: bool,
    pub(super) websocket_cookies: bool,
    pub(super) keyring: Keyring,
    pub(super) base_url: BaseUrl,
    pub(super) callback_path: Box<str>,
    pub(super) logout: HeaderValue,
    pub(super) public_origin: Option<Origin>,
    pub(super) token: Secret,
    /// Where to report to, and the server's name there.
    pub(super) activity: Option<(String, String)>,
    pub(super) activity_interval: Duration,
    /// Seconds since 1970.
    pub(super) last_activity: AtomicU64,
}

impl HubAuth {
    /// What the variables `JUPYTERHUB_*` of this process tell, with the ready HTTP client.
    ///
    /// Read are `…_API_TOKEN`, `…_API_URL`, `…_SERVICE_PREFIX`, `…_CLIENT_ID` or `…_SERVICE_NAME`,
    /// `…_OAUTH_ACCESS_SCOPES`, which must be there, and `…_BASE_URL`, `…_OAUTH_CALLBACK_URL`, `…_HOST`,
    /// `…_PUBLIC_URL`, `…_COOKIE_HOST_PREFIX_ENABLED`, `…_COOKIE_OPTIONS`, `…_ALLOW_TOKEN_IN_URL`,
    /// `…_ALLOW_WEBSOCKET_COOKIE_AUTH`, `…_ACTIVITY_URL`, `…_ACTIVITY_INTERVAL`, `…_SERVER_NAME`, and of a hub with
    /// `internal_ssl` `…_SSL_CERTFILE`, `…_SSL_KEYFILE`, `…_SSL_CLIENT_CA`.
    ///
    /// # Errors
    ///
    /// If one is missing or odd; the error names it, and says what was expected and found.
    #[cfg(feature = "hub-client")]
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::builder_from_env()?.build()
    }

    /// The settings that the variables of this process tell, to change some of them or to bring an HTTP client.
    ///
    /// # Errors
    ///
    /// If a variable is missing or odd.
    pub fn builder_from_env() -> Result<HubAuthBuilder, ConfigError> {
        Self::builder_from(&Environment::own)
    }

    /// The same of variables that `look_up` knows, such as a test's.
    ///
    /// # Errors
    ///
    /// If a variable is missing or odd.
    pub fn builder_from(look_up: &dyn Fn(&str) -> Option<String>) -> Result<HubAuthBuilder, ConfigError> {
        Environment(look_up).read()
    }

    /// Settings for a service that the hub does not start, with the token that the hub knows it by.
    pub fn builder(token: Secret) -> HubAuthBuilder {
        HubAuthBuilder::new(token)
    }

    /// The path below which this server lives.
    pub fn base_url(&self) -> &BaseUrl {
        &self.0.base_url
    }

    /// Reports to the hub when this server was used last, for whatever ends idle servers; nothing happens until it is
    /// [run](Activity::run).
    pub fn activity(&self) -> Activity {
        Activity::new(self.clone())
    }
}

impl fmt::Debug for HubAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubAuth")
            .field("base_url", &self.0.base_url)
            .finish_non_exhaustive()
    }
}

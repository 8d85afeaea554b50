//! The settings that a hub gave this process, ready for use.

use std::{fmt, sync::Arc, sync::atomic::AtomicU64, time::Duration};

use http::HeaderValue;

use super::{cookie_cache::CookieCache, revoked_logins::RevokedLogins, token_cache::HubTokenCache};
use crate::{
    authenticate::TokenSources,
    cookies::{CookieJar, CookieName, Keyring},
    oauth::OAuthClient,
    request::base_url::BaseUrl,
    request_policy::Origin,
    secret::Secret,
};

/// The version of JupyterHub whose protocol is spoken here, for a server's field `X-JupyterHub-Version`: a hub logs
/// a warning if the field is missing, or differs in its first two numbers.
pub const PROTOCOL_VERSION: &str = "6.1.1";

/// The settings that a JupyterHub gave this process: its identity, where the hub is, who has access.
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
pub struct HubAuth(pub(super) Arc<HubAuthInner>);

pub(super) struct HubAuthInner {
    pub(super) verifier: Arc<HubTokenCache>,
    pub(super) oauth: OAuthClient,
    /// The token cookie's.
    pub(super) jar: CookieJar,
    pub(super) opened_cookies: CookieCache,
    pub(super) ended_logins: RevokedLogins,
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
    /// The path below which this server lives.
    pub fn base_url(&self) -> &BaseUrl {
        &self.0.base_url
    }
}

impl fmt::Debug for HubAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubAuth")
            .field("base_url", &self.0.base_url)
            .finish_non_exhaustive()
    }
}

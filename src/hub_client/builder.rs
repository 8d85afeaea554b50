//! Settings of a citizen of a hub.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower_service::Service;

use super::{hub_auth::HubAuth, internal_tls::InternalTls};
use crate::{
    cookies::Keyring,
    error::BoxError,
    http_client::{ServiceTransport, Transport},
    request::base_url::BaseUrl,
    request_policy::Origin,
    secret::Secret,
    session::scopes::Scopes,
};

/// Settings of a [`HubAuth`], for a service that the hub does not start, or one that needs its own HTTP client.
///
/// # Example
///
/// ```
/// use portcullis::{HubAuth, Secret};
/// # #[cfg(feature = "hub-client-hyper")] {
/// let hub = HubAuth::builder(Secret::from("the token from jupyterhub_config.py"))
///     .api_url("http://127.0.0.1:8081/hub/api")
///     .base_url("/services/whoami/".parse()?)
///     .client_id("service-whoami")
///     .access_scopes(["access:services!service=whoami"])
///     .build()?;
/// # }
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[must_use]
pub struct HubAuthBuilder {
    pub(super) token: Secret,
    pub(super) api_url: Option<String>,
    pub(super) base_url: Option<BaseUrl>,
    pub(super) hub_base_url: BaseUrl,
    pub(super) client_id: Option<String>,
    pub(super) callback_url: Option<String>,
    pub(super) access_scopes: Scopes,
    pub(super) allow_all_hub_users: bool,
    pub(super) hub_host: Option<Origin>,
    pub(super) public_origin: Option<Origin>,
    pub(super) host_prefix: bool,
    pub(super) cookie_options: Option<String>,
    pub(super) token_in_url: bool,
    pub(super) websocket_cookies: bool,
    pub(super) activity: Option<(String, String)>,
    pub(super) activity_interval: Duration,
    pub(super) max_age: Duration,
    pub(super) keyring: Option<Keyring>,
    pub(super) internal_tls: Option<InternalTls>,
    pub(super) transport: Option<Arc<dyn Transport>>,
}

impl HubAuth {
    /// Settings for a service that the hub does not start, with the token that the hub knows it by.
    pub fn builder(token: Secret) -> HubAuthBuilder {
        HubAuthBuilder::new(token)
    }
}

impl HubAuthBuilder {
    fn new(token: Secret) -> Self {
        Self {
            token,
            api_url: None,
            base_url: None,
            hub_base_url: BaseUrl::default(),
            client_id: None,
            callback_url: None,
            access_scopes: Scopes::default(),
            allow_all_hub_users: false,
            hub_host: None,
            public_origin: None,
            host_prefix: false,
            cookie_options: None,
            token_in_url: false,
            websocket_cookies: true,
            activity: None,
            activity_interval: Duration::from_secs(300),
            max_age: Duration::from_secs(300),
            keyring: None,
            internal_tls: None,
            transport: None,
        }
    }

    /// Required. The URL of the hub's API, as this process reaches it.
    pub fn api_url(self, url: &str) -> Self {
        Self {
            api_url: Some(url.trim_end_matches('/').to_owned()),
            ..self
        }
    }

    /// Required. The path below which this server lives, such as `/services/whoami/`.
    pub fn base_url(self, base_url: BaseUrl) -> Self {
        Self {
            base_url: Some(base_url),
            ..self
        }
    }

    /// Default: `/`. The path below which the hub and all its servers live.
    pub fn hub_base_url(self, base_url: BaseUrl) -> Self {
        Self {
            hub_base_url: base_url,
            ..self
        }
    }

    /// Required. Who this server is to the hub as an OAuth client, such as `service-whoami`; also the name of the
    /// token cookie.
    pub fn client_id(self, id: &str) -> Self {
        Self {
            client_id: Some(id.to_owned()),
            ..self
        }
    }

    /// Default: `<base>oauth_callback`. Where the hub sends browsers back to, as it was registered there.
    pub fn callback_url(self, url: &str) -> Self {
        Self {
            callback_url: Some(url.to_owned()),
            ..self
        }
    }

    /// Required. A user or service with one of these scopes has access.
    pub fn access_scopes<S: AsRef<str>>(self, scopes: impl IntoIterator<Item = S>) -> Self {
        Self {
            access_scopes: scopes.into_iter().collect(),
            ..self
        }
    }

    /// Default: off. Gives access to all users and services of the hub, instead of
    /// [`access_scopes`](Self::access_scopes).
    ///
    /// # Security
    ///
    /// Every user and every service of the hub may do all that this server offers.
    pub fn danger_allow_all_hub_users(self) -> Self {
        Self {
            allow_all_hub_users: true,
            ..self
        }
    }

    /// Default: the origin this server is seen at. The hub's origin, if users see it at another.
    pub fn hub_origin(self, origin: Origin) -> Self {
        Self {
            hub_host: Some(origin),
            ..self
        }
    }

    /// Default: not known. The origin users see this server at: requests for other hosts are then refused.
    pub fn public_origin(self, origin: Origin) -> Self {
        Self {
            public_origin: Some(origin),
            ..self
        }
    }

    /// Default: off. Cookies with the prefix `__Host-`, at `/`, for a server with an origin of its own.
    pub fn host_prefixed_cookies(self) -> Self {
        Self {
            host_prefix: true,
            ..self
        }
    }

    /// Default: none. JSON of attributes of the token cookie, as in `JUPYTERHUB_COOKIE_OPTIONS`: `samesite`,
    /// `secure`, `domain`, and its life: `max_age` in seconds, or `expires_days`, which as `null` ends it with the browser.
    pub fn cookie_options(self, json: &str) -> Self {
        Self {
            cookie_options: Some(json.to_owned()),
            ..self
        }
    }

    /// Default: off. Takes a token from `?token=` as well, and keeps it as the token cookie when a page is opened
    /// with it.
    pub fn allow_token_in_url(self) -> Self {
        Self {
            token_in_url: true,
            ..self
        }
    }

    /// Default: taken. Takes no cookie of a WebSocket handshake.
    pub fn reject_websocket_cookies(self) -> Self {
        Self {
            websocket_cookies: false,
            ..self
        }
    }

    /// Default: none. Where this server reports to the hub when it was last used, and the server's name at the hub.
    pub fn activity_url(self, url: &str, server_name: &str) -> Self {
        Self {
            activity: Some((url.to_owned(), server_name.to_owned())),
            ..self
        }
    }

    /// Default: 300 seconds. Time between two such reports; zero, and there are none.
    pub fn activity_interval(self, interval: Duration) -> Self {
        Self {
            activity_interval: interval,
            ..self
        }
    }

    /// Default: 300 seconds. How long an answer of the hub about a token is cached, and so how long a revoked token may
    /// still work. A rejection is cached for at most five seconds.
    pub fn cache_ttl(self, max_age: Duration) -> Self {
        Self { max_age, ..self }
    }

    /// Default: derived from the hub's token. The keys of the token cookie and of pending logins.
    ///
    /// A server that the hub spawned gets another token at every start. With keys of your own, its logins survive a
    /// restart.
    pub fn keyring(self, keyring: Keyring) -> Self {
        Self {
            keyring: Some(keyring),
            ..self
        }
    }

    /// Default: none. Files in PEM by which the ready client and a hub with `internal_ssl` know each other: the
    /// certificate that it shows, its key, and the authorities whose servers it trusts, and no others.
    ///
    /// They are read when this is [built](Self::build). A [custom client](Self::http_client) is left as it is.
    pub fn internal_tls(
        self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
        authorities: impl Into<PathBuf>,
    ) -> Self {
        Self {
            internal_tls: Some(InternalTls {
                certificate: certificate.into(),
                key: key.into(),
                authorities: authorities.into(),
            }),
            ..self
        }
    }

    /// Default: the ready one, with the feature `hub-client-hyper`. What requests to the hub are sent by.
    ///
    /// It is cloned for each request. It must follow no redirects: tokens are not for others to see. The answer's
    /// size and the time it takes are limited here.
    pub fn http_client<S, B>(self, client: S) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        Self {
            transport: Some(Arc::new(ServiceTransport(Mutex::new(client)))),
            ..self
        }
    }
}

impl fmt::Debug for HubAuthBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubAuthBuilder")
            .field("api_url", &self.api_url)
            .field("base_url", &self.base_url)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

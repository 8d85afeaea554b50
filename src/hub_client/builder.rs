//! Settings of a citizen of a hub.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri};
use http_body::Body;
use http_body_util::Full;
use tower_service::Service;

use super::{
    api::HubApi,
    cookie_cache::CookieCache,
    cookie_options::{TOKEN_LIFE, with_options},
    hub_auth::{HubAuth, HubAuthInner},
    internal_tls::InternalTls,
    revoked_logins::RevokedLogins,
    token_cache::HubTokenCache,
    transport::{ServiceTransport, Transport},
};
use crate::{
    authenticate::{TokenSource, TokenSources},
    cookies::{CookieJar, CookieName, CookiePrefix, CookieScope, Keyring, Lifetime},
    digest::Hmac,
    error::{BoxError, ConfigError},
    oauth::OAuthClient,
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
    token: Secret,
    api_url: Option<String>,
    base_url: Option<BaseUrl>,
    hub_base_url: BaseUrl,
    client_id: Option<String>,
    callback_url: Option<String>,
    access_scopes: Scopes,
    allow_all_hub_users: bool,
    hub_host: Option<Origin>,
    public_origin: Option<Origin>,
    host_prefix: bool,
    cookie_options: Option<String>,
    token_in_url: bool,
    websocket_cookies: bool,
    activity: Option<(String, String)>,
    activity_interval: Duration,
    max_age: Duration,
    keyring: Option<Keyring>,
    internal_tls: Option<InternalTls>,
    transport: Option<Arc<dyn Transport>>,
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

    /// Required. Whoever holds one of these scopes is let in.
    pub fn access_scopes<S: AsRef<str>>(self, scopes: impl IntoIterator<Item = S>) -> Self {
        Self {
            access_scopes: scopes.into_iter().collect(),
            ..self
        }
    }

    /// Default: off. Lets everybody in whom the hub knows, in place of
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

    /// Default: none. Where the hub is told when this server was used last, and the name of the server there.
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

    /// Default: 300 seconds. How long the hub's word of a token is good; so long may a revoked token go on. A
    /// refusal is good for at most five seconds of it.
    pub fn cache_ttl(self, max_age: Duration) -> Self {
        Self { max_age, ..self }
    }

    /// Default: derived from the hub's token. The keys of the token cookie and of logins under way.
    ///
    /// A server that the hub spawned gets another token at every start; with keys of one's own its logins outlive
    /// that.
    pub fn keyring(self, keyring: Keyring) -> Self {
        Self {
            keyring: Some(keyring),
            ..self
        }
    }

    /// Default: none. Files in PEM by which the ready client and a hub with `internal_ssl` know each other: the
    /// certificate that it shows, its key, and the authorities whose servers it trusts, and no others.
    ///
    /// They are read when this is [built](Self::build). A client of [one's own](Self::http_client) is left as it is.
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

    /// The citizen.
    ///
    /// # Errors
    ///
    /// If something required is missing, or a URL, a name, an option or a file is none that can be used.
    pub fn build(self) -> Result<HubAuth, ConfigError> {
        let missing =
            |setting, what: &str| ConfigError::new(setting, format!("expected {what}, found nothing"));
        let api_url = self
            .api_url
            .ok_or_else(|| missing("JUPYTERHUB_API_URL", "the URL of the hub's API"))?;
        check_url("JUPYTERHUB_API_URL", &api_url)?;
        let base_url = self
            .base_url
            .ok_or_else(|| missing("JUPYTERHUB_SERVICE_PREFIX", "the path of this server"))?;
        let client_id = self
            .client_id
            .ok_or_else(|| missing("JUPYTERHUB_CLIENT_ID", "the id of this client"))?;
        if self.access_scopes.is_empty() && !self.allow_all_hub_users {
            return Err(missing(
                "JUPYTERHUB_OAUTH_ACCESS_SCOPES",
                "a scope that lets in; danger_accept_every_user() asks for none",
            ));
        }
        let odd = self
            .access_scopes
            .iter()
            .find(|scope| crate::session::scopes::Scope::parse(scope).is_none());
        if let Some(odd) = odd {
            let found = format!(
                "expected scopes such as access:servers!user=alice, without control characters, found {odd:?}"
            );
            return Err(ConfigError::new("JUPYTERHUB_OAUTH_ACCESS_SCOPES", found));
        }
        if let Some((url, _)) = &self.activity {
            check_url("JUPYTERHUB_ACTIVITY_URL", url)?;
        }
        let callback_url = self
            .callback_url
            .unwrap_or_else(|| base_url.join("oauth_callback"));
        let callback_path = path_of(&callback_url).filter(|path| base_url.contains(path));
        let callback_path = callback_path.ok_or_else(|| {
            let found = format!("expected a URL below {base_url}, found {callback_url:?}");
            ConfigError::new("JUPYTERHUB_OAUTH_CALLBACK_URL", found)
        })?;
        let name = CookieName::custom(&client_id).map_err(|_| {
            let found = format!("expected the characters of a cookie's name, found {client_id:?}");
            ConfigError::new("JUPYTERHUB_CLIENT_ID", found)
        })?;
        let mut scope = CookieScope::custom(name, base_url.as_str())?;
        if self.host_prefix {
            scope = scope.with_prefix(CookiePrefix::Host)?;
        }
        let keyring = match self.keyring {
            Some(keyring) => keyring,
            None => {
                let key = Hmac::new(b"portcullis/v1/hub token").mac(self.token.expose());
                Keyring::from_secret(Secret::from(&key[..]))?
            }
        };
        let host = self.hub_host.as_ref().map(Origin::to_string).unwrap_or_default();
        let authorize_url = host.clone() + &self.hub_base_url.join("hub/api/oauth2/authorize");
        let (scope, lifetime, lasting) = match &self.cookie_options {
            Some(options) => with_options(scope, options)?,
            None => (scope, Lifetime::absolute(TOKEN_LIFE), true),
        };
        let oauth = OAuthClient::new(
            &client_id,
            self.token.clone(),
            &callback_url,
            &authorize_url,
            &keyring,
            &scope,
        )?;
        let scope = if lasting { scope } else { scope.without_max_age() };
        let logout = HeaderValue::try_from(host + &self.hub_base_url.join("hub/logout"))
            .map_err(|_| ConfigError::new("JUPYTERHUB_HOST", "expected visible ASCII characters"))?;
        let transport = match self.transport {
            Some(transport) => transport,
            None => default_transport(self.internal_tls.as_ref())?,
        };
        let sources = |query: bool| {
            let query = query.then_some(TokenSource::Query);
            TokenSources::new([TokenSource::Authorization].into_iter().chain(query))
        };
        let api = HubApi {
            transport,
            url: api_url.into(),
        };
        Ok(HubAuth(Arc::new(HubAuthInner {
            verifier: Arc::new(HubTokenCache::new(api, self.access_scopes, self.max_age)),
            oauth,
            jar: CookieJar::encrypted(&keyring, scope).with_lifetime(lifetime),
            opened_cookies: CookieCache::new(self.max_age),
            ended_logins: RevokedLogins::new(lifetime.absolute_timeout()),
            session_id: CookieName::session_id(),
            sources: sources(self.token_in_url),
            websocket_sources: sources(true),
            token_in_url: self.token_in_url,
            websocket_cookies: self.websocket_cookies,
            keyring,
            base_url,
            callback_path,
            logout,
            public_origin: self.public_origin,
            token: self.token,
            activity: self.activity.filter(|_| !self.activity_interval.is_zero()),
            activity_interval: self.activity_interval,
            last_activity: Default::default(),
        })))
    }
}

#[cfg(feature = "hub-client-hyper")]
fn default_transport(tls: Option<&InternalTls>) -> Result<Arc<dyn Transport>, ConfigError> {
    super::http_client::ready(tls)
}

#[cfg(not(feature = "hub-client-hyper"))]
fn default_transport(_: Option<&InternalTls>) -> Result<Arc<dyn Transport>, ConfigError> {
    Err(ConfigError::new(
        "http_client",
        "expected one; the feature hub-client has one ready",
    ))
}

fn check_url(name: &'static str, url: &str) -> Result<(), ConfigError> {
    let uri: Option<Uri> = url.parse().ok();
    let absolute = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && uri.query().is_none()
    });
    if absolute {
        Ok(())
    } else {
        Err(ConfigError::new(
            name,
            format!("expected an http or https URL without a query, found {url:?}"),
        ))
    }
}

/// The path of a URL, which may be one alone.
fn path_of(url: &str) -> Option<Box<str>> {
    let uri: Uri = url.parse().ok()?;
    let whole = uri.query().is_none() && uri.path().starts_with('/');
    whole.then(|| uri.path().into())
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

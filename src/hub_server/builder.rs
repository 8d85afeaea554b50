//! A hub, being configured.

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use http::{Extensions, HeaderValue};

use super::{
    client::OAuthClientConfig,
    client_registry::ClientRegistry,
    client_uri::{ClientUri, origin},
    hub::Hub,
    issuer::issuer,
    login_page::MemberPasswords,
    members::Members,
    notice::notice_jar,
    providers::HubProviders,
    registration::Registration,
    scope,
    state::{HubState, ServerStopper},
    user::{HubUser, HubUsers},
};
use crate::{
    clock::{Clock, SystemClock},
    cookies::{CookieJar, CookieName, CookiePrefix, CookieScope, Keyring, Lifetime},
    error::{BackendError, ConfigError},
    event::Observer,
    html::PageStyle,
    maybe_future::MaybeFuture,
    middleware::{PasswordAttempts, cookies::CsrfCookie},
    rate_limit::{RateLimits, SharedRateLimits},
    request::{base_url::BaseUrl, peer::Peer},
    request_policy::{
        AllowedHosts, AllowedOrigins, CsrfMode, CsrfTokens, Origin, RequestPolicy, TrustedProxies,
    },
    session::scopes::Scopes,
    store::{AttemptStore, HubStore},
    verify::{PasswordVerifier, StoredTokens, UserLookup},
};

/// A hub, being configured. The order of the setters does not matter; [`HubBuilder::build`] is what can fail.
pub struct HubBuilder {
    store: Arc<dyn HubStore>,
    passwords: Option<Arc<dyn PasswordVerifier>>,
    users: Option<HubUsers>,
    lookup: Option<Arc<dyn UserLookup>>,
    added: Vec<HubUser>,
    clients: Vec<OAuthClientConfig>,
    resources: Vec<Box<str>>,
    registration: Option<u64>,
    dynamic_scopes: Scopes,
    keyring: Option<Keyring>,
    base_url: BaseUrl,
    guards: RequestPolicy,
    hosts: AllowedHosts,
    lifetime: Duration,
    refresh_lifetime: Duration,
    body_timeout: Duration,
    host_prefix: bool,
    version: Box<str>,
    clock: Arc<dyn Clock>,
    observer: Option<Arc<dyn Observer>>,
    page_style: PageStyle,
    rate_limits: RateLimits,
    shared_rate_limits: Option<Arc<dyn AttemptStore>>,
    stopper: Option<Box<ServerStopper>>,
    pub(super) sign_ins: HubProviders,
}

impl Hub {
    /// A hub that keeps tokens, codes and logins in `store`.
    pub fn builder(store: impl HubStore) -> HubBuilder {
        HubBuilder::new(Arc::new(store))
    }
}

impl HubBuilder {
    /// The version of JupyterHub whose API this hub implements, and which it reports to clients.
    pub const VERSION: &'static str = "6.1.1";

    fn new(store: Arc<dyn HubStore>) -> Self {
        Self {
            store,
            passwords: None,
            users: None,
            lookup: None,
            added: Vec::new(),
            clients: Vec::new(),
            resources: Vec::new(),
            registration: None,
            dynamic_scopes: Scopes::default(),
            keyring: None,
            base_url: BaseUrl::default(),
            guards: RequestPolicy::new().with_csrf_mode(CsrfMode::AllMethods),
            hosts: AllowedHosts::loopback(),
            lifetime: Duration::from_secs(14 * 24 * 60 * 60),
            refresh_lifetime: Duration::from_secs(30 * 24 * 60 * 60),
            body_timeout: Duration::from_secs(30),
            host_prefix: false,
            version: Self::VERSION.into(),
            clock: Arc::new(SystemClock),
            observer: None,
            page_style: PageStyle::default(),
            rate_limits: RateLimits::new(),
            shared_rate_limits: None,
            stopper: None,
            sign_ins: HubProviders::default(),
        }
    }

    /// Checks the passwords of users. Required, unless users log in at an identity provider.
    ///
    /// A user with the right password must be a member as well, by the username of the grant.
    #[must_use]
    pub fn password_verifier(self, verifier: impl PasswordVerifier) -> Self {
        Self {
            passwords: Some(Arc::new(verifier)),
            ..self
        }
    }

    /// Default: none. These members, instead of a separate list of the hub; [`HubBuilder::user`] adds to them.
    #[must_use]
    pub fn users(self, members: HubUsers) -> Self {
        Self {
            users: Some(members),
            ..self
        }
    }

    /// Reads the members from a directory, instead of [`HubBuilder::users`] and [`HubBuilder::user`]. Default: none.
    ///
    /// Each request queries the directory, once for each user that it is about; the hub keeps no answer for the next
    /// request. So changed scopes and groups take effect without a restart, and the tokens and logins of a removed user
    /// are invalid at once. The grant's [`scopes`](crate::Grant::scopes), [`groups`](crate::Grant::groups) and
    /// [`is_admin`](crate::Grant::is_admin) say what the member may do; a grant that has expired is no member. Names
    /// arrive as [`Username`](super::Username) has them.
    ///
    /// While the directory does not answer, requests get 503 with `Retry-After`. No user is logged out by that, and no
    /// cookie is removed. The lookup must bound its own time.
    ///
    /// A directory cannot be listed. `api/users` shows the users who have logged in, or whose server has reported
    /// activity, as the [`HubStore`] knows them; for `?state=ready`, those who have a server.
    ///
    /// # Example
    ///
    /// Passwords and members of the same store:
    ///
    /// ```
    /// use portcullis::{
    ///     Grant, Identity, PasswordHash, Secret, hub_server::Hub, store::MemoryTokenStore,
    ///     verify::{MemoryPasswordStore, StoredPasswords},
    /// };
    ///
    /// let hash = PasswordHash::hash(&Secret::from("purple tricycle nine"))?;
    /// let users = StoredPasswords::new(MemoryPasswordStore::new([(Identity::new("alice"), hash)])?);
    /// let hub = Hub::builder(MemoryTokenStore::new())
    ///     .password_verifier(users.clone())
    ///     .user_lookup(users)
    ///     .build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn user_lookup(self, lookup: impl UserLookup) -> Self {
        Self {
            lookup: Some(Arc::new(lookup)),
            ..self
        }
    }

    /// Default: none. One more member.
    #[must_use]
    pub fn user(mut self, member: HubUser) -> Self {
        self.added.push(member);
        self
    }

    /// Default: none. One more service or server.
    #[must_use]
    pub fn client(mut self, client: OAuthClientConfig) -> Self {
        self.clients.push(client);
        self
    }

    /// Default: off. Lets clients register themselves, at most `limit` of them (RFC 7591): MCP clients do.
    ///
    /// They are [public clients](OAuthClientConfig::public), kept in the store. One that no user authorizes is forgotten after
    /// a day, others once none of their tokens can be valid. Ten may register from one address in an hour; behind a proxy
    /// that needs [`HubBuilder::trusted_proxies`].
    ///
    /// # Security
    ///
    /// Everyone who reaches the hub, and every page in a user's browser, can register a client with any name. The consent page
    /// says so, and shows where the user will be redirected.
    #[must_use]
    pub fn dynamic_registration(self, limit: u64) -> Self {
        Self {
            registration: Some(limit),
            ..self
        }
    }

    /// Default: none. The scopes that clients which registered themselves may request from users, in addition to their
    /// identity.
    #[must_use]
    pub fn dynamic_client_scopes(self, scopes: impl Into<Scopes>) -> Self {
        Self {
            dynamic_scopes: scopes.into(),
            ..self
        }
    }

    /// Default: any absolute URI of `https`, or of `http` on a loopback address, without fragment. The URIs of the resource
    /// servers that clients may request tokens for, such as `https://mcp.example.org/mcp` (RFC 8707).
    ///
    /// A token for one of them has it as `aud` in introspection. The API of the hub accepts it only if the resource is below
    /// the hub's public URL: a token for one server is not valid at another.
    #[must_use]
    pub fn resources<T: AsRef<str>>(self, uris: impl IntoIterator<Item = T>) -> Self {
        Self {
            resources: uris.into_iter().map(|uri| uri.as_ref().into()).collect(),
            ..self
        }
    }

    /// Default: generated, so that every login ends with the process. The key of the login cookie.
    #[must_use]
    pub fn keyring(self, keyring: Keyring) -> Self {
        Self {
            keyring: Some(keyring),
            ..self
        }
    }

    /// Default: `/`. Where the hub and all of its users' servers live; the hub's own pages are at `hub/` below.
    #[must_use]
    pub fn base_url(self, base_url: BaseUrl) -> Self {
        Self { base_url, ..self }
    }

    /// Default: loopback addresses and `localhost`. The hosts that the hub answers for.
    #[must_use]
    pub fn allowed_hosts(self, hosts: AllowedHosts) -> Self {
        Self { hosts, ..self }
    }

    /// Default: where the request itself went. The one origin that users see the hub at.
    ///
    /// With it, the base URL is the issuer of the OAuth server, such as `https://hub.example.org`. The hub then serves the
    /// metadata of RFC 8414 at `/.well-known/oauth-authorization-server`, so that MCP clients and others find the endpoints,
    /// and names the issuer in authorization responses (RFC 9207). The origin must be `https`, or `http` on a loopback
    /// address: OAuth has no issuer for others.
    #[must_use]
    pub fn public_origin(self, origin: Origin) -> Self {
        Self {
            guards: self.guards.with_public_origin(origin),
            ..self
        }
    }

    /// Default: none. Other origins of the hub's own, such as those of a second address.
    #[must_use]
    pub fn additional_origins(self, origins: AllowedOrigins) -> Self {
        Self {
            guards: self.guards.with_allowed_origins(origins),
            ..self
        }
    }

    /// Default: none. The proxies whose `X-Forwarded-*` headers are trusted.
    #[must_use]
    pub fn trusted_proxies(self, proxies: TrustedProxies) -> Self {
        Self {
            guards: self.guards.with_trusted_proxies(proxies),
            ..self
        }
    }

    /// Default: a [`Peer`] in the extensions of the request. One more place where the client's address is found.
    #[must_use]
    pub fn peer_extractor(self, find: fn(&Extensions) -> Option<Peer>) -> Self {
        Self {
            guards: self.guards.with_peer_extractor(find),
            ..self
        }
    }

    /// Default: 14 days. How long a login lasts, and a token that a client is given in it; whole seconds, at most 400
    /// days.
    #[must_use]
    pub fn session_lifetime(self, lifetime: Duration) -> Self {
        Self { lifetime, ..self }
    }

    /// Default: 30 days. How long a refresh token is valid after its last use; see
    /// [`OAuthClientConfig::refresh_tokens`]. It ends with the login that it was made in, when the user logs out.
    #[must_use]
    pub fn refresh_token_lifetime(self, lifetime: Duration) -> Self {
        Self {
            refresh_lifetime: lifetime,
            ..self
        }
    }

    /// Default: 30 seconds. How long the body of a form or of JSON may take to arrive whole. After that the request gets
    /// 408 and `Connection: close`.
    ///
    /// This bounds how long a client without a login can hold a connection by sending nothing. Time before the request's
    /// head has arrived is the server's to bound.
    #[must_use]
    pub fn body_timeout(self, timeout: Duration) -> Self {
        Self {
            body_timeout: timeout,
            ..self
        }
    }

    /// Default: no prefix. The login cookie is named `__Host-…`, is sent over https alone and to every path, and no
    /// other host of the domain can plant one.
    #[must_use]
    pub fn host_prefixed_cookies(self) -> Self {
        Self {
            host_prefix: true,
            ..self
        }
    }

    /// Default: [`HubBuilder::VERSION`]. The version that the hub reports; clients compare it with their own.
    #[must_use]
    pub fn version(self, version: &str) -> Self {
        Self {
            version: version.into(),
            ..self
        }
    }

    /// Default: the system's. The clock.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    /// Default: no name, texts in English. How the pages of the hub look; texts that the layer does not have stay as they
    /// are.
    #[must_use]
    pub fn page_style(self, style: PageStyle) -> Self {
        Self {
            page_style: style,
            ..self
        }
    }

    /// Default: [`RateLimits::new`]. How many wrong passwords are checked.
    #[must_use]
    pub fn login_rate_limits(self, limits: RateLimits) -> Self {
        Self {
            rate_limits: limits,
            ..self
        }
    }

    /// Counts the wrong passwords of each account in `store`, over all hubs that share it. Default: each process counts
    /// alone, in memory.
    ///
    /// As [`AuthLayerBuilder::shared_rate_limits`](crate::AuthLayerBuilder::shared_rate_limits) says; a clone of the store
    /// of the hub will do.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) fails without a [`keyring`](Self::keyring).
    #[must_use]
    pub fn shared_rate_limits(self, store: impl AttemptStore) -> Self {
        Self {
            shared_rate_limits: Some(Arc::new(store)),
            ..self
        }
    }

    /// Default: none. Is notified of logins, logouts and denials.
    #[must_use]
    pub fn observer(self, observer: impl Observer) -> Self {
        Self {
            observer: Some(Arc::new(observer)),
            ..self
        }
    }

    /// Default: none, so that a request to stop a server gets 400. Stops the server of a user when a client of the API
    /// requests it, such as `jupyterhub-idle-culler`.
    ///
    /// It gets the names of the user and of the server, which is empty for the default one. After `Ok` the server counts
    /// as stopped until it reports activity again; an error is answered by 503. The client needs the scope
    /// `delete:servers` for the server's user.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::{BackendError, MaybeFuture, hub_server::Hub, store::MemoryTokenStore};
    ///
    /// let hub = Hub::builder(MemoryTokenStore::new()).server_stopper(|user, _server| {
    ///     let unit = format!("jupyter-{user}.service");
    ///     MaybeFuture::from_future(async move {
    ///         // `systemctl stop <unit>`
    /// #       let _ = unit;
    ///         Ok::<(), BackendError>(())
    ///     })
    /// });
    /// ```
    #[must_use]
    pub fn server_stopper<F>(self, stop: F) -> Self
    where
        F: Fn(&str, &str) -> MaybeFuture<Result<(), BackendError>> + Send + Sync + 'static,
    {
        Self {
            stopper: Some(Box::new(stop)),
            ..self
        }
    }

    /// The hub.
    ///
    /// # Errors
    ///
    /// If there is no password verifier and no identity provider; a member comes twice, or in addition to a `user_lookup`; two clients have the
    /// same identifier or token; a scope for dynamic clients is not one of JupyterHub's; a resource is not as
    /// [`HubBuilder::resources`] says; the base is too long for a cookie's path; the version cannot be sent in a header.
    pub fn build(self) -> Result<Hub, ConfigError> {
        if self.passwords.is_none() && self.sign_ins.is_empty() {
            return Err(ConfigError::new(
                "password_verifier",
                "expected a verifier of the users' passwords, or sign_in_with(), found none",
            ));
        }
        let members = match self.lookup {
            None => Members::Listed(self.users.unwrap_or_default().and(self.added)?),
            Some(lookup) if self.users.is_none() && self.added.is_empty() => {
                Members::Directory(lookup, Arc::clone(&self.clock))
            }
            Some(_) => {
                return Err(ConfigError::new(
                    "user_lookup",
                    "expected the members from one place, found `users` or `user` as well: leave them out",
                ));
            }
        };
        scope::check("dynamic_client_scopes", &self.dynamic_scopes)?;
        let is_sound = |uri: &str| ClientUri::parse(uri).is_some_and(ClientUri::is_private);
        if let Some(odd) = self.resources.iter().find(|uri| !is_sound(uri)) {
            let expected =
                "expected URIs of https, or of http on 127.0.0.1, [::1] or localhost, without fragment";
            return Err(ConfigError::new(
                "resources",
                format!("{expected}, found {odd:?}"),
            ));
        }
        let passwords = self.passwords.map(|verifier| -> Arc<dyn PasswordVerifier> {
            Arc::new(MemberPasswords::new(verifier, members.clone()))
        });
        let registry = ClientRegistry::new(self.clients)?;
        let version_field = HeaderValue::try_from(&*self.version).map_err(|_| {
            ConfigError::new(
                "version",
                format!("expected visible ASCII, found {:?}", self.version),
            )
        })?;
        let hub_url: BaseUrl = self.base_url.join("hub").parse()?;
        let shared = self.shared_rate_limits.map(|store| {
            SharedRateLimits::new(
                store,
                self.keyring.as_ref(),
                hub_url.as_str().to_owned(),
                self.rate_limits,
                Arc::clone(&self.clock),
                self.observer.clone(),
            )
        });
        let keyring = self.keyring.unwrap_or_else(Keyring::generate);
        let lifetime = Lifetime::absolute(self.lifetime);
        let mut login_scope = CookieScope::hub_login(self.base_url.as_str())?;
        if self.host_prefix {
            login_scope = login_scope.with_prefix(CookiePrefix::Host)?;
        }
        let sign_in = self
            .sign_ins
            .build(&self.base_url, &hub_url, &keyring, &login_scope)?;
        let login_jar = CookieJar::signed(&keyring, login_scope).with_lifetime(lifetime);
        let base = self.base_url.as_str();
        let services = CookieName::custom("jupyterhub-services")?;
        let clock = self.clock;
        Ok(Hub(Arc::new(HubState {
            session_scope: CookieScope::session_id(base)?,
            services_scope: CookieScope::custom(services, &self.base_url.join("services"))?,
            notice_jar: notice_jar(&keyring, &hub_url)?,
            xsrf_cookie: CsrfCookie::new(keyring.clone(), CookieScope::xsrf(hub_url.as_str())?, true),
            xsrf_guard: CsrfTokens::new(keyring),
            page_style: self.page_style.with_form_targets(client_origins(&registry)),
            tokens: StoredTokens::with_clock(Arc::clone(&self.store), Arc::clone(&clock)),
            sign_in,
            store: self.store,
            issuer: self
                .guards
                .public_origin()
                .and_then(|origin| issuer(origin, &self.base_url)),
            base_url: self.base_url,
            hub_url,
            members,
            registration: self
                .registration
                .map(|limit| Registration::new(limit, self.dynamic_scopes)),
            resources: self.resources,
            registry,
            passwords: PasswordAttempts::new(
                passwords,
                true,
                Arc::clone(&clock),
                self.observer.clone(),
                self.rate_limits,
                shared.transpose()?,
            ),
            guards: self.guards.with_allowed_hosts(self.hosts),
            login_jar,
            began: clock.now(),
            stopper: self.stopper,
            clock,
            observer: self.observer,
            version: self.version,
            version_field,
            lifetime: lifetime.max_age(),
            refresh_lifetime: self.refresh_lifetime,
            body_timeout: self.body_timeout,
        })))
    }
}

/// The origins of the clients with a secret: the response to a form of the hub may redirect to each of them.
fn client_origins(registry: &ClientRegistry) -> BTreeSet<&str> {
    registry
        .iter()
        .filter(|client| !client.is_public())
        .flat_map(|client| &client.redirect_uris)
        .filter_map(|uri| origin(uri))
        .collect()
}

impl fmt::Debug for HubBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HubBuilder")
    }
}

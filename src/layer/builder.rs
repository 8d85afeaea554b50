//! Settings of a layer.

use std::{fmt, sync::Arc, time::Duration};

use http::{Extensions, Uri};

use super::token_verifiers::ConfiguredVerifier;
use crate::{
    authenticate::{Authenticator, TokenSource},
    authorizer::Authorizer,
    clock::{Clock, UnixTime},
    cookies::{CookieScope, Keyring, Lifetime},
    error::ConfigError,
    event::Observer,
    middleware::{
        PageStyle, ProtectedResource, ResponseStyle, challenge::Challenge, original_uri::OriginalUri,
    },
    rate_limit::RateLimits,
    request::{base_url::BaseUrl, peer::Peer},
    request_policy::{AllowedHosts, AllowedOrigins, CsrfMode, Origin, RequestPolicy, TrustedProxies},
    session::grant::Grant,
    store::{AttemptStore, SessionStore},
    token::Token,
    verify::{PasswordVerifier, TokenSet, TokenVerifier, UserLookup},
};
#[cfg(feature = "password")]
use crate::{
    password::{PasswordHash, PasswordHashWriter, PasswordPolicy},
    session::identity::Identity,
    verify::SharedPassword,
};

/// Settings of an [`AuthLayer`](super::AuthLayer).
///
/// Setters take values that are already validated, so they cannot fail, and their order does not matter.
/// [`build`](Self::build) is the only step that can fail.
///
/// # Example
///
/// ```
/// use portcullis::{AuthLayer, AllowedHosts, Token};
///
/// let auth = AuthLayer::builder()
///     .token(Token::generate())
///     .allowed_hosts(AllowedHosts::from_list(["notebooks.example.org"])?)
///     .build()?;
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[must_use]
#[derive(Default)]
pub struct AuthLayerBuilder {
    pub(super) shared_tokens: Vec<Token>,
    pub(super) known_tokens: Vec<ConfiguredVerifier>,
    pub(super) token_sources: Option<Vec<TokenSource>>,
    pub(super) tokens_log_in: bool,
    pub(super) authenticators: Vec<Box<dyn Authenticator>>,
    pub(super) accepts_anyone: bool,
    pub(super) authorizers: Vec<Box<dyn Authorizer>>,
    pub(super) keyring: Option<Keyring>,
    pub(super) lifetime: Option<Lifetime>,
    pub(super) sessions: Option<Arc<dyn SessionStore>>,
    pub(super) sessions_page: bool,
    pub(super) signed_until: Option<UnixTime>,
    pub(super) user_lookup: Option<Arc<dyn UserLookup>>,
    pub(super) refresh_interval: Option<Duration>,
    pub(super) base_url: Option<BaseUrl>,
    pub(super) original_uri: OriginalUri,
    pub(super) stripped_prefix: Option<Box<str>>,
    pub(super) cookie_name: Option<Box<str>>,
    pub(super) cookie_attributes: Option<Box<CookieAttributes>>,
    pub(super) guards: RequestPolicy,
    pub(super) hosts: Option<AllowedHosts>,
    pub(super) answers_for_any_host: bool,
    pub(super) responses: ResponseStyle,
    pub(super) page_style: PageStyle,
    pub(super) rate_limits: RateLimits,
    pub(super) shared_rate_limits: Option<Arc<dyn AttemptStore>>,
    pub(super) challenge: Option<Challenge>,
    pub(super) protected_resource: Option<ProtectedResource>,
    pub(super) login_path: Option<Box<str>>,
    pub(super) custom_login_page: bool,
    pub(super) remember_me: bool,
    /// The verifier, and whether users have names.
    pub(super) passwords: Option<(Arc<dyn PasswordVerifier>, bool)>,
    #[cfg(feature = "password")]
    pub(super) shared_password: Option<SharedPassword>,
    /// The policy for new passwords, and where their hashes are kept.
    #[cfg(feature = "password")]
    pub(super) password_change: Option<(PasswordPolicy, Box<dyn PasswordHashWriter>)>,
    /// The text of the password hash that is mixed into the key of the cookies.
    pub(super) key_binding: Option<Box<str>>,
    pub(super) observer: Option<Arc<dyn Observer>>,
    pub(super) clock: Option<Arc<dyn Clock>>,
    pub(super) form_timeout: Option<Duration>,
    pub(super) ignores_outer_session: bool,
    #[cfg(feature = "openid")]
    pub(super) sign_ins: Vec<crate::sign_in::SignInSettings>,
    #[cfg(feature = "hub-client")]
    pub(super) hub: Option<crate::hub_client::HubAuth>,
}

/// Changes the attributes of the login cookie.
pub(super) type CookieAttributes = dyn FnOnce(CookieScope) -> Result<CookieScope, ConfigError> + Send + Sync;

impl AuthLayerBuilder {
    /// Adds a shared token. Requests with `token` are accepted, as an anonymous user.
    ///
    /// Defaults to none. May be called several times. The token is taken from the `Authorization` header and from the
    /// query, unless [`token_sources`](Self::token_sources) says otherwise. A browser that opens a page with it gets
    /// a login cookie.
    pub fn token(mut self, token: Token) -> Self {
        self.shared_tokens.push(token);
        self
    }

    /// Adds a token with a grant: its identity, its scopes and its expiry.
    ///
    /// Defaults to none. Otherwise like [`token`](Self::token): from the `Authorization` header, from the query, and
    /// in the login form. A login by the token has the same grant. For many tokens, or tokens that change while the
    /// server runs, use [`bearer_tokens`](Self::bearer_tokens) with a [`TokenSet`].
    ///
    /// ```
    /// use portcullis::{AuthLayer, Grant, Identity, Token};
    ///
    /// let ci = Grant::new(Identity::new("ci")).with_scopes(["read"]);
    /// let auth = AuthLayer::builder().token_with_grant(Token::generate(), ci).build()?;
    /// # Ok::<(), portcullis::ConfigError>(())
    /// ```
    pub fn token_with_grant(mut self, token: Token, grant: Grant) -> Self {
        let tokens = TokenSet::new([(token, grant)]).expect("one token is a set");
        let mut verifier = ConfiguredVerifier::new(tokens);
        verifier.for_browsers = true;
        self.known_tokens.push(verifier);
        self
    }

    /// Returns `true` if a token logs browsers in by the query and the form.
    pub(super) fn has_browser_tokens(&self) -> bool {
        !self.shared_tokens.is_empty() || self.known_tokens.iter().any(|known| known.for_browsers)
    }

    /// Accepts the tokens that `verifier` knows.
    ///
    /// Defaults to none. May be called several times. Tokens are taken from the `Authorization` header, unless
    /// [`token_sources`](Self::token_sources) says otherwise.
    pub fn bearer_tokens(mut self, verifier: impl TokenVerifier) -> Self {
        self.known_tokens.push(ConfiguredVerifier::new(verifier));
        self
    }

    /// Lets users log in by typing a token of [`bearer_tokens`](Self::bearer_tokens) into the form at
    /// [`login_path`](Self::login_path).
    ///
    /// Off by default. The login has the grant of the token, with its scopes, and ends with it: the verifier is
    /// called at each request, by [`TokenVerifier::verify_hash`].
    ///
    /// # Security
    ///
    /// The cookie contains the hash of the token. Use generated tokens, so that the token cannot be guessed from its
    /// hash.
    pub fn allow_token_login(mut self) -> Self {
        self.tokens_log_in = true;
        self
    }

    /// Sets the parts of a request that tokens are taken from.
    ///
    /// Defaults to `Authorization` and the query with [`token`](Self::token), and to `Authorization` only with
    /// [`bearer_tokens`](Self::bearer_tokens).
    pub fn token_sources(mut self, sources: impl IntoIterator<Item = TokenSource>) -> Self {
        self.token_sources = Some(sources.into_iter().collect());
        self
    }

    /// Sets the one password that all users share. The login form accepts it.
    ///
    /// Defaults to none. The hash is mixed into the key of the cookies: changing the password ends every login. With
    /// the secret file and the hash of a Jupyter Server, both servers accept each other's cookies.
    #[cfg(feature = "password")]
    pub fn password(mut self, hash: PasswordHash) -> Self {
        self.key_binding = Some(hash.expose().into());
        let verifier = SharedPassword::new(hash, Grant::new(Identity::anonymous()));
        self.passwords = Some((Arc::new(verifier.clone()), false));
        self.shared_password = Some(verifier);
        self
    }

    /// Lets users change the shared password by the form at [`login_path`](Self::login_path).
    ///
    /// Not allowed by default. The form requires the current password, or a shared token, and a new password that
    /// `policy` accepts. `writer` stores the new hash for the next start.
    ///
    /// The new password is valid at once. The hash is mixed into the key of the cookies, so every login ends, now and
    /// after the next start; the browser that sent the form is logged in again. Without a
    /// [`password`](Self::password), a shared token sets the first one.
    #[cfg(feature = "password")]
    pub fn allow_password_change(mut self, policy: PasswordPolicy, writer: impl PasswordHashWriter) -> Self {
        self.password_change = Some((policy, Box::new(writer)));
        self
    }

    /// Lets users log in by the form with a name and a password that `verifier` checks.
    ///
    /// Defaults to none.
    pub fn password_verifier(mut self, verifier: impl PasswordVerifier) -> Self {
        self.passwords = Some((Arc::new(verifier), true));
        self.clear_shared_password();
        self
    }

    /// Lets users log in at an identity provider: adds the button "Log in with `name`" to the login page.
    ///
    /// Defaults to none. May be called several times, and next to a password. A login begins at `login/<name>` below the
    /// base URL, with the name in lower case and `-` for all but letters and digits; a `next` in the query is kept. The
    /// redirect URI to register at every provider is `login/callback` below the base URL, at the origin of this server.
    /// Behind a proxy that terminates TLS, set [`public_origin`](Self::public_origin) or
    /// [`trusted_proxies`](Self::trusted_proxies), so that the origin has the right scheme.
    ///
    /// `grant` maps the claims of a user to a grant, or denies the login: the user sees why. It is called once for each
    /// login; to change or end a login later, set a [`user_lookup`](Self::user_lookup).
    ///
    /// State, nonce, PKCE verifier and `next` are encrypted in a cookie for 10 minutes, by the [`keyring`](Self::keyring). So
    /// a restart or another replica with the same keyring completes a login in progress.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) fails if `name` has no letters or digits, or if two names lead to the same path.
    ///
    /// # Security
    ///
    /// All providers share one redirect URI. A provider that does not name itself in its responses (RFC 9207) could be
    /// confused with another one: add only providers that you trust.
    ///
    /// # Example
    ///
    /// ```no_run
    /// use portcullis::{AuthLayer, Denial, Secret, sign_in::OpenIdConnect};
    ///
    /// # async fn example() -> Result<(), portcullis::ConfigError> {
    /// let secret = Secret::from(std::env::var("CLIENT_SECRET").unwrap_or_default());
    /// let keycloak = OpenIdConnect::discover("https://id.example.org/realms/staff", "my-app", secret).await?;
    /// let auth = AuthLayer::builder()
    ///     .sign_in_with("Keycloak", keycloak, |claims| {
    ///         match claims.texts("groups").any(|group| group == "staff") {
    ///             true => Ok(claims.grant().with_scopes(["read", "write"])),
    ///             false => Err(Denial::insufficient_scope("staff")),
    ///         }
    ///     })
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "openid")]
    pub fn sign_in_with(
        mut self,
        name: &str,
        provider: impl Into<crate::sign_in::Provider>,
        grant: impl Fn(&crate::sign_in::Claims) -> Result<Grant, crate::Denial> + Send + Sync + 'static,
    ) -> Self {
        let settings = crate::sign_in::SignInSettings::new(name, provider.into(), grant);
        self.sign_ins.push(settings);
        self
    }

    /// Makes the layer that of a server or service of a JupyterHub: see [`AuthLayer::hub`](super::AuthLayer::hub).
    ///
    /// Defaults to none. Base URL, public origin and keys are those of the hub, unless they are set here.
    #[cfg(feature = "hub-client")]
    pub fn hub(mut self, hub: crate::hub_client::HubAuth) -> Self {
        self.hub = Some(hub);
        self
    }

    /// Adds an authenticator. Authenticators run after the tokens and the login cookie, in the order in which they
    /// are added.
    ///
    /// Defaults to none.
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        self.authenticators.push(Box::new(authenticator));
        self
    }

    /// Accepts every request: see [`AuthLayer::danger_allow_anonymous`](super::AuthLayer::danger_allow_anonymous).
    ///
    /// Off by default.
    pub fn danger_allow_anonymous(mut self) -> Self {
        self.accepts_anyone = true;
        self
    }

    /// Adds a rule for what a session may do. Authorizers run after the scopes of the route are checked.
    ///
    /// Defaults to none.
    pub fn authorizer(mut self, authorizer: impl Authorizer) -> Self {
        self.authorizers.push(Box::new(authorizer));
        self
    }

    /// Sets the keys of the cookies.
    ///
    /// Defaults to a random key of this process, so that a restart ends every login. A configured token is mixed in:
    /// changing it ends every login.
    pub fn keyring(mut self, keyring: Keyring) -> Self {
        self.keyring = Some(keyring);
        self
    }

    /// Sets how long a login cookie is valid.
    ///
    /// Defaults to 30 days.
    pub fn session_lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Keeps sessions in `store`: in memory, SQLite, PostgreSQL, or a store of your own.
    ///
    /// Defaults to none: the signed login cookie itself contains the login. With a store, the login cookie, `session`
    /// unless [`cookie_name`](Self::cookie_name) says otherwise, contains only 256 random bits, and the store an HMAC
    /// of them. A login starts a new session and ends the previous one of the browser. A logout ends it permanently,
    /// also after a restart and in every process that shares the store. A session ends when the token that it came
    /// from does. The last use is written once a minute.
    ///
    /// Set a [`keyring`](Self::keyring) that is stored: with a generated one, all sessions end with the process. For
    /// users who can be removed or lose permissions, set a [`user_lookup`](Self::user_lookup) too.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::{AuthLayer, Keyring, Token, store::MemoryTokenStore};
    ///
    /// let auth = AuthLayer::builder()
    ///     .token(Token::generate())
    ///     .keyring(Keyring::generate())
    ///     .sessions(MemoryTokenStore::new())
    ///     .build()?;
    /// # Ok::<(), portcullis::ConfigError>(())
    /// ```
    pub fn sessions(mut self, store: impl SessionStore) -> Self {
        self.sessions = Some(Arc::new(store));
        self
    }

    /// Also accepts, until this time, the signed login cookies that the same keyring wrote before the [session
    /// store](Self::sessions) was set, so that the change logs no user out.
    ///
    /// By default, signed cookies are not accepted with a session store. Set it to the time of the change plus the
    /// lifetime of the cookies. They are not renewed, and the next login is a session of the store. As before the
    /// change, a logout ends such a login in this process only.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) fails without a [session store](Self::sessions).
    pub fn accept_signed_cookies_until(mut self, time: UnixTime) -> Self {
        self.signed_until = Some(time);
        self
    }

    /// Shows users their sessions at `sessions` below the base URL: device, address, time of the login and of the
    /// last use. Users can end each, and all others.
    ///
    /// By default there is no such page. For a page of your own, see
    /// [`AuthLayer::sessions`](super::AuthLayer::sessions).
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) fails without a [session store](Self::sessions).
    pub fn sessions_page(mut self) -> Self {
        self.sessions_page = true;
        self
    }

    /// Sets the directory that is queried for the current permissions of a user with a login.
    ///
    /// Defaults to none. The directory is queried when its last result is older than the
    /// [`refresh_interval`](Self::refresh_interval). The login continues with the grant that it returns; an earlier
    /// expiry of the login stays. A request of an unknown user is rejected, and a session in a store ends. While the
    /// directory does not respond, requests get 503 and keep their cookie. A session ends if its [security
    /// stamp](Grant::with_security_stamp) has changed: `StoredPasswords` sets it, so that a change of the password
    /// ends the sessions made with the old one.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) fails if users have no names, because a token or a password is shared by all.
    pub fn user_lookup(mut self, users: impl UserLookup) -> Self {
        self.user_lookup = Some(Arc::new(users));
        self
    }

    /// Sets the age at which the result of the [`user_lookup`](Self::user_lookup) is queried again, and that of the
    /// verifier of a token that a session came from.
    ///
    /// Defaults to 60 seconds. Zero queries at every request.
    pub fn refresh_interval(mut self, interval: Duration) -> Self {
        self.refresh_interval = Some(interval);
        self
    }

    /// Sets the path on the host below which the protected service is. Cookies are limited to it.
    ///
    /// Defaults to `/`.
    pub fn base_url(mut self, base_url: BaseUrl) -> Self {
        self.base_url = Some(base_url);
        self
    }

    /// Sets where to find the URI that the browser requested, if a router has removed the prefix of a nested service
    /// from it.
    ///
    /// Defaults to the URI of the request. Built-in pages, public paths, `next` and redirects then use the URI that
    /// `find` returns. [`base_url`](Self::base_url) must name the prefix. The handler gets the request unchanged.
    ///
    /// # Example
    ///
    /// ```
    /// use axum::{Router, extract::OriginalUri, routing::get};
    /// use portcullis::{AuthLayer, Token};
    ///
    /// let auth = AuthLayer::builder()
    ///     .token(Token::generate())
    ///     .base_url("/ui/".parse()?)
    ///     .original_uri(|extensions| extensions.get::<OriginalUri>().map(|uri| &uri.0))
    ///     .build()?;
    /// let ui = Router::new().route("/", get("hello")).layer(auth.clone());
    /// let mut app = Router::new().nest("/ui", ui);
    /// for path in auth.page_paths() {
    ///     app = app.route_service(path, auth.pages());
    /// }
    /// # let _: Router = app;
    /// # Ok::<(), portcullis::ConfigError>(())
    /// ```
    pub fn original_uri(mut self, find: fn(&Extensions) -> Option<&Uri>) -> Self {
        self.original_uri.extractor = Some(find);
        self
    }

    /// Sets the prefix, such as `/app`, that a reverse proxy removes from every path.
    ///
    /// Defaults to none. Built-in pages, public paths, `next`, redirects and the paths of cookies then have the
    /// prefix, as browsers need it. [`base_url`](Self::base_url) is `/app/` unless it is set. The handler gets the
    /// request unchanged. A server without tower must pass the URI with the prefix itself. [`build`](Self::build)
    /// rejects a prefix that is not a path.
    pub fn stripped_prefix(mut self, prefix: &str) -> Self {
        self.stripped_prefix = Some(prefix.into());
        self
    }

    /// Sets the name of the login cookie, such as `admin-login`.
    ///
    /// Defaults to `username-` and the host, as in Jupyter Server. Two layers on one host keep separate logins under
    /// two names, whatever their paths. With one name, one keyring and one path they share the login.
    /// [`build`](Self::build) rejects a name that is not an RFC 9110 token.
    pub fn cookie_name(mut self, name: &str) -> Self {
        self.cookie_name = Some(name.into());
        self
    }

    /// Changes the attributes of the login cookie.
    ///
    /// Defaults to `HttpOnly; SameSite=Lax; Path=<base>`, and `Secure` over https. The `_xsrf` cookie gets the same
    /// `Domain`, `SameSite`, `Secure` and `Partitioned`. [`build`](Self::build) returns the error of `change`: a
    /// cookie that browsers would drop is rejected.
    ///
    /// # Example
    ///
    /// A server whose pages other sites show in frames:
    ///
    /// ```
    /// use portcullis::{AuthLayer, Token, cookies::{SameSite, SecureAttribute}};
    ///
    /// let auth = AuthLayer::builder()
    ///     .token(Token::generate())
    ///     .cookie_attributes(|cookie| {
    ///         cookie.with_secure(SecureAttribute::Always)?.with_same_site(SameSite::None)?.with_partitioned()
    ///     })
    ///     .build()?;
    /// # Ok::<(), portcullis::ConfigError>(())
    /// ```
    pub fn cookie_attributes(
        mut self,
        change: impl FnOnce(CookieScope) -> Result<CookieScope, ConfigError> + Send + Sync + 'static,
    ) -> Self {
        self.cookie_attributes = Some(Box::new(change));
        self
    }

    /// Sets the hosts that requests may be addressed to.
    ///
    /// Defaults to [`AllowedHosts::loopback`], or to every host if only header tokens authenticate requests.
    pub fn allowed_hosts(mut self, hosts: AllowedHosts) -> Self {
        self.hosts = Some(hosts);
        self
    }

    /// Accepts requests to every host.
    ///
    /// Off by default.
    ///
    /// # Security
    ///
    /// Another site can point its own host name at this server (DNS rebinding). Its pages then have the same origin
    /// as this server.
    pub fn danger_allow_any_host(mut self) -> Self {
        self.answers_for_any_host = true;
        self
    }

    /// Sets the origins of other sites whose pages may send requests with a user's login.
    ///
    /// Defaults to none.
    pub fn allowed_origins(mut self, origins: AllowedOrigins) -> Self {
        self.guards = self.guards.with_allowed_origins(origins);
        self
    }

    /// Sets the one origin at which users see this server, such as `https://hub.example.org`.
    ///
    /// Defaults to none: the origin is then that of each request.
    pub fn public_origin(mut self, origin: Origin) -> Self {
        self.guards = self.guards.with_public_origin(origin);
        self
    }

    /// Sets the proxies whose `X-Forwarded-*` headers are trusted.
    ///
    /// Defaults to none. Proxies are recognized by their address, so requests need a [`Peer`]: see
    /// [`peer_extractor`](Self::peer_extractor). [`Event::PeerAddressMissing`](crate::Event::PeerAddressMissing)
    /// reports a request without one.
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.guards = self.guards.with_trusted_proxies(proxies);
        self
    }

    /// Sets whether this server itself speaks TLS. If it does, cookies are `Secure`, and origins are compared with
    /// their scheme.
    ///
    /// Unknown by default.
    pub fn https(mut self, tls: bool) -> Self {
        self.guards = self.guards.with_https(tls);
        self
    }

    /// Checks `Sec-Fetch-Site: same-origin` or a same-origin `Origin` instead of `_xsrf`, for reverse proxies whose
    /// upstream has its own `_xsrf`.
    ///
    /// By default, unsafe requests with a cookie need `_xsrf`. A program that sends neither header sends the `_xsrf`
    /// of the login form in `X-XSRFToken`.
    pub fn csrf_by_origin(mut self) -> Self {
        self.guards = self.guards.with_csrf_mode(CsrfMode::OriginOnly);
        self
    }

    /// Adds a place where the address of the peer is found, such as axum's `ConnectInfo`.
    ///
    /// Defaults to a [`Peer`] in the request extensions.
    ///
    /// # Example
    ///
    /// ```no_run
    /// use std::net::SocketAddr;
    ///
    /// use axum::{Router, extract::ConnectInfo, routing::get};
    /// use portcullis::{AuthLayer, Token, TrustedProxies, request::Peer};
    ///
    /// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
    /// let auth = AuthLayer::builder()
    ///     .token(Token::generate())
    ///     .trusted_proxies(TrustedProxies::parse("127.0.0.1")?)
    ///     .peer_extractor(|extensions| Some(Peer::Ip(extensions.get::<ConnectInfo<SocketAddr>>()?.0)))
    ///     .build()?;
    /// let app = Router::new().route("/", get("hello")).layer(auth);
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    /// axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?;
    /// # Ok(()) }
    /// ```
    pub fn peer_extractor(mut self, find: fn(&Extensions) -> Option<Peer>) -> Self {
        self.guards = self.guards.with_peer_extractor(find);
        self
    }

    /// Sets how denials are answered.
    ///
    /// Defaults to [`ResponseStyle::standard`].
    pub fn response_style(mut self, responses: ResponseStyle) -> Self {
        self.responses = responses;
        self
    }

    /// Sets how many wrong passwords are checked.
    ///
    /// Defaults to [`RateLimits::new`].
    pub fn login_rate_limits(mut self, limits: RateLimits) -> Self {
        self.rate_limits = limits;
        self
    }

    /// Counts the wrong passwords of each account in `store`, over all replicas that share it. Default: each process counts
    /// alone, in memory.
    ///
    /// The replicas share the failures of an account, the wait that follows from them, and the number of its pending
    /// attempts. So an account allows as many attempts at all replicas together as at one, and a login at one resets the failures
    /// at all. Each replica still counts client addresses, and the addresses that an account is known at, in memory.
    ///
    /// If the store does not answer within a second, the process reports
    /// [`Event::SharedRateLimitsUnavailable`](crate::Event::SharedRateLimitsUnavailable) and counts in memory; it tries the store
    /// again every 5 seconds. No login is refused because the store is down.
    ///
    /// An attempt that is not settled within a minute, because its process ended, counts as a wrong password. Times are whole
    /// seconds of the date: the clocks of the replicas have to agree to a second or so.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) fails without a [`keyring`](Self::keyring).
    ///
    /// # Security
    ///
    /// The store holds account names as keyed hashes. The keyring gives the key, so replicas need the same keyring, base URL,
    /// cookie name and stored password hash, as they do to accept each other's login cookies. Layers that have all of these in
    /// common count together. A new key begins new counts.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use portcullis::{AuthLayer, Keyring, Secret, store::MemoryTokenStore};
    /// # use portcullis::{Grant, Identity, MaybeFuture, Reason, Verification, verify::PasswordVerifier};
    /// # struct Directory;
    /// # impl PasswordVerifier for Directory {
    /// #     fn verify(&self, username: &str, password: &Secret) -> MaybeFuture<Verification> {
    /// #         Verification::Rejected(Reason::IncorrectPassword).into()
    /// #     }
    /// # }
    ///
    /// // In production: a `PostgresTokenStore`.
    /// let store = Arc::new(MemoryTokenStore::new());
    /// let auth = AuthLayer::builder()
    ///     .password_verifier(Directory)
    ///     .keyring(Keyring::from_secret(Secret::from("32 bytes that all replicas read from a file"))?)
    ///     .shared_rate_limits(store)
    ///     .build()?;
    /// # Ok::<(), portcullis::ConfigError>(())
    /// ```
    pub fn shared_rate_limits(mut self, store: impl AttemptStore) -> Self {
        self.shared_rate_limits = Some(Arc::new(store));
        self
    }

    /// Sets how the pages of the layer look: [`PageStyle`].
    ///
    /// Defaults to no name and English texts.
    pub fn page_style(mut self, style: PageStyle) -> Self {
        self.page_style = style;
        self
    }

    /// Sets the challenge of a 401 response.
    ///
    /// Defaults to the realm `portcullis`.
    pub fn challenge(mut self, challenge: Challenge) -> Self {
        self.challenge = Some(challenge);
        self
    }

    /// Publishes where clients get access tokens for this server (RFC 9728), as MCP clients need it.
    ///
    /// Defaults to none. The metadata are served at `/.well-known/oauth-protected-resource`, and there with the path of
    /// the resource behind it, to every client and to pages of every origin. The challenge of each 401 and each 403 for a
    /// missing scope names their URL as `resource_metadata`. A reverse proxy must pass on these paths, which are not below
    /// the [`base_url`](Self::base_url).
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) fails if a URL is not absolute, if there is no authorization server, or if the
    /// [`challenge`](Self::challenge) has another `resource_metadata`.
    ///
    /// # Examples
    ///
    /// ```
    /// use portcullis::{AuthLayer, Grant, Identity, Token, TokenSet, middleware::ProtectedResource};
    ///
    /// # let tokens = TokenSet::new([(Token::generate(), Grant::new(Identity::new("ci")))])?;
    /// let auth = AuthLayer::builder()
    ///     .bearer_tokens(tokens)
    ///     .protected_resource(
    ///         ProtectedResource::new("https://mcp.example.org/mcp").authorization_server("https://login.example.org"),
    ///     )
    ///     .build()?;
    /// # Ok::<(), portcullis::ConfigError>(())
    /// ```
    pub fn protected_resource(mut self, resource: ProtectedResource) -> Self {
        self.protected_resource = Some(resource);
        self
    }

    /// Sets the path of the login page. Browsers without a login are redirected to it, with the requested page in
    /// `next`.
    ///
    /// Defaults to `<base>login`.
    pub fn login_path(mut self, path: &str) -> Self {
        self.login_path = Some(path.into());
        self
    }

    /// Leaves the page at [`login_path`](Self::login_path) to the protected service.
    ///
    /// By default the layer serves it. With this setting the path is public, and the service logs users in by
    /// [`AuthLayer::login`](super::AuthLayer::login). The layer still serves logout and launch links. The query has `next`, and
    /// `session=ended` if the browser's session ended.
    ///
    /// No password or token is needed if that page alone decides who logs in:
    ///
    /// ```
    /// use portcullis::{AuthLayer, Denial, Grant, Identity, RequestHead, cookies::SetCookies};
    ///
    /// async fn log_in(auth: AuthLayer, form: http::Request<()>) -> Result<SetCookies, Denial> {
    ///     auth.login(RequestHead::new(&form), Grant::new(Identity::new("alice"))).await
    /// }
    /// # fn main() -> Result<(), portcullis::ConfigError> {
    ///
    /// let auth = AuthLayer::builder().custom_login_page().build()?;
    /// # Ok(()) }
    /// ```
    pub fn custom_login_page(mut self) -> Self {
        self.custom_login_page = true;
        self
    }

    /// Adds a checkbox "Keep me logged in" to the login form. Without the tick, the browser forgets the login when it
    /// closes.
    ///
    /// Off by default: every login lasts for [`session_lifetime`](Self::session_lifetime). For a login form of your
    /// own, see [`AuthLayer::login_for_browser_session`](super::AuthLayer::login_for_browser_session).
    pub fn remember_me(mut self) -> Self {
        self.remember_me = true;
        self
    }

    /// Sets how long the body of a form may take to arrive. After that the request gets 408 and `Connection: close`.
    ///
    /// Defaults to 30 seconds. This limits how long an unauthenticated client can hold a connection by sending
    /// nothing. The time until the request headers have arrived is limited by the server.
    pub fn form_timeout(mut self, timeout: Duration) -> Self {
        self.form_timeout = Some(timeout);
        self
    }

    /// Sets the observer that receives events such as logins and denials.
    ///
    /// Defaults to none.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Sets the clock.
    ///
    /// Defaults to the system's clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Does not insert a [`Session`](crate::Session) into the request extensions, which saves the only allocation per
    /// accepted request.
    ///
    /// Off by default.
    pub fn without_session_extension(mut self) -> Self {
        self.ignores_outer_session = true;
        self
    }
}

#[cfg(feature = "password")]
impl AuthLayerBuilder {
    fn clear_shared_password(&mut self) {
        self.shared_password = None;
        self.key_binding = None;
    }
}

#[cfg(not(feature = "password"))]
impl AuthLayerBuilder {
    fn clear_shared_password(&mut self) {}
}

impl fmt::Debug for AuthLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthLayerBuilder")
    }
}

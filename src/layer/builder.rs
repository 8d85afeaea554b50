//! Settings of a gate.

use std::{fmt, sync::Arc, time::Duration};

use http::{Extensions, Uri};

use super::token_verifiers::ConfiguredVerifier;
use crate::{
    authenticate::{Authenticator, TokenSource},
    authorizer::Authorizer,
    clock::Clock,
    cookies::{CookieScope, Keyring, Lifetime},
    error::ConfigError,
    event::Observer,
    middleware::{PageStyle, ResponseStyle, challenge::Challenge, original_uri::OriginalUri},
    rate_limit::RateLimits,
    request::{base_url::BaseUrl, peer::Peer},
    request_policy::{AllowedHosts, AllowedOrigins, CsrfMode, Origin, RequestPolicy, TrustedProxies},
    session::grant::Grant,
    store::AttemptStore,
    token::Token,
    verify::{PasswordVerifier, TokenSet, TokenVerifier},
};
#[cfg(feature = "password")]
use crate::{
    password::{PasswordHash, PasswordHashWriter, PasswordPolicy},
    session::identity::Identity,
    verify::SharedPassword,
};

/// Settings of an [`AuthLayer`](super::AuthLayer).
///
/// Setters take values that are already proven, so they cannot fail, and their order never matters;
/// [`build`](Self::build) is the one fallible step.
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
    pub(super) login_path: Option<Box<str>>,
    pub(super) custom_login_page: bool,
    pub(super) remember_me: bool,
    /// Who knows them, and whether people have names.
    pub(super) passwords: Option<(Arc<dyn PasswordVerifier>, bool)>,
    #[cfg(feature = "password")]
    pub(super) shared_password: Option<SharedPassword>,
    /// What a new password must be like, and who keeps it.
    #[cfg(feature = "password")]
    pub(super) password_change: Option<(PasswordPolicy, Box<dyn PasswordHashWriter>)>,
    /// The text of the hash that is mixed into the cookies' key.
    pub(super) key_binding: Option<Box<str>>,
    pub(super) observer: Option<Arc<dyn Observer>>,
    pub(super) clock: Option<Arc<dyn Clock>>,
    pub(super) form_timeout: Option<Duration>,
    pub(super) gate_only: bool,
    #[cfg(feature = "hub-client")]
    pub(super) hub: Option<crate::hub_client::HubAuth>,
}

/// Changes the attributes of the login cookie.
pub(super) type CookieAttributes = dyn FnOnce(CookieScope) -> Result<CookieScope, ConfigError> + Send + Sync;

impl AuthLayerBuilder {
    /// Default: none. Whoever presents `token` is let in; several may be given.
    ///
    /// It may stand in the `Authorization` field and in the query, unless
    /// [`token_sources`](Self::token_sources) says otherwise; a browser that opens a page with it is given a
    /// login cookie.
    pub fn token(mut self, token: Token) -> Self {
        self.shared_tokens.push(token);
        self
    }

    /// Default: none. Admits requests with `token` as `grant` says: its identity, its scopes, until it expires.
    ///
    /// Otherwise as [`token`](Self::token): from the `Authorization` field, from the query, and in the login form. A
    /// login by it has the same grant. For many tokens, or tokens that change while the server runs, use
    /// [`bearer_tokens`](Self::bearer_tokens) with a [`TokenSet`].
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

    /// Whether a token logs browsers in by the query and the form.
    pub(super) fn has_browser_tokens(&self) -> bool {
        !self.shared_tokens.is_empty() || self.known_tokens.iter().any(|known| known.for_browsers)
    }

    /// Default: none. Whoever presents a token that `verifier` knows is let in; several may be given.
    ///
    /// It may stand in the `Authorization` field, unless [`token_sources`](Self::token_sources) says otherwise.
    pub fn bearer_tokens(mut self, verifier: impl TokenVerifier) -> Self {
        self.known_tokens.push(ConfiguredVerifier::new(verifier));
        self
    }

    /// Default: off. The tokens of [`bearer_tokens`](Self::bearer_tokens) also log their owners in by the form at
    /// [`login_path`](Self::login_path), for people who were given one.
    ///
    /// Such a login is worth what the token is worth, its scopes included, and no longer than the token: the verifier is
    /// asked at each request, by [`TokenVerifier::verify_hash`].
    ///
    /// # Security
    ///
    /// The cookie holds the hash of the token, so tokens should be generated ones, which nobody guesses from it.
    pub fn allow_token_login(mut self) -> Self {
        self.tokens_log_in = true;
        self
    }

    /// Default: `Authorization` and the query with [`token`](Self::token), `Authorization` alone with
    /// [`bearer_tokens`](Self::bearer_tokens). Where tokens may stand.
    pub fn token_sources(mut self, sources: impl IntoIterator<Item = TokenSource>) -> Self {
        self.token_sources = Some(sources.into_iter().collect());
        self
    }

    /// Default: none. The one password that everybody shares logs a browser in by the form.
    ///
    /// Its hash is mixed into the key of the cookies: changing it ends every login, and with a Jupyter Server's
    /// secret file and hash its cookies are exchangeable with ours.
    #[cfg(feature = "password")]
    pub fn password(mut self, hash: PasswordHash) -> Self {
        self.key_binding = Some(hash.expose().into());
        let verifier = SharedPassword::new(hash, Grant::new(Identity::anonymous()));
        self.passwords = Some((Arc::new(verifier.clone()), false));
        self.shared_password = Some(verifier);
        self
    }

    /// Default: not allowed. Whoever has the shared password, or a shared token, sets another password by the form at
    /// [`login_path`](Self::login_path): one that `policy` takes, and that `keeper` has kept for the next start.
    ///
    /// It holds from then on. The hash is mixed into the key of the cookies, so every login ends, here and after the
    /// next start; the browser that sent the form is logged in anew. Without a [`password`](Self::password), a shared
    /// token sets the first one.
    #[cfg(feature = "password")]
    pub fn allow_password_change(mut self, policy: PasswordPolicy, keeper: impl PasswordHashWriter) -> Self {
        self.password_change = Some((policy, Box::new(keeper)));
        self
    }

    /// Default: none. People with a name and a password log in by the form.
    pub fn password_verifier(mut self, verifier: impl PasswordVerifier) -> Self {
        self.passwords = Some((Arc::new(verifier), true));
        self.clear_shared_password();
        self
    }

    /// Default: none. Makes the gate that of a JupyterHub's server or service: see
    /// [`AuthLayer::hub`](super::AuthLayer::hub).
    ///
    /// Base URL, public origin and keys are the hub's, unless they are set here.
    #[cfg(feature = "hub-client")]
    pub fn hub(mut self, hub: crate::hub_client::HubAuth) -> Self {
        self.hub = Some(hub);
        self
    }

    /// Default: none. One more authenticator, asked after the tokens and the login cookie, in the order given.
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        self.authenticators.push(Box::new(authenticator));
        self
    }

    /// Default: off. Lets everybody in; see [`AuthLayer::danger_allow_anonymous`](super::AuthLayer::danger_allow_anonymous).
    pub fn danger_allow_anonymous(mut self) -> Self {
        self.accepts_anyone = true;
        self
    }

    /// Default: none. One more rule for what a session may do, asked after the scopes of the route.
    pub fn authorizer(mut self, authorizer: impl Authorizer) -> Self {
        self.authorizers.push(Box::new(authorizer));
        self
    }

    /// Default: a random key of this process, so that a restart ends every login. The keys of the cookies.
    ///
    /// A configured token is mixed in: changing it ends every login.
    pub fn keyring(mut self, keyring: Keyring) -> Self {
        self.keyring = Some(keyring);
        self
    }

    /// Default: 30 days. How long a login cookie is good.
    pub fn session_lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Default: `/`. Where on the host the guarded service lives; cookies are scoped to it.
    pub fn base_url(mut self, base_url: BaseUrl) -> Self {
        self.base_url = Some(base_url);
        self
    }

    /// Default: the URI of the request. The place where the URI is found that the browser asked for, when a router has
    /// removed the prefix of a nested service from it.
    ///
    /// Own pages, public paths, `next` and redirects then go by that URI; [`base_url`](Self::base_url) has to name the
    /// prefix. The handler gets the request as it came.
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

    /// Default: none. The prefix, such as `/app`, that a reverse proxy removes from every path before it passes a
    /// request on.
    ///
    /// Own pages, public paths, `next`, redirects and the paths of cookies then have the prefix, as browsers need it;
    /// [`base_url`](Self::base_url) is `/app/` unless it is set. The handler gets the request as it came. A server without
    /// tower has to pass on the URI with the prefix itself. [`build`](Self::build) refuses what is not a path.
    pub fn stripped_prefix(mut self, prefix: &str) -> Self {
        self.stripped_prefix = Some(prefix.into());
        self
    }

    /// Default: `username-` and the host, as a Jupyter Server calls it. The name of the login cookie, such as
    /// `admin-login`.
    ///
    /// Two layers on one host keep separate logins under two names, whatever their paths; with one name, one keyring and
    /// one path they share the login. [`build`](Self::build) refuses what is not an RFC 9110 token.
    pub fn cookie_name(mut self, name: &str) -> Self {
        self.cookie_name = Some(name.into());
        self
    }

    /// Default: `HttpOnly; SameSite=Lax; Path=<base>`, and `Secure` over https. Changes the attributes of the login cookie.
    ///
    /// The `_xsrf` cookie gets the same `Domain`, `SameSite`, `Secure` and `Partitioned`. [`build`](Self::build) returns
    /// the error of `change`: what a browser would drop is refused.
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

    /// Default: [`AllowedHosts::loopback`], or every host where nothing but header tokens lets anybody in. The hosts
    /// answered for.
    pub fn allowed_hosts(mut self, hosts: AllowedHosts) -> Self {
        self.hosts = Some(hosts);
        self
    }

    /// Default: off. Answers for every host, whatever lets people in.
    ///
    /// # Security
    ///
    /// A page elsewhere can point a name of its own at this server, and is then of one origin with it.
    pub fn danger_allow_any_host(mut self) -> Self {
        self.answers_for_any_host = true;
        self
    }

    /// Default: none. Foreign origins whose pages may act here.
    pub fn allowed_origins(mut self, origins: AllowedOrigins) -> Self {
        self.guards = self.guards.with_allowed_origins(origins);
        self
    }

    /// Default: none; own is where the request itself went. The one origin users see this server at, such as
    /// `https://hub.example.org`.
    pub fn public_origin(mut self, origin: Origin) -> Self {
        self.guards = self.guards.with_public_origin(origin);
        self
    }

    /// Default: none. Proxies whose `X-Forwarded-*` is believed.
    ///
    /// They are recognised by their address, so requests need a [`Peer`]: see [`peer_extractor`](Self::peer_extractor).
    /// [`Event::PeerAddressMissing`](crate::Event::PeerAddressMissing) reports a request without one.
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.guards = self.guards.with_trusted_proxies(proxies);
        self
    }

    /// Default: not known. Whether this server itself speaks TLS: then cookies are `Secure`, and origins are
    /// compared with their scheme.
    pub fn https(mut self, tls: bool) -> Self {
        self.guards = self.guards.with_https(tls);
        self
    }

    /// Default: `_xsrf` is asked of unsafe cookie requests. Asks for `Sec-Fetch-Site: same-origin` or an own
    /// Origin instead, for a gateway whose upstream has an `_xsrf` of its own. A program that sends neither shows the
    /// `_xsrf` of the login form in `X-XSRFToken`.
    pub fn csrf_by_origin(mut self) -> Self {
        self.guards = self.guards.with_csrf_mode(CsrfMode::OriginOnly);
        self
    }

    /// Default: a [`Peer`] in the request's extensions. One more place where the peer is found, such as axum's
    /// `ConnectInfo`.
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

    /// Default: [`ResponseStyle::standard`]. How refusals are told.
    pub fn response_style(mut self, responses: ResponseStyle) -> Self {
        self.responses = responses;
        self
    }

    /// Default: [`RateLimits::new`]. How many wrong passwords are checked.
    pub fn login_rate_limits(mut self, limits: RateLimits) -> Self {
        self.rate_limits = limits;
        self
    }

    /// Counts the wrong passwords of each account in `store`, over all replicas that share it. Default: each process counts
    /// alone, in memory.
    ///
    /// The replicas share the failures of an account, the wait that follows from them, and the number of its attempts under
    /// way. So an account allows as many attempts at all replicas together as at one, and a login at one forgives the failures
    /// at all. Each replica still counts client addresses, and the addresses that an account is known at, in memory.
    ///
    /// If the store does not answer within a second, the process reports
    /// [`Event::SharedRateLimitsUnavailable`](crate::Event::SharedRateLimitsUnavailable) and counts in memory; it asks the store
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

    /// Default: no name, texts in English. How the pages of the layer look: [`PageStyle`].
    pub fn page_style(mut self, style: PageStyle) -> Self {
        self.page_style = style;
        self
    }

    /// Default: the realm `portcullis`. The challenge of a 401.
    pub fn challenge(mut self, challenge: Challenge) -> Self {
        self.challenge = Some(challenge);
        self
    }

    /// Default: `<base>login`. The path of the login page, where a person without a login is sent, with `next`
    /// naming the way back.
    pub fn login_path(mut self, path: &str) -> Self {
        self.login_path = Some(path.into());
        self
    }

    /// Default: the gate's own. The page at [`login_path`](Self::login_path) is one of the guarded service's: it
    /// is open, and logs people in by [`AuthLayer::login`](super::AuthLayer::login). Logout and launch links
    /// stay the gate's.
    ///
    /// No password or token is needed beside it, where the page alone decides who logs in:
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use portcullis::{AuthLayer, Grant, Identity, RequestHead};
    ///
    /// let auth = AuthLayer::builder().custom_login_page().build()?;
    /// # let form = http::Request::post("/login").header("host", "localhost").body(())?;
    /// let cookies = auth.login(RequestHead::new(&form), Grant::new(Identity::new("alice")))?;
    /// # Ok(()) }
    /// ```
    pub fn custom_login_page(mut self) -> Self {
        self.custom_login_page = true;
        self
    }

    /// Default: off, and every login lasts for [`session_lifetime`](Self::session_lifetime). Adds a checkbox "Keep me
    /// logged in" to the login form. Without the tick, the browser forgets the login when it closes.
    ///
    /// For a login form of your own, see [`AuthLayer::login_for_browser_session`](super::AuthLayer::login_for_browser_session).
    pub fn remember_me(mut self) -> Self {
        self.remember_me = true;
        self
    }

    /// Default: 30 seconds. How long the body of a form may take to arrive whole. After that the request gets 408 and
    /// `Connection: close`.
    ///
    /// This bounds how long a client without a login can hold a connection by sending nothing. Time before the request's
    /// head has arrived is the server's to bound.
    pub fn form_timeout(mut self, timeout: Duration) -> Self {
        self.form_timeout = Some(timeout);
        self
    }

    /// Default: nobody. Who is told of logins and refusals.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Default: the system's clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Default: off. Hands no session to the service, which saves the only allocation of a request that is
    /// let in.
    pub fn without_session_extension(mut self) -> Self {
        self.gate_only = true;
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

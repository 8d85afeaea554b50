//! Settings of a gate.

use std::{fmt, sync::Arc};

use http::Extensions;

use crate::{
    authenticate::{
        Authenticator, Chain, IdentityCookie, TokenAuthenticator, TokenSource, danger::AcceptAnyone,
    },
    authorize::Authorizer,
    base_url::BaseUrl,
    challenge::Challenge,
    cookie::{CookieJar, CookieScope, Keyring, Lifetime},
    error::ConfigError,
    event::Observer,
    gate::{
        Passwords, Responses,
        elsewhere::Elsewhere,
        endpoint::Endpoint,
        gate::Gate,
        login_cookie::{LoginCookie, XsrfCookie},
        passage::Passage,
        responses::Telling,
    },
    grant::Grant,
    guard::{Guards, Hosts, Origin, Origins, TrustedProxies, XsrfAsked},
    identity::Identity,
    launch::LaunchLinks,
    layer::AuthLayer,
    login::{LoginPage, OwnPassword},
    logout::Logout,
    peer::Peer,
    session::GateId,
    store::EndedLogins,
    time::{Clock, SystemClock},
    token::Token,
    verify::{PasswordVerifier, SharedToken, TokenVerifier},
};
#[cfg(feature = "password")]
use crate::{
    password::{PasswordHash, PasswordPolicy},
    password_change::{Change, PasswordKeeper, SharedLogin},
    verify::SharedPassword,
};

/// Settings of an [`AuthLayer`].
///
/// Setters take values that are already proven, so they cannot fail, and their order never matters;
/// [`build`](Self::build) is the one fallible step.
///
/// # Example
///
/// ```
/// use portcullis::{AuthLayer, Hosts, Token};
///
/// let auth = AuthLayer::builder()
///     .token(Token::generate())
///     .hosts(Hosts::listed(["notebooks.example.org"])?)
///     .build()?;
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[must_use]
#[derive(Default)]
pub struct AuthLayerBuilder {
    shared_tokens: Vec<Token>,
    token_verifiers: Vec<Arc<dyn TokenVerifier>>,
    token_sources: Option<Vec<TokenSource>>,
    tokens_log_in: bool,
    authenticators: Vec<Box<dyn Authenticator>>,
    accepts_anyone: bool,
    authorizers: Vec<Box<dyn Authorizer>>,
    keyring: Option<Keyring>,
    lifetime: Option<Lifetime>,
    base_url: Option<BaseUrl>,
    guards: Guards,
    hosts: Option<Hosts>,
    answers_for_any_host: bool,
    responses: Responses,
    challenge: Option<Challenge>,
    login_path: Option<Box<str>>,
    has_own_login_page: bool,
    /// Who knows them, and whether people have names.
    passwords: Option<(Arc<dyn PasswordVerifier>, bool)>,
    #[cfg(feature = "password")]
    shared_password: Option<SharedPassword>,
    /// What a new password must be like, and who keeps it.
    #[cfg(feature = "password")]
    password_change: Option<(PasswordPolicy, Box<dyn PasswordKeeper>)>,
    /// The text of the hash that is mixed into the cookies' key.
    keyed_by: Option<Box<str>>,
    observer: Option<Box<dyn Observer>>,
    clock: Option<Box<dyn Clock>>,
    gate_only: bool,
    #[cfg(feature = "hub")]
    hub: Option<crate::hub::HubAuth>,
}

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

    /// Default: none. Whoever presents a token that `verifier` knows is let in; several may be given.
    ///
    /// It may stand in the `Authorization` field, unless [`token_sources`](Self::token_sources) says otherwise.
    pub fn tokens(mut self, verifier: impl TokenVerifier) -> Self {
        self.token_verifiers.push(Arc::new(verifier));
        self
    }

    /// Default: off. The tokens of [`tokens`](Self::tokens) also log their owners in by the form at
    /// [`login_path`](Self::login_path), for people who were given one.
    ///
    /// Such a login is worth what the token is worth, its scopes included, and no longer than the token: the verifier is
    /// asked at each request, by [`TokenVerifier::verify_hash`].
    ///
    /// # Security
    ///
    /// The cookie holds the hash of the token, so tokens should be generated ones, which nobody guesses from it.
    pub fn tokens_log_in(mut self) -> Self {
        self.tokens_log_in = true;
        self
    }

    /// Default: `Authorization` and the query with [`token`](Self::token), `Authorization` alone with
    /// [`tokens`](Self::tokens). Where tokens may stand.
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
        self.keyed_by = Some(hash.expose().into());
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
    pub fn password_change(mut self, policy: PasswordPolicy, keeper: impl PasswordKeeper) -> Self {
        self.password_change = Some((policy, Box::new(keeper)));
        self
    }

    /// Default: none. People with a name and a password log in by the form.
    pub fn passwords(mut self, verifier: impl PasswordVerifier) -> Self {
        self.passwords = Some((Arc::new(verifier), true));
        self.forget_shared_password();
        self
    }

    /// Default: none. Makes the gate that of a JupyterHub's server or service: see [`AuthLayer::hub`].
    ///
    /// Base URL, public origin and keys are the hub's, unless they are set here.
    #[cfg(feature = "hub")]
    pub fn hub(mut self, hub: crate::hub::HubAuth) -> Self {
        self.hub = Some(hub);
        self
    }

    /// Default: none. One more authenticator, asked after the tokens and the login cookie, in the order given.
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        self.authenticators.push(Box::new(authenticator));
        self
    }

    /// Default: off. Lets everybody in; see [`AuthLayer::danger_accept_anyone`].
    pub fn danger_accept_anyone(mut self) -> Self {
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
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Default: `/`. Where on the host the guarded service lives; cookies are scoped to it.
    pub fn base_url(mut self, base_url: BaseUrl) -> Self {
        self.base_url = Some(base_url);
        self
    }

    /// Default: [`Hosts::loopback`], or every host where nothing but header tokens lets anybody in. The hosts
    /// answered for.
    pub fn hosts(mut self, hosts: Hosts) -> Self {
        self.hosts = Some(hosts);
        self
    }

    /// Default: off. Answers for every host, whatever lets people in.
    ///
    /// # Security
    ///
    /// A page elsewhere can point a name of its own at this server, and is then of one origin with it.
    pub fn danger_answer_for_any_host(mut self) -> Self {
        self.answers_for_any_host = true;
        self
    }

    /// Default: none. Foreign origins whose pages may act here.
    pub fn origins(mut self, origins: Origins) -> Self {
        self.guards = self.guards.with_origins(origins);
        self
    }

    /// Default: none; own is where the request itself went. The one origin users see this server at, such as
    /// `https://hub.example.org`.
    pub fn public_origin(mut self, origin: Origin) -> Self {
        self.guards = self.guards.with_public_origin(origin);
        self
    }

    /// Default: none. Proxies whose `X-Forwarded-*` is believed.
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.guards = self.guards.with_trusted_proxies(proxies);
        self
    }

    /// Default: not known. Whether this server itself speaks TLS: then cookies are `Secure`, and origins are
    /// compared with their scheme.
    pub fn own_tls(mut self, tls: bool) -> Self {
        self.guards = self.guards.with_own_tls(tls);
        self
    }

    /// Default: `_xsrf` is asked of unsafe cookie requests. Asks for `Sec-Fetch-Site: same-origin` or an own
    /// Origin instead, for a gateway whose upstream has an `_xsrf` of its own.
    pub fn with_xsrf_by_origin(mut self) -> Self {
        self.guards = self.guards.with_xsrf(XsrfAsked::Never);
        self
    }

    /// Default: a [`Peer`] in the request's extensions. One more place where the peer is found, such as axum's
    /// `ConnectInfo`.
    pub fn peer(mut self, find: fn(&Extensions) -> Option<Peer>) -> Self {
        self.guards = self.guards.with_peer(find);
        self
    }

    /// Default: [`Responses::plain`]. How refusals are told.
    pub fn responses(mut self, responses: Responses) -> Self {
        self.responses = responses;
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
    /// is open, and logs people in by [`AuthLayer::log_in`]. Logout and launch links stay the gate's.
    pub fn own_login_page(mut self) -> Self {
        self.has_own_login_page = true;
        self
    }

    /// Default: nobody. Who is told of logins and refusals.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Default: the system's clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Box::new(clock));
        self
    }

    /// Default: off. Hands no session to the service, which saves the only allocation of a request that is
    /// let in.
    pub fn gate_only(mut self) -> Self {
        self.gate_only = true;
        self
    }

    /// The gate.
    ///
    /// # Errors
    ///
    /// If nothing could ever let anybody in, or everybody is let in beside something that asks; if the login
    /// path is none; if the base is too long for a cookie's path.
    pub fn build(self) -> Result<AuthLayer, ConfigError> {
        #[cfg(feature = "hub")]
        let (this, at_the_hub) = self.at_the_hub()?;
        #[cfg(not(feature = "hub"))]
        let (this, at_the_hub) = (self, None);
        this.put_together(at_the_hub)
    }

    /// The settings that a hub makes, where they are not made already.
    #[cfg(feature = "hub")]
    fn at_the_hub(mut self) -> Result<(Self, Option<AtTheHub>), ConfigError> {
        let Some(hub) = self.hub.take() else {
            return Ok((self, None));
        };
        if self.passwords.is_some() || !self.shared_tokens.is_empty() || self.has_own_login_page {
            return Err(ConfigError::new(
                "hub",
                "expected no login besides the hub's, found a token, a password or a login page",
            ));
        }
        self.authenticators.splice(0..0, hub.authenticators());
        self.base_url.get_or_insert_with(|| hub.base_url().clone());
        self.keyring.get_or_insert_with(|| hub.keyring().clone());
        if self.responses == Responses::default() {
            self.responses = Responses::jupyter();
        }
        self.guards = self
            .guards
            .with_xsrf(XsrfAsked::AlsoOfReads)
            .with_rumours_of_https();
        match hub.public_origin() {
            Some(origin) => {
                let (host, port) = (origin.host(), origin.port());
                let name = port.map_or(host.to_owned(), |port| format!("{host}:{port}"));
                // The hub itself asks by the address that it started this server at.
                let hosts = Hosts::any_ip().and(Hosts::listed([name])?);
                self.hosts.get_or_insert(hosts);
                self.guards = self.guards.with_public_origin(origin.clone());
            }
            // The credential is the hub's, and browsers send it to the hub's own host alone.
            None => self.answers_for_any_host |= self.hosts.is_none(),
        }
        let at_the_hub = AtTheHub {
            elsewhere: hub.elsewhere(),
            callback: hub.callback(),
        };
        Ok((self, Some(at_the_hub)))
    }

    #[cfg_attr(
        not(feature = "password"),
        allow(unused_mut, reason = "a password that is set later takes its place here")
    )]
    fn put_together(mut self, at_the_hub: Option<AtTheHub>) -> Result<AuthLayer, ConfigError> {
        self.check_password_change()?;
        let asks = !(self.shared_tokens.is_empty()
            && self.token_verifiers.is_empty()
            && self.passwords.is_none()
            && self.authenticators.is_empty());
        if asks == self.accepts_anyone {
            let message = if asks {
                "danger_accept_anyone() lets everybody in, so nothing else may be asked"
            } else {
                "expected a token, a verifier of tokens or an authenticator; danger_accept_anyone() lets everybody in"
            };
            return Err(ConfigError::new("authenticators", message));
        }
        if let Some(path) = self.login_path.as_deref().filter(|path| !is_path(path)) {
            return Err(ConfigError::new(
                "login_path",
                format!("expected a path such as /login, found {path:?}"),
            ));
        }
        let base_url = self.base_url.unwrap_or_default();
        let keyring = self.keyring.unwrap_or_else(Keyring::generate);
        let sources = self.token_sources.unwrap_or_else(|| {
            let in_query = (!self.shared_tokens.is_empty()).then_some(TokenSource::Query);
            [TokenSource::Authorization].into_iter().chain(in_query).collect()
        });
        let reads_query = sources.contains(&TokenSource::Query);
        // A shared token is worth as much as the cookie it is changed for; another may have scopes and an end.
        let typed_verifiers = if self.tokens_log_in {
            self.token_verifiers.clone()
        } else {
            Vec::new()
        };
        let logs_in = self.has_own_login_page
            || !typed_verifiers.is_empty()
            || self.passwords.is_some()
            || (reads_query && !self.shared_tokens.is_empty());
        let header_only = !reads_query && !logs_in && self.authenticators.is_empty() && !self.accepts_anyone;

        let mixed = self
            .shared_tokens
            .iter()
            .filter(|token| !token.is_generated())
            .fold(
                self.keyed_by
                    .iter()
                    .fold(keyring, |keyring, hash| keyring.mixed_with_password(hash)),
                |keyring, token| keyring.mixed_with_token(token.expose().as_bytes()),
            );
        #[cfg(feature = "password")]
        let shared: Option<Arc<dyn OwnPassword>> = match (self.shared_password, self.password_change) {
            (None, None) => None,
            (password, change) => {
                let password = password.unwrap_or_else(|| {
                    let unset = SharedPassword::unset(Grant::new(Identity::anonymous()));
                    self.passwords = Some((Arc::new(unset.clone()), false));
                    unset
                });
                let change = change.map(|(policy, keeper)| {
                    let (keyring, is_under_way) = (mixed.clone(), Default::default());
                    Arc::new(Change {
                        policy,
                        keeper,
                        keyring,
                        is_under_way,
                        made: Default::default(),
                    })
                });
                Some(Arc::new(SharedLogin { password, change }))
            }
        };
        #[cfg(not(feature = "password"))]
        let shared: Option<Arc<dyn OwnPassword>> = None;
        let ended = Arc::new(EndedLogins::new());
        let login_cookie = if logs_in {
            let jar = CookieJar::signed(&mixed, CookieScope::server(base_url.as_str())?);
            let jar = jar.with_lifetime(self.lifetime.unwrap_or_default());
            let verifiers = typed_verifiers.clone();
            Some(IdentityCookie::of_gate(jar, verifiers, Arc::clone(&ended)))
        } else {
            None
        };

        let mut chain: Vec<Box<dyn Authenticator>> = Vec::new();
        let owner = Grant::new(Identity::anonymous());
        let typed_tokens = self.shared_tokens.clone();
        let mut shared_tokens = self.shared_tokens.into_iter().map(|token| {
            TokenAuthenticator::new(SharedToken::new(token, owner.clone())).with_sources(sources.clone())
        });
        let first = shared_tokens.next();
        for authenticator in shared_tokens {
            chain.push(Box::new(authenticator));
        }
        for verifier in self.token_verifiers {
            chain.push(Box::new(
                TokenAuthenticator::new(verifier).with_sources(sources.clone()),
            ));
        }
        chain.extend(
            login_cookie
                .clone()
                .map(|cookie| Box::new(cookie) as Box<dyn Authenticator>),
        );
        chain.extend(self.authenticators);
        if self.accepts_anyone {
            chain.push(Box::new(AcceptAnyone));
        }

        let guards = match self.hosts {
            _ if self.answers_for_any_host => self.guards.without_host_check(),
            Some(hosts) => self.guards.with_hosts(hosts),
            None if header_only => self.guards.without_host_check(),
            None => self.guards,
        };
        let login_path = self.login_path.unwrap_or_else(|| base_url.join("login").into());
        let logout_path: Box<str> = base_url.join("logout").into();
        let launch_links = Arc::new(LaunchLinks::new(base_url.clone()));
        let mut endpoints: Vec<(Box<str>, Box<dyn Endpoint>)> = Vec::new();
        if logs_in {
            let login = LoginPage {
                path: login_path.clone(),
                logout_path: logout_path.clone(),
                tokens: typed_tokens,
                verifiers: typed_verifiers,
                shared,
            };
            let logout = Logout {
                path: logout_path.clone(),
                login_path: login_path.clone(),
            };
            if !self.has_own_login_page {
                endpoints.push((login_path.clone(), Box::new(login)));
            }
            endpoints.push((logout_path, Box::new(logout)));
            endpoints.push((
                base_url.join(LaunchLinks::PATH).into(),
                Box::new(Arc::clone(&launch_links)),
            ));
        }
        let elsewhere = at_the_hub.map(|at_the_hub| {
            let path = Box::from(base_url.join("logout"));
            let login_path = Box::from(base_url.as_str());
            let logout = Logout { path, login_path };
            endpoints.push((logout.path.clone(), Box::new(logout)));
            endpoints.push(at_the_hub.callback);
            at_the_hub.elsewhere
        });
        let own_login_page = self.has_own_login_page.then(|| login_path.clone());
        let asks_xsrf = guards.asks_xsrf();
        let passage = Passage::new(Gate {
            id: GateId::new(),
            guards,
            chain: Chain::new(first, chain),
            authorizers: self.authorizers,
            xsrf_cookie: XsrfCookie::new(mixed, &base_url, asks_xsrf)?,
            login_cookie: login_cookie.map(LoginCookie),
            elsewhere,
            ended,
            passwords: {
                let (verifier, ask_for_username) = self.passwords.unzip();
                Passwords::new(verifier, ask_for_username.unwrap_or_default())
            },
            telling: Telling {
                responses: self.responses,
                challenge: self.challenge.unwrap_or_default(),
                base_url,
                login_path: logs_in.then_some(login_path),
                usual: Default::default(),
            },
            endpoints: endpoints.into(),
            observer: self.observer,
            clock: self.clock.unwrap_or_else(|| Box::new(SystemClock)),
            gate_only: self.gate_only,
        });
        let passage = match &own_login_page {
            Some(path) => passage.open_paths(&[path]),
            None => passage,
        };
        Ok(AuthLayer {
            passage: Arc::new(passage),
            launch_links,
        })
    }
}

#[cfg(feature = "password")]
impl AuthLayerBuilder {
    fn forget_shared_password(&mut self) {
        self.shared_password = None;
        self.keyed_by = None;
    }

    /// There must be something to change the password by, and one password for all.
    fn check_password_change(&self) -> Result<(), ConfigError> {
        let people_have_names = matches!(self.passwords, Some((_, true)));
        let nothing_to_prove = self.shared_password.is_none() && self.shared_tokens.is_empty();
        if self.password_change.is_some() && (people_have_names || nothing_to_prove) {
            return Err(ConfigError::new(
                "password_change",
                "expected a password or a token that everybody shares, to change it by",
            ));
        }
        Ok(())
    }
}

#[cfg(not(feature = "password"))]
impl AuthLayerBuilder {
    fn forget_shared_password(&mut self) {}

    fn check_password_change(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}

impl fmt::Debug for AuthLayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthLayerBuilder")
    }
}

/// What a hub does for the gate.
struct AtTheHub {
    elsewhere: Arc<dyn Elsewhere>,
    callback: (Box<str>, Box<dyn Endpoint>),
}

fn is_path(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && path
            .bytes()
            .all(|octet| octet.is_ascii_graphic() && !b"?#\\\"".contains(&octet))
}

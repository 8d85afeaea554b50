//! The layer and its settings.

mod build;
mod builder;
mod hub_settings;
mod sign_in_settings;
mod token_verifiers;

use std::{fmt, sync::Arc};

use http::Uri;
use tower_layer::Layer;

pub use self::builder::AuthLayerBuilder;
#[cfg(feature = "password")]
use crate::password::PasswordHash;
use crate::{
    authenticate::Authenticator,
    cookies::SetCookies,
    denial::Denial,
    error::ConfigError,
    launch_link::{LaunchLink, LaunchLinkStore, LaunchTarget},
    maybe_future::MaybeFuture,
    middleware::{AuthService, CsrfToken, Decision, LoginSuccess, NotFound, Sessions, route::RouteAuth},
    redirect::{NextUrl, RedirectPolicy},
    request::head::RequestHead,
    request_policy::Origin,
    secret::Secret,
    session::{Session, grant::Grant},
    token::Token,
    verify::TokenVerifier,
};

/// Authentication middleware: a [`tower::Layer`](Layer) that authenticates requests and serves its own login pages.
///
/// Cloning it, and layering it over services, is cheap. All clones share state, whatever rule each has
/// ([`optional`](Self::optional), [`require_scope`](Self::require_scope), [`public_paths`](Self::public_paths)).
///
/// # Example
///
/// ```
/// use portcullis::{AuthLayer, Token};
/// use tower::{ServiceBuilder, service_fn};
///
/// let auth = AuthLayer::token(Token::generate());
/// let service = ServiceBuilder::new().layer(auth).service(service_fn(|_: http::Request<String>| async {
///     Ok::<_, std::convert::Infallible>(http::Response::new(String::from("in")))
/// }));
/// ```
#[derive(Clone)]
pub struct AuthLayer {
    route: Arc<RouteAuth>,
    launch_links: Arc<LaunchLinkStore>,
}

impl AuthLayer {
    /// Creates a layer that accepts one token, for a server with a browser front end.
    ///
    /// The token is taken from `Authorization: Bearer` (or `token`) and from `?token=`. A page opened with `?token=`
    /// gets a login cookie and is redirected to the URL without the token. Only requests to `localhost` and loopback
    /// addresses are accepted: set other hosts by [`AuthLayerBuilder::allowed_hosts`]. Logins end with the process,
    /// unless [`AuthLayerBuilder::keyring`] gets a keyring that is stored.
    ///
    /// # Examples
    ///
    /// ```
    /// use portcullis::{AuthLayer, Token};
    ///
    /// let token = Token::generate();
    /// println!("open http://127.0.0.1:8888/?token={}", token.expose());
    /// let auth = AuthLayer::token(token);
    /// ```
    pub fn token(token: Token) -> Self {
        Self::builder()
            .token(token)
            .build()
            .expect("a token is all that is needed")
    }

    /// Creates a layer that accepts the tokens that `verifier` knows, for an API.
    ///
    /// Tokens are taken from `Authorization: Bearer` (or `token`) only. No cookie is ever set, and requests to every
    /// host are accepted, because a browser attaches no credential by itself.
    ///
    /// # Examples
    ///
    /// ```
    /// use portcullis::{AuthLayer, Grant, Identity, Token, TokenSet};
    ///
    /// let ci = Grant::new(Identity::new("ci")).with_scopes(["read"]);
    /// let auth = AuthLayer::bearer_tokens(TokenSet::new([(Token::generate(), ci)])?);
    /// # Ok::<(), portcullis::ConfigError>(())
    /// ```
    pub fn bearer_tokens(verifier: impl TokenVerifier) -> Self {
        Self::builder()
            .bearer_tokens(verifier)
            .build()
            .expect("a verifier is all that is needed")
    }

    /// Creates a layer with a custom authenticator.
    ///
    /// If it accepts an ambient credential, which browsers attach by themselves, cross-site checks apply. Only
    /// requests to `localhost` and loopback addresses are accepted: set other hosts by
    /// [`AuthLayerBuilder::allowed_hosts`].
    ///
    /// # Examples
    ///
    /// ```
    /// use portcullis::{AuthLayer, AuthMethod, Grant, Identity, Outcome, Session, authenticator_fn};
    ///
    /// // A proxy in front of this server authenticates users, and removes this header from their requests.
    /// let auth = AuthLayer::new(authenticator_fn(|head| match head.headers().get("x-user").map(|name| name.to_str()) {
    ///     None => Outcome::Absent,
    ///     Some(Err(_)) => Outcome::malformed("expected a visible ASCII name in x-user"),
    ///     Some(Ok(name)) => Outcome::Authenticated(Session::new(
    ///         Grant::new(Identity::new(name)),
    ///         AuthMethod::Other { ambient: true },
    ///     )),
    /// }));
    /// ```
    pub fn new(authenticator: impl Authenticator) -> Self {
        Self::builder()
            .authenticator(authenticator)
            .build()
            .expect("an authenticator is all that is needed")
    }

    /// Creates a layer that accepts every request, as one anonymous user.
    ///
    /// The Host check and the cross-site checks still apply.
    ///
    /// # Security
    ///
    /// Anyone who can reach the server can do everything that it offers.
    pub fn danger_allow_anonymous() -> Self {
        Self::builder()
            .danger_allow_anonymous()
            .build()
            .expect("nothing is needed")
    }

    /// Creates the layer of a server or a service of a JupyterHub.
    ///
    /// It accepts users whom the hub allows: by a token of the hub in `Authorization`, and by the cookie of a login
    /// at the hub. A browser without a login is redirected there. Denials are answered as JupyterHub answers them.
    /// `oauth_callback` and `logout` below the base URL are served by the layer. See
    /// [`hub_client`](crate::hub_client).
    ///
    /// # Example
    ///
    /// ```no_run
    /// use portcullis::{AuthLayer, HubAuth};
    ///
    /// let auth = AuthLayer::hub(HubAuth::from_env()?);
    /// # Ok::<(), portcullis::ConfigError>(())
    /// ```
    #[cfg(feature = "hub-client")]
    pub fn hub(hub: crate::hub_client::HubAuth) -> Self {
        Self::builder()
            .hub(hub)
            .build()
            .expect("the hub's settings are checked already")
    }

    /// Returns a builder with all settings.
    ///
    /// # Examples
    ///
    /// ```
    /// use portcullis::{AllowedHosts, AuthLayer, Token};
    ///
    /// let auth = AuthLayer::builder()
    ///     .token(Token::generate())
    ///     .allowed_hosts(AllowedHosts::from_list(["notebooks.example.org"])?)
    ///     .build()?;
    /// # Ok::<(), portcullis::ConfigError>(())
    /// ```
    pub fn builder() -> AuthLayerBuilder {
        AuthLayerBuilder::default()
    }

    /// Creates a layer that accepts one password, for a server with a browser front end. The login form is at
    /// `login`.
    ///
    /// Otherwise like [`AuthLayer::token`].
    ///
    /// # Examples
    ///
    /// ```
    /// use portcullis::{AuthLayer, PasswordHash, Secret};
    ///
    /// let hash = PasswordHash::hash(&Secret::from("correct horse battery staple"))?;
    /// let auth = AuthLayer::password(hash);
    /// # Ok::<(), portcullis::password::PasswordError>(())
    /// ```
    #[cfg(feature = "password")]
    pub fn password(hash: PasswordHash) -> Self {
        Self::builder()
            .password(hash)
            .build()
            .expect("a password is all that is needed")
    }

    /// Creates a link that logs one browser in, once, within a minute, and leads to `url`.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] for `launch_link` unless `url` is an absolute `http` or `https` URL below the base
    /// URL, and the layer has a login for browsers.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::{AuthLayer, Token};
    ///
    /// let auth = AuthLayer::token(Token::generate());
    /// let link = auth.launch_link("http://127.0.0.1:8888/lab")?;
    /// println!("open {}", link.expose_url());
    /// # Ok::<(), portcullis::ConfigError>(())
    /// ```
    pub fn launch_link(&self, url: &str) -> Result<LaunchLink, ConfigError> {
        let wrong = |what: &str| ConfigError::new("launch_link", format!("expected {what}"));
        let uri: Uri = url.parse().map_err(|_| wrong("an absolute URL"))?;
        let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(wrong("an absolute http or https URL"));
        };
        let origin: Origin = format!("{scheme}://{authority}").parse()?;
        let place = uri.path_and_query().map_or("/", |place| place.as_str());
        let next = NextUrl::parse(place, RedirectPolicy::new(self.route.base_url()))
            .ok_or_else(|| wrong("a URL below the base"))?;
        if !self.route.supports_login() {
            return Err(wrong(
                "a layer with a login, so a token in the query or a password",
            ));
        }
        Ok(self
            .launch_links
            .issue(&origin, LaunchTarget::new(next), self.route.clock()))
    }

    /// Logs the browser of this request in with `grant`, and returns the cookies for the response: for a custom
    /// login.
    ///
    /// The session cookie is the first of them. Nothing is checked here: check the credential first. A request that
    /// already has a login of the same username continues it, for example after a change of the display name: the
    /// login ends when it would have ended. With a [session store](AuthLayerBuilder::sessions), the previous session
    /// of the browser ends, and a new one starts; without one, the result is available at once.
    ///
    /// The cookie is valid for [`session_lifetime`](AuthLayerBuilder::session_lifetime), and no longer than the
    /// grant. For a shorter login, give the grant an [expiry](Grant::with_expiry).
    ///
    /// # Errors
    ///
    /// Returns `TooLarge` if the grant does not fit into a cookie, which holds about 2,900 bytes of its texts;
    /// `Unavailable` if the session store does not respond; and the denial for a `Host` or `Forwarded` header that
    /// cannot be read.
    pub fn login(&self, head: RequestHead<'_>, grant: Grant) -> MaybeFuture<Result<SetCookies, Denial>> {
        self.route.login(head, grant, false)
    }

    /// Creates the cookies of [`login`](Self::login) as session cookies, which the browser forgets when it closes:
    /// for a login form whose "remember me" is not ticked.
    ///
    /// The server accepts the cookie as long as any other, because some browsers restore such cookies when they start
    /// again. Renewals of the cookie keep this choice.
    ///
    /// # Errors
    ///
    /// Returns those of [`login`](Self::login).
    ///
    /// # Examples
    ///
    /// ```
    /// use portcullis::{AuthLayer, Denial, Grant, RequestHead, cookies::SetCookies};
    ///
    /// async fn log_in(auth: AuthLayer, head: RequestHead<'_>, user: Grant, remember: bool) -> Result<SetCookies, Denial> {
    ///     if remember { auth.login(head, user).await } else { auth.login_for_browser_session(head, user).await }
    /// }
    /// ```
    pub fn login_for_browser_session(
        &self,
        head: RequestHead<'_>,
        grant: Grant,
    ) -> MaybeFuture<Result<SetCookies, Denial>> {
        self.route.login(head, grant, true)
    }

    /// Checks the password of `username`, for a custom login form.
    ///
    /// The verifier is that of [`password_verifier`](AuthLayerBuilder::password_verifier) or
    /// [`password`](AuthLayerBuilder::password), with the rate limits and the cost of the built-in form. `username`
    /// is ignored if all users share one password.
    ///
    /// `head` is the request that sent the form. [`verify_csrf`](Self::verify_csrf) checks whether a page of this
    /// server sent it.
    ///
    /// # Errors
    ///
    /// Returns the denial to respond with: `CrossSite` if another site caused the request, `RateLimited`,
    /// `IncorrectPassword`, `Unavailable` if the hashing queue or the store does not answer, `TooLarge` if the login
    /// does not fit into a cookie.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::{cookies::SetCookies, AuthLayer, RequestHead, Secret};
    ///
    /// async fn log_in(auth: AuthLayer, form: http::Request<()>) -> Result<SetCookies, http::Response<bytes::Bytes>> {
    ///     let head = RequestHead::new(&form);
    ///     match auth.verify_password(head, "alice", &Secret::from("correct horse battery staple")).await {
    ///         Ok(login) => Ok(login.into_set_cookies()),
    ///         Err(denial) => Err(denial.into_response(head)),
    ///     }
    /// }
    /// ```
    pub fn verify_password(
        &self,
        head: RequestHead<'_>,
        username: &str,
        password: &Secret,
    ) -> MaybeFuture<Result<LoginSuccess, Denial>> {
        self.route.verify_password(head, username, password)
    }

    /// Returns the `_xsrf` value for a custom form, and the cookie that belongs to it.
    ///
    /// If the request is authenticated by the login cookie, the value is bound to that login; otherwise it is one
    /// from before a login.
    ///
    /// In the query of the form's action (`action="/rename?_xsrf=…"`) the layer finds it. In a form field, which is
    /// in the body that the layer does not read, a route with `csrf_in_form` checks it by the extractor
    /// `extract::CsrfForm` (feature `axum`). On public paths the handler calls [`verify_csrf`](Self::verify_csrf).
    ///
    /// # Errors
    ///
    /// Returns the denial for a `Host` or `Forwarded` header that cannot be read.
    pub fn csrf_token(&self, head: RequestHead<'_>) -> Result<CsrfToken, Denial> {
        self.route.xsrf_token(head)
    }

    /// Checks that the form of this request, with `field` as its `_xsrf`, was sent by a page of this server.
    ///
    /// For custom login pages and other public paths. On protected paths the layer has checked the request already,
    /// without the form.
    ///
    /// # Errors
    ///
    /// Returns `Reason::CrossSite` otherwise, to respond with.
    pub fn verify_csrf(&self, head: RequestHead<'_>, field: &str) -> Result<(), Denial> {
        self.route.check_xsrf(head, field)
    }

    /// Ends every login whose cookie came with this request, and returns the cookies that remove them from the
    /// browser.
    ///
    /// The logins end with this call, even if the cookies are not sent: their cookies are rejected from now on,
    /// copies included, and [`session_ended`](Self::session_ended) completes. Cookies that another host or path has
    /// set in addition do not matter.
    ///
    /// # Errors
    ///
    /// Returns `Reason::TooLarge` (431) if the request has more than 16 KiB or 512 pairs of cookies, and
    /// `Reason::Unavailable` (503) if the session store does not respond: then send no cookies, because the login has
    /// not ended.
    ///
    /// # Security
    ///
    /// Ended logins are kept in this process as long as their cookies would be valid, 32 for each of 32,768 users.
    /// Beyond that, older logins end too, and no ended login becomes valid again: of a user with more, the logins
    /// that began no later than the earliest of them; with more users, the logins of any user that began no later
    /// than those of the user that is removed. Another process with the same key, or this one after a restart,
    /// accepts a copy of the cookie until it expires.
    pub fn logout(&self, head: RequestHead<'_>) -> MaybeFuture<Result<SetCookies, Denial>> {
        self.route.logout(head)
    }

    /// Returns a future that completes when `session` is ended by a logout or a change of the password.
    ///
    /// For tasks that outlive the request, such as WebSockets. A session in a [store](AuthLayerBuilder::sessions) may
    /// also be ended by another process, or because its user was removed: then the future completes within a second with
    /// PostgreSQL, else at the next [refresh](AuthLayerBuilder::refresh_interval), and also when the session expires.
    ///
    /// It never completes for a session that did not come from the login cookie of this layer. Without a store,
    /// expiry is not reported: see [`Grant::expires_at`].
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::{AuthLayer, Session};
    ///
    /// # async fn serve_socket() {}
    /// async fn socket(auth: AuthLayer, session: Session) {
    ///     let ended = auth.session_ended(&session);
    ///     tokio::select! {
    ///         () = serve_socket() => {}
    ///         () = ended => println!("{} logged out", session.identity().username()),
    ///     }
    /// }
    /// ```
    pub fn session_ended(&self, session: &Session) -> impl Future<Output = ()> + Send + use<> {
        self.route.session_end(session)
    }

    /// Returns the sessions of the layer's users, to be listed and ended; `None` without a
    /// [session store](AuthLayerBuilder::sessions).
    pub fn sessions(&self) -> Option<Sessions> {
        let state = self.route.state();
        let stored = state.login_cookie.as_ref()?.stored.clone()?;
        Some(Sessions::new(stored, Arc::clone(&state.clock)))
    }

    /// Returns this layer for routes that also allow unauthenticated requests.
    ///
    /// A request without a credential, or with a cookie that is no longer valid, has no session. An invalid token is
    /// still rejected.
    ///
    /// # Examples
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use portcullis::{AuthLayer, Session, Token};
    ///
    /// async fn home(session: Option<Session>) -> &'static str {
    ///     if session.is_some() { "welcome back" } else { "please log in" }
    /// }
    ///
    /// let auth = AuthLayer::token(Token::generate());
    /// let app: Router = Router::new().route("/", get(home)).layer(auth.optional());
    /// ```
    #[must_use]
    pub fn optional(&self) -> Self {
        self.with(RouteAuth::optional)
    }

    /// Returns this layer for routes that also require `scope`. Sessions without it get 403.
    ///
    /// The token of [`AuthLayer::token`] and a shared password have no scopes, so they never pass: give the token a grant
    /// by [`AuthLayerBuilder::token_with_grant`].
    ///
    /// # Examples
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use portcullis::{AuthLayer, Grant, Identity, Token};
    ///
    /// let alice = Grant::new(Identity::new("alice")).with_scopes(["admin"]);
    /// let auth = AuthLayer::builder().token_with_grant(Token::generate(), alice).build()?;
    /// let app: Router = Router::new()
    ///     .route("/admin", get("for administrators").layer(auth.require_scope("admin")))
    ///     .route("/", get("for all users"))
    ///     .layer(auth);
    /// # Ok::<(), portcullis::ConfigError>(())
    /// ```
    #[must_use]
    pub fn require_scope(&self, scope: &str) -> Self {
        self.with(|route| route.require_scope(scope))
    }

    /// Returns this layer for axum routes whose forms have the `_xsrf` value in a hidden field: feature `axum`.
    ///
    /// The middleware reads no bodies. If a request with the login cookie brings a form
    /// (`application/x-www-form-urlencoded`), it checks Fetch Metadata and Origin, as on other routes, and leaves
    /// `_xsrf` to [`CsrfForm`](crate::extract::CsrfForm), which the handler takes. Until `CsrfForm` has checked the
    /// form, the request has no session: a handler that takes [`Session`] instead responds 500 with an explanation.
    /// All other requests are checked as on other routes.
    ///
    /// No other handle of the layer may be around these routes, because it would reject the form: add them after
    /// `.layer(auth)`.
    ///
    /// # Security
    ///
    /// A handler on such a route that takes neither runs for a form without `_xsrf`.
    ///
    /// # Example
    ///
    /// ```
    /// use axum::{Router, routing::post};
    /// use portcullis::{AuthLayer, Token, extract::CsrfForm};
    ///
    /// async fn rename(form: CsrfForm) -> String {
    ///     format!("{} is now {}", form.session().identity().username(), form.field("name").unwrap_or("nameless"))
    /// }
    ///
    /// let auth = AuthLayer::builder().token(Token::generate()).build()?;
    /// let app: Router = Router::new().route("/rename", post(rename)).layer(auth.csrf_in_form());
    /// # Ok::<(), portcullis::ConfigError>(())
    /// ```
    #[cfg(feature = "axum")]
    #[must_use]
    pub fn csrf_in_form(&self) -> Self {
        self.with(RouteAuth::csrf_in_form)
    }

    /// Returns this layer with paths that need no authentication.
    ///
    /// Paths are compared byte for byte, without patterns or normalization; the Host check still applies. In a
    /// router, it is simpler to mount public routes outside of the layer.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::{AuthLayer, Token};
    ///
    /// let auth = AuthLayer::builder().token(Token::generate()).build()?;
    /// let fixed = auth.public_paths(["/health", "/metrics"]);
    /// let from_settings: Vec<String> = vec!["/status".to_owned()];
    /// let configured = auth.public_paths(from_settings);
    /// # Ok::<(), portcullis::ConfigError>(())
    /// ```
    #[must_use]
    pub fn public_paths(&self, paths: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.with(|route| route.public_paths(paths))
    }

    /// Checks that a read with a cookie was caused by a page of this server, or by the user directly.
    ///
    /// A handler calls it on routes that serve files of users, such as `files/`, and that no other site may embed. It
    /// accepts `Sec-Fetch-Site: same-origin` or `none`, without that header a same-origin `Referer`, and a valid
    /// `_xsrf`. A request with a token is always accepted.
    ///
    /// # Errors
    ///
    /// Returns `Reason::CrossSite` otherwise, to respond with.
    pub fn require_same_origin(&self, head: RequestHead<'_>) -> Result<(), Denial> {
        self.route.require_own_page(head)
    }

    /// Marks the session as authenticated by this layer.
    #[cfg(feature = "testing")]
    pub(crate) fn authenticated_session(&self, session: Session) -> Session {
        self.route.authenticated_session(session)
    }

    fn with(&self, change: impl FnOnce(&RouteAuth) -> RouteAuth) -> Self {
        Self {
            route: Arc::new(change(&self.route)),
            launch_links: Arc::clone(&self.launch_links),
        }
    }

    /// Decides on a request, for a server without tower.
    ///
    /// A decision that must be awaited clones the request head. The service of this layer does not.
    pub fn decide(&self, head: RequestHead<'_>) -> MaybeFuture<Decision> {
        let head = self.head(head);
        let route = self.route.checking_all();
        Decision::of(route.decide(&head), &route, &head)
    }

    /// Authenticates a request, for a handler that builds its own response.
    ///
    /// A request that the layer would answer itself (the redirect that removes `?token=`, a preflight) is checked by
    /// its credential only. The cookies that [`decide`](Self::decide) would set are not set.
    ///
    /// # Errors
    ///
    /// Returns the denial to respond with.
    pub fn authenticate(&self, head: RequestHead<'_>) -> MaybeFuture<Result<Session, Denial>> {
        self.route.checking_all().check(&self.head(head))
    }

    /// Returns the layer's own pages as a service: for routers that do not call the layer on these paths.
    ///
    /// A router that has no route for `/login` does not call a layer around its routes, so the login page is a 404. Mount
    /// the pages at [`page_paths`](Self::page_paths); the chapter [Mounting](crate::manual::mounting) has each case.
    /// Elsewhere the service answers like the layer in front of a service without pages: 404 for an authenticated user.
    ///
    /// # Example
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use portcullis::{AuthLayer, Token};
    ///
    /// let auth = AuthLayer::token(Token::generate());
    /// let mut app = Router::new().route("/", get("hello")).route_layer(auth.clone());
    /// for path in auth.page_paths() {
    ///     app = app.route_service(path, auth.pages());
    /// }
    /// # let _: Router = app;
    /// ```
    pub fn pages(&self) -> AuthService<NotFound> {
        self.layer(NotFound)
    }

    /// Returns the paths of [`pages`](Self::pages): login, sign-in and its callback, logout, launch links, the sessions page,
    /// the metadata of a protected resource and the callback of a hub, as far as the layer has them, without the [`stripped_prefix`](AuthLayerBuilder::stripped_prefix). A segment of
    /// [`base_url`](AuthLayerBuilder::base_url) that begins with `:` or `*` is not a path for axum's router.
    pub fn page_paths(&self) -> impl Iterator<Item = &str> {
        self.route.own_paths()
    }

    /// Returns the head with the layer's clock and the URI that the browser requested.
    fn head<'a>(&'a self, head: RequestHead<'a>) -> RequestHead<'a> {
        let head = head.replace_clock(self.route.clock());
        self.route.state().original_uri.of(head)
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = AuthService<S>;

    fn layer(&self, inner: S) -> AuthService<S> {
        AuthService::new(inner, Arc::clone(&self.route))
    }
}

impl fmt::Debug for AuthLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AuthLayer").field(&self.route).finish()
    }
}

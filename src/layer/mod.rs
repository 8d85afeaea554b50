//! The layer: what a user of the crate holds in hand.

mod build;
mod builder;
mod hub_settings;
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

/// A gate in front of a tower service that knows who is knocking.
///
/// A handle: cloning it, and putting it in front of a service, counts a reference up. All handles of one gate
/// share its state, whatever rule each has ([`optional`](Self::optional), [`require_scope`](Self::require_scope),
/// [`public_paths`](Self::public_paths)).
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
    /// A gate that one token opens, for a server with a browser front end.
    ///
    /// The token is taken from `Authorization: Bearer` (or `token`) and from `?token=`; a page opened with
    /// `?token=` is given a login cookie and sent to the same address without it. Answers for `localhost` and
    /// loopback addresses only: other names are listed by [`AuthLayerBuilder::allowed_hosts`]. Cookies end with the
    /// process, unless [`AuthLayerBuilder::keyring`] is given one that lasts.
    pub fn token(token: Token) -> Self {
        Self::builder()
            .token(token)
            .build()
            .expect("a token is all that is needed")
    }

    /// A gate for the tokens that `verifier` knows, for an API.
    ///
    /// Tokens are taken from `Authorization: Bearer` (or `token`) alone; no cookie is ever set, and every host
    /// is answered for, because a browser attaches nothing by itself.
    pub fn bearer_tokens(verifier: impl TokenVerifier) -> Self {
        Self::builder()
            .bearer_tokens(verifier)
            .build()
            .expect("a verifier is all that is needed")
    }

    /// A gate with an authenticator of one's own.
    ///
    /// Cross-site rules apply to what it accepts with an ambient credential. Answers for `localhost` and loopback
    /// addresses only: other names are listed by [`AuthLayerBuilder::allowed_hosts`].
    pub fn new(authenticator: impl Authenticator) -> Self {
        Self::builder()
            .authenticator(authenticator)
            .build()
            .expect("an authenticator is all that is needed")
    }

    /// A gate that stands open: everybody comes in, as one anonymous user.
    ///
    /// The Host guard and the cross-site rules still hold.
    ///
    /// # Security
    ///
    /// Whoever reaches the server can do all it offers.
    pub fn danger_allow_anonymous() -> Self {
        Self::builder()
            .danger_allow_anonymous()
            .build()
            .expect("nothing is needed")
    }

    /// The gate of a server or a service of a JupyterHub.
    ///
    /// Whoever the hub lets in: by its tokens in `Authorization`, and by the cookie of a login at the hub, to which
    /// strangers are sent when they open a page. Refusals are told as JupyterHub tells them. `oauth_callback` and
    /// `logout` below the base are the gate's own; [`hub`](crate::hub_client) has the rest.
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
            .expect("what the hub tells is checked already")
    }

    /// A gate with settings of one's own.
    pub fn builder() -> AuthLayerBuilder {
        AuthLayerBuilder::default()
    }

    /// A gate that one password opens, for a server with a browser front end: the login form is at `login`.
    ///
    /// Otherwise as [`AuthLayer::token`].
    #[cfg(feature = "password")]
    pub fn password(hash: PasswordHash) -> Self {
        Self::builder()
            .password(hash)
            .build()
            .expect("a password is all that is needed")
    }

    /// A link that logs one browser in, once, within a minute, and leads to `url`.
    ///
    /// # Errors
    ///
    /// As `launch_link`, unless `url` is an absolute `http` or `https` URL below the base, and browsers can log in
    /// here at all.
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
                "a gate with a login, so a token in the query or a password",
            ));
        }
        Ok(self
            .launch_links
            .issue(&origin, LaunchTarget::new(next), self.route.clock()))
    }

    /// Logs the browser of this request in as the owner of `grant`, and returns the cookies for the answer: for a login page
    /// of your own.
    ///
    /// The session's cookie is the first of them. Check the credentials before you call this. A request that comes with a
    /// login of the same username goes on with it, as after a change of name: it ends when it would have ended. With a
    /// [session store](AuthLayerBuilder::sessions) the session that the browser had ends, and a new one takes its place;
    /// without one, the answer is there at once.
    ///
    /// The cookie lives for [`session_lifetime`](AuthLayerBuilder::session_lifetime), and no longer than the grant: for a
    /// shorter login, give the grant an [expiry](Grant::with_expiry).
    ///
    /// # Errors
    ///
    /// `TooLarge` if the grant does not fit into a cookie: its texts have some 2,900 bytes together. `Unavailable` if the
    /// session store does not answer. Those of a Host or a Forwarded field that cannot be read.
    pub fn login(&self, head: RequestHead<'_>, grant: Grant) -> MaybeFuture<Result<SetCookies, Denial>> {
        self.route.login(head, grant, false)
    }

    /// As [`login`](Self::login), with a cookie that the browser forgets when it closes: for a login form whose
    /// "remember me" is not ticked.
    ///
    /// The server accepts the cookie as long as any other, because some browsers restore such cookies when they start
    /// again. Renewals of the cookie keep this choice.
    ///
    /// # Errors
    ///
    /// Those of [`login`](Self::login).
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

    /// Whether `password` is that of `username`, for a login form of one's own: asked of whoever
    /// [`passwords`](AuthLayerBuilder::password_verifier) or [`password`](AuthLayerBuilder::password) named, by the same throttle
    /// and at the same cost as by the gate's own form. The name is not looked at where all share one password.
    ///
    /// `head` is that of the request that brought the form; [`verify_csrf`](Self::verify_csrf) tells whether the form was
    /// one of ours.
    ///
    /// # Errors
    ///
    /// The denial to answer with: `CrossSite` if another site caused the request, `RateLimited`, `IncorrectPassword`,
    /// `Unavailable` if the hashing queue or the store does not answer, `TooLarge` if the login does not fit into a
    /// cookie.
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

    /// The `_xsrf` value for a form of one's own, and the cookie that goes with it. Of somebody logged in by cookie it is
    /// bound to the login, else it is one from before the login.
    ///
    /// In the query of the form's action (`action="/rename?_xsrf=…"`) the gate finds it by itself. In a field of that name,
    /// which is in the body that the gate leaves alone, a route with `csrf_in_form` checks it by the extractor
    /// `extract::CsrfForm` (feature `axum`); on open paths the handler calls [`verify_csrf`](Self::verify_csrf).
    ///
    /// # Errors
    ///
    /// Those of a Host or a Forwarded field that cannot be read.
    pub fn csrf_token(&self, head: RequestHead<'_>) -> Result<CsrfToken, Denial> {
        self.route.xsrf_token(head)
    }

    /// Nothing if the form that `head` brought, with `field` as its `_xsrf`, is one of this server's: for login pages of
    /// one's own and other open paths. On guarded ones the gate has checked before, without the form.
    ///
    /// # Errors
    ///
    /// `Reason::CrossSite`, to answer with.
    pub fn verify_csrf(&self, head: RequestHead<'_>, field: &str) -> Result<(), Denial> {
        self.route.check_xsrf(head, field)
    }

    /// Ends every login whose cookie came with this request, and returns the cookies that remove them from the browser.
    ///
    /// The logins end with this call, whether or not the cookies are sent: their cookies are refused from now on,
    /// copies included, and [`session_ended`](Self::session_ended) completes. Cookies that another host or path planted beside them
    /// do not matter.
    ///
    /// # Errors
    ///
    /// `Reason::TooLarge` (431) if the request has more than 16 KiB or 256 pairs of cookies, `Reason::Unavailable` (503) if the
    /// session store does not answer: then send no cookies, because the login has not ended.
    ///
    /// # Security
    ///
    /// Ended logins are kept in this process as long as their cookies would live, 32 for each of 32,768 users. Where
    /// they are more, logins that began before end too, and nothing that has ended becomes valid again: of a user with
    /// more, the logins that began no later than the earliest of them; with more users, the logins of any user that began
    /// no later than those of the user that is forgotten. Another process with the same key, or this one after a restart,
    /// accepts a copy of the cookie until it expires.
    pub fn logout(&self, head: RequestHead<'_>) -> MaybeFuture<Result<SetCookies, Denial>> {
        self.route.logout(head)
    }

    /// The end of a session before its time: by a logout, or by a change of the password. For what outlives its
    /// request, such as a websocket.
    ///
    /// A session in a [store](AuthLayerBuilder::sessions) may also be ended by another process, or because its user is gone:
    /// that is noticed at the next [refresh](AuthLayerBuilder::refresh_interval) at the latest, and its expiry as well.
    ///
    /// A session that came by something else than this gate's login cookie has no such end, and the future none
    /// either. Time is not told: see [`Grant::expires_at`].
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

    /// The same gate, for routes that also serve strangers: who sends no credential, or a cookie that is not
    /// good any more, passes without a session. A token that is not good is still refused.
    #[must_use]
    pub fn optional(&self) -> Self {
        self.with(RouteAuth::optional)
    }

    /// The same gate, for routes that ask for `scope` as well.
    #[must_use]
    pub fn require_scope(&self, scope: &str) -> Self {
        self.with(|route| route.require_scope(scope))
    }

    /// The same layer, for axum routes whose forms hold the `_xsrf` value in a hidden field: feature `axum`.
    ///
    /// The middleware reads no bodies. Where a request with the login cookie brings a form
    /// (`application/x-www-form-urlencoded`), it checks Fetch Metadata and Origin, as everywhere, and leaves `_xsrf` to
    /// [`CsrfForm`](crate::extract::CsrfForm), which the handler takes. Until that has checked the form, the request has no session: a handler that
    /// takes [`Session`] instead answers 500 and says so. All other requests are checked as everywhere.
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

    /// The same gate, with paths that nobody is asked on.
    ///
    /// Exact octets, without patterns or normalisation; the Host guard still holds. In a router, mounting
    /// open routes outside of the layer is plainer.
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

    /// Nothing if a read with a cookie alone was caused by a page of this server, or by the person: for routes
    /// that serve what users put there themselves, such as `files/`, and that no other site may embed.
    ///
    /// Called by the handler. Passes with `Sec-Fetch-Site: same-origin` or `none`, without that field by an own
    /// Referer, and with a good `_xsrf`; a request with a token always passes.
    ///
    /// # Errors
    ///
    /// `Reason::CrossSite`, to answer with.
    pub fn require_same_origin(&self, head: RequestHead<'_>) -> Result<(), Denial> {
        self.route.require_own_page(head)
    }

    /// A session that this gate takes as asked for before.
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

    /// What the gate decides of a request with this head, for a server without tower.
    ///
    /// `Later` clones the head; the service that this layer makes does not.
    pub fn decide(&self, head: RequestHead<'_>) -> MaybeFuture<Decision> {
        let head = self.head(head);
        let route = self.route.checking_all();
        Decision::of(route.decide(&head), &route, &head)
    }

    /// Who sent a request with this head, for a handler that answers by itself.
    ///
    /// A request that the gate would answer itself (the clean-up after `?token=`, a preflight) is judged by
    /// its credential alone; the cookies that [`decide`](Self::decide) would set are not.
    ///
    /// # Errors
    ///
    /// The denial to answer with.
    pub fn authenticate(&self, head: RequestHead<'_>) -> MaybeFuture<Result<Session, Denial>> {
        self.route.checking_all().check(&self.head(head))
    }

    /// Returns the layer's own pages as a service: what a router mounts where the layer itself is not asked.
    ///
    /// A router that has no route for `/login` does not call a layer around its routes, so the login page is a 404. Mount
    /// the pages at [`page_paths`](Self::page_paths); the chapter [Mounting](crate::manual::mounting) has each case.
    /// Elsewhere the service answers like the layer in front of a service without pages: 404 for a known user.
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

    /// Returns the paths of [`pages`](Self::pages): login, logout, launch links and the callback of a hub, as far as the
    /// layer has them, without the [`stripped_prefix`](AuthLayerBuilder::stripped_prefix). A segment of
    /// [`base_url`](AuthLayerBuilder::base_url) that begins with `:` or `*` is not a path for axum's router.
    pub fn page_paths(&self) -> impl Iterator<Item = &str> {
        self.route.own_paths()
    }

    /// The head with the layer's clock and the URI that the browser asked for.
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

//! Builds a layer from its settings.

use std::{sync::Arc, time::Duration};

use super::{AuthLayer, AuthLayerBuilder, hub_settings::HubSettings};
use crate::{
    authenticate::{
        Authenticator, AuthenticatorChain, LoginCookieAuthenticator, QueryLogin, TokenAuthenticator,
        TokenSource,
        current_grants::CurrentGrants,
        danger::AllowAnonymous,
        session_cookie::{SessionCookie, SessionKeys, SessionSettings},
    },
    clock::{Clock, SystemClock},
    cookies::{CookieJar, CookieName, CookieScope, Keyring},
    error::ConfigError,
    launch_link::LaunchLinkStore,
    login::{LoginPage, SharedPasswordControl, logout::LogoutEndpoint, sessions_page::SessionsPage},
    middleware::{
        FormSubmission, PasswordAttempts, Sessions,
        challenge::Challenge,
        cookies::{CsrfCookie, LoginCookie},
        endpoint::{Endpoint, Endpoints},
        error_response::{ErrorResponder, JsonAnswers},
        original_uri::OriginalUri,
        protected_resource::MetadataEndpoint,
        provider_logout::ProviderLogout,
        route::RouteAuth,
        state::AuthState,
    },
    rate_limit::SharedRateLimits,
    request::base_url::BaseUrl,
    request_policy::RequestPolicy,
    session::{LayerId, grant::Grant, identity::Identity},
    store::RevokedSessions,
    swappable::Swappable,
    verify::{SharedToken, TokenVerifier},
};
#[cfg(feature = "password")]
use crate::{
    login::password_change::{PasswordChangeConfig, SharedPasswordLogin},
    verify::SharedPassword,
};

/// The age at which the permissions of a user are queried again.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);

impl AuthLayerBuilder {
    /// Builds the layer.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names the setting if no request could ever be accepted, if every request is
    /// accepted although another authenticator is set, if the login path is not a path, or if the base URL is too
    /// long for the path of a cookie.
    pub fn build(self) -> Result<AuthLayer, ConfigError> {
        let (this, at_the_hub) = self.with_hub_defaults()?;
        this.check_authenticators()?;
        this.check_paths()?;
        this.check_password_change()?;
        this.check_sessions()?;
        this.assemble(at_the_hub)
    }

    fn assemble(mut self, at_the_hub: Option<HubSettings>) -> Result<AuthLayer, ConfigError> {
        let original_uri = self.take_original_uri()?;
        let base_url = self.base_url.take().unwrap_or_default();
        let sources = self.sources();
        let reads_query = sources.contains(&TokenSource::Query);
        // Those whose tokens may be typed into the form, and those whose tokens may become a login.
        let verifiers = |log_in: bool| -> Vec<_> {
            let known = self.known_tokens.iter();
            let known = known.filter(|known| log_in || known.for_browsers);
            known.map(|known| Arc::clone(&known.verifier)).collect()
        };
        let typed_verifiers = verifiers(self.tokens_log_in);
        let login_verifiers = verifiers(self.tokens_log_in || reads_query);
        // A shared token has no scopes and no expiry, like the cookie that replaces it; other tokens may have both.
        let logs_in = self.custom_login_page
            || !typed_verifiers.is_empty()
            || self.passwords.is_some()
            || self.has_sign_ins()
            || (reads_query && self.has_browser_tokens());
        let looks_for_cookies = logs_in || !self.authenticators.is_empty() || self.accepts_anyone;
        let header_only = !reads_query && !looks_for_cookies;

        let has_keyring = self.keyring.is_some();
        let keyring = self.bound_keyring();
        let shared = self.shared_login(&keyring);
        let ended = Arc::new(RevokedSessions::new());
        let cookie_scope = self.login_cookie_scope(&base_url)?;
        let xsrf_scope = CookieScope::xsrf(base_url.as_str())?.with_attributes_of(&cookie_scope)?;
        let clock = self.clock.take().unwrap_or_else(|| Arc::new(SystemClock));
        let login_path = self
            .login_path
            .take()
            .unwrap_or_else(|| base_url.join("login").into());
        let sign_ins = self.sign_in_setup(&base_url, &login_path, &keyring, &cookie_scope)?;
        let login_cookie = if logs_in {
            let scope = (&base_url, cookie_scope);
            Some(self.login_cookie(&keyring, scope, login_verifiers, &ended, &clock)?)
        } else {
            None
        };
        let launch_links = Arc::new(LaunchLinkStore::new(base_url.clone()));
        let mut endpoints = sign_ins.endpoints;
        let stored = login_cookie.as_ref().and_then(|cookie| cookie.stored.clone());
        if logs_in {
            let logout_path = Box::from(base_url.join("logout"));
            let page = LoginPage {
                path: login_path.clone(),
                logout_path,
                tokens: self.shared_tokens.as_slice().into(),
                verifiers: typed_verifiers.into(),
                remember_me: self.remember_me,
                shared,
                providers: sign_ins.links,
            };
            self.add_login(
                page,
                sign_ins.logout,
                stored.is_some(),
                &launch_links,
                &base_url,
                &mut endpoints,
            );
        }
        if let Some(stored) = stored.filter(|_| self.sessions_page) {
            let page = SessionsPage {
                path: base_url.join(SessionsPage::PATH).into(),
                login_path: login_path.clone(),
                sessions: Sessions::new(stored, Arc::clone(&clock)),
            };
            endpoints.push((page.path.clone(), Box::new(page)));
        }
        let elsewhere = at_the_hub.map(|at_the_hub| {
            let path = Box::from(base_url.join("logout"));
            let login_path = Box::from(base_url.as_str());
            let logout = LogoutEndpoint {
                path,
                login_path,
                is_stored: false,
                providers: None,
            };
            endpoints.push((logout.path.clone(), Box::new(logout)));
            endpoints.push(at_the_hub.callback);
            at_the_hub.elsewhere
        });
        let login_link = if logs_in {
            Some(login_path.clone())
        } else {
            elsewhere.as_ref().map(|_| Box::from(base_url.as_str()))
        };
        let challenge = self.publish_resource(&mut endpoints)?;
        let own_login_page = self.custom_login_page.then(|| login_path.clone());
        let guards = self.guards(header_only);
        let (password_verifier, by_username) = self.passwords.take().unzip();
        let shared_rate_limits = self.shared_rate_limits.take().map(|store| {
            let cookie_name = self.cookie_name.as_deref().unwrap_or_default();
            SharedRateLimits::new(
                store,
                Some(&keyring).filter(|_| has_keyring),
                format!("{}\0{cookie_name}", base_url.as_str()),
                self.rate_limits,
                Arc::clone(&clock),
                self.observer.clone(),
            )
        });
        let state = AuthState {
            id: LayerId::new(),
            xsrf_cookie: CsrfCookie::new(keyring, xsrf_scope, guards.requires_csrf()),
            guards,
            reads_authorization: self.reads_authorization(&sources),
            chain: self.chain(&sources, login_cookie.as_ref()),
            original_uri,
            authorizers: self.authorizers,
            login_cookie,
            external_login: elsewhere,
            revoked: ended,
            passwords: PasswordAttempts::new(
                password_verifier,
                by_username.unwrap_or_default(),
                Arc::clone(&clock),
                self.observer.clone(),
                self.rate_limits,
                shared_rate_limits.transpose()?,
            ),
            error_responder: Arc::new(ErrorResponder {
                responses: self.responses,
                challenge,
                base_url,
                // The page that a login leads to may redirect to another site.
                page_style: self.page_style.with_form_targets(["http:", "https:"]),
                login_link,
                login_path: logs_in.then_some(login_path),
                json_answers: JsonAnswers::default(),
            }),
            observer: self.observer,
            clock,
            form_timeout: self.form_timeout.unwrap_or(FormSubmission::TIMEOUT),
            skip_session_extension: self.ignores_outer_session,
        };
        let route = RouteAuth::new(state, Endpoints::new(endpoints));
        let route = match &own_login_page {
            Some(path) => route.public_paths([path]),
            None => route,
        };
        Ok(AuthLayer {
            route: Arc::new(route),
            launch_links,
        })
    }

    /// Adds the endpoints of the metadata, if there are any, and returns the challenge that names them.
    fn publish_resource(
        &mut self,
        endpoints: &mut Vec<(Box<str>, Box<dyn Endpoint>)>,
    ) -> Result<Challenge, ConfigError> {
        let challenge = self.challenge.take().unwrap_or_default();
        let Some(resource) = self.protected_resource.take() else {
            return Ok(challenge);
        };
        let (url, paths) = resource.check()?;
        if challenge.has_resource_metadata() {
            return Err(ConfigError::new(
                "protected_resource",
                "the challenge has a resource_metadata of its own: remove with_resource_metadata()",
            ));
        }
        let endpoint = |path| {
            (
                path,
                Box::new(MetadataEndpoint::new(&resource)) as Box<dyn Endpoint>,
            )
        };
        endpoints.extend(paths.into_iter().map(endpoint));
        Ok(challenge.with_resource_metadata(url))
    }

    /// Returns how to find the URI that the browser requested. A prefix that a proxy removes is the base URL unless one is set.
    fn take_original_uri(&mut self) -> Result<OriginalUri, ConfigError> {
        let original_uri = std::mem::take(&mut self.original_uri);
        let Some(prefix) = self.stripped_prefix.take() else {
            return Ok(original_uri);
        };
        let original_uri = original_uri.with_stripped_prefix(&prefix)?;
        let base_url: BaseUrl = format!("{prefix}/").parse()?;
        match &self.base_url {
            Some(set) if !base_url.contains(set.as_str()) => Err(ConfigError::new(
                "base_url",
                format!(
                    "expected a path below the stripped_prefix {prefix}, found {}",
                    set.as_str()
                ),
            )),
            _ => {
                self.base_url.get_or_insert(base_url);
                Ok(original_uri)
            }
        }
    }

    /// Where the login cookie lives, and under which name.
    fn login_cookie_scope(&mut self, base_url: &BaseUrl) -> Result<CookieScope, ConfigError> {
        let mut scope = CookieScope::server(base_url.as_str())?;
        if self.sessions.is_some() {
            scope = scope.with_name(CookieName::custom(SessionCookie::NAME)?)?;
        }
        if let Some(name) = &self.cookie_name {
            scope = scope.with_name(CookieName::custom(name)?)?;
        }
        match self.cookie_attributes.take() {
            Some(change) => change(scope),
            None => Ok(scope),
        }
    }

    /// The cookies of logins: of sessions in a store, or signed ones that hold the login themselves.
    fn login_cookie(
        &mut self,
        keyring: &Keyring,
        (base_url, scope): (&BaseUrl, CookieScope),
        verifiers: Vec<Arc<dyn TokenVerifier>>,
        ended: &Arc<RevokedSessions>,
        clock: &Arc<dyn Clock>,
    ) -> Result<LoginCookie, ConfigError> {
        let lifetime = self.lifetime.unwrap_or_default();
        let (users, refresh_interval) = (
            self.user_lookup.take(),
            self.refresh_interval.unwrap_or(REFRESH_INTERVAL),
        );
        let Some(store) = self.sessions.take() else {
            let jar = CookieJar::signed(keyring, scope).with_lifetime(lifetime);
            let users = users.map(|users| CurrentGrants::new(users, refresh_interval));
            let signed = LoginCookieAuthenticator::for_layer(jar, verifiers, Arc::clone(ended), users, None);
            return Ok(LoginCookie {
                signed: Some(signed),
                stored: None,
            });
        };
        let signed = self.signed_until.map(|until| {
            let scope = CookieScope::server(base_url.as_str())?;
            let jar = CookieJar::signed(keyring, scope).with_lifetime(lifetime);
            let users = users
                .clone()
                .map(|users| CurrentGrants::new(users, refresh_interval));
            let (verifiers, ended) = (verifiers.clone(), Arc::clone(ended));
            Ok::<_, ConfigError>(LoginCookieAuthenticator::for_layer(
                jar,
                verifiers,
                ended,
                users,
                Some(until),
            ))
        });
        let stored = SessionCookie::new(SessionSettings {
            store,
            scope,
            keys: Swappable::new(SessionKeys {
                keyring: keyring.clone(),
                generation: 0,
            }),
            lifetime,
            users,
            verifiers,
            refresh_interval,
            endings: Arc::default(),
            clock: Arc::clone(clock),
        });
        Ok(LoginCookie {
            signed: signed.transpose()?,
            stored: Some(stored),
        })
    }

    fn check_authenticators(&self) -> Result<(), ConfigError> {
        let requires_login = !(self.shared_tokens.is_empty()
            && self.known_tokens.is_empty()
            && self.passwords.is_none()
            && self.authenticators.is_empty()
            && !self.has_sign_ins()
            && !self.custom_login_page);
        if requires_login != self.accepts_anyone {
            return Ok(());
        }
        Err(ConfigError::new(
            "authenticators",
            if requires_login {
                "danger_allow_anonymous() admits every request, so no other way to log in has an effect"
            } else {
                "expected a way to log in: token(), bearer_tokens(), password(), password_verifier(), sign_in_with(), \
                 authenticator() or custom_login_page(); danger_allow_anonymous() admits every request"
            },
        ))
    }

    /// Sessions and users need a login, and users must have names.
    fn check_sessions(&self) -> Result<(), ConfigError> {
        if self.sessions.is_none() {
            for (setting, is_set) in [
                ("sessions_page", self.sessions_page),
                ("accept_signed_cookies_until", self.signed_until.is_some()),
            ] {
                if is_set {
                    return Err(ConfigError::new(
                        setting,
                        "expected a store of sessions, set by sessions(store)",
                    ));
                }
            }
        }
        let is_shared = !self.shared_tokens.is_empty() || matches!(self.passwords, Some((_, false)));
        if self.user_lookup.is_some() && is_shared {
            return Err(ConfigError::new(
                "user_lookup",
                "expected a password_verifier or another login of users with names; a token or a password that all share says \
                 nothing of the user",
            ));
        }
        Ok(())
    }

    fn check_paths(&self) -> Result<(), ConfigError> {
        match self.login_path.as_deref().filter(|path| !is_path(path)) {
            None => Ok(()),
            Some(path) => Err(ConfigError::new(
                "login_path",
                format!("expected a path such as /login, found {path:?}"),
            )),
        }
    }

    /// Where tokens are looked for.
    fn sources(&mut self) -> Vec<TokenSource> {
        self.token_sources.take().unwrap_or_else(|| {
            let in_query = self.has_browser_tokens().then_some(TokenSource::Query);
            [TokenSource::Authorization].into_iter().chain(in_query).collect()
        })
    }

    /// Returns the keys of this layer, bound to the configured password and tokens.
    fn bound_keyring(&mut self) -> Keyring {
        let mut keyring = self.keyring.take().unwrap_or_else(Keyring::generate);
        if let Some(hash) = &self.key_binding {
            keyring = keyring.bound_to_password(hash);
        }
        for token in self.shared_tokens.iter().filter(|token| !token.is_generated()) {
            keyring = keyring.bound_to_token(token.expose().as_bytes());
        }
        keyring
    }

    fn guards(&mut self, header_only: bool) -> RequestPolicy {
        let guards = std::mem::take(&mut self.guards);
        match self.hosts.take() {
            _ if self.answers_for_any_host => guards.danger_allow_any_host(),
            Some(hosts) => guards.with_allowed_hosts(hosts),
            None if header_only => guards.danger_allow_any_host(),
            None => guards,
        }
    }

    /// The paths of a login that is given here.
    fn add_login(
        &self,
        page: LoginPage,
        providers: Option<Arc<dyn ProviderLogout>>,
        is_stored: bool,
        launch_links: &Arc<LaunchLinkStore>,
        base_url: &BaseUrl,
        endpoints: &mut Vec<(Box<str>, Box<dyn Endpoint>)>,
    ) {
        let logout = LogoutEndpoint {
            path: page.logout_path.clone(),
            login_path: page.path.clone(),
            is_stored,
            providers,
        };
        if !self.custom_login_page {
            endpoints.push((page.path.clone(), Box::new(page)));
        }
        endpoints.push((logout.path.clone(), Box::new(logout)));
        endpoints.push((
            base_url.join(LaunchLinkStore::PATH).into(),
            Box::new(Arc::clone(launch_links)),
        ));
    }

    /// Whether an authenticator may read the `Authorization` field: one for tokens, or the user's own.
    fn reads_authorization(&self, sources: &[TokenSource]) -> bool {
        let for_tokens = !(self.shared_tokens.is_empty() && self.known_tokens.is_empty());
        let by_token = sources.iter().any(|source| match source {
            TokenSource::Authorization => true,
            TokenSource::Header(name) => *name == http::header::AUTHORIZATION,
            _ => false,
        });
        for_tokens && by_token || !self.authenticators.is_empty()
    }

    /// Returns the authenticators in their order: tokens, the login cookie, custom ones.
    fn chain(&mut self, sources: &[TokenSource], login_cookie: Option<&LoginCookie>) -> AuthenticatorChain {
        let owner = Grant::new(Identity::anonymous());
        let query_login = |kind| {
            if login_cookie.is_some() {
                kind
            } else {
                QueryLogin::Never
            }
        };
        let shared_tokens = std::mem::take(&mut self.shared_tokens).into_iter().map(|token| {
            TokenAuthenticator::new(SharedToken::new(token, owner.clone()))
                .with_sources(sources.to_vec())
                .with_query_login(query_login(QueryLogin::SharedToken))
        });
        let mut others: Vec<Box<dyn Authenticator>> = Vec::new();
        for authenticator in shared_tokens {
            others.push(Box::new(authenticator));
        }
        for known in std::mem::take(&mut self.known_tokens) {
            others.push(known.authenticator(sources.to_vec(), query_login(QueryLogin::ByHash)));
        }
        if let Some(LoginCookie { signed, stored }) = login_cookie {
            let stored = stored
                .clone()
                .map(|cookie| Box::new(cookie) as Box<dyn Authenticator>);
            let signed = signed
                .clone()
                .map(|cookie| Box::new(cookie) as Box<dyn Authenticator>);
            others.extend(stored.into_iter().chain(signed));
        }
        others.append(&mut self.authenticators);
        if self.accepts_anyone {
            others.push(Box::new(AllowAnonymous));
        }
        AuthenticatorChain::new(others)
    }
}

#[cfg(feature = "password")]
impl AuthLayerBuilder {
    /// There must be something to change the password by, and one password for all.
    fn check_password_change(&self) -> Result<(), ConfigError> {
        let people_have_names = matches!(self.passwords, Some((_, true)));
        let nothing_to_prove = self.shared_password.is_none() && self.shared_tokens.is_empty();
        if self.password_change.is_some() && (people_have_names || nothing_to_prove) {
            return Err(ConfigError::new(
                "allow_password_change",
                "expected a password or a token that all users share, to authorize the change",
            ));
        }
        Ok(())
    }

    /// Returns the shared password, if there is one or users can set one.
    fn shared_login(&mut self, keyring: &Keyring) -> Option<Arc<dyn SharedPasswordControl>> {
        let (password, change) = (self.shared_password.take(), self.password_change.take());
        if password.is_none() && change.is_none() {
            return None;
        }
        let password = password.unwrap_or_else(|| {
            let unset = SharedPassword::without_password(Grant::new(Identity::anonymous()));
            self.passwords = Some((Arc::new(unset.clone()), false));
            unset
        });
        let change = change.map(|(policy, keeper)| {
            Arc::new(PasswordChangeConfig {
                policy,
                writer: keeper,
                keyring: keyring.clone(),
                in_progress: Default::default(),
                generation: Default::default(),
            })
        });
        Some(Arc::new(SharedPasswordLogin { password, change }))
    }
}

#[cfg(not(feature = "password"))]
impl AuthLayerBuilder {
    fn check_password_change(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    fn shared_login(&mut self, _: &Keyring) -> Option<Arc<dyn SharedPasswordControl>> {
        None
    }
}

fn is_path(path: &str) -> bool {
    path.starts_with('/')
        && !path.starts_with("//")
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"?#\\\"".contains(&byte))
}

//! Logins of a hub at an identity provider.
//!
//! The pages are those of [`sign_in`](crate::sign_in), below the hub: `hub/login/<name>` and `hub/login/callback`. The user
//! must be a member, by the username of the grant.

#[cfg(feature = "openid")]
use std::sync::Arc;

#[cfg(feature = "openid")]
use http::{Method, StatusCode};

#[cfg(feature = "openid")]
use super::builder::HubBuilder;
use super::{
    request::{HubRequest, HubResult},
    response::HubError,
};
use crate::{
    cookies::{CookieScope, Keyring},
    error::ConfigError,
    html::PageStyle,
    request::base_url::BaseUrl,
};
#[cfg(feature = "openid")]
use crate::{
    denial::{Denial, Reason},
    event::{Event, RedactedPath},
    html::Page,
    middleware::error_response::page_response,
    redirect::{NextUrl, RedirectPolicy},
    session::grant::Grant,
    sign_in::{
        Claims, Provider, SignIn, SignInFailure, SignInOutcome, SignInPlace, SignInRequest, SignInResult,
        SignInSettings,
    },
};

/// The providers of a hub.
#[derive(Default)]
pub(crate) struct HubSignIn {
    #[cfg(feature = "openid")]
    providers: Option<Arc<SignIn>>,
    /// Name and path of each, for the login page.
    links: Vec<(Box<str>, Box<str>)>,
}

impl HubSignIn {
    /// What leads to each provider, with `next` for the login: the text, and the URL.
    pub(crate) fn buttons(&self, style: &PageStyle, query: &str) -> Vec<(String, String)> {
        let links = self.links.iter();
        links
            .map(|(name, path)| {
                (
                    style.text_with_name("Log in with {}", name),
                    format!("{path}{query}"),
                )
            })
            .collect()
    }
}

/// The providers of a hub, as configured.
#[derive(Default)]
pub(super) struct HubProviders(#[cfg(feature = "openid")] Vec<SignInSettings>);

#[cfg(not(feature = "openid"))]
impl HubProviders {
    pub(super) fn is_empty(&self) -> bool {
        true
    }

    pub(super) fn build(
        self,
        _: &BaseUrl,
        _: &BaseUrl,
        _: &Keyring,
        _: &CookieScope,
    ) -> Result<HubSignIn, ConfigError> {
        Ok(HubSignIn::default())
    }
}

#[cfg(not(feature = "openid"))]
impl HubRequest<'_> {
    pub(crate) async fn sign_in(&self) -> HubResult {
        Err(HubError::no_page())
    }
}

#[cfg(feature = "openid")]
impl HubBuilder {
    /// Lets users log in at an identity provider, by a button on the login page. Default: none.
    ///
    /// `grant` maps what the provider says about a user to a [`Grant`], or denies the login. Its username must be that of a
    /// member: [`HubBuilder::users`] or [`HubBuilder::user_lookup`] says what the member may do, not the scopes of the grant.
    /// The redirect URI to register at the provider is `<base>hub/login/callback`. Without a
    /// [`password_verifier`](HubBuilder::password_verifier) the page has the buttons alone.
    ///
    /// # Errors
    ///
    /// [`build`](HubBuilder::build) fails if `name` has no letters or digits, if two names lead to the same path, or if the
    /// provider has [`with_provider_logout`](crate::sign_in::OpenIdConnect::with_provider_logout) or
    /// [`with_backchannel_logout`](crate::sign_in::OpenIdConnect::with_backchannel_logout), which a hub does not do.
    ///
    /// # Security
    ///
    /// Whoever the provider lets choose a username can be any member: map a name that users cannot change, and see
    /// [`AuthLayerBuilder::sign_in_with`](crate::AuthLayerBuilder::sign_in_with).
    ///
    /// # Example
    ///
    /// ```no_run
    /// use portcullis::{
    ///     Grant, Identity, Secret,
    ///     hub_server::{Hub, HubUser},
    ///     sign_in::OpenIdConnect,
    ///     store::MemoryTokenStore,
    /// };
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let secret = Secret::from(std::env::var("CLIENT_SECRET").unwrap_or_default());
    /// let keycloak = OpenIdConnect::discover("https://id.example.org/realms/staff", "hub", secret).await?;
    /// let hub = Hub::builder(MemoryTokenStore::new())
    ///     .user(HubUser::new("alice")?)
    ///     .sign_in_with("Keycloak", keycloak, |claims| {
    ///         let name = claims.text("preferred_username").unwrap_or_default();
    ///         Ok(Grant::new(Identity::new(name)))
    ///     })
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn sign_in_with(
        mut self,
        name: &str,
        provider: impl Into<Provider>,
        grant: impl Fn(&Claims) -> Result<Grant, Denial> + Send + Sync + 'static,
    ) -> Self {
        self.sign_ins
            .0
            .push(SignInSettings::new(name, provider.into(), grant));
        self
    }
}

#[cfg(feature = "openid")]
impl HubProviders {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn build(
        self,
        base_url: &BaseUrl,
        hub_url: &BaseUrl,
        keyring: &Keyring,
        login_cookie: &CookieScope,
    ) -> Result<HubSignIn, ConfigError> {
        if self.is_empty() {
            return Ok(HubSignIn::default());
        }
        let home = NextUrl::parse(hub_url.join("home"), RedirectPolicy::new(base_url));
        let place = SignInPlace {
            pages: hub_url,
            base_url,
            home: home.unwrap_or_else(|| NextUrl::base(base_url)),
            login_path: &hub_url.join("login"),
            keyring,
            login_cookie,
        };
        let (providers, links) = SignIn::new(self.0, place)?;
        if providers.logs_out() || providers.reports_logouts() {
            return Err(ConfigError::new(
                "sign_in_with",
                "expected a provider whose logouts a hub does not follow, found one with_provider_logout() or \
                 with_backchannel_logout()",
            ));
        }
        Ok(HubSignIn {
            providers: Some(providers),
            links,
        })
    }
}

#[cfg(feature = "openid")]
impl HubRequest<'_> {
    /// The pages of the providers.
    pub(crate) async fn sign_in(&self) -> HubResult {
        let (hub, path) = (self.hub, self.head.uri().path());
        let Some(providers) = &hub.sign_in.providers else {
            return Err(HubError::no_page());
        };
        let provider = providers.provider_at(path);
        if provider.is_none() && !providers.is_callback(path) {
            return Err(HubError::no_page());
        }
        // A code is used once, and only by a browser.
        if *self.head.method() != Method::GET {
            return Err(HubError::NotAllowed("GET"));
        }
        let request = SignInRequest {
            head: self.head,
            https: self.https(),
            origin: hub.guards.own_origin(&self.target, self.head),
            is_logged_in: self.visitor().await?.known().is_some(),
            clock: &hub.clock,
            page_style: &hub.page_style,
        };
        let outcome = match provider {
            Some(provider) => providers.start(provider, &request),
            None => providers.callback(&request),
        };
        let SignInOutcome { result, cookies } = outcome.await;
        let mut response = match result {
            SignInResult::Redirect(response) => response,
            SignInResult::LogIn { grant, next, .. } => {
                match self.members.find(grant.identity().username()).await? {
                    Some(member) => {
                        hub.record_activity(member.name(), [(None, self.head.now())])
                            .await?;
                        self.begin_login(member, next.as_str()).await?
                    }
                    None => {
                        self.refused(Reason::InsufficientScope);
                        let page = Page::new(&hub.page_style, "Login failed");
                        let page = page
                            .paragraph("Your account is not a user of this hub. Contact the administrator.");
                        let mut response =
                            page_response(page.link(&hub.hub_url.join("login"), "Log in again"));
                        *response.status_mut() = StatusCode::FORBIDDEN;
                        response
                    }
                }
            }
            SignInResult::Failed(page, SignInFailure::Denied(reason)) => {
                self.refused(reason);
                *page
            }
            SignInResult::Failed(page, SignInFailure::Provider(error)) => {
                hub.emit(&Event::Unavailable {
                    error: &**error.cause(),
                    path: RedactedPath::new(path),
                });
                *page
            }
        };
        cookies.append_to(response.headers_mut());
        Ok(response)
    }
}

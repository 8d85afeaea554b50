//! The identity providers of a hub.

#[cfg(feature = "openid")]
use std::sync::Arc;

use crate::{
    cookies::{CookieScope, Keyring},
    error::ConfigError,
    html::PageStyle,
    request::base_url::BaseUrl,
};
#[cfg(feature = "openid")]
use crate::{
    redirect::{NextUrl, RedirectPolicy},
    sign_in::{SignIn, SignInPlace, SignInSettings},
};

/// The providers of a hub.
#[derive(Default)]
pub(crate) struct HubSignIn {
    #[cfg(feature = "openid")]
    pub(super) providers: Option<Arc<SignIn>>,
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
pub(super) struct HubProviders(#[cfg(feature = "openid")] pub(super) Vec<SignInSettings>);

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

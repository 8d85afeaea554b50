//! The identity providers of a layer.

use std::sync::Arc;

use super::AuthLayerBuilder;
use crate::{
    cookies::{CookieScope, Keyring},
    error::ConfigError,
    middleware::{endpoint::Endpoint, provider_logout::ProviderLogout},
    request::base_url::BaseUrl,
};
#[cfg(feature = "openid")]
use crate::{
    redirect::NextUrl,
    sign_in::{SignIn, SignInPages, SignInPlace},
};

/// What the providers add to a layer.
#[derive(Default)]
pub(super) struct SignInSetup {
    /// Name and path of each, for the login page.
    pub(super) links: Vec<(Box<str>, Box<str>)>,
    pub(super) endpoints: Vec<(Box<str>, Box<dyn Endpoint>)>,
    /// Those at which a logout goes on.
    pub(super) logout: Option<Arc<dyn ProviderLogout>>,
}

#[cfg(feature = "openid")]
impl AuthLayerBuilder {
    pub(super) fn has_sign_ins(&self) -> bool {
        !self.sign_ins.is_empty()
    }

    pub(super) fn sign_in_setup(
        &mut self,
        base_url: &BaseUrl,
        login_path: &str,
        keyring: &Keyring,
        login_cookie: &CookieScope,
    ) -> Result<SignInSetup, ConfigError> {
        let settings = std::mem::take(&mut self.sign_ins);
        if settings.is_empty() {
            return Ok(SignInSetup::default());
        }
        let place = SignInPlace {
            pages: base_url,
            base_url,
            home: NextUrl::base(base_url),
            login_path,
            keyring,
            login_cookie,
        };
        let (sign_in, links) = SignIn::new(settings, place)?;
        if sign_in.reports_logouts() && self.sessions.is_none() {
            return Err(ConfigError::new(
                "sign_in_with",
                "expected a store of sessions, set by sessions(store), for a provider with_backchannel_logout(), found none",
            ));
        }
        let pages = SignInPages::new(&sign_in);
        Ok(SignInSetup {
            links,
            endpoints: pages.endpoints,
            logout: pages.logout,
        })
    }
}

#[cfg(not(feature = "openid"))]
impl AuthLayerBuilder {
    pub(super) fn has_sign_ins(&self) -> bool {
        false
    }

    pub(super) fn sign_in_setup(
        &mut self,
        _: &BaseUrl,
        _: &str,
        _: &Keyring,
        _: &CookieScope,
    ) -> Result<SignInSetup, ConfigError> {
        Ok(SignInSetup::default())
    }
}

//! The providers of one layer or hub, and their paths.

use std::sync::Arc;

use super::{claims::Claims, provider::Provider};
use crate::{
    cookies::CookieScope, denial::Denial, oauth::StateStore, redirect::NextUrl, request::base_url::BaseUrl,
    session::grant::Grant,
};

/// Maps the claims of a user to a grant.
pub(super) type ClaimsMapping = dyn Fn(&Claims) -> Result<Grant, Denial> + Send + Sync;

/// A provider of a layer or hub.
pub(crate) struct ConfiguredProvider {
    /// The path at which a login begins.
    pub(super) path: Box<str>,
    pub(super) provider: Provider,
    pub(super) mapping: Box<ClaimsMapping>,
    /// The logins in progress at this provider. A state of one provider is none of another.
    pub(super) states: StateStore,
    /// The cookie of a browser that logged in at this provider, if a logout goes on there.
    pub(super) marker: CookieScope,
}

/// The providers of one layer or hub.
pub(crate) struct SignIn {
    pub(super) providers: Vec<Arc<ConfiguredProvider>>,
    /// Logins lead to pages below it.
    pub(super) base_url: BaseUrl,
    /// Where a login leads that is for no page.
    pub(super) home: NextUrl,
    pub(super) callback_path: Box<str>,
    pub(super) login_path: Box<str>,
    pub(super) logout_path: Box<str>,
}

impl SignIn {
    /// The provider whose logins begin at `path`.
    #[cfg(feature = "hub-server")]
    pub(crate) fn provider_at(&self, path: &str) -> Option<&Arc<ConfiguredProvider>> {
        self.providers.iter().find(|provider| *provider.path == *path)
    }

    /// Whether the providers send browsers back to `path`.
    #[cfg(feature = "hub-server")]
    pub(crate) fn is_callback(&self, path: &str) -> bool {
        *self.callback_path == *path
    }

    /// Whether one of the providers reports the end of its sessions.
    pub(crate) fn reports_logouts(&self) -> bool {
        let mut providers = self.providers.iter();
        providers.any(|provider| provider.provider.reports_logouts())
    }

    /// Whether a logout goes on at one of the providers.
    pub(crate) fn logs_out(&self) -> bool {
        let mut providers = self.providers.iter();
        providers.any(|provider| provider.provider.logs_out())
    }
}

//! Settings of a layer that come from a JupyterHub.

use std::sync::Arc;

use super::AuthLayerBuilder;
use crate::{
    error::ConfigError,
    middleware::{endpoint::Endpoint, external_login::ExternalLogin},
};
#[cfg(feature = "hub-client")]
use crate::{
    middleware::ResponseStyle,
    request_policy::{AllowedHosts, CsrfMode},
};

/// What the hub provides to the layer.
pub(super) struct HubSettings {
    pub(super) elsewhere: Arc<dyn ExternalLogin>,
    pub(super) callback: (Box<str>, Box<dyn Endpoint>),
}

#[cfg(feature = "hub-client")]
impl AuthLayerBuilder {
    /// Sets what the hub knows, unless it is set already.
    pub(super) fn with_hub_defaults(mut self) -> Result<(Self, Option<HubSettings>), ConfigError> {
        let Some(hub) = self.hub.take() else {
            return Ok((self, None));
        };
        if self.passwords.is_some() || self.has_browser_tokens() || self.custom_login_page {
            return Err(ConfigError::new(
                "hub",
                "expected no login in addition to the hub's, found a token, a password or a login page",
            ));
        }
        self.authenticators.splice(0..0, hub.authenticators());
        self.base_url.get_or_insert_with(|| hub.base_url().clone());
        self.keyring.get_or_insert_with(|| hub.keyring().clone());
        if self.responses == ResponseStyle::default() {
            self.responses = ResponseStyle::jupyter();
        }
        self.guards = self
            .guards
            .with_csrf_mode(CsrfMode::AllMethods)
            .with_unverified_https();
        match hub.public_origin() {
            Some(origin) => {
                let (host, port) = (origin.host(), origin.port());
                let name = port.map_or(host.to_owned(), |port| format!("{host}:{port}"));
                // The hub sends its own requests to the address at which it started this server.
                let hosts = AllowedHosts::any_ip().union(AllowedHosts::from_list([name])?);
                self.hosts.get_or_insert(hosts);
                self.guards = self.guards.with_public_origin(origin.clone());
            }
            // The credential is the hub's, and browsers send it to the hub's own host alone.
            None => self.answers_for_any_host |= self.hosts.is_none(),
        }
        let at_the_hub = HubSettings {
            elsewhere: hub.external_login(),
            callback: hub.callback(),
        };
        Ok((self, Some(at_the_hub)))
    }
}

#[cfg(not(feature = "hub-client"))]
impl AuthLayerBuilder {
    pub(super) fn with_hub_defaults(self) -> Result<(Self, Option<HubSettings>), ConfigError> {
        Ok((self, None))
    }
}

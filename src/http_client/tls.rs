//! TLS of the ready client.

use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt as _;
use rustls::{
    ClientConfig, ConfigBuilder, WantsVerifier,
    crypto::{CryptoProvider, ring},
};

use crate::error::ConfigError;

/// Returns the beginning of a configuration for TLS 1.2 and 1.3.
pub(crate) fn tls_builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, ConfigError> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| {
            ConfigError::new(
                "http_client",
                format!("expected a rustls crypto provider with TLS 1.2 or 1.3, found {error}"),
            )
        })
}

/// Returns a configuration that trusts the roots that browsers know.
pub(crate) fn public_tls() -> Result<ClientConfig, ConfigError> {
    Ok(tls_builder()?.with_webpki_roots().with_no_client_auth())
}

/// The provider that the process installed, or ring.
///
/// Never the default that rustls finds by its features: it panics as soon as another crate enables a second provider.
fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(ring::default_provider()))
}

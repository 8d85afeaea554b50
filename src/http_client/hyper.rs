//! The client that this crate provides: hyper's, with TLS by rustls. The transport limits the time of a request.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{
    ClientConfig, ConfigBuilder, WantsVerifier,
    crypto::{CryptoProvider, ring},
};

use super::transport::{ServiceTransport, Transport};
use crate::error::ConfigError;

/// How long a connection may take.
const CONNECTING: Duration = Duration::from_secs(3);

/// A client that follows no redirect.
pub(crate) fn client(tls: ClientConfig) -> Arc<dyn Transport> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(CONNECTING));
    connector.set_nodelay(true);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    let client = Client::builder(TokioExecutor::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .build::<_, Full<Bytes>>(connector);
    Arc::new(ServiceTransport(Mutex::new(client)))
}

/// TLS that trusts the roots that browsers know.
pub(crate) fn public_roots() -> Result<ClientConfig, ConfigError> {
    Ok(tls_builder()?.with_webpki_roots().with_no_client_auth())
}

/// The beginning of a TLS configuration.
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

/// The provider that the process installed, or ring.
///
/// Never the default that rustls finds by its features: it panics as soon as another crate enables a second provider.
fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(ring::default_provider()))
}

#[cfg(test)]
mod tests {
    use super::*;

    // One test, because a process can install a provider only once.
    #[test]
    fn the_installed_provider_is_used_else_ring_and_none_is_guessed_from_features() {
        // `ClientConfig::builder()` installs what it guesses, and panics where it cannot guess.
        client(public_roots().expect("a config"));
        assert!(CryptoProvider::get_default().is_none(), "a default was guessed");
        let built_in = public_roots().expect("a config");
        assert_eq!(
            built_in.crypto_provider().cipher_suites,
            ring::default_provider().cipher_suites
        );

        let mut installed = ring::default_provider();
        installed.cipher_suites.truncate(1);
        installed.install_default().expect("no other provider");
        let config = public_roots().expect("a config");
        assert_eq!(config.crypto_provider().cipher_suites.len(), 1);
    }
}

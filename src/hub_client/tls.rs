//! TLS of the ready client, with the files of a hub.

use std::{fs, path::Path};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use zeroize::Zeroizing;

use super::internal_tls::{AUTHORITIES, CERTIFICATE, InternalTls, KEY};
use crate::{
    error::ConfigError,
    http_client::{public_tls, tls_builder},
};

/// A client that trusts the roots that browsers know; or with `files`, one that shows the certificate, and trusts
/// servers of these authorities alone.
pub(super) fn config(files: Option<&InternalTls>) -> Result<ClientConfig, ConfigError> {
    let Some(files) = files else {
        return public_tls();
    };
    let mut roots = RootCertStore::empty();
    for authority in certificates(AUTHORITIES, &files.authorities)? {
        roots.add(authority).map_err(|error| {
            let path = files.authorities.display();
            ConfigError::new(
                AUTHORITIES,
                format!("expected certificates of authorities in {path}, found {error}"),
            )
        })?;
    }
    let chain = certificates(CERTIFICATE, &files.certificate)?;
    let key = key(&files.key)?;
    let fits = |error| {
        let (key, certificate) = (files.key.display(), files.certificate.display());
        ConfigError::new(
            KEY,
            format!("expected in {key} the key of the first certificate in {certificate}, found {error}"),
        )
    };
    tls_builder()?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(fits)
}

/// All in the file at `path`, one at least.
fn certificates(name: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let text = read(name, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(ConfigError::new(
            name,
            format!("expected certificates in PEM in {}, found none", path.display()),
        )),
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, ConfigError> {
    let text = Zeroizing::new(read(KEY, path)?);
    // Nothing of what was found: it may be most of a key.
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
        ConfigError::new(
            KEY,
            format!(
                "expected a private key in PEM, not encrypted, in {}, found none",
                path.display()
            ),
        )
    })
}

fn read(name: &'static str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    fs::read(path).map_err(|error| {
        ConfigError::new(
            name,
            format!(
                "expected a file that can be read at {}, found {error}",
                path.display()
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use rustls::crypto::{CryptoProvider, ring};

    use super::*;

    // One test, because a process can install a provider only once.
    #[test]
    fn the_installed_provider_is_used_else_ring_and_none_is_guessed_from_features() {
        // `ClientConfig::builder()` installs what it guesses, and panics where it cannot guess.
        crate::http_client::ready(config(None).expect("a config"));
        assert!(CryptoProvider::get_default().is_none(), "a default was guessed");
        let built_in = config(None).expect("a config");
        assert_eq!(
            built_in.crypto_provider().cipher_suites,
            ring::default_provider().cipher_suites
        );

        let mut installed = ring::default_provider();
        installed.cipher_suites.truncate(1);
        installed.install_default().expect("no other provider");
        let config = config(None).expect("a config");
        assert_eq!(config.crypto_provider().cipher_suites.len(), 1);
    }
}

//! TLS of the ready client where a hub asks who its clients are.

use std::{fs, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use zeroize::Zeroizing;

use super::{
    environment::wrong,
    internal_tls::{AUTHORITIES, CERTIFICATE, InternalTls, KEY},
};
use crate::error::ConfigError;

/// A client that shows the certificate, and trusts servers of these authorities alone.
pub(super) fn config(files: &InternalTls) -> Result<ClientConfig, ConfigError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(AUTHORITIES, &files.authorities)? {
        roots.add(authority).map_err(|error| {
            let path = files.authorities.display();
            wrong(
                AUTHORITIES,
                &format!("expected certificates of authorities in {path}, found {error}"),
            )
        })?;
    }
    let chain = certificates(CERTIFICATE, &files.certificate)?;
    let key = key(&files.key)?;
    let fits = |error| {
        let (key, certificate) = (files.key.display(), files.certificate.display());
        wrong(
            KEY,
            &format!("expected in {key} the key of the first certificate in {certificate}, found {error}"),
        )
    };
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| {
            config
                .with_root_certificates(roots)
                .with_client_auth_cert(chain, key)
        })
        .map_err(fits)
}

/// All in the file at `path`, one at least.
fn certificates(name: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let text = read(name, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(wrong(
            name,
            &format!("expected certificates in PEM in {}, found none", path.display()),
        )),
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, ConfigError> {
    let text = Zeroizing::new(read(KEY, path)?);
    // Nothing of what was found: it may be most of a key.
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
        wrong(
            KEY,
            &format!(
                "expected a private key in PEM, not encrypted, in {}, found none",
                path.display()
            ),
        )
    })
}

fn read(name: &'static str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    fs::read(path).map_err(|error| {
        wrong(
            name,
            &format!(
                "expected a file that can be read at {}, found {error}",
                path.display()
            ),
        )
    })
}

//! TLS of the ready client, by the files that a hub with internal TLS names.

use std::{fs, path::Path};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use zeroize::Zeroizing;

use super::internal_tls::{AUTHORITIES, CERTIFICATE, InternalTls, KEY};
use crate::{error::ConfigError, http_client::hyper};

/// A client that trusts the roots that browsers know; or with `files`, one that shows the certificate, and trusts
/// servers of these authorities alone.
pub(super) fn config(files: Option<&InternalTls>) -> Result<ClientConfig, ConfigError> {
    let Some(files) = files else {
        return hyper::public_roots();
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
    hyper::tls_builder()?
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

//! The files by which a hub and what it started know each other: `JupyterHub.internal_ssl`.

use std::path::PathBuf;

/// Files in PEM: a certificate with those that lead to its root behind it, its key, and the authorities that are
/// trusted.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(feature = "hub-client-hyper"),
    expect(dead_code, reason = "the ready client alone reads them")
)]
pub(super) struct InternalTls {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) authorities: PathBuf,
}

/// The variables that name them.
pub(super) const CERTIFICATE: &str = "JUPYTERHUB_SSL_CERTFILE";
/// See [`CERTIFICATE`].
pub(super) const KEY: &str = "JUPYTERHUB_SSL_KEYFILE";
/// See [`CERTIFICATE`].
pub(super) const AUTHORITIES: &str = "JUPYTERHUB_SSL_CLIENT_CA";

//! Where a hub wants a server of its own to listen.

use std::env;

use http::Uri;
use tokio::net::TcpListener;

use super::{failure::Failure, listen::listen};

/// A listener at `$JUPYTERHUB_SERVICE_URL`.
///
/// # Errors
///
/// If the variable is missing or no http URL with a port, or nobody can listen there.
pub(crate) async fn listener() -> Result<TcpListener, Failure> {
    const NAME: &str = "JUPYTERHUB_SERVICE_URL";
    let url = env::var(NAME).unwrap_or_default();
    let odd = || format!("{NAME}: expected an http URL with a port, as a JupyterHub sets it, found {url:?}");
    let uri: Uri = url.parse().map_err(|_| odd())?;
    let (Some(host), Some(port)) = (uri.host(), uri.port_u16()) else {
        return Err(odd().into());
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    // A hub that leaves the address to the spawner names none.
    listen(if host.is_empty() { "0.0.0.0" } else { host }, port).await
}

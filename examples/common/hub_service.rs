//! Where a hub wants a server of its own to listen, and how.

use std::env;

use axum::Router;
use http::Uri;
use tokio::net::TcpListener;

use super::{connections, exit::Failure, listen::listen, room::Limits, shutdown::Stop, tls::Tls};

/// Serves `app`, which is mounted below `base`, at `$JUPYTERHUB_SERVICE_URL` until it is stopped; by TLS, and the hub
/// and its proxy alone, if the hub gave certificates.
///
/// # Errors
///
/// If the variable is missing or no URL with a port, its address cannot be used, or the certificates are invalid.
pub(crate) async fn serve(name: &str, base: &str, app: Router, limits: Limits) -> Result<(), Failure> {
    let tls = Tls::internal()?;
    let listener = listener().await?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    anstream::println!("{name} listens on {scheme}://{}{base}", listener.local_addr()?);
    connections::serve(listener, tls, app, limits.room(1), Stop::on_signals()?).await
}

async fn listener() -> Result<TcpListener, Failure> {
    const NAME: &str = "JUPYTERHUB_SERVICE_URL";
    let url = env::var(NAME).unwrap_or_default();
    let odd = || format!("{NAME}: expected a URL with a port, as a JupyterHub sets it, found {url:?}");
    // A hub that leaves the address to the spawner names none (`http://:8888/`), which means every address.
    let uri: Uri = url.replacen("://:", "://*:", 1).parse().map_err(|_| odd())?;
    let (Some(host), Some(port)) = (uri.host(), uri.port_u16()) else {
        return Err(odd().into());
    };
    listen(host.trim_start_matches('[').trim_end_matches(']'), port).await
}

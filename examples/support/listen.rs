//! Where to listen, what to tell of it, and how to serve until the end.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use axum::{Router, extract::ConnectInfo};
use http::Extensions;
use portcullis::Peer;
use tokio::net::TcpListener;

use super::{failure::Failure, stop::Stop};

/// How long requests under way may go on once the server is to stop.
const GRACE: Duration = Duration::from_secs(3);

/// A listener at `ip`, an address or a name of this machine, and `port`; port 0 asks the system for one.
///
/// # Errors
///
/// If the address is not ours, or the port is taken or forbidden.
pub(crate) async fn listen(ip: &str, port: u16) -> Result<TcpListener, Failure> {
    TcpListener::bind((ip, port)).await.map_err(|error| {
        let cause = match error.kind() {
            io::ErrorKind::AddrInUse => "the port is in use, choose another with --port".to_owned(),
            io::ErrorKind::AddrNotAvailable => "no interface of this machine has the address".to_owned(),
            io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege".to_owned(),
            _ => error.to_string(),
        };
        format!("cannot listen on {ip} port {port}: {cause}").into()
    })
}

/// The address to write into a link for somebody at this machine: "every address" is not one to go to.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Where axum keeps the client's address: for `AuthLayerBuilder::peer`.
pub(crate) fn peer(extensions: &Extensions) -> Option<Peer> {
    let ConnectInfo(address) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(Peer::Ip(*address))
}

/// Serves `app` until `stop`, and a little longer whoever is being answered then.
///
/// # Errors
///
/// Those of `axum::serve`.
pub(crate) async fn serve(listener: TcpListener, app: Router, stop: Stop) -> Result<(), Failure> {
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, app).with_graceful_shutdown(stop.clone().requested());
    let out_of_patience = async {
        stop.requested().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        ended = server => Ok(ended?),
        () = out_of_patience => Ok(()),
    }
}

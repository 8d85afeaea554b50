//! The address to listen on, and the URL to print.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::net::TcpListener;

use super::exit::Failure;

/// A listener at `ip`, an address or a name of this machine, and `port`; port 0 asks the system for one. Nothing and `*`
/// mean every address, of IPv4 and IPv6.
///
/// # Errors
///
/// If the address is not one of this machine, or the port is taken or forbidden.
pub(crate) async fn listen(ip: &str, port: u16) -> Result<TcpListener, Failure> {
    let bound = match ip {
        "" | "*" => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
            // A machine without IPv6.
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await
            }
            bound => bound,
        },
        ip => TcpListener::bind((ip, port)).await,
    };
    bound.map_err(|error| {
        let cause = match error.kind() {
            io::ErrorKind::AddrInUse => "the port is in use, choose another with --port".to_owned(),
            io::ErrorKind::AddrNotAvailable => "no interface of this machine has the address".to_owned(),
            io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege".to_owned(),
            _ => error.to_string(),
        };
        let ip = if ip.is_empty() { "every address" } else { ip };
        format!("cannot listen on {ip} port {port}: {cause}").into()
    })
}

/// The address to write into a link for a user at this machine: "every address" is not one to go to.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

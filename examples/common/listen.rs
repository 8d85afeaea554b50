//! The address to listen on, and the URL to print.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::net::TcpListener;

use super::exit::Failure;

/// How many ports after the first one are tried.
const RETRIES: u16 = 50;

/// A listener at `ip`, an address or a name of this machine, and `port`; port 0 asks the system for one. Nothing and `*`
/// mean every address, of IPv4 and IPv6.
///
/// # Errors
///
/// If the address is not one of this machine, or the port is taken or forbidden.
pub(crate) async fn listen(ip: &str, port: u16) -> Result<TcpListener, Failure> {
    bind(ip, port).await.map_err(|error| failed(ip, port, &error))
}

/// The same at the first free port from `first` on, for a port that no one named.
///
/// # Errors
///
/// As for [`listen`], and if the next 50 ports are taken too.
pub(crate) async fn listen_from(ip: &str, first: u16) -> Result<TcpListener, Failure> {
    for port in first..first.saturating_add(RETRIES) {
        match bind(ip, port).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                tracing::info!("the port {port} is in use, trying another one");
            }
            bound => return bound.map_err(|error| failed(ip, port, &error)),
        }
    }
    listen(ip, first.saturating_add(RETRIES)).await
}

async fn bind(ip: &str, port: u16) -> io::Result<TcpListener> {
    match ip {
        "" | "*" => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
            // A machine without IPv6.
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await
            }
            bound => bound,
        },
        ip => TcpListener::bind((ip, port)).await,
    }
}

fn failed(ip: &str, port: u16, error: &io::Error) -> Failure {
    let cause = match error.kind() {
        io::ErrorKind::AddrInUse => "the port is in use, choose another with --port".to_owned(),
        io::ErrorKind::AddrNotAvailable => "no interface of this machine has the address".to_owned(),
        io::ErrorKind::PermissionDenied => "ports below 1024 need a privilege".to_owned(),
        _ => error.to_string(),
    };
    let ip = if ip.is_empty() { "every address" } else { ip };
    format!("cannot listen on {ip} port {port}: {cause}").into()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_busy_port_is_an_error_if_it_was_named_and_else_the_next_one_is_taken() {
        let busy = listen("127.0.0.1", 0).await.expect("a port");
        let port = busy.local_addr().expect("an address").port();
        let error = listen("127.0.0.1", port).await.expect_err("the port is in use");
        assert!(
            error.to_string().contains("choose another with --port"),
            "{error}"
        );
        let next = listen_from("127.0.0.1", port).await.expect("another port");
        let next = next.local_addr().expect("an address").port();
        assert!(
            next > port && next <= port.saturating_add(RETRIES),
            "{port} {next}"
        );
    }
}

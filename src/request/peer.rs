//! Who is at the other end of the connection.

use std::net::{IpAddr, SocketAddr};

/// The other end of the connection a request came by.
///
/// Put it into the request's extensions, or name a place where it is found by
/// `AuthLayerBuilder::peer_extractor`. Without it no proxy is trusted, and nothing is counted by client address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Peer {
    /// A TCP (or QUIC) peer.
    Ip(SocketAddr),
    /// A process on this machine, by a Unix socket.
    Unix,
}

impl Peer {
    /// The peer's address; an IPv4-mapped IPv6 address as the IPv4 address.
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(address.ip().to_canonical()),
            Self::Unix => None,
        }
    }
}

/// How the client reached the outermost server, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the two schemes of RFC 9110, and not knowing"
)]
pub enum Scheme {
    /// Plain.
    Http,
    /// By TLS.
    Https,
    /// Not known: HTTP/1 over the server's own TLS does not show it.
    Unknown,
}

//! Proxies whose word about the client is taken.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::{
    error::ConfigError,
    request::{head::RequestHead, header_names, peer::Peer},
};

/// Proxies whose `X-Forwarded-Host`, `X-Forwarded-Proto` and `X-Forwarded-For` are trusted.
///
/// The default is none: then these headers are not even read. `Forwarded`, `X-Forwarded-Uri`,
/// `X-Original-URL` and the like are never looked at.
///
/// # Security
///
/// A listed proxy must set or remove these headers itself: what it passes on from its client is trusted.
///
/// # Example
///
/// ```
/// use portcullis::request_policy::TrustedProxies;
///
/// # fn main() -> Result<(), portcullis::ConfigError> {
/// let proxies = TrustedProxies::parse("10.0.0.1, 10.1.0.0/16, ::1, unix")?;
/// assert!(TrustedProxies::parse("proxy.example.org").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    unix: bool,
}

impl TrustedProxies {
    /// No proxies: the default.
    pub const fn none() -> Self {
        Self {
            networks: Vec::new(),
            unix: false,
        }
    }

    /// Addresses, networks (`10.1.0.0/16`) and the word `unix` (all peers that connect by a Unix socket), separated
    /// by commas or spaces.
    ///
    /// # Errors
    ///
    /// If the list is empty; an entry is none of these; a network has host bits set; a network contains all addresses
    /// (`/0`); an IPv4 network is written as IPv4-mapped IPv6.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut proxies = Self::none();
        let separator = |character: char| character == ',' || character.is_ascii_whitespace();
        for entry in text.split(separator).filter(|entry| !entry.is_empty()) {
            if entry == "unix" {
                proxies.unix = true;
            } else {
                proxies.networks.push(network(entry)?);
            }
        }
        if proxies.is_empty() {
            return Err(ConfigError::new(
                "trusted_proxies",
                "expected at least one address, network or `unix`, found none",
            ));
        }
        Ok(proxies)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    /// Whether `peer` is one of them: for your own proxy, which keeps the headers of these and replaces
    /// those of all others.
    pub fn contains(&self, peer: Peer) -> bool {
        match peer.ip() {
            Some(ip) => self.trust_ip(ip),
            None => self.unix,
        }
    }

    fn trust_ip(&self, ip: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&ip))
    }

    /// The client behind a trusted peer: the right-most address of `X-Forwarded-For` that is no trusted proxy,
    /// the left-most if all are; `None` as soon as something is no address.
    pub(super) fn client_ip(&self, peer: Peer, head: RequestHead<'_>) -> Option<IpAddr> {
        let mut client = peer.ip();
        for value in head
            .headers()
            .get_all(&header_names::X_FORWARDED_FOR)
            .iter()
            .rev()
        {
            for entry in value.to_str().ok()?.rsplit(',') {
                let ip = forwarded_ip(entry.trim_matches([' ', '\t']))?;
                client = Some(ip);
                if !self.trust_ip(ip) {
                    return client;
                }
            }
        }
        client
    }
}

fn network(entry: &str) -> Result<IpNet, ConfigError> {
    let wrong =
        |expected: &str| ConfigError::new("trusted_proxies", format!("expected {expected}, found {entry:?}"));
    if let Ok(ip) = entry.parse::<IpAddr>() {
        return Ok(ip.to_canonical().into());
    }
    let network =
        parse_strict(entry).ok_or_else(|| wrong("an address, a network such as 10.1.0.0/16, or `unix`"))?;
    if network.prefix_len() == 0 {
        return Err(wrong("a network that does not contain all addresses"));
    }
    if network.addr() != network.network() {
        return Err(wrong(&format!("{} or one address", network.trunc())));
    }
    if let IpAddr::V6(ip) = network.addr()
        && ip.to_ipv4_mapped().is_some()
    {
        return Err(wrong("an IPv4 network written as one"));
    }
    Ok(network)
}

/// An address as proxies write it: bare, or with a port, an IPv6 address then in brackets.
/// The network that `entry` is, numbers without leading zeros: elsewhere `010` is eight.
fn parse_strict(entry: &str) -> Option<IpNet> {
    let (address, prefix) = entry.split_once('/')?;
    let plain =
        prefix.bytes().all(|byte| byte.is_ascii_digit()) && (prefix == "0" || !prefix.starts_with('0'));
    let prefix = prefix.parse().ok().filter(|_| plain)?;
    IpNet::new(address.parse().ok()?, prefix).ok()
}

fn forwarded_ip(entry: &str) -> Option<IpAddr> {
    let ip = match entry.parse::<IpAddr>() {
        Ok(ip) => ip,
        Err(_) => super::authority::Authority::parse(entry.as_bytes())?.ip()?,
    };
    Some(ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn peer(ip: &str) -> Peer {
        Peer::Ip(SocketAddr::new(ip.parse().expect("an address"), 1))
    }

    #[test]
    fn only_what_is_listed_is_trusted() {
        let proxies = TrustedProxies::parse("10.0.0.1, 10.1.0.0/16 ::1").expect("well-formed");
        for (ip, expected) in [
            ("10.0.0.1", true),
            ("::ffff:10.0.0.1", true),
            ("10.1.255.255", true),
            ("::1", true),
            ("10.0.0.10", false),
            ("10.2.0.1", false),
            ("::ffff:10.0.0.2", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(proxies.contains(peer(ip)), expected, "{ip}");
        }
        assert!(!proxies.contains(Peer::Unix));
        assert!(
            TrustedProxies::parse("unix")
                .expect("a word")
                .contains(Peer::Unix)
        );
        assert!(!TrustedProxies::none().contains(peer("127.0.0.1")));
    }

    #[test]
    fn a_list_with_a_mistake_is_refused() {
        for text in [
            "",
            " , ",
            "proxy",
            "010.0.0.0/8",
            "10.0.0.0/08",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "10.0.0.1/33",
            "10.0.0",
            "0.0.0.0/0",
            "::/0",
            "10.1.0.5/16",
            "::ffff:10.0.0.0/104",
            "10.0.0.1 Unix",
            "10.0.0.1:80",
        ] {
            let error = TrustedProxies::parse(text).expect_err(text);
            assert_eq!(error.setting(), "trusted_proxies", "{text:?}");
        }
    }

    #[test]
    fn the_client_is_the_right_most_address_that_is_no_proxy() {
        let proxies = TrustedProxies::parse("10.0.0.0/8").expect("well-formed");
        for (fields, expected) in [
            (&[][..], Some("10.0.0.1")),
            (&["198.51.100.7"], Some("198.51.100.7")),
            (&["127.0.0.1, 198.51.100.7"], Some("198.51.100.7")),
            (&["198.51.100.7, 10.0.0.2"], Some("198.51.100.7")),
            (&["127.0.0.1", "198.51.100.7"], Some("198.51.100.7")),
            (&["198.51.100.7", "10.0.0.2"], Some("198.51.100.7")),
            (&["10.0.0.3, 10.0.0.2"], Some("10.0.0.3")),
            (&["198.51.100.7:4711"], Some("198.51.100.7")),
            (&["[2001:db8::1]:4711"], Some("2001:db8::1")),
            (&["2001:db8::1"], Some("2001:db8::1")),
            (&["::ffff:198.51.100.7"], Some("198.51.100.7")),
            (&["198.51.100.7, unknown"], None),
            (&["198.51.100.7,"], None),
            (&["127.1"], None),
        ] {
            let mut request = http::Request::builder();
            for field in fields {
                request = request.header("x-forwarded-for", *field);
            }
            let request = request.body(()).expect("well-formed");
            let client = proxies.client_ip(peer("10.0.0.1"), RequestHead::new(&request));
            assert_eq!(
                client,
                expected.map(|ip| ip.parse().expect("an address")),
                "{fields:?}"
            );
        }
    }
}

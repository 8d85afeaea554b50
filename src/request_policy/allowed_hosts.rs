//! The hosts this server answers for.

use std::net::IpAddr;

use super::authority::Authority;
use crate::{error::ConfigError, request::peer::Scheme};

/// The hosts a server answers for: the guard against DNS rebinding.
///
/// A page that lets its own name point to `127.0.0.1` is same-origin with a server there for a browser; only the `Host`
/// that it sends shows the difference. So:
///
/// 1. The whole host must be on the list: no pattern, no suffix. Case does not matter, a trailing dot does.
/// 2. An entry with a port binds it, `name:*` takes any. Without a port it stands for the default port: no
///    port at all, or 80 or 443 as the scheme has it (either, if the scheme is not known). An entry with the
///    scheme's default port takes a `Host` without a port.
/// 3. Only dotted-quad and bracketed literals are addresses. `127.1`, `0x7f.0.0.1` or `2130706433` are names,
///    and on no list.
/// 4. A list is what it says: loopback hosts are not implied; `AllowedHosts::loopback().union(…)` has both.
///
/// Source: RFC 9110 §7.2, RFC 9112 §3.2.
///
/// # Example
///
/// ```
/// use portcullis::{request_policy::{RequestPolicy, AllowedHosts}, RequestHead};
///
/// # fn main() -> Result<(), portcullis::ConfigError> {
/// let hosts = AllowedHosts::loopback().union(AllowedHosts::from_list(["hub.example.org", "lab.internal:8443"])?);
/// let guards = RequestPolicy::new().with_allowed_hosts(hosts);
/// for (host, passes) in [
///     ("localhost:8888", true),
///     ("HUB.example.org", true),
///     ("lab.internal", false),
///     ("evil.example", false),
/// ] {
///     let request = http::Request::builder().header("host", host).body(()).unwrap();
///     assert_eq!(guards.check_target(RequestHead::new(&request)).is_ok(), passes, "{host}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct AllowedHosts {
    listed: Vec<HostPattern>,
    loopback: bool,
    any_ip: bool,
}

impl AllowedHosts {
    /// `localhost` and every loopback literal (127.0.0.0/8, `[::1]`), with any port.
    ///
    /// Any port, because a forwarded port has another number at the browser's end.
    pub const fn loopback() -> Self {
        Self {
            listed: Vec::new(),
            loopback: true,
            any_ip: false,
        }
    }

    /// [`AllowedHosts::loopback`] and every other address literal, with any port.
    ///
    /// A literal cannot be rebound: it needs no DNS lookup.
    pub const fn any_ip() -> Self {
        Self {
            listed: Vec::new(),
            loopback: true,
            any_ip: true,
        }
    }

    /// The hosts of a list, such as `["hub.example.org", "lab.internal:8443", "[2001:db8::1]:*"]`.
    ///
    /// # Errors
    ///
    /// An empty list; an entry with a scheme, a path, a trailing dot, a pattern or a port that is none; a name
    /// that ends in a number and is no address.
    pub fn from_list<T: AsRef<str>>(entries: impl IntoIterator<Item = T>) -> Result<Self, ConfigError> {
        let listed = entries
            .into_iter()
            .map(|entry| HostPattern::parse(entry.as_ref()))
            .collect::<Result<Vec<_>, _>>()?;
        if listed.is_empty() {
            return Err(ConfigError::new(
                "allowed_hosts",
                "expected at least one host, found none",
            ));
        }
        Ok(Self {
            listed,
            loopback: false,
            any_ip: false,
        })
    }

    /// The hosts of both.
    #[must_use]
    pub fn union(mut self, other: Self) -> Self {
        self.listed.extend(other.listed);
        self.loopback |= other.loopback;
        self.any_ip |= other.any_ip;
        self
    }

    /// Whether a server reached by `scheme` answers for `host`.
    pub(super) fn allows(&self, host: Authority<'_>, scheme: Scheme) -> bool {
        if self.loopback && host.is_host("localhost") {
            return true;
        }
        let ip = host.ip();
        // Not `to_canonical`: a mapped literal is no loopback address to a browser's rules.
        (self.loopback && ip.is_some_and(|ip| ip.is_loopback()))
            || (self.any_ip && ip.is_some())
            || self.listed.iter().any(|entry| entry.takes(host, ip, scheme))
    }
}

impl Default for AllowedHosts {
    /// [`AllowedHosts::loopback`].
    fn default() -> Self {
        Self::loopback()
    }
}

#[derive(Clone, Debug)]
struct HostPattern {
    /// In lower case, an IPv6 literal in brackets.
    name: Box<str>,
    ip: Option<IpAddr>,
    port: PortPattern,
}

#[derive(Clone, Copy, Debug)]
enum PortPattern {
    Any,
    Default,
    Exactly(u16),
}

impl HostPattern {
    fn parse(text: &str) -> Result<Self, ConfigError> {
        let wrong = |expected: &str| {
            ConfigError::new("allowed_hosts", format!("expected {expected}, found {text:?}"))
        };
        let (name, any) = match text.strip_suffix(":*") {
            Some(name) => (name, true),
            None => (text, false),
        };
        let lower = name.to_ascii_lowercase();
        let authority = Authority::parse(lower.as_bytes())
            .ok_or_else(|| wrong("a name, an IPv4 address or an [IPv6 address], and perhaps a port"))?;
        let port = match authority.port() {
            Some(_) if any => return Err(wrong("one port, or `*` for any")),
            Some(port) => PortPattern::Exactly(port),
            None if any => PortPattern::Any,
            None => PortPattern::Default,
        };
        let ip = authority.ip();
        if authority.host().ends_with('.') {
            return Err(wrong("no trailing dot"));
        }
        if authority.is_odd_number() {
            return Err(wrong("a name, or an IPv4 address as four decimal numbers"));
        }
        Ok(Self {
            name: authority.host().into(),
            ip,
            port,
        })
    }

    fn takes(&self, authority: Authority<'_>, ip: Option<IpAddr>, scheme: Scheme) -> bool {
        let same = match self.ip {
            Some(own) => ip == Some(own),
            None => authority.is_host(&self.name),
        };
        same && self.port.takes(authority.port(), scheme)
    }
}

impl PortPattern {
    fn takes(self, port: Option<u16>, scheme: Scheme) -> bool {
        match (self, port) {
            (Self::Any, _) | (Self::Default, None) => true,
            (Self::Default, Some(port)) | (Self::Exactly(port), None) => is_default(port, scheme),
            (Self::Exactly(own), Some(port)) => own == port,
        }
    }
}

fn is_default(port: u16, scheme: Scheme) -> bool {
    match scheme {
        Scheme::Http => port == 80,
        Scheme::Https => port == 443,
        Scheme::Unknown => port == 80 || port == 443,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(hosts: &AllowedHosts, scheme: Scheme, rows: &[(&str, bool)]) {
        for (host, expected) in rows {
            assert_eq!(
                Authority::parse(host.as_bytes()).is_some_and(|host| hosts.allows(host, scheme)),
                *expected,
                "{host:?} by {scheme:?}"
            );
        }
    }

    #[test]
    fn loopback_takes_localhost_and_loopback_literals_only() {
        let rows = [
            ("localhost", true),
            ("localhost:1", true),
            ("LOCALHOST:8888", true),
            ("127.0.0.1:8888", true),
            ("127.255.255.254", true),
            ("[::1]:8888", true),
            ("[0:0:0:0:0:0:0:1]", true),
            ("localhost.", false),
            ("localhost.evil.example", false),
            ("localhost:99999", false),
            ("localhost:08888", false),
            ("localhost8888", false),
            ("127.0.0.1.evil.example", false),
            ("127.0.0.10.", false),
            ("127.1", false),
            ("0x7f.0.0.1", false),
            ("2130706433", false),
            ("0.0.0.0", false),
            ("[::]", false),
            ("[::ffff:127.0.0.1]", false),
            ("10.0.0.1", false),
            ("foo.localhost", false),
            ("", false),
        ];
        check(&AllowedHosts::loopback(), Scheme::Unknown, &rows);
    }

    #[test]
    fn any_ip_takes_every_literal_and_no_name() {
        let rows = [
            ("10.0.0.1:8888", true),
            ("[2001:db8::1]", true),
            ("localhost", true),
            ("10.0.1", false),
            ("10.0.0.1.nip.io", false),
            ("hub.example.org", false),
        ];
        check(&AllowedHosts::any_ip(), Scheme::Unknown, &rows);
    }

    #[test]
    fn a_list_binds_names_and_ports() {
        let entries = [
            "Hub.example.org",
            "lab.internal:8443",
            "any.internal:*",
            "[2001:db8::1]:443",
        ];
        let hosts = AllowedHosts::from_list(entries).expect("well-formed");
        let rows = [
            ("hub.example.org", true),
            ("HUB.EXAMPLE.ORG:443", true),
            ("hub.example.org:80", false),
            ("hub.example.org:8080", false),
            ("hub.example.org.", false),
            ("xhub.example.org", false),
            ("hub.example.org.evil.example", false),
            ("lab.internal:8443", true),
            ("lab.internal", false),
            ("any.internal", true),
            ("any.internal:1", true),
            ("[2001:DB8::1]", true),
            ("[2001:db8:0::1]:443", true),
            ("[2001:db8::1]:80", false),
            ("localhost", false),
            ("127.0.0.1", false),
        ];
        check(&hosts, Scheme::Https, &rows);
        check(
            &hosts,
            Scheme::Unknown,
            &[("hub.example.org:80", true), ("hub.example.org:443", true)],
        );
        check(
            &hosts,
            Scheme::Http,
            &[("hub.example.org:443", false), ("[2001:db8::1]", false)],
        );
        let both = AllowedHosts::loopback().union(hosts);
        check(
            &both,
            Scheme::Https,
            &[
                ("localhost:1", true),
                ("hub.example.org", true),
                ("evil.example", false),
            ],
        );
    }

    #[test]
    fn an_entry_that_no_host_could_equal_is_refused_when_configuring() {
        for entry in [
            "",
            "*",
            "*:*",
            "*.example.org",
            "https://hub.example.org",
            "hub.example.org/",
            "hub.example.org.",
            "hub.example.org:80:*",
            "hub.example.org:x",
            "::1",
            "127.1",
            "0x7f.0x1",
            "a b",
            "user@hub",
        ] {
            let error = AllowedHosts::from_list([entry]).expect_err(entry);
            assert_eq!(error.setting(), "allowed_hosts", "{entry:?}");
            assert!(error.to_string().contains(&format!("{entry:?}")), "{error}");
        }
        assert!(AllowedHosts::from_list(Vec::<String>::new()).is_err());
    }
}

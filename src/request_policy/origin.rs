//! Origins: who a page belongs to.

use std::{fmt, str::FromStr};

use super::authority::Authority;
use crate::{error::ConfigError, request::peer::Scheme};

/// An origin: scheme, host and port, such as `https://app.example.org`.
///
/// Compared as the three parts, letters in lower case and a default port dropped; never by prefix, suffix or
/// pattern. Source: RFC 6454 §4 to §6.
///
/// # Example
///
/// ```
/// use portcullis::request_policy::Origin;
///
/// # fn main() -> Result<(), portcullis::ConfigError> {
/// let origin: Origin = "HTTPS://App.example.org:443".parse()?;
/// assert_eq!(origin.to_string(), "https://app.example.org");
/// assert!("https://app.example.org/path".parse::<Origin>().is_err());
/// assert!("*".parse::<Origin>().is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: Box<str>,
    host: Box<str>,
    /// `None` for the scheme's default.
    port: Option<u16>,
}

impl Origin {
    /// The scheme, as far as it is one of HTTP's.
    pub fn scheme(&self) -> Scheme {
        match &*self.scheme {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => Scheme::Unknown,
        }
    }

    /// The host, an IPv6 literal with its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, unless it is the scheme's default.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    pub(super) fn matches(&self, other: SentOrigin<'_>) -> bool {
        other.scheme.eq_ignore_ascii_case(&self.scheme)
            && other.authority.is_host(&self.host)
            && other.port() == self.port.or_else(|| default_port(&self.scheme))
    }
}

impl FromStr for Origin {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let lower = text.to_ascii_lowercase();
        let origin = SentOrigin::parse(lower.as_bytes()).ok_or_else(|| {
            ConfigError::new(
                "allowed_origins",
                format!("expected scheme://host or scheme://host:port and nothing after it, found {text:?}"),
            )
        })?;
        if default_port(origin.scheme).is_some() && origin.authority.is_odd_number() {
            return Err(ConfigError::new(
                "allowed_origins",
                format!("expected a name, or an IPv4 address as four decimal numbers, found {text:?}"),
            ));
        }
        let host = match origin.authority.ip() {
            Some(std::net::IpAddr::V6(ip)) => format!("[{ip}]"),
            _ => origin.authority.host().to_owned(),
        };
        let port = origin.authority.port();
        Ok(Self {
            scheme: origin.scheme.into(),
            host: host.into(),
            port: port.filter(|port| default_port(origin.scheme) != Some(*port)),
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// Foreign origins whose pages may act here with the user's cookie.
///
/// Each is trusted like the server's own pages, except that `_xsrf` is still required. Exact origins only: there are
/// no patterns and no `*`.
///
/// # Example
///
/// ```
/// use portcullis::request_policy::AllowedOrigins;
///
/// # fn main() -> Result<(), portcullis::ConfigError> {
/// let origins = AllowedOrigins::parse(["https://app.example.org", "https://lab.example.org:8443"])?;
/// assert!(AllowedOrigins::parse(["*"]).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct AllowedOrigins(Vec<Origin>);

impl AllowedOrigins {
    /// No foreign origin: the default.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// The origins of a list.
    ///
    /// # Errors
    ///
    /// An entry that is not `scheme://host` or `scheme://host:port`: a path, `*`, a pattern, `null`.
    pub fn parse<T: AsRef<str>>(entries: impl IntoIterator<Item = T>) -> Result<Self, ConfigError> {
        entries
            .into_iter()
            .map(|entry| entry.as_ref().parse())
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn contains(&self, origin: SentOrigin<'_>) -> bool {
        self.0.iter().any(|listed| listed.matches(origin))
    }
}

/// An origin as a request sent it, borrowed and well-formed.
#[derive(Clone, Copy, Debug)]
pub(super) struct SentOrigin<'a> {
    scheme: &'a str,
    authority: Authority<'a>,
}

impl<'a> SentOrigin<'a> {
    /// The value of an `Origin` field: `scheme://host[:port]` and nothing after it.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (scheme, rest) = text.split_once(':')?;
        let authority = rest.strip_prefix("//")?;
        let mut letters = scheme.bytes();
        let well_formed = letters.next().is_some_and(|first| first.is_ascii_alphabetic())
            && letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        let authority = Authority::parse(authority.as_bytes())?;
        well_formed.then_some(Self { scheme, authority })
    }

    /// The origin of a `Referer`: the part before its path.
    pub(super) fn from_referer(bytes: &'a [u8]) -> Option<Self> {
        let start = memchr::memchr(b':', bytes)?.checked_add(1)?;
        let rest = bytes.get(start..)?.strip_prefix(b"//")?;
        let start = start + 2;
        let end = memchr::memchr3(b'/', b'?', b'#', rest).unwrap_or(rest.len());
        Self::parse(bytes.get(..start.checked_add(end)?)?)
    }

    /// Whether the page came from where this request went: `host` by `scheme`.
    ///
    /// While the scheme is not known, host and port alone decide, and the host's missing port is taken for
    /// the default of the page's own scheme: HTTP/1 over the server's own TLS does not show the scheme, and denying every
    /// POST there has no use.
    pub(super) fn matches_target(self, host: Authority<'_>, scheme: Scheme) -> bool {
        let http = self.scheme.eq_ignore_ascii_case("http");
        let https = self.scheme.eq_ignore_ascii_case("https");
        let same_scheme = match scheme {
            Scheme::Http => http,
            Scheme::Https => https,
            Scheme::Unknown => http || https,
        };
        same_scheme
            && self.authority.is_host(host.host())
            && self.port() == host.port().or_else(|| default_port(self.scheme))
    }

    fn port(self) -> Option<u16> {
        self.authority.port().or_else(|| default_port(self.scheme))
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    if scheme.eq_ignore_ascii_case("https") {
        Some(443)
    } else if scheme.eq_ignore_ascii_case("http") {
        Some(80)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_equal_in_all_three_parts_or_not_at_all() {
        let own: Origin = "https://hub.example.org".parse().expect("well-formed");
        for (sent, expected) in [
            ("https://hub.example.org", true),
            ("HTTPS://HUB.example.org:443", true),
            ("http://hub.example.org", false),
            ("http://hub.example.org:443", false),
            ("https://hub.example.org:8443", false),
            ("https://hub.example.org.", false),
            ("https://hub.example.org.evil.example", false),
            ("https://evilhub.example.org", false),
            ("wss://hub.example.org", false),
        ] {
            let sent = SentOrigin::parse(sent.as_bytes()).expect(sent);
            assert_eq!(own.matches(sent), expected, "{sent:?}");
        }
    }

    #[test]
    fn what_is_not_a_serialised_origin_is_not_read() {
        for text in [
            "",
            " ",
            "null",
            "*",
            "hub.example.org",
            "//hub.example.org",
            "https://",
            "https:///hub",
            "https://h/",
            "https://h/hub",
            "https://u@h",
            "https://h:x",
            "https://h:443:1",
            "https://h h",
            "https://a,https://b",
            "https://h;x",
            "https://h\\@evil",
            "https://h%2f.evil",
            "://h",
            "1x://h",
            "file://",
            "http://[bad",
        ] {
            assert!(SentOrigin::parse(text.as_bytes()).is_none(), "{text:?}");
            assert!(text.parse::<Origin>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_address_is_configured_as_a_browser_sends_it() {
        for (text, good) in [
            ("http://127.0.0.1:8888", true),
            ("http://[::1]", true),
            ("http://1password.example", true),
            ("chrome-extension://0123456789", true),
            ("http://127.1", false),
            ("http://1", false),
            ("http://0x7f.1", false),
            ("https://a.0X1", false),
            ("https://1.2.3.4.", false),
        ] {
            assert_eq!(text.parse::<Origin>().is_ok(), good, "{text:?}");
        }
    }

    #[test]
    fn a_referer_ends_at_its_path() {
        let own: Origin = "https://hub.example.org".parse().expect("well-formed");
        for (referer, expected) in [
            ("https://hub.example.org", true),
            ("https://hub.example.org/hub?x#y", true),
            ("https://hub.example.org?x", true),
            ("https://hub.example.org\\@evil.example/", false),
            ("https://hub.example.org@evil.example/", false),
            ("https://evil.example/https://hub.example.org/", false),
            ("https://evil.example/hub.example.org", false),
            ("//hub.example.org/", false),
            ("", false),
        ] {
            let is_own = SentOrigin::from_referer(referer.as_bytes()).is_some_and(|sent| own.matches(sent));
            assert_eq!(is_own, expected, "{referer:?}");
        }
    }

    #[test]
    fn without_a_known_scheme_host_and_port_decide() {
        for (origin, host, scheme, expected) in [
            ("https://h", "h", Scheme::Unknown, true),
            ("http://h", "h", Scheme::Unknown, true),
            ("http://h", "h:80", Scheme::Unknown, true),
            ("https://h", "h:80", Scheme::Unknown, false),
            ("http://h:8888", "H:8888", Scheme::Unknown, true),
            ("http://h:8889", "h:8888", Scheme::Unknown, false),
            ("ws://h:8888", "h:8888", Scheme::Unknown, false),
            ("https://h", "h", Scheme::Http, false),
            ("http://h", "h", Scheme::Https, false),
            ("https://h", "h:443", Scheme::Https, true),
            ("http://h", "h:80", Scheme::Http, true),
        ] {
            let sent = SentOrigin::parse(origin.as_bytes()).expect(origin);
            let host_read = Authority::parse(host.as_bytes()).expect(host);
            assert_eq!(
                sent.matches_target(host_read, scheme),
                expected,
                "{origin} to {host} by {scheme:?}"
            );
        }
    }
}

//! Host and port, as `Host`, `Origin` and `Referer` write them.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// A host and perhaps a port, well-formed: `name`, `1.2.3.4` or `[::1]`, then nothing or `:` and a port.
///
/// Narrower than RFC 3986 §3.2: no userinfo, no escapes, no zone, no future literal, no empty port, and no
/// port with leading zeros. No browser sends any of them, and each is a way to be read differently elsewhere.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    text: &'a [u8],
    host: &'a [u8],
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let end = match bytes.strip_prefix(b"[") {
            Some(rest) => {
                let literal = rest.split(|byte| *byte == b']').next()?;
                as_text(literal).parse::<Ipv6Addr>().ok()?;
                literal.len() + 2
            }
            None => bytes
                .iter()
                .take_while(|byte| IN_NAME[usize::from(**byte)])
                .count(),
        };
        let (host, rest) = bytes.split_at_checked(end)?;
        if host.is_empty() || host.len() > 255 {
            return None;
        }
        let port = match rest {
            [] => None,
            [b':', digits @ ..] => Some(port(digits)?),
            _ => return None,
        };
        Some(Self {
            text: bytes,
            host,
            port,
        })
    }

    pub(super) fn as_str(self) -> &'a str {
        as_text(self.text)
    }

    /// The host, an IPv6 literal with its brackets.
    pub(super) fn host(self) -> &'a str {
        as_text(self.host)
    }

    /// Whether the host is `name`, ignoring case.
    pub(super) fn is_host(self, name: &str) -> bool {
        self.host == name.as_bytes() || self.host.eq_ignore_ascii_case(name.as_bytes())
    }

    pub(super) fn port(self) -> Option<u16> {
        self.port
    }

    /// Whether a browser takes the host for an IPv4 address and sends it as four decimal numbers, though it is
    /// written otherwise: its last label is a number (WHATWG URL Standard, "ends in a number").
    pub(super) fn is_odd_number(self) -> bool {
        let host = self.host();
        let name = host.strip_suffix('.').unwrap_or(host);
        let last = name.rsplit('.').next().unwrap_or_default();
        let number = last.bytes().all(|byte| byte.is_ascii_digit());
        let hexadecimal = last
            .get(..2)
            .is_some_and(|start| start.eq_ignore_ascii_case("0x"));
        self.ip().is_none() && !last.is_empty() && (number || hexadecimal)
    }

    /// The address, where the host is a literal in its one usual spelling.
    pub(super) fn ip(self) -> Option<IpAddr> {
        let host = self.host();
        match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(literal) => literal.parse().ok().map(IpAddr::V6),
            None => host.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        }
    }
}

impl fmt::Debug for Authority<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authority").field(&self.as_str()).finish()
    }
}

/// Which bytes may appear in a name or an IPv4 address. A table, because the host of every request is checked.
static IN_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = matches!(byte as u8, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_');
        byte += 1;
    }
    table
};

/// Bytes of a well-formed authority as text. Created only when it is needed, because to check text costs more than
/// parsing the host of a usual request.
fn as_text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

fn port(digits: &[u8]) -> Option<u16> {
    if digits.is_empty() || digits.len() > 5 || (digits.len() > 1 && digits.first() == Some(&b'0')) {
        return None;
    }
    let mut port = 0_u32;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        port = port * 10 + u32::from(digit - b'0');
    }
    u16::try_from(port).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_have_one_spelling() {
        for (text, expected) in [
            ("localhost", Some(("localhost", None))),
            ("Localhost:8888", Some(("Localhost", Some(8888)))),
            ("a-b.c_d:0", Some(("a-b.c_d", Some(0)))),
            ("hub.example.org:65535", Some(("hub.example.org", Some(65535)))),
            ("127.0.0.1:80", Some(("127.0.0.1", Some(80)))),
            ("[::1]", Some(("[::1]", None))),
            ("[2001:db8::1]:443", Some(("[2001:db8::1]", Some(443)))),
            ("", None),
            (":80", None),
            ("h:", None),
            ("h:080", None),
            ("h:65536", None),
            ("h:100000", None),
            ("h:+1", None),
            ("h:-1", None),
            ("h:80:80", None),
            ("h::80", None),
            ("::1", None),
            ("[::1", None),
            ("[::1]x", None),
            ("[::1]:", None),
            ("[localhost]", None),
            ("[127.0.0.1]", None),
            ("[fe80::1%lo0]", None),
            ("user@h", None),
            ("h/x", None),
            ("h#x", None),
            ("a, b", None),
            (" h", None),
            ("%2F", None),
            ("m\u{fc}nchen.de", None),
        ] {
            let found = Authority::parse(text.as_bytes()).map(|found| (found.host(), found.port()));
            assert_eq!(found, expected, "{text:?}");
        }
        assert_eq!(Authority::parse(b"\xff"), None);
        let long = "a".repeat(256);
        assert_eq!(Authority::parse(long.as_bytes()), None);
    }

    #[test]
    fn odd_numeric_forms_are_names() {
        for (text, expected) in [
            ("127.0.0.1", true),
            ("[::1]:80", true),
            ("127.1", false),
            ("0177.0.0.1", false),
            ("0x7f.0.0.1", false),
            ("2130706433", false),
            ("127.0.0.1.", false),
        ] {
            let authority = Authority::parse(text.as_bytes()).expect("well-formed");
            assert_eq!(authority.ip().is_some(), expected, "{text:?}");
        }
    }
}

//! The absolute URIs that clients are redirected to and request tokens for.

/// An `http` or `https` URI, in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientUri<'a> {
    scheme: &'a str,
    host: &'a str,
}

impl<'a> ClientUri<'a> {
    /// The parts of an absolute URI that is sound as a redirect URI: short, without fragment and user.
    pub(crate) fn parse(uri: &'a str) -> Option<Self> {
        let (scheme, rest) = uri.split_once("://").filter(|_| is_redirect_uri(uri))?;
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let colon = authority
            .rfind(':')
            .filter(|colon| !authority[*colon..].contains(']'));
        let (host, port) = authority.split_at(colon.unwrap_or(authority.len()));
        let is_number = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        let sound = port
            .strip_prefix(':')
            .is_none_or(|port| is_number(port) && port.parse::<u16>().is_ok_and(|port| port > 0));
        (matches!(scheme, "http" | "https") && !host.is_empty() && sound).then_some(Self { scheme, host })
    }

    /// Whether it leads to a program on the user's own machine.
    pub(crate) fn is_loopback(self) -> bool {
        self.scheme == "http" && matches!(self.host, "127.0.0.1" | "[::1]" | "localhost")
    }

    /// Whether nobody on the network can read what is sent there.
    pub(crate) fn is_private(self) -> bool {
        self.scheme == "https" || self.is_loopback()
    }
}

/// The scheme and authority of an absolute redirect URI.
pub(crate) fn origin(redirect_uri: &str) -> Option<&str> {
    let (scheme, rest) = redirect_uri.split_once("://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    redirect_uri.get(..scheme.len() + 3 + end)
}

/// Whether a redirect URI can be registered: an absolute path, or an http or https URL, without fragment.
pub(super) fn is_redirect_uri(uri: &str) -> bool {
    let authority = ["http://", "https://"]
        .iter()
        .find_map(|scheme| uri.strip_prefix(scheme));
    let sound = match authority {
        // A comma or a space would end it where the policy of the hub's pages names it.
        Some(rest) => rest.split(['/', '?']).next().is_some_and(|authority| {
            !authority.is_empty()
                && authority
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte))
        }),
        None => uri.starts_with('/') && !uri.starts_with("//"),
    };
    sound
        && uri.len() <= 1023
        && uri
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"#\\\"<>".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_the_scheme_and_the_authority() {
        assert_eq!(origin("https://[::1]:9/cb"), Some("https://[::1]:9"));
        assert_eq!(origin("/cb"), None);
    }
}

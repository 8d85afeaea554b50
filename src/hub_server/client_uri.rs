//! The absolute URIs that clients are redirected to and request tokens for.

/// An `http` or `https` URI, in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientUri<'a> {
    scheme: &'a str,
    host: &'a str,
    /// With its colon.
    port: &'a str,
    path: &'a str,
}

impl<'a> ClientUri<'a> {
    /// The parts of an absolute URI that is sound as a redirect URI: short, without fragment and user.
    pub(crate) fn parse(uri: &'a str) -> Option<Self> {
        let (scheme, rest) = uri.split_once("://").filter(|_| is_redirect_uri(uri))?;
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let colon = authority
            .rfind(':')
            .filter(|colon| !authority[*colon..].contains(']'));
        let (host, port) = authority.split_at(colon.unwrap_or(authority.len()));
        let is_number = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        let sound = port
            .strip_prefix(':')
            .is_none_or(|port| is_number(port) && port.parse::<u16>().is_ok_and(|port| port > 0));
        (matches!(scheme, "http" | "https") && !host.is_empty() && sound).then_some(Self {
            scheme,
            host,
            port,
            path,
        })
    }

    /// What a page lists whose form leads there, as far as browsers understand it. A website may redirect once more.
    fn form_target(self) -> String {
        match (self.scheme, self.host) {
            ("https", _) => "https:".to_owned(),
            ("http", "[::1]") => "http:".to_owned(),
            (scheme, host) => format!("{scheme}://{host}{}", self.port),
        }
    }

    /// Whether it leads to a program on the user's own machine.
    pub(crate) fn is_loopback(self) -> bool {
        self.scheme == "http" && matches!(self.host, "127.0.0.1" | "[::1]" | "localhost")
    }

    /// Whether what is sent there is encrypted, or does not leave the machine.
    pub(crate) fn is_private(self) -> bool {
        self.scheme == "https" || self.is_loopback()
    }

    /// Whether `self` is registered and `sent` may be used: the same but for the port, on the user's own machine. A
    /// program there listens on a port that is free at the time (RFC 8252 section 7.3).
    pub(crate) fn allows(self, sent: Self) -> bool {
        self.is_loopback() && Self { port: "", ..self } == Self { port: "", ..sent }
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
    sound && is_plain(uri)
}

fn is_plain(uri: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"#\\\"<>".contains(&byte);
    uri.len() <= 1023 && uri.bytes().all(plain)
}

/// Schemes that no program of the user claims for itself: what is sent there is readable by others, or is run by the browser.
const OTHER_SCHEMES: [&str; 20] = [
    "about",
    "blob",
    "chrome",
    "data",
    "file",
    "filesystem",
    "ftp",
    "http",
    "https",
    "intent",
    "javascript",
    "mailto",
    "resource",
    "sms",
    "tel",
    "urn",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];

/// The scheme of a redirect URI that leads to a program on the user's machine, such as `cursor` in `cursor://mcp/callback`
/// (RFC 8252 section 7.1).
pub(crate) fn program_scheme(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once(':').filter(|_| is_plain(uri))?;
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    let sound = scheme.starts_with(|first: char| first.is_ascii_lowercase()) && scheme.bytes().all(allowed);
    let leads_somewhere = rest.starts_with('/') && !rest.bytes().all(|byte| byte == b'/');
    (sound && leads_somewhere && !OTHER_SCHEMES.contains(&scheme)).then_some(scheme)
}

/// Whether a public client may have this redirect URI: what is sent there is encrypted, or does not leave the machine.
pub(crate) fn is_public_redirect(uri: &str) -> bool {
    ClientUri::parse(uri).is_some_and(ClientUri::is_private) || program_scheme(uri).is_some()
}

/// What a page lists whose form leads to this redirect URI of a public client.
pub(crate) fn form_target(uri: &str) -> Option<String> {
    let scheme = || program_scheme(uri).map(|scheme| format!("{scheme}:"));
    ClientUri::parse(uri).map(ClientUri::form_target).or_else(scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_the_scheme_and_the_authority() {
        assert_eq!(origin("https://[::1]:9/cb"), Some("https://[::1]:9"));
        assert_eq!(origin("/cb"), None);
    }

    #[test]
    fn a_program_may_have_a_scheme_of_its_own_and_none_of_the_browser() {
        for (uri, expected) in [
            (
                "cursor://anysphere.cursor-retrieval/oauth/callback",
                Some("cursor:"),
            ),
            ("com.example.app:/callback", Some("com.example.app:")),
            (
                "vscode-insiders://vscode.github/did-authenticate?a=1",
                Some("vscode-insiders:"),
            ),
            ("https://app.example/cb", Some("https:")),
            ("http://127.0.0.1:9/cb", Some("http://127.0.0.1:9")),
            ("javascript://app.example/%0aalert(1)", None),
            ("JavaScript://app.example/%0aalert(1)", None),
            ("data:/text/html,x", None),
            ("file:///etc/passwd", None),
            ("intent://app.example/#Intent;end", None),
            ("cursor:callback", None),
            ("cursor://", None),
            ("cursor://app/cb#x", None),
            ("cur;sor://app/cb", None),
            ("1app://app/cb", None),
            ("://app/cb", None),
            ("/cb", None),
        ] {
            assert_eq!(form_target(uri).as_deref(), expected, "{uri}");
            assert_eq!(is_public_redirect(uri), expected.is_some(), "{uri}");
        }
    }

    #[test]
    fn a_program_on_the_same_machine_may_use_any_port() {
        for (registered, sent, expected) in [
            ("http://127.0.0.1/cb", "http://127.0.0.1:49152/cb", true),
            ("http://127.0.0.1:1/cb", "http://127.0.0.1/cb", true),
            ("http://localhost:1/cb", "http://localhost:2/cb", true),
            ("http://[::1]:1/cb?a", "http://[::1]:2/cb?a", true),
            ("http://127.0.0.1/cb", "http://localhost/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:2/cb/", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:2/cb?a", false),
            ("http://127.0.0.1/cb", "https://127.0.0.1:2/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:0/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:+2/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:99999/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:2:3/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1.evil.example/cb", false),
            ("http://127.0.0.1/cb", "http://127.0.0.1:2@evil.example/cb", false),
            ("https://localhost/cb", "https://localhost:2/cb", false),
            ("https://app.example/cb", "https://app.example:2/cb", false),
        ] {
            let (registered, sent) = (ClientUri::parse(registered), ClientUri::parse(sent));
            let found = registered
                .zip(sent)
                .is_some_and(|(registered, sent)| registered.allows(sent));
            assert_eq!(found, expected, "{registered:?} {sent:?}");
        }
    }
}

//! Where a browser is sent after login: a place on this server, or nowhere.

use std::fmt;

use http::{HeaderValue, Uri};

use crate::request::{
    base_url::{self, BaseUrl},
    peer::Scheme,
    percent,
    query::Query,
};

/// A redirect target on this server, below its base: a path, optionally with a query and a fragment.
///
/// However a browser reads it (the WHATWG URL standard, or any older way), it stays on the origin that sent
/// it. Of the targets that clients send, these are accepted:
///
/// 1. At most 2048 bytes of UTF-8 without controls and backslashes. Nothing is trimmed, nothing decoded.
/// 2. A path that begins with one slash, or an absolute URL of this server's origin, reduced to its path, query
///    and fragment. Nothing relative, and nothing that begins with `//`.
/// 3. Every escape is well-formed; the path has no escaped control, no dot segment (`.`, `..`, also with
///    `%2e`), and no escaped slash or backslash as its second character.
/// 4. The path is the base or below it, byte by byte, and is not one of the paths that end or begin
///    a login.
///
/// What no URI may hold is percent-encoded, and every parameter `token` is removed.
///
/// # Example
///
/// ```
/// use portcullis::{redirect::{NextUrl, RedirectPolicy}, BaseUrl};
///
/// let base: BaseUrl = "/user/alice/".parse()?;
/// let policy = RedirectPolicy::new(&base).excluding(&["/user/alice/login"]);
///
/// let next = NextUrl::parse("/user/alice/tree/My Notebook.ipynb", policy).expect("a URL of this server");
/// assert_eq!(next.as_str(), "/user/alice/tree/My%20Notebook.ipynb");
///
/// for foreign in ["//evil.example", "/user/alice/../bob", "https://evil.example/", "/user/alice/login"] {
///     assert!(NextUrl::parse(foreign, policy).is_none());
/// }
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NextUrl(Box<str>);

impl NextUrl {
    /// The longest target, in bytes: as it is read, and as it is written with its escapes.
    pub const MAX_LEN: usize = 2048;

    /// Parses a target, decoded once from its parameter; `None` if it is not a URL of this server below the base.
    pub fn parse(next: impl AsRef<[u8]>, policy: RedirectPolicy<'_>) -> Option<Self> {
        let next = next.as_ref();
        let suspect = |byte: &u8| byte.is_ascii_control() || *byte == b'\\';
        if next.len() > Self::MAX_LEN || next.iter().any(suspect) {
            return None;
        }
        let next = std::str::from_utf8(next).ok()?;
        let next = if next.starts_with('/') {
            next
        } else {
            policy.strip_origin(next)?
        };
        if percent::escaped_bytes(next.as_bytes()).any(|escape| escape.is_none()) {
            return None;
        }
        let (rest, fragment) = cut(next, '#');
        let (path, query) = cut(rest, '?');
        // The origin alone means its root.
        let path = if path.is_empty() { "/" } else { path };
        let next = policy.allows(path).then(|| Self::of_parts(path, query, fragment));
        // What is escaped is longer, and is to be read again.
        next.filter(|next| next.0.len() <= Self::MAX_LEN)
    }

    /// The URL of the request itself: its path and its query, or the base if that path is not below the base, or path
    /// and query together are longer than [`Query::MAX_LEN`].
    pub fn from_request_uri(uri: &Uri, policy: RedirectPolicy<'_>) -> Self {
        let suspect = |byte: u8| byte.is_ascii_control() || byte == b'\\';
        let path = uri.path();
        let is_long = path.len() + uri.query().map_or(0, str::len) > Query::MAX_LEN;
        if is_long || path.bytes().any(suspect) || !policy.allows(path) {
            return Self::base(policy.base);
        }
        Self::of_parts(path, uri.query(), None)
    }

    /// The base itself: where everything goes that has no better place.
    pub fn base(base: &BaseUrl) -> Self {
        Self(base.as_str().into())
    }

    /// The target, as it stands in a `Location` field.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `path` is admitted; of query and fragment nothing can lead elsewhere.
    fn of_parts(path: &str, query: Option<&str>, fragment: Option<&str>) -> Self {
        let mut url = String::with_capacity(path.len() + query.map_or(0, str::len) + 8);
        percent::encode(path.as_bytes(), &mut url);
        if let Some(query) = query {
            let kept = Query::new(query.as_bytes()).without_token();
            if !kept.is_empty() || query.is_empty() {
                url.push('?');
                percent::encode(&kept, &mut url);
            }
        }
        if let Some(fragment) = fragment {
            url.push('#');
            percent::encode(fragment.as_bytes(), &mut url);
        }
        Self(url.into())
    }
}

impl From<&NextUrl> for HeaderValue {
    fn from(next: &NextUrl) -> Self {
        Self::from_str(&next.0).expect("a redirect target is visible ASCII")
    }
}

impl fmt::Display for NextUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NextUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NextUrl").field(&self.0).finish()
    }
}

/// What a [`NextUrl`] must lie in: the base, perhaps our own origin, and paths that are never targets.
#[derive(Clone, Copy, Debug)]
pub struct RedirectPolicy<'a> {
    base: &'a BaseUrl,
    origin: Option<(Scheme, &'a str)>,
    closed: &'a [&'a str],
}

impl<'a> RedirectPolicy<'a> {
    /// Everything below `base`.
    pub fn new(base: &'a BaseUrl) -> Self {
        Self {
            base,
            origin: None,
            closed: &[],
        }
    }

    /// Default: none, so that no absolute URL is a target. Takes those of `scheme` and `authority`, a host
    /// with its port unless that is the scheme's own, and reduces them to their path.
    ///
    /// Case does not count. With `Scheme::Unknown` both `http` and `https` are taken, each with its own
    /// default port.
    #[must_use]
    pub fn with_origin(self, scheme: Scheme, authority: &'a str) -> Self {
        Self {
            origin: Some((scheme, authority)),
            ..self
        }
    }

    /// Default: none. Paths that are never targets, with or without slashes behind: login and logout.
    #[must_use]
    pub fn excluding(self, closed: &'a [&'a str]) -> Self {
        Self { closed, ..self }
    }

    /// Whether a redirect to `path` stays here, however it is read.
    fn allows(self, path: &str) -> bool {
        let bytes = path.as_bytes();
        let second_slash = matches!(
            bytes,
            [b'/', b'/' | b'\\', ..]
                | [b'/', b'%', b'2', b'f' | b'F', ..]
                | [b'/', b'%', b'5', b'c' | b'C', ..]
        );
        let bare = path.trim_end_matches('/');
        self.base.contains(path)
            && !second_slash
            && !bytes.split(|byte| *byte == b'/').any(base_url::is_dots)
            && !percent::escaped_bytes(bytes).any(|escape| matches!(escape, None | Some(0..=0x1f | 0x7f)))
            && !self
                .closed
                .iter()
                .any(|closed| *closed == path || *closed == bare)
    }

    /// What stands behind our own origin in `url`: empty, or from a `/`, `?` or `#` on.
    fn strip_origin(self, url: &str) -> Option<&str> {
        let (own_scheme, own_authority) = self.origin?;
        let (scheme, rest) = [(Scheme::Https, "https://"), (Scheme::Http, "http://")]
            .into_iter()
            .find_map(|(scheme, text)| Some((scheme, strip_prefix_ignoring_case(url, text)?)))?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, after) = rest.split_at_checked(end)?;
        let (own_host, own_port) = host_and_port(own_authority, scheme)?;
        let (host, port) = host_and_port(authority, scheme)?;
        let same = (own_scheme == Scheme::Unknown || own_scheme == scheme)
            && host.eq_ignore_ascii_case(own_host)
            && port == own_port;
        same.then_some(after)
    }
}

/// `text` up to the first `mark`, and the text after it.
fn cut(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark)
        .map_or((text, None), |(before, after)| (before, Some(after)))
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// A host that needs no decoding to be compared, and its port in the one way of writing it.
fn host_and_port(authority: &str, scheme: Scheme) -> Option<(&str, u16)> {
    let default = if scheme == Scheme::Https { 443 } else { 80 };
    // The colons of an IPv6 address stand before its bracket.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let port = match port {
        None => default,
        Some(digits) => {
            let written_once = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
            digits.parse().ok().filter(|_| written_once)?
        }
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~[]:".contains(&byte);
    (!host.is_empty() && host.bytes().all(plain)).then_some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_request(uri: &str, expected: &str) {
        let base: BaseUrl = "/user/alice/".parse().expect("a base");
        let policy = RedirectPolicy::new(&base).excluding(&["/user/alice/login"]);
        let uri: Uri = uri.parse().expect("a request target");
        assert_eq!(
            NextUrl::from_request_uri(&uri, policy).as_str(),
            expected,
            "{uri}"
        );
    }

    #[test]
    fn the_place_of_a_request_is_its_own_path_or_the_base() {
        check_request("/user/alice/lab?token=s&reset", "/user/alice/lab?reset");
        check_request("/user/alice/lab?token=s", "/user/alice/lab");
        check_request("/user/alice/lab?q=50%&t%6Fken=s", "/user/alice/lab?q=50%");
        check_request("/user/alice?x=1", "/user/alice?x=1");
        check_request("https://evil.example/user/alice/lab?token=s", "/user/alice/lab");
        for elsewhere in [
            "//evil.example/x?token=s",
            "//evil.example/user/alice/?token=s",
            "/user/alice/../bob/?token=s",
            "/user/alice/%2e%2e/bob/?token=s",
            "/user/alice/a%00b?token=s",
            "/user/bob/?token=s",
            "/user/alice/login?next=x",
            "*",
            "evil.example:443",
        ] {
            check_request(elsewhere, "/user/alice/");
        }
        let root = BaseUrl::default();
        for elsewhere in ["//evil.example/x?token=s", "/%2Fevil.example", "/%5cevil.example"] {
            let uri: Uri = elsewhere.parse().expect("a request target");
            assert_eq!(
                NextUrl::from_request_uri(&uri, RedirectPolicy::new(&root)).as_str(),
                "/",
                "{uri}"
            );
        }
    }

    #[test]
    fn a_request_target_longer_than_the_limit_becomes_the_base() {
        for (length, is_kept) in [(Query::MAX_LEN, true), (Query::MAX_LEN + 1, false)] {
            for front in ["/user/alice/", "/user/alice/?"] {
                let target = format!("{front:a<length$}", length = length + front.matches('?').count());
                check_request(&target, if is_kept { &target } else { "/user/alice/" });
            }
        }
    }

    #[test]
    fn without_a_known_scheme_both_are_the_own_origin() {
        let base = BaseUrl::default();
        let policy = RedirectPolicy::new(&base).with_origin(Scheme::Unknown, "[::1]:8888");
        for (next, expected) in [
            ("http://[::1]:8888/lab", Some("/lab")),
            ("https://[::1]:8888/lab", Some("/lab")),
            ("https://[::1]/lab", None),
            ("ws://[::1]:8888/lab", None),
        ] {
            let found = NextUrl::parse(next, policy);
            assert_eq!(found.as_ref().map(NextUrl::as_str), expected, "{next}");
        }
        let policy = RedirectPolicy::new(&base).with_origin(Scheme::Unknown, "example.org");
        assert!(NextUrl::parse("http://example.org:80/", policy).is_some());
        assert!(NextUrl::parse("https://example.org:443/", policy).is_some());
        assert!(NextUrl::parse("https://example.org:80/", policy).is_none());
    }
}

//! Paths of cookies, and the scope that a request path belongs to.

use std::{fmt, sync::Arc};

use crate::error::ConfigError;

/// The path of a cookie: `/`, `/hub/`, `/user/alice`.
///
/// It has one spelling: no dot segments, no empty segment except the last, no unnecessary escapes, and uppercase
/// digits in escapes. So it can be compared byte for byte.
///
/// # Example
///
/// ```
/// use portcullis::cookies::CookiePath;
///
/// let path = CookiePath::parse("/user/alice")?;
/// assert!(path.matches(b"/user/alice/lab"));
/// assert!(!path.matches(b"/user/alice2"));
/// assert!(CookiePath::parse("/user/../hub").is_err());
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CookiePath(Arc<str>);

impl CookiePath {
    /// Maximum length of a path, in bytes: that of an attribute by RFC 6265bis §5.6.
    pub const MAX_LEN: usize = 1024;

    /// Returns the path `/`.
    pub fn root() -> Self {
        Self("/".into())
    }

    /// Parses a path from a configuration.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if it is longer than [`CookiePath::MAX_LEN`], does not start with `/`, or has more
    /// than one spelling: bytes that browsers escape or that RFC 3986 §3.3 does not allow in a path, `;`, dot
    /// segments, empty segments, escapes that are malformed or not in their canonical form.
    pub fn parse(path: &str) -> Result<Self, ConfigError> {
        let wrong = |what: &str| {
            Err(ConfigError::new(
                "cookie path",
                format!("expected {what}, found {path:?}"),
            ))
        };
        if path.len() > Self::MAX_LEN {
            return Err(ConfigError::new(
                "cookie path",
                format!("expected at most {} bytes, found {}", Self::MAX_LEN, path.len()),
            ));
        }
        if !is_readable(path.as_bytes()) || !path.bytes().all(is_literal) {
            return wrong("a path of characters that need no escape, without `;` or dot segments");
        }
        if path.contains("//") {
            return wrong("a path without empty segments");
        }
        if !Canonical::of(path.as_bytes()).eq(path.bytes()) {
            return wrong("a path with escapes in upper case, and only where needed");
        }
        Ok(Self(path.into()))
    }

    /// Returns the path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns `true` if a browser sends a cookie with this path in a request for `request_path`: equal, or a prefix
    /// that ends at a `/` (RFC 6265bis §5.1.4).
    pub fn matches(&self, request_path: &[u8]) -> bool {
        match request_path.strip_prefix(self.0.as_bytes()) {
            Some(rest) => rest.is_empty() || self.0.ends_with('/') || rest.starts_with(b"/"),
            None => false,
        }
    }

    fn segments(&self) -> impl Iterator<Item = &[u8]> {
        let path = self.0.trim_matches('/');
        path.split('/')
            .map(str::as_bytes)
            .filter(|segment| !segment.is_empty())
    }
}

impl fmt::Display for CookiePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CookiePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScopePath({})", self.0)
    }
}

/// The scopes of one host, each with its path: a hub, users' servers, services.
///
/// # Rules
///
/// The scope is found by the path of the request target as received, before any decoding. Cookies are not used, so a
/// cookie that is sent with an unusual spelling of a path gives no access to another scope.
///
/// 1. The path starts with `/`, has only bytes 21-7E, no `\`, `#`, `?`, no malformed escape, no escaped control byte,
///    and no dot segment, where `%2E` is read as `.` and a segment ends at its first `;`. Otherwise it is rejected.
/// 2. The first segments, as many as needed to distinguish the paths of the scopes, are the scope's part. None of
///    them is empty before a later one that is not, the first is not empty before any other, and none has an escaped
///    `/`, `\` or `%`, or a `;`. Otherwise the path is rejected.
/// 3. If they equal the path of a scope byte for byte, that scope matches. If they would equal it only after decoding
///    escapes of letters, digits and `-._~`, or after writing escapes in uppercase, the path is rejected, because it
///    is a second spelling. Otherwise no scope matches.
/// 4. The rest of the path belongs to the scope.
///
/// # Example
///
/// ```
/// use portcullis::cookies::{PathMatch, CookiePathMap, CookiePath};
///
/// let scopes = CookiePathMap::default()
///     .insert(&CookiePath::parse("/hub/")?, "hub")
///     .insert(&CookiePath::parse("/user/alice/")?, "alice");
/// assert_eq!(scopes.resolve(b"/user/alice/lab"), PathMatch::Match(&"alice"));
/// assert_eq!(scopes.resolve(b"/user/bob/lab"), PathMatch::NoMatch);
/// assert_eq!(scopes.resolve(b"/user/%61lice/lab"), PathMatch::Ambiguous);
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct CookiePathMap<T> {
    scopes: Vec<(CookiePath, T)>,
}

/// Result of [`CookiePathMap::resolve`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the rules leave no fourth answer")]
pub enum PathMatch<'a, T> {
    /// The path is in none of the scopes.
    NoMatch,
    /// The path is malformed, or a second spelling of another one: respond 400.
    Ambiguous,
    /// The path is in this scope.
    Match(&'a T),
}

impl<T> CookiePathMap<T> {
    /// Adds a scope. A trailing `/` of its path makes no difference.
    #[must_use]
    pub fn insert(mut self, path: &CookiePath, scope: T) -> Self {
        self.scopes.push((path.clone(), scope));
        self
    }

    /// Returns the scope of `path`, which is not decoded and has no query.
    pub fn resolve(&self, path: &[u8]) -> PathMatch<'_, T> {
        if !is_readable(path) {
            return PathMatch::Ambiguous;
        }
        let depth = self.depth(path);
        if !is_plain_part(path, depth) {
            return PathMatch::Ambiguous;
        }
        let mut longest: Option<(usize, bool, &T)> = None;
        for (scope_path, scope) in &self.scopes {
            let length = scope_path.segments().count();
            let raw = scope_path.segments().eq(segments(path).take(length));
            let alike = raw || same_spelling(scope_path, path, length);
            if alike && longest.is_none_or(|(found, _, _)| length > found) {
                longest = Some((length, raw, scope));
            }
        }
        match longest {
            None => PathMatch::NoMatch,
            Some((_, false, _)) => PathMatch::Ambiguous,
            Some((_, true, scope)) => PathMatch::Match(scope),
        }
    }

    /// How many of the path's first segments are needed to distinguish the scopes.
    fn depth(&self, path: &[u8]) -> usize {
        let mut depth = 1;
        while self.scopes.iter().any(|(scope_path, _)| {
            scope_path.segments().count() > depth && same_spelling(scope_path, path, depth)
        }) {
            depth += 1;
        }
        depth
    }
}

impl<T> Default for CookiePathMap<T> {
    fn default() -> Self {
        Self { scopes: Vec::new() }
    }
}

/// The segments behind the leading `/`; the last one is empty if the path ends in `/`.
fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.strip_prefix(b"/")
        .unwrap_or_default()
        .split(|&byte| byte == b'/')
}

/// Whether the first `length` segments are those of the scope, once both are written in the one spelling.
fn same_spelling(scope: &CookiePath, path: &[u8], length: usize) -> bool {
    let mut found = segments(path);
    scope.segments().take(length).all(|segment| {
        found
            .next()
            .is_some_and(|found| Canonical::of(found).eq(Canonical::of(segment)))
    })
}

/// Rule 2.
fn is_plain_part(path: &[u8], depth: usize) -> bool {
    if path.starts_with(b"//") {
        return false;
    }
    let mut rest = segments(path);
    for _ in 0..depth {
        let Some(segment) = rest.next() else { return true };
        if segment.is_empty() {
            return rest.all(<[u8]>::is_empty);
        }
        let holds_separator = segment.contains(&b';')
            || segment
                .windows(3)
                .any(|window| matches!(escaped(window), Some(b'/' | b'\\' | b'%')));
        if holds_separator {
            return false;
        }
    }
    true
}

/// Rule 1.
fn is_readable(path: &[u8]) -> bool {
    let mut rest = path;
    while let [first, behind @ ..] = rest {
        match first {
            b'%' if escaped(rest).is_none_or(|byte| byte.is_ascii_control()) => return false,
            b'\\' | b'#' | b'?' => return false,
            b'!'..=b'~' => rest = behind,
            _ => return false,
        }
    }
    path.starts_with(b"/") && !segments(path).any(is_dots)
}

/// A slash, a percent sign, or `pchar` of RFC 3986 §3.3 without the semicolon.
fn is_literal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/%-._~!$&'()*+,=:@".contains(&byte)
}

/// Whether a segment is `.` or `..`, escaped or with parameters behind it.
fn is_dots(segment: &[u8]) -> bool {
    let segment = segment.split(|&byte| byte == b';').next().unwrap_or_default();
    let mut bytes = Canonical::of(segment);
    let dots = bytes.by_ref().take(3).filter(|&byte| byte == b'.').count();
    matches!(dots, 1 | 2) && Canonical::of(segment).count() == dots
}

/// The byte of an escape at the start of `bytes`.
fn escaped(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else {
        return None;
    };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// Bytes in canonical spelling: escapes of unreserved characters decoded, the digits of others in uppercase.
struct Canonical<'a> {
    bytes: &'a [u8],
    /// How many digits of an escape that stays are still to come.
    digits: u8,
}

impl<'a> Canonical<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, digits: 0 }
    }
}

impl Iterator for Canonical<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.bytes.split_first()?;
        if self.digits > 0 {
            self.digits -= 1;
            self.bytes = rest;
            return Some(first.to_ascii_uppercase());
        }
        match escaped(self.bytes) {
            Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') => {
                self.bytes = self.bytes.get(3..)?;
                Some(byte)
            }
            stays => {
                self.digits = if stays.is_some() { 2 } else { 0 };
                self.bytes = rest;
                Some(first)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_spelling() {
        for good in [
            "/",
            "/hub",
            "/hub/",
            "/user/a@b/",
            "/user/a%20b/",
            "/user/%E4%BD%A0/",
            "/a.b/...",
            "/a:b",
        ] {
            assert!(CookiePath::parse(good).is_ok(), "{good}");
        }
        for wrong in [
            "",
            "hub/",
            "//",
            "/a//",
            "/a//b",
            "/a/./b",
            "/..",
            "/a/%2e%2E/",
            "/a;b",
            "/a b",
            "/é",
            "/a\\b",
            "/a?b",
            "/a#b",
            "/a{b}",
            "/a\"b",
            "/a<b>",
            "/a|b",
            "/a^b",
            "/a`b",
            "/a[b]",
            "/%61",
            "/%2f",
            "/%e4",
            "/%",
            "/%0a",
            "/a\r\nSet-Cookie: x",
            "/a; Domain=evil.example",
        ] {
            assert!(CookiePath::parse(wrong).is_err(), "{wrong:?}");
        }
        assert!(CookiePath::parse(&format!("/{}", "a".repeat(CookiePath::MAX_LEN - 1))).is_ok());
        assert!(CookiePath::parse(&format!("/{}", "a".repeat(CookiePath::MAX_LEN))).is_err());
    }

    #[test]
    fn scopes_below_a_base_are_distinguished_like_those_at_the_root() {
        let scopes = [
            ("/base/hub/", 0),
            ("/base/user/alice/", 1),
            ("/base/user/a%2Cb", 2),
            ("/base/", 3),
        ]
        .into_iter()
        .fold(CookiePathMap::default(), |scopes, (path, scope)| {
            scopes.insert(&CookiePath::parse(path).expect(path), scope)
        });
        for (path, expected) in [
            ("/base/hub", PathMatch::Match(&0)),
            ("/base/user/alice/lab", PathMatch::Match(&1)),
            ("/base/user/a%2Cb/", PathMatch::Match(&2)),
            ("/base/user/a%2cb/", PathMatch::Ambiguous),
            ("/base/user/a,b/", PathMatch::Match(&3)),
            ("/base/login", PathMatch::Match(&3)),
            ("/base", PathMatch::Match(&3)),
            ("/other", PathMatch::NoMatch),
            ("/b%61se/login", PathMatch::Ambiguous),
            ("/base//user/alice/", PathMatch::Ambiguous),
            ("/base/%68ub/", PathMatch::Ambiguous),
            ("/base/login;x/", PathMatch::Ambiguous),
            ("/base/user/alice/;x", PathMatch::Match(&1)),
        ] {
            assert_eq!(scopes.resolve(path.as_bytes()), expected, "{path}");
        }
    }
}

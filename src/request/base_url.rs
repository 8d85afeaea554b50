//! The path below which the server is mounted.

use std::{fmt, str::FromStr, sync::Arc};

use crate::{error::ConfigError, request::percent};

/// The path below which a server lives, such as `/` or `/user/alice/`: always between two slashes.
///
/// A missing first or last slash is added. The path is compared and sent byte by byte, so only spellings
/// that every browser and router reads alike are taken: characters that RFC 3986 section 3.3 allows in a
/// path, and escapes of others.
///
/// # Errors
///
/// Parsing refuses, as `base_url`: `//`, the segments `.` and `..` (escaped ones too), characters that must
/// be escaped in a path, `;` (it would end the `Path` of a cookie: write `%3B`), escapes that are malformed
/// or hide a control or `/`, and `%5C` behind the first slash, which old browsers took for a second one.
///
/// # Example
///
/// ```
/// use portcullis::BaseUrl;
///
/// let base: BaseUrl = "user/alice".parse()?;
/// assert_eq!(base.as_str(), "/user/alice/");
/// assert_eq!(base.join("login"), "/user/alice/login");
/// assert_eq!(base.strip_prefix("/user/alice/lab/tree"), Some("lab/tree"));
/// assert_eq!(base.strip_prefix("/user/alice2/"), None);
/// assert!("/user/../admin/".parse::<BaseUrl>().is_err());
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BaseUrl(Arc<str>);

impl BaseUrl {
    /// The path, with the slash it begins and the one it ends with.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of `relative` below the base.
    pub fn join(&self, relative: &str) -> String {
        format!("{}{}", self.0, relative.strip_prefix('/').unwrap_or(relative))
    }

    /// What is left of `path` below the base, or `None` if it does not lie there.
    pub fn strip_prefix<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(&*self.0)
    }

    /// Whether `path` is the base or below it, with or without its last slash.
    pub fn contains(&self, path: &str) -> bool {
        path.starts_with(&*self.0)
            || self
                .0
                .strip_suffix('/')
                .is_some_and(|bare| !bare.is_empty() && path == bare)
    }
}

impl Default for BaseUrl {
    /// The whole host: `/`.
    fn default() -> Self {
        Self("/".into())
    }
}

impl FromStr for BaseUrl {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let inner = text.strip_prefix('/').unwrap_or(text);
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        if inner.is_empty() && text.len() < 2 {
            return Ok(Self::default());
        }
        let error = match inner.as_bytes() {
            [b'%', b'5', b'c' | b'C', ..] => Some("an escaped backslash behind the first slash"),
            _ => inner.split('/').find_map(error),
        };
        match error {
            Some(error) => Err(ConfigError::new(
                "base_url",
                format!("expected a path such as /user/alice/, found {error} in {text:?}"),
            )),
            None => Ok(Self(format!("/{inner}/").into())),
        }
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BaseUrl").field(&self.0).finish()
    }
}

/// What makes `segment` one that two readers might read differently.
fn error(segment: &str) -> Option<&'static str> {
    if segment.is_empty() {
        return Some("an empty segment");
    }
    if is_dots(segment.as_bytes()) {
        return Some("a dot segment");
    }
    if let Some(byte) = segment.bytes().find(|byte| !is_base_byte(*byte)) {
        return Some(match byte {
            b';' => "a semicolon",
            b'?' | b'#' => "a query or a fragment",
            b'\\' => "a backslash",
            _ => "a character that must be percent-encoded",
        });
    }
    percent::escaped_bytes(segment.as_bytes()).find_map(|escape| match escape {
        None => Some("a malformed percent escape"),
        Some(0..=0x1f | 0x7f) => Some("an escaped control"),
        Some(b'/') => Some("an escaped slash"),
        Some(_) => None,
    })
}

/// Whether `segment` is `.` or `..` as a browser reads it, which takes `%2e` for a dot.
pub(crate) fn is_dots(segment: &[u8]) -> bool {
    let mut rest = segment;
    let mut dots = 0;
    while let [b'.', after @ ..] | [b'%', b'2', b'e' | b'E', after @ ..] = rest {
        rest = after;
        dots += 1;
    }
    rest.is_empty() && (1..=2).contains(&dots)
}

/// `pchar` of RFC 3986 section 3.3 without the semicolon.
fn is_base_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@%".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_stands_between_two_slashes() {
        for (text, expected) in [
            ("", "/"),
            ("/", "/"),
            ("a", "/a/"),
            ("/a", "/a/"),
            ("a/", "/a/"),
            ("/user/alice/", "/user/alice/"),
            ("/user/a%40b.c~d/", "/user/a%40b.c~d/"),
            ("/user/@alice", "/user/@alice/"),
            ("/user/%C3%A9/", "/user/%C3%A9/"),
            ("/user/%5C%3F%23/", "/user/%5C%3F%23/"),
            ("/.../", "/.../"),
        ] {
            assert_eq!(
                text.parse::<BaseUrl>().expect(text).as_str(),
                expected,
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_base_that_two_readers_might_read_differently_is_refused() {
        for text in [
            "//",
            "///",
            "//a",
            "/a//b/",
            "/a//",
            ".",
            "/..",
            "/a/../b",
            "/%2e/",
            "/a/.%2E/",
            "/%2e%2e",
            "/a?b",
            "/a#b",
            "/a\\b",
            "/a b",
            "/a\tb",
            "/a\u{7f}",
            "/caf\u{e9}",
            "/a%",
            "/a%4",
            "/a%zz",
            "/a%00",
            "/a%1f",
            "/a%7F",
            "/a%2Fb",
            "/%5cb",
            "%5C/b",
            "/a;b",
            "/a\"b",
            "/<a>",
            "https://a/",
        ] {
            let error = text.parse::<BaseUrl>().expect_err(text);
            assert_eq!(error.setting(), "base_url", "{text:?}");
        }
        assert_eq!(
            "/a/../b".parse::<BaseUrl>().expect_err("dots").to_string(),
            "base_url: expected a path such as /user/alice/, found a dot segment in \"/a/../b\""
        );
    }

    #[test]
    fn paths_are_compared_with_the_base_byte_by_byte() {
        let base: BaseUrl = "/user/alice/".parse().expect("a base");
        for (path, below, contained) in [
            ("/user/alice/", Some(""), true),
            ("/user/alice/lab", Some("lab"), true),
            ("/user/alice", None, true),
            ("/user/alice2/", None, false),
            ("/user/alic", None, false),
            ("/user/Alice/", None, false),
            ("/", None, false),
            ("", None, false),
        ] {
            assert_eq!(base.strip_prefix(path), below, "{path}");
            assert_eq!(base.contains(path), contained, "{path}");
        }
        assert!(BaseUrl::default().contains("/"));
        assert!(!BaseUrl::default().contains(""));
    }
}

//! The names of users.

use std::fmt;

use crate::request::percent;

/// The name of a user as a hub keeps it: trimmed, in lowercase, fit for a URL.
///
/// | what is typed | name |
/// |---|---|
/// | `Alice`, ` alice ` | `alice` |
/// | nothing, `a/b`, `..`, `%2e` | none: it would lead elsewhere as a part of a path |
/// | a control character within | none |
/// | more than [`Username::MAX_LEN`] bytes | none |
///
/// Letters become lowercase by the rules of Unicode, so that `İ` becomes two characters. Composed and decomposed forms of
/// a letter are two names.
///
/// Source: JupyterHub's `normalize_username` and `validate_username`, and no control characters.
///
/// # Example
///
/// ```
/// use portcullis::hub_server::Username;
///
/// assert_eq!(Username::parse(" Alice ").expect("a name").as_str(), "alice");
/// assert!(Username::parse("..").is_none());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Username(Box<str>);

impl Username {
    /// The longest name, in bytes: as long as JupyterHub's database stores.
    pub const MAX_LEN: usize = 255;

    /// Parses a name as a user typed it; `None` if no user can have it.
    pub fn parse(typed: &str) -> Option<Self> {
        // The length is checked first: the cost of the lowercase conversion grows with it.
        let typed = typed.trim();
        if typed.len() > Self::MAX_LEN {
            return None;
        }
        let name = typed.to_lowercase();
        let dots = |bytes: &[u8]| bytes.iter().all(|byte| *byte == b'.');
        // A broken escape is what it looks like.
        let hidden = percent::decoded(name.as_bytes()).map(|byte| byte.unwrap_or(b'%'));
        let hidden: Vec<u8> = hidden.collect();
        let refused = name.is_empty()
            || name.len() > Self::MAX_LEN
            || name.contains(|character: char| character == '/' || character.is_control())
            || dots(name.as_bytes())
            || dots(&hidden);
        (!refused).then(|| Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Username").field(&self.0).finish()
    }
}

/// The name in a segment of a URL's path, or `None` if no user can have it.
pub(crate) fn of_path(segment: &str) -> Option<Username> {
    Username::parse(&decoded(segment)?)
}

/// What a segment of a path says, without its escapes.
pub(crate) fn decoded(segment: &str) -> Option<String> {
    let bytes = percent::decoded(segment.as_bytes()).collect::<Option<Vec<u8>>>()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cookies::escape_path_segment;

    #[test]
    fn a_name_is_small_trimmed_and_leads_nowhere() {
        for (typed, expected) in [
            ("alice", Some("alice")),
            (" Alice\t", Some("alice")),
            ("\u{130}stanbul", Some("i\u{307}stanbul")),
            ("a@b.c", Some("a@b.c")),
            ("a..", Some("a..")),
            ("100%", Some("100%")),
            ("%%", Some("%%")),
            ("", None),
            ("  ", None),
            (".", None),
            ("...", None),
            ("%2e%2E", None),
            ("%2e.", None),
            ("a/b", None),
            ("a\nb", None),
            ("a\0", None),
            ("a\u{85}b", None),
        ] {
            let found = Username::parse(typed);
            assert_eq!(found.as_ref().map(Username::as_str), expected, "{typed:?}");
        }
        assert!(Username::parse(&"x".repeat(255)).is_some());
        assert!(Username::parse(&"x".repeat(256)).is_none());
        // 254 bytes as typed, 381 in lowercase.
        assert!(Username::parse(&"\u{130}".repeat(127)).is_none());
    }

    #[test]
    fn a_path_holds_a_name_and_gives_it_back() {
        for name in ["alice", "a@b", "a b", "a~b", "a%b", "z\u{f6}e", "a*:b"] {
            let path = escape_path_segment(name);
            assert_eq!(of_path(&path).expect("a name").as_str(), name);
        }
        for none in ["a%2Fb", "%2e%2e", "%zz", "%FF", ""] {
            assert!(of_path(none).is_none(), "{none}");
        }
    }
}

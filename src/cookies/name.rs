//! Names of cookies.

use std::{fmt, sync::Arc};

use memchr::memmem::Finder;

use crate::{error::ConfigError, random};

/// The name of a cookie: a valid RFC 9110 token.
///
/// The constructors are the names that Jupyter Server and JupyterHub use; [`CookieName::custom`] takes any other.
/// Cloning increments a reference count.
///
/// # Example
///
/// ```
/// use portcullis::cookies::CookieName;
///
/// assert_eq!(CookieName::user("a@b").as_str(), "jupyterhub-user-a%40b");
/// assert_eq!(CookieName::server("localhost:8888").as_str(), "username-localhost-8888");
/// ```
#[derive(Clone)]
pub struct CookieName(Arc<Name>);

struct Name {
    text: String,
    /// Finds the text in a `Cookie` header. Kept, because preparing it costs more than a search.
    finder: Finder<'static>,
}

impl CookieName {
    /// Maximum length of a name for [`CookieName::custom`], in bytes.
    pub const MAX_LEN: usize = 1024;

    /// Prefix of the names of login cookies, of Jupyter Server and of this crate.
    pub(super) const LOGIN_PREFIX: &str = "username-";

    /// Returns `jupyterhub-hub-login`: the login at the hub.
    pub fn hub_login() -> Self {
        Self::proven("jupyterhub-hub-login".to_owned())
    }

    /// Returns `jupyterhub-user-<name>`: the login at this user's server. The name is percent-encoded.
    pub fn user(name: &str) -> Self {
        Self::proven(format!("jupyterhub-user-{}", escape_user_name(name)))
    }

    /// Returns `jupyterhub-user-<name>-<server>`: the login at a named server of this user.
    pub fn user_server(name: &str, server: &str) -> Self {
        let (name, server) = (escape_user_name(name), escape_user_name(server));
        Self::proven(format!("jupyterhub-user-{name}-{server}"))
    }

    /// Returns `service-<name>`: the login at a service of the hub.
    pub fn service(name: &str) -> Self {
        Self::proven(format!("service-{}", escape_user_name(name)))
    }

    /// Returns `jupyterhub-session-id`: the browser session, for all cookies of a hub.
    pub fn session_id() -> Self {
        Self::proven("jupyterhub-session-id".to_owned())
    }

    /// Returns `<name>-oauth-state`: a login in progress for the cookie `of`.
    pub fn oauth_state(of: &Self) -> Self {
        Self::proven(format!("{of}-oauth-state"))
    }

    /// Returns `<name>-oauth-state-<8 letters>`: another login in progress, if the first name is in use.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if `letters` is not eight ASCII letters.
    pub fn oauth_state_with_suffix(of: &Self, letters: &str) -> Result<Self, ConfigError> {
        if letters.len() != 8 || !letters.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(ConfigError::new(
                "cookie name",
                "expected a suffix of 8 ASCII letters",
            ));
        }
        Ok(Self::proven(format!("{of}-oauth-state-{letters}")))
    }

    /// Returns [`CookieName::oauth_state_with_suffix`] with random letters.
    pub fn random_oauth_state(of: &Self) -> Self {
        let letters: String = random::bytes::<8>()
            .into_iter()
            .map(|byte| char::from(b'a' + byte % 26))
            .collect();
        Self::proven(format!("{of}-oauth-state-{letters}"))
    }

    /// Returns the same for a given first name.
    #[cfg(feature = "oauth")]
    pub(crate) fn random_oauth_state_after(first: &Self) -> Self {
        let fresh = Self::random_oauth_state(first);
        let letters = fresh.as_str().rsplit('-').next().unwrap_or_default();
        Self::proven(format!("{first}-{letters}"))
    }

    /// Returns `username-<host>`: the login at a Jupyter Server that is reached by the `Host` header `host`.
    ///
    /// Every byte except A-Z, a-z and 0-9 becomes `-`, also the colon before the port. Case is kept.
    pub fn server(host: impl AsRef<[u8]>) -> Self {
        let mut text = String::from(Self::LOGIN_PREFIX);
        text.extend(host.as_ref().iter().map(|&byte| {
            if byte.is_ascii_alphanumeric() {
                char::from(byte)
            } else {
                '-'
            }
        }));
        Self::proven(text)
    }

    /// Returns `_xsrf`: the XSRF token, which scripts read.
    pub fn xsrf() -> Self {
        Self::proven("_xsrf".to_owned())
    }

    /// Creates any other name.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if it is not a token of RFC 9110 §5.6.2, or longer than [`CookieName::MAX_LEN`].
    pub fn custom(name: &str) -> Result<Self, ConfigError> {
        if name.len() > Self::MAX_LEN {
            return Err(ConfigError::new(
                "cookie name",
                format!("expected at most {} bytes, found {}", Self::MAX_LEN, name.len()),
            ));
        }
        if !is_token(name.as_bytes()) {
            return Err(ConfigError::new(
                "cookie name",
                format!("expected a token as in RFC 9110, found {name:?}"),
            ));
        }
        Ok(Self::proven(name.to_owned()))
    }

    /// Returns the name with `prefix`; a prefix that it already has is replaced.
    ///
    /// The result is a different name: with a prefix, the plain name is never read.
    #[must_use]
    pub fn with_prefix(&self, prefix: CookiePrefix) -> Self {
        let bare = match self.prefix() {
            Some(old) => self.as_str().get(old.as_str().len()..).unwrap_or_default(),
            None => self.as_str(),
        };
        Self::proven(format!("{}{bare}", prefix.as_str()))
    }

    /// Returns the prefix, if there is one. It is matched case-insensitively, as browsers do.
    pub fn prefix(&self) -> Option<CookiePrefix> {
        [CookiePrefix::Host, CookiePrefix::Secure]
            .into_iter()
            .find(|prefix| {
                self.as_str()
                    .get(..prefix.as_str().len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_str()))
            })
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    pub(super) fn finder(&self) -> &Finder<'static> {
        &self.0.finder
    }

    fn proven(text: String) -> Self {
        debug_assert!(is_token(text.as_bytes()), "{text:?} is a token");
        let finder = Finder::new(&text).into_owned();
        Self(Arc::new(Name { text, finder }))
    }
}

impl PartialEq for CookieName {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for CookieName {}

impl fmt::Display for CookieName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for CookieName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CookieName({})", self.as_str())
    }
}

/// A prefix of a name that makes browsers require attributes (RFC 6265bis §4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CookiePrefix {
    /// `__Host-`: `Secure`, `Path=/` and no `Domain`. No other host can set such a cookie.
    Host,
    /// `__Secure-`: `Secure`.
    Secure,
}

impl CookiePrefix {
    /// Returns the prefix as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "__Host-",
            Self::Secure => "__Secure-",
        }
    }
}

/// Percent-encodes the name of a user, server or service for a cookie name, except letters, digits and `_.-~`.
///
/// The same rule as Python's `urllib.parse.quote`, but `/` is escaped too: no hub accepts a name with it, and so
/// every text results in a token.
fn escape_user_name(name: &str) -> String {
    escape(name, |byte| matches!(byte, b'_' | b'.' | b'-' | b'~'))
}

/// Percent-encodes the name of a user for a URL path: like [`escape_user_name`], but `@` is kept.
pub(crate) fn escape_path_segment(name: &str) -> String {
    escape(name, |byte| matches!(byte, b'_' | b'.' | b'-' | b'~' | b'@'))
}

fn escape(text: &str, keep: impl Fn(u8) -> bool) -> String {
    use fmt::Write as _;

    text.bytes().fold(String::new(), |mut escaped, byte| {
        if byte.is_ascii_alphanumeric() || keep(byte) {
            escaped.push(char::from(byte));
        } else {
            write!(escaped, "%{byte:02X}").expect("a String takes all text");
        }
        escaped
    })
}

/// Returns `true` if the bytes are a token: RFC 9110 §5.6.2.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.iter().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'!' | b'#'
                        | b'$'
                        | b'%'
                        | b'&'
                        | b'\''
                        | b'*'
                        | b'+'
                        | b'-'
                        | b'.'
                        | b'^'
                        | b'_'
                        | b'`'
                        | b'|'
                        | b'~'
                )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_are_escaped_as_a_hub_escapes_them() {
        // name, in the cookie name, in the path; as JupyterHub 6.1.1 writes them, but for "/" in the first
        for (name, in_cookie, in_path) in [
            ("alice", "alice", "alice"),
            ("a.b", "a.b", "a.b"),
            ("a@b.c", "a%40b.c", "a@b.c"),
            ("a b", "a%20b", "a%20b"),
            ("%2e", "%252e", "%252e"),
            ("a\\b", "a%5Cb", "a%5Cb"),
            ("a*b", "a%2Ab", "a%2Ab"),
            ("a'b", "a%27b", "a%27b"),
            ("zöe", "z%C3%B6e", "z%C3%B6e"),
            ("你好", "%E4%BD%A0%E5%A5%BD", "%E4%BD%A0%E5%A5%BD"),
            ("a\0b", "a%00b", "a%00b"),
            ("a~b_c-d", "a~b_c-d", "a~b_c-d"),
            ("/", "%2F", "%2F"),
        ] {
            let cookie = CookieName::user(name);
            assert_eq!(
                cookie.as_str(),
                format!("jupyterhub-user-{in_cookie}"),
                "{name:?}"
            );
            assert_eq!(escape_path_segment(name), in_path, "{name:?}");
        }
        assert_eq!(
            CookieName::user_server("a@b", "gpu 1").as_str(),
            "jupyterhub-user-a%40b-gpu%201"
        );
    }

    #[test]
    fn a_state_cookie_is_named_after_the_cookie_it_leads_to() {
        let user = CookieName::user("alice").with_prefix(CookiePrefix::Host);
        let state = CookieName::oauth_state(&user);
        assert_eq!(state.as_str(), "__Host-jupyterhub-user-alice-oauth-state");
        let fresh = CookieName::random_oauth_state(&user);
        let letters = fresh
            .as_str()
            .strip_prefix("__Host-jupyterhub-user-alice-oauth-state-");
        assert!(
            letters.is_some_and(|letters| CookieName::oauth_state_with_suffix(&user, letters).is_ok()),
            "{fresh}"
        );
        for wrong in ["", "abcdefg", "abcdefghi", "abcdefg1", "abcdefé"] {
            assert!(
                CookieName::oauth_state_with_suffix(&user, wrong).is_err(),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn only_tokens_are_names() {
        for good in ["a", "_xsrf", "$Version", "!#$%&'*+-.^_`|~", "__Host-a"] {
            assert!(CookieName::custom(good).is_ok(), "{good:?}");
        }
        for wrong in [
            "", " ", "a b", "a=b", "a;b", "a,b", "a\"", "é", "a\t", "(a)", "a/b", "a@b",
        ] {
            assert!(CookieName::custom(wrong).is_err(), "{wrong:?}");
        }
        assert!(CookieName::custom(&"a".repeat(CookieName::MAX_LEN)).is_ok());
        assert!(CookieName::custom(&"a".repeat(CookieName::MAX_LEN + 1)).is_err());
    }

    #[test]
    fn a_prefix_is_known_in_any_case_and_replaced_not_doubled() {
        let plain = CookieName::hub_login();
        assert_eq!(plain.prefix(), None);
        let host = plain.with_prefix(CookiePrefix::Host);
        assert_eq!(host.as_str(), "__Host-jupyterhub-hub-login");
        let secure = host.with_prefix(CookiePrefix::Secure);
        assert_eq!(secure.as_str(), "__Secure-jupyterhub-hub-login");
        let odd = CookieName::custom("__hoST-x").expect("a token");
        assert_eq!(odd.prefix(), Some(CookiePrefix::Host));
        assert_eq!(odd.with_prefix(CookiePrefix::Host).as_str(), "__Host-x");
    }
}

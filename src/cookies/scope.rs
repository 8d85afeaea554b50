//! The name, path and attributes of a cookie.

use std::{borrow::Cow, fmt, time::Duration};

use ::cookie::{Cookie, Expiration, time};
use http::HeaderValue;

use super::{
    dynamic_name::DynamicName,
    error::{CookieError, CookieErrorKind},
    name::{CookieName, CookiePrefix, escape_path_segment},
    path::CookiePath,
};
use crate::{error::ConfigError, request::head::RequestHead};

/// The name, path, domain and attributes of a cookie: everything that must be the same when it is set and removed.
///
/// The constructors are the rows of [the table](super#the-cookies). All are `HttpOnly` except [`CookieScope::xsrf`],
/// all are `SameSite=Lax`, and all are `Secure` when they are set over https.
///
/// # Example
///
/// ```
/// use portcullis::cookies::{CookiePrefix, CookieScope};
///
/// let scope = CookieScope::hub_login("/jupyter/")?;
/// assert_eq!(scope.path(), "/jupyter/hub/");
/// let scope = scope.with_prefix(CookiePrefix::Host)?;
/// assert_eq!(scope.path(), "/");
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct CookieScope {
    name: DynamicName,
    path: CookiePath,
    domain: Option<Box<str>>,
    http_only: bool,
    same_site: SameSite,
    secure: SecureAttribute,
    partitioned: bool,
    persistent: bool,
}

/// Which requests from other sites a cookie is sent with (RFC 6265bis §4.1.2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the standard's three values")]
pub enum SameSite {
    /// With links to this site, but not with requests from within other sites.
    Lax,
    /// With all, which needs [`SecureAttribute::Always`].
    None,
    /// With none: a user who follows a link to this site is logged out at first.
    Strict,
}

/// When a cookie is `Secure`: never sent over plain http.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecureAttribute {
    /// In every response.
    Always,
    /// In responses to requests that came over https.
    OverHttps,
}

impl CookieScope {
    /// Maximum length of name and value together, in bytes, that browsers must keep: RFC 6265bis §5.6.
    pub const MAX_LEN: usize = 4096;

    /// Returns the scope of the hub's login, at `<base>hub/`.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if `base` is not an absolute path that ends in `/`.
    pub fn hub_login(base: &str) -> Result<Self, ConfigError> {
        Self::fixed(CookieName::hub_login(), below(base, "hub/")?)
    }

    /// Returns the scope of a user's login at their own server, at `<base>user/<name>/`.
    ///
    /// # Errors
    ///
    /// See [`CookieScope::hub_login`]; also if the name is `.`, `..`, empty or too long for a path.
    pub fn user(base: &str, name: &str) -> Result<Self, ConfigError> {
        let path = format!("user/{}/", escape_path_segment(name));
        Self::fixed(CookieName::user(name), below(base, &path)?)
    }

    /// Returns the scope of a user's login at one of their named servers, at `<base>user/<name>/<server>/`.
    ///
    /// # Errors
    ///
    /// See [`CookieScope::user`].
    pub fn user_server(base: &str, name: &str, server: &str) -> Result<Self, ConfigError> {
        let path = format!(
            "user/{}/{}/",
            escape_path_segment(name),
            escape_path_segment(server)
        );
        Self::fixed(CookieName::user_server(name, server), below(base, &path)?)
    }

    /// Returns the scope of a login at a service, at `<base>services/<name>/`.
    ///
    /// # Errors
    ///
    /// See [`CookieScope::user`].
    pub fn service(base: &str, name: &str) -> Result<Self, ConfigError> {
        let path = format!("services/{}/", escape_path_segment(name));
        Self::fixed(CookieName::service(name), below(base, &path)?)
    }

    /// Returns the scope of the hub's session id, at `<base>`, until the browser closes.
    ///
    /// # Errors
    ///
    /// See [`CookieScope::hub_login`].
    pub fn session_id(base: &str) -> Result<Self, ConfigError> {
        let scope = Self::fixed(CookieName::session_id(), below(base, "")?)?;
        Ok(scope.without_max_age())
    }

    /// Returns the scope of a login in progress for the cookie `of`, with the same path, domain and attributes.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if the name of the cookie is built from the host, so that no other name can be
    /// derived from it.
    pub fn oauth_state(of: &Self) -> Result<Self, ConfigError> {
        let DynamicName::Fixed(name) = &of.name else {
            return Err(ConfigError::new(
                "cookie name",
                "expected a fixed name for a cookie that has a login state cookie",
            ));
        };
        of.clone().with_name(CookieName::oauth_state(name))
    }

    /// Returns the scope of a Jupyter Server's login, at `<base>`, named after the host of the request.
    ///
    /// # Errors
    ///
    /// See [`CookieScope::hub_login`].
    pub fn server(base: &str) -> Result<Self, ConfigError> {
        Ok(Self::new(DynamicName::by_host(None), below(base, "")?))
    }

    /// Returns the scope of the XSRF token, at `<base>`, until the browser closes. Scripts read it, so it is not `HttpOnly`.
    ///
    /// # Errors
    ///
    /// See [`CookieScope::hub_login`].
    pub fn xsrf(base: &str) -> Result<Self, ConfigError> {
        let scope = Self::fixed(CookieName::xsrf(), below(base, "")?)?;
        Ok(Self {
            http_only: false,
            ..scope.without_max_age()
        })
    }

    /// Creates a scope with any name, at `path`.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if `path` is not valid for [`CookiePath::parse`], or the name has a prefix that does
    /// not allow the path.
    pub fn custom(name: CookieName, path: &str) -> Result<Self, ConfigError> {
        Self::fixed(name, CookiePath::parse(path)?)
    }

    fn fixed(name: CookieName, path: CookiePath) -> Result<Self, ConfigError> {
        Self::new(DynamicName::Fixed(name), path).checked()
    }

    fn new(name: DynamicName, path: CookiePath) -> Self {
        Self {
            name,
            path,
            domain: None,
            http_only: true,
            same_site: SameSite::Lax,
            secure: SecureAttribute::OverHttps,
            partitioned: false,
            persistent: true,
        }
    }

    /// Sets the name. Defaults to that of the constructor.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if the name has the prefix `__Host-`, and path or domain do not allow it.
    pub fn with_name(self, name: CookieName) -> Result<Self, ConfigError> {
        Self {
            name: DynamicName::Fixed(name),
            ..self
        }
        .checked()
    }

    /// Sets a prefix of the name. Defaults to none. `__Host-` also sets the path to `/` and makes the cookie
    /// [`SecureAttribute::Always`], as `__Secure-` does.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] for `__Host-` with a domain, and for any prefix of `_xsrf`, which scripts find by
    /// its plain name.
    pub fn with_prefix(self, prefix: CookiePrefix) -> Result<Self, ConfigError> {
        if matches!(&self.name, DynamicName::Fixed(name) if *name == CookieName::xsrf()) {
            return Err(ConfigError::new(
                "cookie prefix",
                "expected none for _xsrf, which scripts read",
            ));
        }
        Self {
            name: self.name.with_prefix(prefix),
            path: match prefix {
                CookiePrefix::Host => CookiePath::root(),
                CookiePrefix::Secure => self.path,
            },
            secure: SecureAttribute::Always,
            ..self
        }
        .checked()
    }

    /// Sets the domain: the cookie is then sent to all hosts below it. Defaults to none, so the cookie is sent only
    /// to the host that set it.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if it is not a domain name in lowercase, or the cookie has the prefix `__Host-`.
    pub fn with_domain(self, domain: &str) -> Result<Self, ConfigError> {
        if !is_domain(domain) {
            return Err(ConfigError::new(
                "cookie domain",
                format!("expected a domain name in lower case, found {domain:?}"),
            ));
        }
        Self {
            domain: Some(domain.into()),
            ..self
        }
        .checked()
    }

    /// Sets `SameSite`. Defaults to [`SameSite::Lax`].
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] for [`SameSite::None`] on a cookie that is not [`SecureAttribute::Always`]: browsers
    /// drop it.
    pub fn with_same_site(self, same_site: SameSite) -> Result<Self, ConfigError> {
        Self { same_site, ..self }.checked()
    }

    /// Returns which requests from other sites the cookie is sent with.
    #[cfg(feature = "openid")]
    pub(crate) fn same_site(&self) -> SameSite {
        self.same_site
    }

    /// Sets when the cookie is `Secure`. Defaults to [`SecureAttribute::OverHttps`]; with a prefix it is always
    /// [`SecureAttribute::Always`].
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] for less than [`SecureAttribute::Always`] with [`SameSite::None`].
    pub fn with_secure(self, secure: SecureAttribute) -> Result<Self, ConfigError> {
        Self { secure, ..self }.checked()
    }

    /// Makes the cookie `Partitioned` (CHIPS). Off by default. In a frame of another site the browser keeps one
    /// cookie for each surrounding site, even if it blocks third-party cookies. Such a cookie needs
    /// [`SameSite::None`] as well.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] on a cookie that is not [`SecureAttribute::Always`]: browsers drop it.
    pub fn with_partitioned(self) -> Result<Self, ConfigError> {
        Self {
            partitioned: true,
            ..self
        }
        .checked()
    }

    /// Sets domain, `SameSite`, `Secure` and `Partitioned` to those of another cookie.
    pub(crate) fn with_attributes_of(self, other: &Self) -> Result<Self, ConfigError> {
        Self {
            domain: other.domain.clone(),
            same_site: other.same_site,
            secure: other.secure,
            partitioned: other.partitioned,
            ..self
        }
        .checked()
    }

    /// Removes `Max-Age`, so that the browser also forgets the cookie when it closes. By default, a cookie is kept
    /// for its [`Lifetime`](super::Lifetime).
    #[must_use]
    pub fn without_max_age(self) -> Self {
        Self {
            persistent: false,
            ..self
        }
    }

    fn checked(self) -> Result<Self, ConfigError> {
        let wrong = |setting, message: &str| Err(ConfigError::new(setting, message));
        let always = self.secure == SecureAttribute::Always;
        match self.name.prefix() {
            Some(CookiePrefix::Host) if self.domain.is_some() => wrong(
                "cookie domain",
                "expected none for a cookie with the prefix __Host-",
            ),
            Some(CookiePrefix::Host) if self.path.as_str() != "/" => wrong(
                "cookie path",
                "expected / for a cookie with the prefix __Host-; with_prefix sets it",
            ),
            // A name with a prefix requires the attributes of the prefix.
            Some(_) if !always => Ok(Self {
                secure: SecureAttribute::Always,
                ..self
            }),
            _ if self.same_site == SameSite::None && !always => wrong(
                "cookie SameSite",
                "expected SecureAttribute::Always for SameSite=None; set with_secure first",
            ),
            _ if self.partitioned && !always => wrong(
                "cookie Partitioned",
                "expected SecureAttribute::Always for a partitioned cookie; set with_secure first",
            ),
            _ => Ok(self),
        }
    }

    /// Returns the name for requests with this `Host` header. A fixed name ignores it.
    #[inline]
    pub fn name(&self, host: &[u8]) -> Cow<'_, CookieName> {
        self.name.at(|| host)
    }

    /// Returns the name for this request. Its host is looked up only if the name depends on it.
    pub(crate) fn name_of(&self, head: RequestHead<'_>) -> Cow<'_, CookieName> {
        self.name.at(|| head.host().unwrap_or_default())
    }

    /// Returns the path.
    pub fn path(&self) -> &str {
        self.path.as_str()
    }

    /// Returns the `Set-Cookie` header for a value that is neither signed nor encrypted: a session id, an XSRF token.
    ///
    /// `https` is `true` if the request came over https. The value is written unquoted. Without `max_age`, or if the
    /// scope ends with the browser, there is no `Max-Age`.
    ///
    /// # Errors
    ///
    /// Returns an error if the value has bytes that are not allowed unquoted in a cookie (RFC 6265bis §4.1.1), or
    /// name and value have more than [`CookieScope::MAX_LEN`] bytes.
    pub fn set_cookie(
        &self,
        host: &[u8],
        value: &str,
        max_age: Option<Duration>,
        https: bool,
    ) -> Result<HeaderValue, CookieError> {
        self.set_cookie_header(&self.name(host), value, max_age, https)
    }

    pub(super) fn set_cookie_header(
        &self,
        name: &CookieName,
        value: &str,
        max_age: Option<Duration>,
        https: bool,
    ) -> Result<HeaderValue, CookieError> {
        if let Some(byte) = value.bytes().find(|&byte| !is_cookie_octet(byte)) {
            return Err(CookieError::new(
                CookieErrorKind::Malformed,
                format!(
                    "cookie {name}: expected a value of cookie-octet characters (RFC 6265), found byte {byte:#04x}"
                ),
            ));
        }
        let size = name.as_str().len() + value.len();
        if size > Self::MAX_LEN {
            return Err(CookieError::new(
                CookieErrorKind::TooLarge,
                format!(
                    "cookie {name}: expected at most {} bytes of name and value, found {size}",
                    Self::MAX_LEN
                ),
            ));
        }
        let mut cookie = self.plain(name, value, https);
        if let Some(max_age) = max_age.filter(|_| self.persistent) {
            cookie.set_max_age(time::Duration::seconds(
                i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX),
            ));
        }
        let mut line = written(&cookie)?;
        // Shown by no `Debug`, and kept out of the tables of HTTP/2 that other requests share.
        line.set_sensitive(true);
        Ok(line)
    }

    /// Returns the `Set-Cookie` header that removes the cookie from its own path; `None` if a cookie cannot have a
    /// name built from this host. A cookie of the same name at another path may belong to another server.
    ///
    /// `https` is `true` if the request came over https.
    pub fn removal_cookie(&self, host: &[u8], https: bool) -> Option<HeaderValue> {
        self.removal_line(&self.name(host), https)
    }

    pub(super) fn removal_line(&self, name: &CookieName, https: bool) -> Option<HeaderValue> {
        let mut cookie = self.plain(name, "", https);
        cookie.set_max_age(time::Duration::ZERO);
        cookie.set_expires(Expiration::from(time::OffsetDateTime::UNIX_EPOCH));
        written(&cookie).ok()
    }

    fn plain<'a>(&'a self, name: &'a CookieName, value: &'a str, https: bool) -> Cookie<'a> {
        let mut cookie = Cookie::new(name.as_str(), value);
        cookie.set_http_only(self.http_only);
        cookie.set_same_site(match self.same_site {
            SameSite::Lax => ::cookie::SameSite::Lax,
            SameSite::None => ::cookie::SameSite::None,
            SameSite::Strict => ::cookie::SameSite::Strict,
        });
        cookie.set_secure(https || self.secure == SecureAttribute::Always);
        cookie.set_path(self.path.as_str());
        if let Some(domain) = &self.domain {
            cookie.set_domain(&**domain);
        }
        if self.partitioned {
            cookie.set_partitioned(true);
        }
        cookie
    }
}

impl fmt::Debug for CookieScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieScope")
            .field("name", &self.name)
            .field("path", &self.path.as_str())
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}

fn written(cookie: &Cookie<'_>) -> Result<HeaderValue, CookieError> {
    HeaderValue::try_from(cookie.to_string()).map_err(|_| {
        CookieError::new(
            CookieErrorKind::Malformed,
            format!("cookie {}: expected visible ASCII", cookie.name()),
        )
    })
}

fn below(base: &str, rest: &str) -> Result<CookiePath, ConfigError> {
    if !base.ends_with('/') {
        return Err(ConfigError::new(
            "base URL",
            format!("expected a path that ends in /, found {base:?}"),
        ));
    }
    CookiePath::parse(&format!("{base}{rest}"))
}

/// RFC 6265bis §4.1.1, `cookie-octet`.
fn is_cookie_octet(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'+' | b'-'..=b':' | b'<'..=b'[' | b']'..=b'~')
}

fn is_domain(domain: &str) -> bool {
    domain.len() <= 253
        && domain.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        })
        // An address has no hosts below it, and a browser drops such a cookie.
        && !domain.split('.').all(|label| label.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(scope: &CookieScope, https: bool) -> String {
        let line = scope
            .set_cookie(b"h", "v", Some(Duration::from_secs(60)), https)
            .expect("a small value");
        line.to_str().expect("ASCII").to_owned()
    }

    #[test]
    fn the_line_says_what_the_scope_says() {
        let scope = CookieScope::custom(CookieName::custom("n").expect("a token"), "/a/").expect("a path");
        assert_eq!(
            text(&scope, false),
            "n=v; HttpOnly; SameSite=Lax; Path=/a/; Max-Age=60"
        );
        assert_eq!(
            text(&scope, true),
            "n=v; HttpOnly; SameSite=Lax; Secure; Path=/a/; Max-Age=60"
        );
        let wide = scope.clone().with_domain("example.org").expect("a domain");
        assert_eq!(
            text(&wide, false),
            "n=v; HttpOnly; SameSite=Lax; Path=/a/; Domain=example.org; Max-Age=60"
        );
        assert_eq!(
            text(&scope.with_prefix(CookiePrefix::Host).expect("no domain"), false),
            "__Host-n=v; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=60"
        );
        assert_eq!(
            text(&CookieScope::xsrf("/").expect("a base"), true),
            "_xsrf=v; SameSite=Lax; Secure; Path=/"
        );
    }

    #[test]
    fn a_removal_has_the_name_path_and_domain_of_the_creation() {
        let scope = CookieScope::server("/base/")
            .expect("a base")
            .with_domain("example.org")
            .expect("a domain");
        assert_eq!(
            scope.removal_cookie(b"example.org", true).expect("a line"),
            "username-example-org=; HttpOnly; SameSite=Lax; Secure; Path=/base/; Domain=example.org; Max-Age=0; \
             Expires=Thu, 01 Jan 1970 00:00:00 GMT"
        );
    }

    #[test]
    fn attributes_are_taken_over_and_name_and_path_are_not() {
        let framed = CookieScope::server("/a/")
            .and_then(|scope| scope.with_secure(SecureAttribute::Always)?.with_partitioned())
            .and_then(|scope| scope.with_same_site(SameSite::None)?.with_domain("example.org"));
        let xsrf = CookieScope::xsrf("/b/").expect("a base");
        let xsrf = xsrf
            .with_attributes_of(&framed.expect("attributes"))
            .expect("attributes");
        assert_eq!(
            text(&xsrf, false),
            "_xsrf=v; SameSite=None; Partitioned; Secure; Path=/b/; Domain=example.org"
        );
    }

    #[test]
    fn what_a_browser_would_drop_is_a_configuration_error() {
        let scope = || CookieScope::hub_login("/").expect("a base");
        for (case, result) in [
            ("SameSite=None", scope().with_same_site(SameSite::None)),
            ("Partitioned", scope().with_partitioned()),
            (
                "__Host- and a domain",
                scope()
                    .with_domain("example.org")
                    .and_then(|scope| scope.with_prefix(CookiePrefix::Host)),
            ),
            (
                "a domain and __Host-",
                scope()
                    .with_prefix(CookiePrefix::Host)
                    .and_then(|scope| scope.with_domain("example.org")),
            ),
            (
                "a name with __host- on a path",
                CookieScope::custom(CookieName::custom("__host-x").expect("a token"), "/a/"),
            ),
            (
                "a prefix on _xsrf",
                CookieScope::xsrf("/").and_then(|scope| scope.with_prefix(CookiePrefix::Secure)),
            ),
            ("a base without /", CookieScope::hub_login("/base")),
            ("a base with ;", CookieScope::hub_login("/a; Domain=example.net/")),
            ("a user ..", CookieScope::user("/", "..")),
            ("no user", CookieScope::user("/", "")),
        ] {
            assert!(result.is_err(), "{case}: {result:?}");
        }
        for domain in [
            "",
            ".example.org",
            "Example.org",
            "a b",
            "a;b",
            "127.0.0.1",
            "-a.org",
            "a..b",
            "é.org",
        ] {
            assert!(scope().with_domain(domain).is_err(), "{domain:?}");
        }
        let strict = scope()
            .with_secure(SecureAttribute::Always)
            .and_then(|scope| scope.with_same_site(SameSite::None));
        assert!(strict.is_ok());
    }

    #[test]
    fn a_prefixed_name_is_secure_whatever_is_asked() {
        let scope = CookieScope::custom(CookieName::custom("__Secure-x").expect("a token"), "/a/")
            .and_then(|scope| scope.with_secure(SecureAttribute::OverHttps))
            .expect("allowed");
        assert!(
            text(&scope, false).contains("; Secure"),
            "{}",
            text(&scope, false)
        );
    }

    #[test]
    fn a_value_that_needs_quotes_and_one_too_long_are_refused() {
        let scope = CookieScope::hub_login("/").expect("a base");
        for (value, kind) in [
            (" ".to_owned(), CookieErrorKind::Malformed),
            ("a;b".to_owned(), CookieErrorKind::Malformed),
            ("\"a\"".to_owned(), CookieErrorKind::Malformed),
            ("é".to_owned(), CookieErrorKind::Malformed),
            ("a".repeat(4096), CookieErrorKind::TooLarge),
        ] {
            let error = scope.set_cookie(b"", &value, None, true).expect_err("refused");
            assert_eq!(error.kind(), kind);
            assert!(error.to_string().contains("jupyterhub-hub-login"), "{error}");
        }
    }
}

//! Writing and reading one cookie.

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use http::HeaderValue;

use super::{
    codec::{CookieCodec, CookieContext, CookieTimes},
    decoded::{CookieDecodeError, DecodedCookie},
    error::CookieError,
    keyring::Keyring,
    lifetime::Lifetime,
    name::CookieName,
    request_cookies::RequestCookies,
    scope::CookieScope,
    signed::SignedValueCodec,
};
use crate::{clock::UnixTime, error::ConfigError};

/// One cookie of a server: its scope, its keys, its lifetime.
///
/// # Several cookies of one name
///
/// Another path, or another host of the same domain, can set a second cookie of the same name, and browsers send both
/// in an unspecified order. All distinct values are decoded, at most eight, and they must name one user; otherwise
/// the request is unauthenticated. Of several values of one user the most recently issued one is used.
///
/// # Example
///
/// ```
/// use portcullis::{clock::UnixTime, cookies::{CookieJar, CookieScope, ReadCookie, RequestCookies}, Keyring};
///
/// let jar = CookieJar::signed(&Keyring::generate(), CookieScope::hub_login("/")?);
/// let now = UnixTime::from_secs(1_700_000_000);
/// let line = jar.set_cookie(b"alice", now, true)?;
/// # let line = line.to_str()?;
/// # let mut headers = http::HeaderMap::new();
/// # headers.insert("cookie", line.split(';').next().unwrap_or_default().parse()?);
///
/// let cookies = RequestCookies::from_headers(&headers)?;
/// let who = |payload: &[u8]| Some(payload.to_vec());
/// let is_alice = |read: ReadCookie<'_>| matches!(read, ReadCookie::Valid(opened) if opened.payload() == b"alice");
/// assert!(jar.read(&cookies, || now, who, is_alice));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct CookieJar {
    form: Arc<dyn CookieCodec>,
    scope: CookieScope,
    lifetime: Lifetime,
}

impl CookieJar {
    /// Size of a buffer that is large enough for the payload of any cookie.
    pub const BUFFER_LEN: usize = 3072;

    /// Creates a jar whose cookies are signed, and can be read by Jupyter and by users: [`SignedValueCodec`].
    ///
    /// A signed value has one time, that of the login. An idle timeout counts from it as well, and
    /// [`CookieJar::renew`] does not extend it.
    pub fn signed(keyring: &Keyring, scope: CookieScope) -> Self {
        Self::new(Arc::new(SignedValueCodec::new(keyring)), scope)
    }

    pub(super) fn new(form: Arc<dyn CookieCodec>, scope: CookieScope) -> Self {
        Self {
            form,
            scope,
            lifetime: Lifetime::default(),
        }
    }

    /// Sets the lifetime. Defaults to 30 days without idle timeout.
    #[must_use]
    pub fn with_lifetime(self, lifetime: Lifetime) -> Self {
        Self { lifetime, ..self }
    }

    /// Sets the name. Defaults to that of the scope.
    ///
    /// # Errors
    ///
    /// Returns those of [`CookieScope::with_name`].
    pub fn with_name(self, name: CookieName) -> Result<Self, ConfigError> {
        Ok(Self {
            scope: self.scope.with_name(name)?,
            ..self
        })
    }

    /// Returns the scope of the cookie.
    pub fn scope(&self) -> &CookieScope {
        &self.scope
    }

    /// Returns the lifetime of the cookie.
    pub fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// Returns the jar for requests with this `Host` header, which the name of a Jupyter Server's cookie is built
    /// from.
    ///
    /// The methods of the jar itself are those of `for_host(b"")`. They are sufficient if the name is fixed.
    pub fn for_host(&self, host: &[u8]) -> HostCookieJar<'_> {
        HostCookieJar {
            jar: self,
            name: self.scope.name(host),
        }
    }

    /// Returns the `Set-Cookie` header of a login; see [`HostCookieJar::set_cookie`].
    ///
    /// # Errors
    ///
    /// Returns an error if name and value are too long for a cookie.
    pub fn set_cookie(&self, payload: &[u8], now: UnixTime, https: bool) -> Result<HeaderValue, CookieError> {
        self.for_host(b"").set_cookie(payload, now, https)
    }

    /// Returns the `Set-Cookie` header of a renewal; see [`HostCookieJar::renew`].
    ///
    /// # Errors
    ///
    /// Returns an error if name and value are too long for a cookie.
    pub fn renew(
        &self,
        opened: &DecodedCookie<'_>,
        now: UnixTime,
        https: bool,
    ) -> Result<HeaderValue, CookieError> {
        self.for_host(b"").renew(opened, now, https)
    }

    /// Reads the cookie of a request; see [`HostCookieJar::read`].
    pub fn read<K: PartialEq, T>(
        &self,
        cookies: &RequestCookies<'_>,
        now: impl Fn() -> UnixTime,
        who: impl Fn(&[u8]) -> Option<K>,
        then: impl FnOnce(ReadCookie<'_>) -> T,
    ) -> T {
        self.for_host(b"").read(cookies, now, who, then)
    }

    /// Returns the `Set-Cookie` header of a logout; see [`CookieScope::removal_cookie`].
    pub fn removal_cookie(&self, https: bool) -> Option<HeaderValue> {
        self.scope.removal_cookie(b"", https)
    }
}

impl fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieJar")
            .field("scope", &self.scope)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

/// A [`CookieJar`] for one host, so that its cookie has a name.
#[derive(Debug)]
pub struct HostCookieJar<'a> {
    jar: &'a CookieJar,
    name: Cow<'a, CookieName>,
}

impl HostCookieJar<'_> {
    /// Returns the name of the cookie.
    pub fn name(&self) -> &CookieName {
        &self.name
    }

    /// Returns the `Set-Cookie` header of a login: `payload`, valid from `now` for the lifetime of the jar.
    ///
    /// `https` is `true` if the request came over https.
    ///
    /// # Errors
    ///
    /// Returns an error if name and value are too long for a cookie.
    pub fn set_cookie(&self, payload: &[u8], now: UnixTime, https: bool) -> Result<HeaderValue, CookieError> {
        let times = CookieTimes {
            started_at: now,
            issued_at: now,
            max_age: self.jar.lifetime.max_age(),
        };
        self.line(payload, times, https)
    }

    /// Returns the `Set-Cookie` header that replaces a cookie which [needs renewal](DecodedCookie::needs_renewal).
    ///
    /// It has the same payload under the current key, a new idle time, and the same absolute end.
    ///
    /// # Errors
    ///
    /// Returns an error if name and value are too long for a cookie.
    pub fn renew(
        &self,
        opened: &DecodedCookie<'_>,
        now: UnixTime,
        https: bool,
    ) -> Result<HeaderValue, CookieError> {
        let lifetime = self.jar.lifetime;
        let passed = now.saturating_duration_since(opened.login_at());
        let times = CookieTimes {
            started_at: opened.login_at(),
            issued_at: now,
            max_age: if self.jar.form.supports_idle_timeout() {
                let left = lifetime.absolute_timeout().saturating_sub(passed);
                lifetime.max_age().min(left)
            } else {
                lifetime.max_age().saturating_sub(passed)
            },
        };
        self.line(opened.payload(), times, https)
    }

    /// Returns the value of a login, without its `Set-Cookie` header.
    #[cfg(feature = "oauth")]
    pub(crate) fn encode(&self, payload: &[u8], now: UnixTime) -> String {
        let times = CookieTimes {
            started_at: now,
            issued_at: now,
            max_age: self.jar.lifetime.max_age(),
        };
        self.jar.form.encode(self.place(), payload, times)
    }

    /// Decodes a value that is not from a cookie.
    #[cfg(feature = "oauth")]
    pub(crate) fn decode_value<'b>(
        &self,
        value: &[u8],
        now: UnixTime,
        buffer: &'b mut [u8],
    ) -> Result<DecodedCookie<'b>, CookieDecodeError> {
        self.jar.form.decode(self.place(), value, &|| now, buffer)
    }

    /// Returns the `Set-Cookie` header of a login that started earlier. Its value is as old as `issued_at`. The
    /// browser keeps it for `life`, or until it closes unless it is `persistent`.
    ///
    /// # Errors
    ///
    /// Returns an error if name and value are too long for a cookie.
    pub(crate) fn set_cookie_with_age(
        &self,
        payload: &[u8],
        issued_at: UnixTime,
        life: Duration,
        persistent: bool,
        https: bool,
    ) -> Result<HeaderValue, CookieError> {
        let times = CookieTimes {
            started_at: issued_at,
            issued_at,
            max_age: life,
        };
        let value = self.jar.form.encode(self.place(), payload, times);
        let max_age = persistent.then_some(life);
        self.jar
            .scope
            .set_cookie_header(&self.name, &value, max_age, https)
    }

    /// Decodes every cookie of this name in a request: cookies that another host or path has set must not hide the
    /// one that a logout is to end. [`RequestCookies`] limits their number.
    pub(crate) fn decode_each(
        &self,
        cookies: &RequestCookies<'_>,
        now: impl Fn() -> UnixTime,
        mut then: impl FnMut(DecodedCookie<'_>),
    ) {
        let mut buffer = [0; CookieJar::BUFFER_LEN];
        for value in cookies.values(&self.name) {
            if let ReadCookie::Valid(opened) = self.open(value, &now, &mut buffer) {
                then(opened);
            }
        }
    }

    fn line(&self, payload: &[u8], times: CookieTimes, https: bool) -> Result<HeaderValue, CookieError> {
        let value = self.jar.form.encode(self.place(), payload, times);
        self.jar
            .scope
            .set_cookie_header(&self.name, &value, Some(times.max_age), https)
    }

    /// Reads the cookie of a request, and calls `then` with the result.
    ///
    /// `who` returns the user that a payload is for, or `None` if it is for no user. It is called only if there are
    /// several distinct values. The clock is read only if a value has a valid signature.
    pub fn read<K: PartialEq, T>(
        &self,
        cookies: &RequestCookies<'_>,
        now: impl Fn() -> UnixTime,
        who: impl Fn(&[u8]) -> Option<K>,
        then: impl FnOnce(ReadCookie<'_>) -> T,
    ) -> T {
        // Most payloads are short, and clearing a buffer for the longest costs more than checking a signature.
        const USUAL: usize = 1024;

        let Some(values) = cookies.distinct_values(&self.name) else {
            return then(ReadCookie::Ambiguous);
        };
        if values.is_empty() {
            return then(ReadCookie::Missing);
        }
        let (mut usual, mut large);
        // A value is never shorter than its payload.
        let buffer = if values.iter().all(|value| value.len() <= USUAL) {
            usual = [0; USUAL];
            &mut usual[..]
        } else {
            large = [0; CookieJar::BUFFER_LEN];
            &mut large[..]
        };
        then(match &*values {
            [value] => self.open(value, &now, buffer),
            values => self.open_one_of(values, &now, buffer, who),
        })
    }

    fn open_one_of<'b, K: PartialEq>(
        &self,
        values: &[&[u8]],
        now: &dyn Fn() -> UnixTime,
        buffer: &'b mut [u8],
        who: impl Fn(&[u8]) -> Option<K>,
    ) -> ReadCookie<'b> {
        let mut refused = CookieDecodeError::Invalid;
        let mut best: Option<(K, UnixTime, &[u8])> = None;
        for value in values {
            let opened = match self.open(value, now, buffer) {
                ReadCookie::Valid(opened) => opened,
                ReadCookie::Invalid(CookieDecodeError::Expired) => {
                    refused = CookieDecodeError::Expired;
                    continue;
                }
                _ => continue,
            };
            let Some(user) = who(opened.payload()) else {
                continue;
            };
            match &best {
                Some((other, _, _)) if *other != user => return ReadCookie::Ambiguous,
                Some((_, issued_at, _)) if *issued_at >= opened.issued_at() => {}
                _ => best = Some((user, opened.issued_at(), value)),
            }
        }
        match best {
            Some((_, _, value)) => self.open(value, now, buffer),
            None => ReadCookie::Invalid(refused),
        }
    }

    fn open<'b>(&self, value: &[u8], now: &dyn Fn() -> UnixTime, buffer: &'b mut [u8]) -> ReadCookie<'b> {
        match self.jar.form.decode(self.place(), value, now, buffer) {
            Ok(opened) => ReadCookie::Valid(opened),
            Err(error) => ReadCookie::Invalid(error),
        }
    }

    fn place(&self) -> CookieContext<'_> {
        CookieContext {
            name: &self.name,
            scope: &self.jar.scope,
            lifetime: &self.jar.lifetime,
        }
    }

    /// Returns the `Set-Cookie` header of a logout; see [`CookieScope::removal_cookie`].
    pub fn removal_cookie(&self, https: bool) -> Option<HeaderValue> {
        self.jar.scope.removal_line(&self.name, https)
    }
}

/// Result of [`CookieJar::read`].
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "callers must decide about each of these")]
pub enum ReadCookie<'b> {
    /// There is no cookie of that name.
    Missing,
    /// There are cookies of two users, or more than eight distinct ones: the request is unauthenticated.
    Ambiguous,
    /// A valid cookie.
    Valid(DecodedCookie<'b>),
    /// There are only invalid cookies. They should be removed once.
    Invalid(CookieDecodeError),
}

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

/// One cookie of a server: its place, its keys, its life.
///
/// # Several cookies of one name
///
/// Another path, or another host below the same domain, can plant a second cookie of our name, and a browser
/// sends both in an order that proves nothing. So all different values are opened, eight at most, and they
/// must name one user: else it is nobody. Among several of the same user the one issued last counts.
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
    /// A buffer of this size takes what any cookie holds.
    pub const BUFFER_LEN: usize = 3072;

    /// A jar whose cookies peers can read: [`SignedValueCodec`].
    ///
    /// A signed value has one time, that of the login. An idle limit counts from it as well, and is not moved
    /// on by [`CookieJar::renew`].
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

    /// Default: 30 days, no idle limit.
    #[must_use]
    pub fn with_lifetime(self, lifetime: Lifetime) -> Self {
        Self { lifetime, ..self }
    }

    /// Default: the scope's name. The same jar for a cookie of another name.
    ///
    /// # Errors
    ///
    /// Those of [`CookieScope::with_name`].
    pub fn with_name(self, name: CookieName) -> Result<Self, ConfigError> {
        Ok(Self {
            scope: self.scope.with_name(name)?,
            ..self
        })
    }

    /// Where the cookie lives.
    pub fn scope(&self) -> &CookieScope {
        &self.scope
    }

    /// How long the cookie is good.
    pub fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// The jar for requests with this `Host` field, which the name of a Jupyter Server's cookie is made from.
    ///
    /// The methods of the jar itself are those of `at(b"")`; where the name is fixed, that is all one needs.
    pub fn for_host(&self, host: &[u8]) -> HostCookieJar<'_> {
        HostCookieJar {
            jar: self,
            name: self.scope.name(host),
        }
    }

    /// The `Set-Cookie` line of a login; see [`HostCookieJar::set_cookie`].
    ///
    /// # Errors
    ///
    /// If name and value are too long for a cookie.
    pub fn set_cookie(&self, payload: &[u8], now: UnixTime, https: bool) -> Result<HeaderValue, CookieError> {
        self.for_host(b"").set_cookie(payload, now, https)
    }

    /// The `Set-Cookie` line of a renewal; see [`HostCookieJar::renew`].
    ///
    /// # Errors
    ///
    /// If name and value are too long for a cookie.
    pub fn renew(
        &self,
        opened: &DecodedCookie<'_>,
        now: UnixTime,
        https: bool,
    ) -> Result<HeaderValue, CookieError> {
        self.for_host(b"").renew(opened, now, https)
    }

    /// The cookie of a request; see [`HostCookieJar::read`].
    pub fn read<K: PartialEq, T>(
        &self,
        cookies: &RequestCookies<'_>,
        now: impl Fn() -> UnixTime,
        who: impl Fn(&[u8]) -> Option<K>,
        then: impl FnOnce(ReadCookie<'_>) -> T,
    ) -> T {
        self.for_host(b"").read(cookies, now, who, then)
    }

    /// The `Set-Cookie` line of a logout; see [`CookieScope::removal_cookie`].
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

/// A [`CookieJar`] for one host: its cookie has a name.
#[derive(Debug)]
pub struct HostCookieJar<'a> {
    jar: &'a CookieJar,
    name: Cow<'a, CookieName>,
}

impl HostCookieJar<'_> {
    /// What the cookie is called.
    pub fn name(&self) -> &CookieName {
        &self.name
    }

    /// The `Set-Cookie` line of a login: `payload`, good from `now` on for the jar's lifetime.
    ///
    /// `https` says whether the request came over https.
    ///
    /// # Errors
    ///
    /// If name and value are too long for a cookie.
    pub fn set_cookie(&self, payload: &[u8], now: UnixTime, https: bool) -> Result<HeaderValue, CookieError> {
        let times = CookieTimes {
            started_at: now,
            issued_at: now,
            max_age: self.jar.lifetime.max_age(),
        };
        self.line(payload, times, https)
    }

    /// The `Set-Cookie` line that takes the place of a cookie which [is stale](DecodedCookie::needs_renewal): the same
    /// payload under the writing key, with its idle time begun anew, and the same end.
    ///
    /// # Errors
    ///
    /// If name and value are too long for a cookie.
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

    /// The value of a login, without its `Set-Cookie` line.
    #[cfg(feature = "oauth")]
    pub(crate) fn encode(&self, payload: &[u8], now: UnixTime) -> String {
        let times = CookieTimes {
            started_at: now,
            issued_at: now,
            max_age: self.jar.lifetime.max_age(),
        };
        self.jar.form.encode(self.place(), payload, times)
    }

    /// A value from elsewhere than a cookie.
    #[cfg(feature = "oauth")]
    pub(crate) fn decode_value<'b>(
        &self,
        value: &[u8],
        now: UnixTime,
        buffer: &'b mut [u8],
    ) -> Result<DecodedCookie<'b>, CookieDecodeError> {
        self.jar.form.decode(self.place(), value, &|| now, buffer)
    }

    /// The `Set-Cookie` line of a login that began before: its value is as old as `issued_at`, its place in the
    /// browser ends after `life`, or when the browser closes unless it is `persistent`.
    ///
    /// # Errors
    ///
    /// If name and value are too long for a cookie.
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

    /// Opens every cookie of this name in a request, however many there are: planted ones must not hide the one that
    /// a logout is to end. [`RequestCookies`] bounds their number.
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

    /// The cookie of a request: `then` makes an answer of what was found.
    ///
    /// `who` says which user a payload is for, `None` if it is for nobody; it is asked only if there are
    /// several different values. The clock is read only if a value has a good signature.
    pub fn read<K: PartialEq, T>(
        &self,
        cookies: &RequestCookies<'_>,
        now: impl Fn() -> UnixTime,
        who: impl Fn(&[u8]) -> Option<K>,
        then: impl FnOnce(ReadCookie<'_>) -> T,
    ) -> T {
        // Most payloads are short, and to clear room for the longest is more work than to check a signature.
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

    /// The `Set-Cookie` line of a logout; see [`CookieScope::removal_cookie`].
    pub fn removal_cookie(&self, https: bool) -> Option<HeaderValue> {
        self.jar.scope.removal_line(&self.name, https)
    }
}

/// What [`CookieJar::read`] found.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "callers must decide about each of these")]
pub enum ReadCookie<'b> {
    /// No cookie of that name.
    Missing,
    /// Cookies of two users, or more than eight different ones: nobody is logged in.
    Ambiguous,
    /// A good cookie.
    Valid(DecodedCookie<'b>),
    /// Only cookies that are not good, or not for anybody. They should be removed once.
    Invalid(CookieDecodeError),
}

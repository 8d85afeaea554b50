//! The state of a pending login: in the browser, encrypted, and nowhere else.
//!
//! ```text
//! parameter `state`      = encrypted(try random)              names the login, and when it began
//! cookie `…-oauth-state` = encrypted(random verifier next)    belongs to the login of that random part
//! try                    = "1" / "2"                          the second is the one that started over
//! ```
//!
//! Both are AES-256-GCM-SIV under different names, so neither can be taken for the other. A restart or a second
//! replica with the same keys continues a pending login, and recognizes the state of a login whose cookie the browser
//! dropped.

use std::time::Duration;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use http::HeaderValue;

use super::pkce::CodeVerifier;
use crate::{
    clock::UnixTime,
    cookies::{CookieJar, CookieName, CookieScope, Keyring, Lifetime, RequestCookies, SetCookies},
    error::ConfigError,
    random, secret,
};

/// How long a login may be pending.
pub(crate) const LIFE: Duration = Duration::from_secs(600);

/// The most pending logins in one browser.
const LOGINS: usize = 8;

/// The longest target that is remembered; a longer one is dropped for the client's base.
const NEXT: usize = 1024;

/// How long a parameter is recognized after its login has ended.
const MEMORY: Duration = Duration::from_secs(24 * 60 * 60);

/// The cookies and parameters of one client's logins.
#[derive(Clone, Debug)]
pub(super) struct StateStore {
    /// The first login's; others are of names behind it.
    cookies: CookieJar,
    parameters: CookieJar,
    name: CookieName,
}

/// A parameter that came back, and was issued by this server.
pub(super) struct StateParam {
    random: String,
    started_at: UnixTime,
    pub(super) is_second_try: bool,
}

impl StateParam {
    pub(super) fn is_expired(&self, now: UnixTime) -> bool {
        now.saturating_duration_since(self.started_at) > LIFE
    }
}

/// What the cookie of a login holds.
pub(super) struct StateCookie {
    pub(super) cookie: CookieName,
    pub(super) verifier: CodeVerifier,
    pub(super) next: Option<String>,
}

impl StateStore {
    /// Those of the client whose login cookie lives at `scope`.
    pub(super) fn new(keyring: &Keyring, scope: &CookieScope) -> Result<Self, ConfigError> {
        let scope = CookieScope::oauth_state(scope)?;
        let name = scope.name(b"").into_owned();
        let parameter = CookieName::custom(&format!("{name}-parameter"))?;
        Ok(Self {
            cookies: CookieJar::encrypted(keyring, scope.clone()).with_lifetime(Lifetime::absolute(LIFE)),
            parameters: CookieJar::encrypted(keyring, scope.with_name(parameter)?)
                .with_lifetime(Lifetime::absolute(MEMORY)),
            name,
        })
    }

    /// A new login: its parameter, and the lines for its cookie.
    pub(super) fn begin(
        &self,
        verifier: &CodeVerifier,
        next: Option<&str>,
        is_second_try: bool,
        sent: Option<&RequestCookies<'_>>,
        now: UnixTime,
        https: bool,
    ) -> (String, SetCookies) {
        let random = BASE64_URL_SAFE_NO_PAD.encode(random::bytes::<16>());
        let attempt = if is_second_try { '2' } else { '1' };
        let parameter = self
            .parameters
            .for_host(b"")
            .encode(format!("{attempt}{random}").as_bytes(), now);
        let next = next.filter(|next| next.len() <= NEXT).unwrap_or_default();
        let payload = zeroize::Zeroizing::new(format!("{random} {} {next}", verifier.expose()));

        let mut lines = SetCookies::default();
        let pending = sent.map(|sent| self.pending(sent)).unwrap_or_default();
        if pending.len() >= LOGINS {
            // Those that cannot be opened any more go first, then the oldest.
            let mut oldest: Vec<_> = pending
                .iter()
                .map(|(name, value)| (self.issued_at(name, value, now), name))
                .collect();
            oldest.sort_by_key(|(issued_at, _)| *issued_at);
            for (_, name) in oldest.iter().take(pending.len() + 1 - LOGINS) {
                self.remove(name, https, &mut lines);
            }
        }
        let free = !pending.iter().any(|(name, _)| *name == self.name);
        let name = if free {
            self.name.clone()
        } else {
            CookieName::random_oauth_state_after(&self.name)
        };
        if let Ok(jar) = self.cookies.clone().with_name(name)
            && let Ok(line) = jar.set_cookie(payload.as_bytes(), now, https)
        {
            lines.push_overriding(line);
        }
        (parameter, lines)
    }

    /// Decrypts the parameter, if this server issued it.
    pub(super) fn read(&self, text: &str, now: UnixTime) -> Option<StateParam> {
        let mut buffer = [0; 128];
        let opened = self
            .parameters
            .for_host(b"")
            .decode_value(text.as_bytes(), now, &mut buffer)
            .ok()?;
        let (attempt, random) = std::str::from_utf8(opened.payload()).ok()?.split_at_checked(1)?;
        Some(StateParam {
            random: random.to_owned(),
            started_at: opened.login_at(),
            is_second_try: attempt == "2",
        })
    }

    /// What is remembered of the login that `parameter` names.
    pub(super) fn remembered(
        &self,
        parameter: &StateParam,
        sent: &RequestCookies<'_>,
        now: UnixTime,
    ) -> Option<StateCookie> {
        self.pending(sent).iter().find_map(|(name, value)| {
            let mut buffer = [0; CookieJar::BUFFER_LEN];
            let jar = self.cookies.clone().with_name(name.clone()).ok()?;
            let opened = jar.for_host(b"").decode_value(value, now, &mut buffer).ok()?;
            let text = std::str::from_utf8(opened.payload()).ok()?;
            let mut parts = text.splitn(3, ' ');
            let (random, verifier, next) = (parts.next()?, parts.next()?, parts.next()?);
            if !secret::constant_time_eq(random.as_bytes(), parameter.random.as_bytes()) {
                return None;
            }
            Some(StateCookie {
                cookie: name.clone(),
                verifier: CodeVerifier::parse(verifier)?,
                next: (!next.is_empty()).then(|| next.to_owned()),
            })
        })
    }

    /// The lines that end all pending logins.
    pub(super) fn end_all(&self, sent: &RequestCookies<'_>, https: bool, lines: &mut SetCookies) {
        for (name, _) in self.pending(sent) {
            self.remove(&name, https, lines);
        }
    }

    fn issued_at(&self, name: &CookieName, value: &[u8], now: UnixTime) -> Option<UnixTime> {
        let mut buffer = [0; CookieJar::BUFFER_LEN];
        let jar = self.cookies.clone().with_name(name.clone()).ok()?;
        let opened = jar.for_host(b"").decode_value(value, now, &mut buffer).ok()?;
        Some(opened.issued_at())
    }

    /// The line that ends the login of this cookie.
    pub(super) fn remove(&self, name: &CookieName, https: bool, lines: &mut SetCookies) {
        let Ok(jar) = self.cookies.clone().with_name(name.clone()) else {
            return;
        };
        if let Some(line) = jar.removal_cookie(https) {
            lines.push_overriding(line);
        }
    }

    /// The cookies of pending logins that a browser sent.
    fn pending<'a>(&self, sent: &RequestCookies<'a>) -> Vec<(CookieName, &'a [u8])> {
        let cookie_name = |name: &[u8]| {
            let rest = name.strip_prefix(self.name.as_str().as_bytes())?;
            let suffixed = matches!(rest, [b'-', letters @ ..] if letters.len() == 8 && letters.iter().all(u8::is_ascii_alphabetic));
            let name = (rest.is_empty() || suffixed).then(|| std::str::from_utf8(name).ok())??;
            CookieName::custom(name).ok()
        };
        // A page elsewhere on the host can plant more; no user has this many pending logins.
        sent.pairs()
            .filter_map(|(name, value)| Some((cookie_name(name)?, value)))
            .take(4 * LOGINS)
            .collect()
    }
}

/// The value of a `Location` field.
pub(super) fn location(url: &str) -> Option<HeaderValue> {
    HeaderValue::try_from(url).ok()
}

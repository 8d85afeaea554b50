//! Which tokens lie in cookies that were opened before.

use std::time::Duration;

use crate::{
    clock::{MonotonicTime, UnixTime},
    cookies::{CookieScope, DecodedCookie},
    digest::{DigestKey, sha256},
    store::ExpiringMap,
};

/// The digests of tokens, by the digests of the cookies that they lie in.
///
/// To decrypt a cookie costs more than the rest of a request whose token has a cached answer of the hub. Two digests
/// are enough to find the token, and nothing is stored that could be used as a credential.
///
/// Only what was opened is put here, and it ends with its cookie.
pub(super) struct CookieCache {
    tokens: ExpiringMap<DigestKey, [u8; 32]>,
    /// For how long a cookie is not opened again.
    max_age: Duration,
}

/// The most cookies that are remembered.
const CAPACITY: usize = 16_384;

/// The digest of what may be a cookie.
#[derive(Clone, Copy)]
pub(super) struct CookieDigest(DigestKey);

impl CookieDigest {
    /// The digest of a value, unless it is longer than any cookie of this server: then it is not computed.
    pub(super) fn of(value: &[u8]) -> Option<Self> {
        (value.len() <= CookieScope::MAX_LEN).then(|| Self(DigestKey(sha256(value))))
    }
}

impl CookieCache {
    pub(super) fn new(max_age: Duration) -> Self {
        Self {
            tokens: ExpiringMap::new(CAPACITY),
            max_age,
        }
    }

    /// The digest of the token in a cookie, if it was opened before.
    pub(super) fn get(&self, cookie: CookieDigest, now: MonotonicTime) -> Option<[u8; 32]> {
        self.tokens.get(&cookie.0, now)
    }

    /// Remembers what was opened, for no longer than it opens. Both times are now.
    pub(super) fn insert(
        &self,
        cookie: CookieDigest,
        opened: &DecodedCookie<'_>,
        time: UnixTime,
        now: MonotonicTime,
    ) {
        let left = opened
            .expires_at()
            .saturating_duration_since(time)
            .min(self.max_age);
        self.tokens
            .insert(cookie.0, sha256(opened.payload()), now.saturating_add(left), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cookies::{CookieJar, CookieName, Keyring, Lifetime, ReadCookie, RequestCookies},
        secret::Secret,
    };

    fn seconds(seconds: u64) -> MonotonicTime {
        MonotonicTime::from_duration(Duration::from_secs(seconds))
    }

    #[test]
    fn a_cookie_is_known_until_it_ends_or_for_the_time_that_is_set() {
        let keyring = Keyring::from_secret(Secret::from(&[7; 32][..])).expect("32 bytes");
        let scope = CookieScope::custom(CookieName::user("alice"), "/user/alice/").expect("a scope");
        let jar =
            CookieJar::encrypted(&keyring, scope).with_lifetime(Lifetime::absolute(Duration::from_secs(60)));
        let issued_at = UnixTime::from_secs(1_000);
        let line = jar
            .set_cookie(b"token", issued_at, false)
            .expect("a short cookie");
        let pair = line
            .as_bytes()
            .split(|byte| *byte == b';')
            .next()
            .expect("a pair");
        let lines = [pair];
        let cookies = RequestCookies::from_lines(&lines).expect("a short line");
        let digest = CookieDigest::of(pair).expect("a short value");
        // (The time it is opened at, for how long it is remembered, how long it is known.)
        for (time, max_age, known) in [(1_000, 300, 60), (1_050, 300, 10), (1_000, 5, 5), (1_060, 300, 0)] {
            let opened_cookies = CookieCache::new(Duration::from_secs(max_age));
            let time = UnixTime::from_secs(time);
            jar.read(
                &cookies,
                || time,
                |_| Some(()),
                |read| match read {
                    ReadCookie::Valid(opened) => opened_cookies.insert(digest, &opened, time, seconds(100)),
                    other => panic!("{other:?}"),
                },
            );
            for (after, expected) in [(0, known > 0), (known.max(1) - 1, known > 0), (known, false)] {
                let found = opened_cookies.get(digest, seconds(100 + after));
                assert_eq!(
                    found,
                    expected.then(|| sha256(b"token")),
                    "{time:?} {max_age} {after}"
                );
            }
        }
        assert!(CookieDigest::of(&[b'x'; CookieScope::MAX_LEN + 1]).is_none());
    }
}

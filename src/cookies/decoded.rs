//! A decoded cookie, and the error of one that is not valid.

use std::{fmt, time::Duration};

use base64::Engine;

use crate::{
    clock::UnixTime,
    denial::{Denial, Reason},
    digest::{DigestKey, sha256},
};

/// How far ahead of this server's clock a cookie may have been issued: the clocks of replicas differ.
pub(super) const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// A verified payload, and its times.
#[derive(Clone, Copy)]
pub struct DecodedCookie<'b> {
    pub(super) payload: &'b [u8],
    pub(super) started_at: UnixTime,
    pub(super) issued_at: UnixTime,
    pub(super) ends_at: UnixTime,
    pub(super) stale: bool,
    /// The code of a signed value, which no other payload has.
    pub(super) mac: Option<[u8; 32]>,
}

impl<'b> DecodedCookie<'b> {
    /// Returns the payload.
    pub fn payload(&self) -> &'b [u8] {
        self.payload
    }

    /// Returns when this cookie was written.
    pub fn issued_at(&self) -> UnixTime {
        self.issued_at
    }

    /// Returns when the first cookie of the login was written.
    pub fn login_at(&self) -> UnixTime {
        self.started_at
    }

    /// Returns when the cookie expires, unless it is renewed.
    pub fn expires_at(&self) -> UnixTime {
        self.ends_at
    }

    /// Returns `true` if the cookie should be renewed by [`CookieJar::renew`](super::CookieJar::renew): it was
    /// verified by a previous key, or half of its idle time has passed.
    pub fn needs_renewal(&self) -> bool {
        self.stale
    }

    /// Returns what the payload can be remembered by.
    pub(crate) fn digest(&self) -> DigestKey {
        DigestKey(self.mac.unwrap_or_else(|| sha256(self.payload)))
    }
}

impl fmt::Debug for DecodedCookie<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("issued_at", &self.issued_at)
            .finish_non_exhaustive()
    }
}

/// A cookie that cannot be decoded. No further detail is given, so that it cannot be used as an oracle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CookieDecodeError {
    /// The cookie has expired.
    #[error("expected a cookie in its lifetime, found an expired one")]
    Expired,
    /// The cookie was not written with a known key, for this name and path; or it was changed.
    #[error("expected a cookie made here, found another")]
    Invalid,
}

impl CookieDecodeError {
    /// Returns the reason for which a request with only this cookie is denied.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Expired => Reason::ExpiredCookie,
            Self::Invalid => Reason::InvalidCookie,
        }
    }
}

impl From<CookieDecodeError> for Denial {
    fn from(error: CookieDecodeError) -> Self {
        Self::new(error.reason())
    }
}

/// Removes one pair of double quotes around the value: Python clients send quoted values.
pub(super) fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        value => value,
    }
}

/// Decodes the bytes that `text` encodes, written to the start of `buffer`; `None` if `text` is not their canonical encoding
/// or the buffer is too small.
pub(super) fn decoded<'b>(engine: &impl Engine, text: &[u8], buffer: &'b mut [u8]) -> Option<&'b mut [u8]> {
    let length = engine.decode_slice(text, buffer).ok()?;
    buffer.get_mut(..length)
}

/// Checks that a value issued at `issued_at` with the lifetime `life` is valid at `now`.
pub(super) fn check_expiry(
    issued_at: UnixTime,
    life: Duration,
    now: UnixTime,
) -> Result<(), CookieDecodeError> {
    if issued_at > now.saturating_add(CLOCK_SKEW) {
        return Err(CookieDecodeError::Invalid);
    }
    if now.saturating_duration_since(issued_at) > life {
        return Err(CookieDecodeError::Expired);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

    use super::*;

    #[track_caller]
    fn check_encoding(engine: &impl Engine, text: &str, expected: Option<&[u8]>) {
        // The buffer has the exact size, and one byte less is too small.
        let length = expected.map_or(text.len(), <[u8]>::len);
        let found = decoded(engine, text.as_bytes(), &mut vec![0; length]).map(|bytes| bytes.to_vec());
        assert_eq!(found.as_deref(), expected, "{text:?}");
        if length > 0 {
            let found =
                decoded(engine, text.as_bytes(), &mut vec![0; length - 1]).map(|bytes| bytes.to_vec());
            assert_eq!(found, None, "{text:?} in a buffer that is too small");
        }
    }

    #[test]
    fn base64_is_accepted_in_its_canonical_form_only() {
        for (text, expected) in [
            ("", Some(&b""[..])),
            ("YQ==", Some(b"a")),
            ("YWI=", Some(b"ab")),
            ("YWJj", Some(b"abc")),
            ("+/+/", Some(b"\xfb\xff\xbf")),
            ("YQ", None),
            ("YQ=", None),
            ("YR==", None),
            ("YWJ=", None),
            ("YQ==YQ==", None),
            ("=", None),
            ("====", None),
            ("Y===", None),
            ("YWJj ", None),
            (" YWJj", None),
            ("YW\nJ", None),
            ("-_-_", None),
        ] {
            check_encoding(&BASE64_STANDARD, text, expected);
        }
        for (text, expected) in [
            ("YQ", Some(&b"a"[..])),
            ("-_-_", Some(b"\xfb\xff\xbf")),
            ("YQ==", None),
            ("YR", None),
            ("Y", None),
        ] {
            check_encoding(&BASE64_URL_SAFE_NO_PAD, text, expected);
        }
    }

    #[test]
    fn one_pair_of_quotes_is_taken_off_and_no_more() {
        for (value, expected) in [
            ("\"a\"", "a"),
            ("\"\"a\"\"", "\"a\""),
            ("\"\"", ""),
            ("\"", "\""),
            ("\"a", "\"a"),
            ("a\"", "a\""),
            ("", ""),
        ] {
            assert_eq!(unquoted(value.as_bytes()), expected.as_bytes(), "{value}");
        }
    }

    #[test]
    fn time_is_over_one_second_after_the_life_and_too_early_five_minutes_ahead() {
        let life = Duration::from_secs(100);
        for (issued_at, expected) in [
            (899, Err(CookieDecodeError::Expired)),
            (900, Ok(())),
            (1_000, Ok(())),
            (1_300, Ok(())),
            (1_301, Err(CookieDecodeError::Invalid)),
            (u64::MAX, Err(CookieDecodeError::Invalid)),
            (0, Err(CookieDecodeError::Expired)),
        ] {
            let found = check_expiry(UnixTime::from_secs(issued_at), life, UnixTime::from_secs(1_000));
            assert_eq!(found, expected, "issued at {issued_at}");
        }
    }
}

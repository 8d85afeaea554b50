//! What comes out of a cookie that was opened, and what does not.

use std::{fmt, time::Duration};

use base64::Engine;

use crate::{
    clock::UnixTime,
    denial::{Denial, Reason},
};

/// How far ahead of our clock a cookie may have been issued: another replica's clock is not ours.
pub(super) const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// A payload that was proven to be ours, and its times.
#[derive(Clone, Copy)]
pub struct DecodedCookie<'b> {
    pub(super) payload: &'b [u8],
    pub(super) started_at: UnixTime,
    pub(super) issued_at: UnixTime,
    pub(super) ends_at: UnixTime,
    pub(super) stale: bool,
}

impl<'b> DecodedCookie<'b> {
    /// What was put in.
    pub fn payload(&self) -> &'b [u8] {
        self.payload
    }

    /// When this very cookie was written.
    pub fn issued_at(&self) -> UnixTime {
        self.issued_at
    }

    /// When the first of its line was written: the login.
    pub fn login_at(&self) -> UnixTime {
        self.started_at
    }

    /// Until when it opens, unless it is written anew.
    pub fn expires_at(&self) -> UnixTime {
        self.ends_at
    }

    /// Whether it should be written anew, by [`CookieJar::renew`](super::CookieJar::renew): a reading key
    /// opened it, or half of its idle time has passed.
    pub fn needs_renewal(&self) -> bool {
        self.stale
    }
}

impl fmt::Debug for DecodedCookie<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("issued_at", &self.issued_at)
            .finish_non_exhaustive()
    }
}

/// A value that does not open. Nothing more is told, so it is no oracle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CookieDecodeError {
    /// It was ours, and its time is over.
    #[error("expected a cookie in its lifetime, found an expired one")]
    Expired,
    /// It was not made with a key we know, for this name and place; or was changed.
    #[error("expected a cookie made here, found another")]
    Invalid,
}

impl CookieDecodeError {
    /// The reason a request with this cookie alone is turned away for.
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

/// The value without one pair of double quotes around it: Python's peers send values quoted.
pub(super) fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        value => value,
    }
}

/// The bytes that `text` encodes, written to the start of `buffer`; `None` if `text` is not their canonical encoding
/// or the buffer is too small.
pub(super) fn decoded<'b>(engine: &impl Engine, text: &[u8], buffer: &'b mut [u8]) -> Option<&'b mut [u8]> {
    let length = engine.decode_slice(text, buffer).ok()?;
    buffer.get_mut(..length)
}

/// Whether a value issued at `issued_at` and good for `life` is good at `now`.
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

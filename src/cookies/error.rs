//! Errors of writing and reading cookies.

use crate::denial::{Denial, Reason};

/// A cookie that cannot be written: its name, what was expected, what was found.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CookieError {
    kind: CookieErrorKind,
    message: String,
}

/// Category of a [`CookieError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CookieErrorKind {
    /// The value has bytes that are not allowed in a cookie.
    Malformed,
    /// Name and value are longer than browsers accept.
    TooLarge,
}

impl CookieError {
    pub(super) fn new(kind: CookieErrorKind, message: String) -> Self {
        Self { kind, message }
    }

    /// Returns the category of the error.
    pub fn kind(&self) -> CookieErrorKind {
        self.kind
    }
}

/// Cookies beyond the limits of [`RequestCookies`](super::RequestCookies); none of them was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CookiesTooLarge {
    /// More than [`RequestCookies::MAX_BYTES`](super::RequestCookies::MAX_BYTES) bytes.
    #[error("expected at most 16384 bytes of cookies, found more")]
    Bytes,
    /// More than [`RequestCookies::MAX_COOKIES`](super::RequestCookies::MAX_COOKIES) pairs.
    #[error("expected at most 512 cookies, found more")]
    Count,
}

impl From<CookiesTooLarge> for Denial {
    fn from(error: CookiesTooLarge) -> Self {
        Self::new(Reason::TooLarge).with_detail(match error {
            CookiesTooLarge::Bytes => "the cookies are more than 16384 bytes",
            CookiesTooLarge::Count => "there are more than 512 cookies",
        })
    }
}

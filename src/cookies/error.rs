//! Errors of writing cookies.

/// A cookie that cannot be written: which one, what was expected, what was found.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CookieError {
    kind: CookieErrorKind,
    message: String,
}

/// What kind of fault a [`CookieError`] tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CookieErrorKind {
    /// The value holds octets that may not stand in a cookie.
    Malformed,
    /// Name and value are longer than browsers keep.
    TooLarge,
}

impl CookieError {
    pub(super) fn new(kind: CookieErrorKind, message: String) -> Self {
        Self { kind, message }
    }

    /// What kind of fault this is.
    pub fn kind(&self) -> CookieErrorKind {
        self.kind
    }
}

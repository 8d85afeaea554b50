//! Errors of writing cookies.

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

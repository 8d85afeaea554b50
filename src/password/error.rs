//! Passwords and hashes that cannot be used.

/// A password that is not taken, or a hash that is not read.
///
/// The message says what was expected and what was found; never the password, nor the hash.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct PasswordError {
    kind: PasswordErrorKind,
    message: String,
}

/// The kind of a [`PasswordError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PasswordErrorKind {
    /// A hash that would take more memory or time than any honest one.
    ExcessiveCost,
    /// A password that is among the commonest, or made of them.
    Common,
    /// A text that is no hash in a form that is read.
    Malformed,
    /// A password made of well-known names: the user's, the host's, the product's.
    ContainsName,
    /// A password longer than is hashed.
    TooLong,
    /// A password with too few characters, or none.
    TooShort,
}

impl PasswordError {
    pub(super) fn new(kind: PasswordErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    pub(super) fn malformed(message: impl std::fmt::Display) -> Self {
        Self::new(PasswordErrorKind::Malformed, format!("password hash: {message}"))
    }

    pub(super) fn absurd(message: impl std::fmt::Display) -> Self {
        Self::new(
            PasswordErrorKind::ExcessiveCost,
            format!("password hash: {message}"),
        )
    }

    /// Returns the kind of this error.
    pub fn kind(&self) -> PasswordErrorKind {
        self.kind
    }
}

//! Why nothing was hashed.

use std::time::Duration;

use crate::{error::BackendError, oneshot::Closed, password::PasswordError};

/// A password was not hashed, so it is unknown whether it is right.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct HashingError {
    kind: HashingErrorKind,
    message: String,
}

/// The kind of a [`HashingError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HashingErrorKind {
    /// Too many wait already, or this one waited too long.
    Busy,
    /// The hash takes more memory than the pool allows.
    MemoryLimit,
    /// The system gave no thread, or the thread was lost.
    Failed,
    /// A password to be hashed is empty or too long, or the policy for new ones does not take it.
    InvalidPassword,
}

impl From<Closed> for HashingError {
    fn from(Closed: Closed) -> Self {
        Self::failed("hashing a password was given up")
    }
}

impl HashingError {
    pub(super) fn busy() -> Self {
        Self::new(HashingErrorKind::Busy, "too many passwords wait to be hashed")
    }

    pub(super) fn costly() -> Self {
        Self::new(
            HashingErrorKind::MemoryLimit,
            "password hash takes more memory than the hashing pool allows",
        )
    }

    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::new(HashingErrorKind::Failed, message)
    }

    pub(super) fn password(limit: usize, found: usize) -> Self {
        Self::new(
            HashingErrorKind::InvalidPassword,
            format!("expected a password of 1 to {limit} bytes, found {found}"),
        )
    }

    #[expect(clippy::needless_pass_by_value, reason = "for map_err")]
    pub(super) fn refused(error: PasswordError) -> Self {
        Self::new(HashingErrorKind::InvalidPassword, error.to_string())
    }

    fn new(kind: HashingErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// Returns the kind of this error.
    pub fn kind(&self) -> HashingErrorKind {
        self.kind
    }

    /// When to try again: after a second if the pool is busy, for a full queue is done within one.
    pub fn retry_after(&self) -> Option<Duration> {
        (self.kind == HashingErrorKind::Busy).then_some(Duration::from_secs(1))
    }
}

impl From<HashingError> for BackendError {
    fn from(error: HashingError) -> Self {
        let retry_after = error.retry_after();
        let unavailable = Self::new(error);
        match retry_after {
            Some(retry_after) => unavailable.with_retry_after(retry_after),
            None => unavailable,
        }
    }
}

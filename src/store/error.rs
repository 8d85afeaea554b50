//! What a store could not do.

use std::time::Duration;

use crate::{
    error::{BackendError, BoxError},
    oneshot::Closed,
};

/// A failed operation of a store, which changed nothing.
///
/// The message says what was expected and what was found; never a token or a hash.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    kind: StoreErrorKind,
    message: String,
    source: Option<BoxError>,
}

/// The kind of a [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// Too many wait already, or another holds the database. To be tried again.
    Busy,
    /// What is stored cannot be read: it was not written by this crate, or was changed.
    Corrupt,
    /// The token, code or login is there already.
    Duplicate,
    /// The disk is full, or the database has reached its size limit.
    Full,
    /// The database is of a newer version, or of another program, or was made with another key.
    Schema,
    /// What the store was to be opened with cannot be used: the address, its TLS.
    Config,
    /// The database does not answer: it cannot be reached, or has ended.
    Unavailable,
}

impl From<Closed> for StoreError {
    fn from(Closed: Closed) -> Self {
        Self::ended()
    }
}

impl StoreError {
    pub(super) fn ended() -> Self {
        Self::new(StoreErrorKind::Unavailable, "the store's thread has ended")
    }

    /// An error of this kind: what was expected, and what was found.
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Sets the cause of the error. Default: none.
    #[must_use]
    pub fn with_source(self, source: impl Into<BoxError>) -> Self {
        Self {
            source: Some(source.into()),
            ..self
        }
    }

    /// Returns the kind of this error.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl From<StoreError> for BackendError {
    /// A busy store can be tried again after a second.
    fn from(error: StoreError) -> Self {
        let busy = error.kind == StoreErrorKind::Busy;
        let unavailable = Self::new(error);
        if busy {
            unavailable.with_retry_after(Duration::from_secs(1))
        } else {
            unavailable
        }
    }
}

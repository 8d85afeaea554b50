//! What a store could not do.

use std::time::Duration;

use crate::{
    error::{BackendError, BoxError},
    oneshot::Closed,
};

/// Something a store was asked to do, and did not; what it held before, it holds still.
///
/// The message says what was expected and what was found; never a token or a hash.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    kind: StoreErrorKind,
    message: String,
    source: Option<BoxError>,
}

/// What kind of fault a [`StoreError`] tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// Too many wait already, or another holds the database. To be tried again.
    Busy,
    /// What is stored cannot be read: it was not written by this crate, or was changed.
    Corrupt,
    /// The token, code or login is there already.
    Duplicate,
    /// No room is left on the disk, or within the bound of the database.
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

    /// A fault of this kind: what was expected, and what was found.
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// The same fault, and what caused it. Default: nothing is known of it.
    #[must_use]
    pub fn with_source(self, source: impl Into<BoxError>) -> Self {
        Self {
            source: Some(source.into()),
            ..self
        }
    }

    /// What kind of fault this is.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl From<StoreError> for BackendError {
    /// A busy store is to be asked again after a second.
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

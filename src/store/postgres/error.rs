//! What PostgreSQL's errors mean.

use std::time::Duration;

use deadpool_postgres::{HookError, PoolError};
use tokio_postgres::{Error, error::SqlState};

use crate::store::{StoreError, StoreErrorKind};

/// How long a server may take to answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// The store's error for an error of the server or of the connection to it.
///
/// Of the server's message only the code is reported: the rest may quote what was to be written.
pub(super) fn store_error(error: Error) -> StoreError {
    use StoreErrorKind::{Busy, Corrupt, Duplicate, Full, Schema, Unavailable};

    let Some(code) = error.code() else {
        // A value that cannot be read or written is no error of the connection.
        let unreadable = std::error::Error::source(&error).is_some_and(|source| {
            source.is::<tokio_postgres::types::WrongType>() || source.is::<tokio_postgres::types::WasNull>()
        });
        let (kind, message) = match unreadable {
            true => (Corrupt, "expected other columns or values"),
            false => (Unavailable, "the database does not answer"),
        };
        return StoreError::new(kind, message).with_source(error);
    };
    let (kind, message) = match code {
        code if *code == SqlState::UNIQUE_VIOLATION => {
            (Duplicate, "expected something new, found it there already")
        }
        code if *code == SqlState::T_R_DEADLOCK_DETECTED
            || *code == SqlState::T_R_SERIALIZATION_FAILURE
            || *code == SqlState::LOCK_NOT_AVAILABLE
            || *code == SqlState::QUERY_CANCELED =>
        {
            (Busy, "another holds what was to be changed")
        }
        code if *code == SqlState::DISK_FULL => (Full, "the disk of the database is full"),
        code if *code == SqlState::CHARACTER_NOT_IN_REPERTOIRE
            || *code == SqlState::UNTRANSLATABLE_CHARACTER
            || *code == SqlState::STRING_DATA_RIGHT_TRUNCATION
            || *code == SqlState::PROGRAM_LIMIT_EXCEEDED =>
        {
            (Corrupt, "expected a text that the database can keep")
        }
        code if *code == SqlState::UNDEFINED_TABLE
            || *code == SqlState::UNDEFINED_COLUMN
            || *code == SqlState::INSUFFICIENT_PRIVILEGE =>
        {
            (Schema, "expected tables of this store's that it may use")
        }
        _ => (Unavailable, "the database refuses"),
    };
    StoreError::new(kind, format!("{message} (SQLSTATE {})", code.code()))
}

pub(super) fn pool_error(error: PoolError) -> StoreError {
    match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
            store_error(error)
        }
        PoolError::Timeout(_) => late(),
        error => {
            StoreError::new(StoreErrorKind::Unavailable, "the database does not answer").with_source(error)
        }
    }
}

pub(super) fn late() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "the database did not answer in time")
}

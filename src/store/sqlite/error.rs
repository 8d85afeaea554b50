//! What SQLite's errors mean.

use rusqlite::{Error, ErrorCode};

use crate::store::{StoreError, StoreErrorKind};

/// The store's error for an error of SQLite. Its own message names tables and columns, never a value.
pub(super) fn store_error(error: Error) -> StoreError {
    use StoreErrorKind::{Busy, Corrupt, Duplicate, Full, Schema, Unavailable};

    let (kind, message) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (Busy, "another process holds the database")
        }
        Some(ErrorCode::ConstraintViolation) => (Duplicate, "expected something new, found it there already"),
        Some(ErrorCode::DiskFull) => (
            Full,
            "the disk is full, or the database has reached its size limit",
        ),
        Some(ErrorCode::DatabaseCorrupt) => (Corrupt, "the database is damaged"),
        Some(ErrorCode::NotADatabase) => (Schema, "expected a database of SQLite's, found another file"),
        Some(_) => (Unavailable, "the database does not answer"),
        None => (Corrupt, "expected other columns or values"),
    };
    StoreError::new(kind, message).with_source(error)
}

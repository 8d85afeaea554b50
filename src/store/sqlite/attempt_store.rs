//! Password attempts in a file.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::token_store::SqliteTokenStore;
use crate::{
    clock::UnixTime,
    maybe_future::BoxFuture,
    store::{
        AttemptKey, AttemptRecord, AttemptStore, StoreError,
        attempt_store::{MAX_RECORDS, must_check_capacity},
        row::{AttemptRow, seconds},
    },
};

impl AttemptStore for SqliteTokenStore {
    fn find_attempts(
        &self,
        key: AttemptKey,
        now: UnixTime,
    ) -> BoxFuture<Result<Option<AttemptRecord>, StoreError>> {
        let found = self.read(move |connection| {
            let columns = AttemptRow::COLUMNS;
            let find =
                format!("SELECT {columns} FROM portcullis_attempts WHERE key = ?1 AND expires_at > ?2");
            connection
                .prepare_cached(&find)?
                .query_row((key.as_bytes(), seconds(now)), attempt_row)
                .optional()
        });
        Box::pin(async move { found.await?.map(AttemptRow::record).transpose() })
    }

    fn replace_attempts(
        &self,
        key: AttemptKey,
        current: Option<AttemptRecord>,
        next: AttemptRecord,
        now: UnixTime,
    ) -> BoxFuture<Result<bool, StoreError>> {
        let (current, next) = (current.as_ref().map(AttemptRow::of), AttemptRow::of(&next));
        self.write(move |connection| {
            let now = seconds(now);
            let replaced = match current {
                None => insert(connection, key, &next, now),
                Some(current) => update(connection, key, &current, &next, now),
            }?;
            sweep(connection, now)?;
            Ok(replaced == 1)
        })
    }
}

fn insert(
    connection: &Connection,
    key: AttemptKey,
    next: &AttemptRow,
    now: i64,
) -> Result<usize, rusqlite::Error> {
    if must_check_capacity(key) {
        let beyond = "DELETE FROM portcullis_attempts WHERE key IN
                      (SELECT key FROM portcullis_attempts ORDER BY expires_at DESC LIMIT 512 OFFSET ?1)";
        connection.prepare_cached(beyond)?.execute([MAX_RECORDS as i64])?;
    }
    let columns = AttemptRow::COLUMNS;
    let insert = format!(
        "INSERT INTO portcullis_attempts ({columns}, key) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (key) DO UPDATE SET failures = ?1, last_failure = ?2, under_way = ?3, expires_at = ?4
         WHERE expires_at <= ?6"
    );
    connection.prepare_cached(&insert)?.execute(params![
        next.failures,
        next.last_failure,
        next.under_way,
        next.expires_at,
        key.as_bytes(),
        now,
    ])
}

fn update(
    connection: &Connection,
    key: AttemptKey,
    current: &AttemptRow,
    next: &AttemptRow,
    now: i64,
) -> Result<usize, rusqlite::Error> {
    let update = "UPDATE portcullis_attempts SET failures = ?1, last_failure = ?2, under_way = ?3, expires_at = ?4
                  WHERE key = ?5 AND failures = ?6 AND last_failure = ?7 AND under_way = ?8 AND expires_at = ?9
                  AND expires_at > ?10";
    connection.prepare_cached(update)?.execute(params![
        next.failures,
        next.last_failure,
        next.under_way,
        next.expires_at,
        key.as_bytes(),
        current.failures,
        current.last_failure,
        current.under_way,
        current.expires_at,
        now,
    ])
}

/// Removes a few records that have expired: more than a write adds.
fn sweep(connection: &Connection, now: i64) -> Result<(), rusqlite::Error> {
    let sweep = "DELETE FROM portcullis_attempts WHERE key IN
                 (SELECT key FROM portcullis_attempts WHERE expires_at <= ?1 ORDER BY expires_at LIMIT 4)";
    connection.prepare_cached(sweep)?.execute([now]).map(drop)
}

fn attempt_row(row: &Row<'_>) -> Result<AttemptRow, rusqlite::Error> {
    Ok(AttemptRow {
        failures: row.get(0)?,
        last_failure: row.get(1)?,
        under_way: row.get(2)?,
        expires_at: row.get(3)?,
    })
}

//! Password attempts in a server that several processes share.
//!
//! Each statement is a transaction of its own, so two replicas hold no locks of each other's.

use tokio_postgres::Row;

use super::token_store::PostgresTokenStore;
use crate::{
    clock::UnixTime,
    maybe_future::BoxFuture,
    store::{
        AttemptKey, AttemptRecord, AttemptStore, StoreError,
        attempt_store::{MAX_RECORDS, must_check_capacity},
        row::{AttemptRow, seconds},
    },
};

/// Writes a record where there is none that has not expired.
const INSERT: &str =
    "INSERT INTO portcullis_attempts AS present (key, failures, last_failure, under_way, expires_at)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (key) DO UPDATE SET failures = $2, last_failure = $3, under_way = $4, expires_at = $5
    WHERE present.expires_at <= $6";
/// Replaces a record. A replica that comes second waits, and then compares with what the first wrote.
const UPDATE: &str =
    "UPDATE portcullis_attempts SET failures = $2, last_failure = $3, under_way = $4, expires_at = $5
    WHERE key = $1 AND expires_at > $6
    AND failures = $7 AND last_failure = $8 AND under_way = $9 AND expires_at = $10";
/// Removes a few records that have expired: more than a write adds.
const SWEEP: &str = "DELETE FROM portcullis_attempts WHERE key IN
    (SELECT key FROM portcullis_attempts WHERE expires_at <= $1 ORDER BY expires_at LIMIT 4 FOR UPDATE SKIP LOCKED)";
/// Removes records beyond the bound.
const BEYOND: &str = "DELETE FROM portcullis_attempts WHERE key IN
    (SELECT key FROM portcullis_attempts ORDER BY expires_at DESC LIMIT 512 OFFSET $1 FOR UPDATE SKIP LOCKED)";

impl AttemptStore for PostgresTokenStore {
    fn find_attempts(
        &self,
        key: AttemptKey,
        now: UnixTime,
    ) -> BoxFuture<Result<Option<AttemptRecord>, StoreError>> {
        let found = self.query(move |object| {
            Box::pin(async move {
                let columns = AttemptRow::COLUMNS;
                let find =
                    format!("SELECT {columns} FROM portcullis_attempts WHERE key = $1 AND expires_at > $2");
                let find = object.prepare_cached(&find).await?;
                let found = object
                    .query_opt(&find, &[&key.as_bytes().as_slice(), &seconds(now)])
                    .await?;
                found.as_ref().map(attempt_row).transpose()
            })
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
        self.query(move |object| {
            Box::pin(async move {
                let (place, now) = (key.as_bytes().as_slice(), seconds(now));
                if current.is_none() && must_check_capacity(key) {
                    let beyond = object.prepare_cached(BEYOND).await?;
                    object.execute(&beyond, &[&(MAX_RECORDS as i64)]).await?;
                }
                let sweep = object.prepare_cached(SWEEP).await?;
                object.execute(&sweep, &[&now]).await?;
                let write = match current {
                    None => INSERT,
                    Some(_) => UPDATE,
                };
                let write = object.prepare_cached(write).await?;
                let mut values: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> = vec![
                    &place,
                    &next.failures,
                    &next.last_failure,
                    &next.under_way,
                    &next.expires_at,
                    &now,
                ];
                if let Some(current) = &current {
                    values.extend::<[&(dyn tokio_postgres::types::ToSql + Sync); 4]>([
                        &current.failures,
                        &current.last_failure,
                        &current.under_way,
                        &current.expires_at,
                    ]);
                }
                Ok(object.execute(&write, &values).await? == 1)
            })
        })
    }
}

fn attempt_row(row: &Row) -> Result<AttemptRow, tokio_postgres::Error> {
    Ok(AttemptRow {
        failures: row.try_get(0)?,
        last_failure: row.try_get(1)?,
        under_way: row.try_get(2)?,
        expires_at: row.try_get(3)?,
    })
}

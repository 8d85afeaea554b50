//! The tables, version by version.

use deadpool_postgres::{Object, Transaction};
use tokio_postgres::{Error, error::SqlState};

use super::{
    error::{PATIENCE, store_error},
    statements::begin,
};
use crate::{
    secret::Secret,
    store::{StoreError, StoreErrorKind, row::LookupKey},
};

/// What makes each version of the version before; the first is made of nothing.
const MIGRATIONS: &[&str] = &[
    include_str!("1.sql"),
    include_str!("2.sql"),
    include_str!("3.sql"),
    include_str!("4.sql"),
    include_str!("5.sql"),
    include_str!("6.sql"),
    include_str!("7.sql"),
    include_str!("8.sql"),
];
/// The newest version.
const NEWEST: i32 = MIGRATIONS.len() as i32;
/// What takes over the tokens of a JupyterHub, whose tables lie in the same database.
const JUPYTERHUB: &str = include_str!("jupyterhub.sql");
/// The lock for creating tables, so that nodes which start at once create them once: "port" in ASCII.
const LOCK: i64 = 0x706f_7274;

/// The properties of an open database.
pub(super) struct DatabaseInfo {
    pub(super) key: LookupKey,
    /// Whether there is a token that is known by a salted hash alone.
    pub(super) salted: bool,
}

/// Brings the database to the newest version, in one step.
pub(super) async fn open(object: &mut Object, own_key: Option<&Secret>) -> Result<DatabaseInfo, StoreError> {
    let transaction = begin(object).await.map_err(store_error)?;
    // Any role that may connect can hold the lock, so it is taken only if there are tables to create.
    let mut found = version(&transaction).await.map_err(store_error)?;
    if found < NEWEST {
        lock(&transaction).await?;
        // Another node may have made them meanwhile.
        found = version(&transaction).await.map_err(store_error)?;
    }
    let pending = usize::try_from(found)
        .ok()
        .and_then(|found| MIGRATIONS.get(found..))
        .ok_or_else(|| {
            let message = format!("expected a database of version {NEWEST} or older, found {found}");
            StoreError::new(StoreErrorKind::Schema, message)
        })?;
    for migration in pending {
        transaction.batch_execute(migration).await.map_err(store_error)?;
    }
    if found == 0 {
        make(&transaction, own_key).await.map_err(store_error)?;
    } else if !pending.is_empty() {
        let newest = "UPDATE portcullis_store SET version = $1";
        transaction
            .execute(newest, &[&NEWEST])
            .await
            .map_err(store_error)?;
    }
    let opened = read(&transaction, own_key).await?;
    transaction.commit().await.map_err(store_error)?;
    Ok(opened)
}

/// Waits until no other node creates tables, for a limited time.
async fn lock(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let patience = format!("SET LOCAL lock_timeout = {}", PATIENCE.as_millis());
    transaction.batch_execute(&patience).await.map_err(store_error)?;
    let lock = "SELECT pg_advisory_xact_lock($1)";
    match transaction.execute(lock, &[&LOCK]).await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            let message = format!(
                "the tables cannot be made: another session holds the advisory lock {LOCK} for more than {} seconds; \
                 find it by SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = {LOCK} AND granted, \
                 wait for it or end it, and connect again",
                PATIENCE.as_secs()
            );
            Err(StoreError::new(StoreErrorKind::Busy, message))
        }
        Err(error) => Err(store_error(error)),
    }
}

/// The version of the tables; 0 if there are none.
async fn version(transaction: &Transaction<'_>) -> Result<i32, Error> {
    if !has_table(transaction, "portcullis_store").await? {
        return Ok(0);
    }
    transaction
        .query_one("SELECT version FROM portcullis_store", &[])
        .await?
        .try_get(0)
}

/// What new tables begin with.
async fn make(transaction: &Transaction<'_>, own_key: Option<&Secret>) -> Result<(), Error> {
    let (stored, key) = match own_key {
        Some(own) => (None, LookupKey::new(own.expose())),
        None => {
            let stored = LookupKey::generate();
            (Some(stored.to_vec()), LookupKey::new(&stored))
        }
    };
    let keys =
        "INSERT INTO portcullis_store (one, version, lookup_key, lookup_key_check) VALUES (1, $1, $2, $3)";
    transaction
        .execute(keys, &[&NEWEST, &stored, &key.check().as_slice()])
        .await?;
    if has_table(transaction, "api_tokens").await? {
        transaction.batch_execute(JUPYTERHUB).await?;
    }
    Ok(())
}

async fn read(transaction: &Transaction<'_>, own_key: Option<&Secret>) -> Result<DatabaseInfo, StoreError> {
    let keys = "SELECT lookup_key, lookup_key_check FROM portcullis_store";
    let keys = transaction.query_one(keys, &[]).await.map_err(store_error)?;
    let stored: Option<Vec<u8>> = keys.try_get(0).map_err(store_error)?;
    let check: Vec<u8> = keys.try_get(1).map_err(store_error)?;
    let salted = "SELECT EXISTS (SELECT 1 FROM portcullis_tokens WHERE prefix IS NOT NULL)";
    let salted = transaction.query_one(salted, &[]).await.map_err(store_error)?;
    Ok(DatabaseInfo {
        key: LookupKey::of(stored.as_deref(), &check, own_key)?,
        salted: salted.try_get(0).map_err(store_error)?,
    })
}

/// A query of the catalogue, for `to_regclass` may answer from a cache that another node's new tables are not in yet.
async fn has_table(transaction: &Transaction<'_>, name: &str) -> Result<bool, Error> {
    let found = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_tables
                 WHERE tablename = $1 AND schemaname = ANY (current_schemas(true)))";
    transaction.query_one(found, &[&name]).await?.try_get(0)
}

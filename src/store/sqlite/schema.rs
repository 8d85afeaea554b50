//! The tables, version by version.

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

use super::error::store_error;
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
const NEWEST: u32 = MIGRATIONS.len() as u32;
/// What takes over the tokens of a JupyterHub, whose tables lie in the same file.
const JUPYTERHUB: &str = include_str!("jupyterhub.sql");

/// The properties of an open database.
pub(super) struct DatabaseInfo {
    pub(super) key: LookupKey,
    /// Whether there is a token that is known by a salted hash alone.
    pub(super) salted: bool,
}

/// Brings the database to the newest version, in one step.
pub(super) fn open(
    connection: &mut Connection,
    own_key: Option<&Secret>,
) -> Result<DatabaseInfo, StoreError> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(store_error)?;
    let found = version(&transaction).map_err(store_error)?;
    let pending = MIGRATIONS.get(found as usize..).ok_or_else(|| {
        let message = format!(
            "expected a database of version {} or older, found {found}",
            MIGRATIONS.len()
        );
        StoreError::new(StoreErrorKind::Schema, message)
    })?;
    for migration in pending {
        transaction.execute_batch(migration).map_err(store_error)?;
    }
    if found == 0 {
        make(&transaction, own_key).map_err(store_error)?;
    } else if !pending.is_empty() {
        transaction
            .execute("UPDATE portcullis_store SET version = ?1", [NEWEST])
            .map_err(store_error)?;
    }
    let opened = read(&transaction, own_key)?;
    transaction.commit().map_err(store_error)?;
    Ok(opened)
}

/// The version of the tables; 0 if there are none.
fn version(transaction: &Transaction<'_>) -> Result<u32, rusqlite::Error> {
    if !has_table(transaction, "portcullis_store")? {
        return Ok(0);
    }
    transaction.query_row("SELECT version FROM portcullis_store", [], |row| row.get(0))
}

/// What new tables begin with.
fn make(transaction: &Transaction<'_>, own_key: Option<&Secret>) -> Result<(), rusqlite::Error> {
    let (stored, key) = match own_key {
        Some(own) => (None, LookupKey::new(own.expose())),
        None => {
            let stored = LookupKey::generate();
            (Some(stored), LookupKey::new(&stored))
        }
    };
    transaction.execute(
        "INSERT INTO portcullis_store (one, version, lookup_key, lookup_key_check) VALUES (1, ?1, ?2, ?3)",
        (NEWEST, stored, key.check()),
    )?;
    if has_table(transaction, "api_tokens")? {
        transaction.execute_batch(JUPYTERHUB)?;
    }
    Ok(())
}

fn read(transaction: &Transaction<'_>, own_key: Option<&Secret>) -> Result<DatabaseInfo, StoreError> {
    let keys = "SELECT lookup_key, lookup_key_check FROM portcullis_store";
    let (stored, check): (Option<Vec<u8>>, Vec<u8>) = transaction
        .query_row(keys, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(store_error)?;
    let salted = "SELECT EXISTS (SELECT 1 FROM portcullis_tokens WHERE prefix IS NOT NULL)";
    Ok(DatabaseInfo {
        key: LookupKey::of(stored.as_deref(), &check, own_key)?,
        salted: transaction
            .query_row(salted, [], |row| row.get(0))
            .map_err(store_error)?,
    })
}

fn has_table(transaction: &Transaction<'_>, name: &str) -> Result<bool, rusqlite::Error> {
    let found = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1";
    let found: Option<i64> = transaction
        .query_row(found, [name], |row| row.get(0))
        .optional()?;
    Ok(found.is_some())
}

//! The tables, version by version.

use deadpool_postgres::{Object, Transaction};
use tokio_postgres::Error;

use super::fault::fault;
use crate::{
    secret::Secret,
    store::{StoreError, StoreErrorKind, row::LookupKey},
};

/// What makes each version of the version before; the first is made of nothing.
const MIGRATIONS: &[&str] = &[include_str!("1.sql")];
/// The newest version.
const NEWEST: i32 = MIGRATIONS.len() as i32;
/// What takes over the tokens of a JupyterHub, whose tables lie in the same database.
const JUPYTERHUB: &str = include_str!("jupyterhub.sql");
/// Whoever makes tables holds this lock, so that nodes which start at once make them once: "port" in ASCII.
const LOCK: i64 = 0x706f_7274;

/// What there is to know of a database once it is open.
pub(super) struct Opened {
    pub(super) key: LookupKey,
    /// Whether there is a token that is known by a salted hash alone.
    pub(super) salted: bool,
}

/// Brings the database to the newest version, in one step.
pub(super) async fn open(object: &mut Object, own_key: Option<&Secret>) -> Result<Opened, StoreError> {
    let transaction = object.transaction().await.map_err(fault)?;
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await
        .map_err(fault)?;
    let found = version(&transaction).await.map_err(fault)?;
    let pending = usize::try_from(found)
        .ok()
        .and_then(|found| MIGRATIONS.get(found..))
        .ok_or_else(|| {
            let message = format!("expected a database of version {NEWEST} or older, found {found}");
            StoreError::new(StoreErrorKind::Schema, message)
        })?;
    for migration in pending {
        transaction.batch_execute(migration).await.map_err(fault)?;
    }
    if found == 0 {
        make(&transaction, own_key).await.map_err(fault)?;
    } else if !pending.is_empty() {
        let newest = "UPDATE portcullis_store SET version = $1";
        transaction.execute(newest, &[&NEWEST]).await.map_err(fault)?;
    }
    let opened = read(&transaction, own_key).await?;
    transaction.commit().await.map_err(fault)?;
    Ok(opened)
}

/// 0 if there are no tables of ours.
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

async fn read(transaction: &Transaction<'_>, own_key: Option<&Secret>) -> Result<Opened, StoreError> {
    let keys = "SELECT lookup_key, lookup_key_check FROM portcullis_store";
    let keys = transaction.query_one(keys, &[]).await.map_err(fault)?;
    let stored: Option<Vec<u8>> = keys.try_get(0).map_err(fault)?;
    let check: Vec<u8> = keys.try_get(1).map_err(fault)?;
    let salted = "SELECT EXISTS (SELECT 1 FROM portcullis_tokens WHERE prefix IS NOT NULL)";
    let salted = transaction.query_one(salted, &[]).await.map_err(fault)?;
    Ok(Opened {
        key: LookupKey::of(stored.as_deref(), &check, own_key)?,
        salted: salted.try_get(0).map_err(fault)?,
    })
}

async fn has_table(transaction: &Transaction<'_>, name: &str) -> Result<bool, Error> {
    transaction
        .query_one("SELECT to_regclass($1) IS NOT NULL", &[&name])
        .await?
        .try_get(0)
}

//! The store, of tokens.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use deadpool_postgres::{Object, Pool};
use tokio::{runtime::Handle, sync::Semaphore, time::timeout};
use tokio_postgres::Error;

use super::{
    ending::{revoke, sweep_tokens},
    error::{PATIENCE, late, pool_error, store_error},
    listening::{Listening, commit},
    schema::DatabaseInfo,
    statements::{begin, borrowed, condition, insert_token, token_row},
};
use crate::{
    clock::UnixTime,
    maybe_future::{BoxFuture, MaybeFuture},
    store::{
        RecordId, SaltedHashStore, SaltedTokenHash, StoreError, TokenFilter, TokenRecord, TokenStore,
        row::{LookupKey, TokenRow, bounded, number, salted_tokens, seconds},
    },
    token::TokenHash,
};

/// How many uses of tokens are being recorded at most; others are not recorded.
const NOTES: usize = 64;

/// Tokens in a server of PostgreSQL's: the choice for several processes at once.
///
/// A few connections, opened when they are needed and again after they were cut. A server that does not answer within
/// 5 seconds is reported as `Unavailable`. Needs a tokio runtime.
///
/// A revocation takes effect on every node at once: there is no cache. Each lookup queries the server, and sees all that was
/// committed before. Of several hosts the one is taken that may write, never one that follows it.
///
/// [`on_sessions_ended`](crate::store::SessionStore::on_sessions_ended) takes one more connection, on which each node listens
/// to `portcullis_sessions_ended`. A role that may connect to the database can listen to this channel and send to it; it carries
/// ids of records.
///
/// The tables are made, and brought to a newer version, when a node connects; nodes that start at once wait for each
/// other, 5 seconds at most. Transactions are `READ COMMITTED`, whatever the default of the database is. The names of the
/// tables begin with `portcullis_`. A clone is a handle on the same store. Texts with a NUL in them cannot be kept
/// (`Corrupt`).
///
/// # The database of a JupyterHub
///
/// Connect to a copy of it, of JupyterHub 3 or newer: as for [`SqliteTokenStore`](crate::store::SqliteTokenStore), where
/// the rows of `api_tokens` are taken over the first time.
///
/// # Security
///
/// [`connect`](Self::connect) has no TLS. It reaches a server on this machine, or one that `sslmode=disable` was written
/// for; anything else wants [`connect_with_tls`](crate::store::PostgresTokenStoreBuilder::connect_with_tls), which never falls back to none for a server
/// beyond this machine.
///
/// # Example
///
/// ```no_run
/// use portcullis::{store::PostgresTokenStore, verify::StoredTokens, AuthLayer};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let store = PostgresTokenStore::connect("host=/run/postgresql user=hub dbname=hub").await?;
/// let auth = AuthLayer::bearer_tokens(StoredTokens::new(store));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresTokenStore(Arc<Inner>);

struct Inner {
    pool: Pool,
    opened: DatabaseInfo,
    notes: Arc<Semaphore>,
    listening: Listening,
}

/// What is done on one connection.
pub(super) type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

impl PostgresTokenStore {
    pub(super) fn new(pool: Pool, opened: DatabaseInfo, listening: Listening) -> Self {
        Self(Arc::new(Inner {
            pool,
            opened,
            notes: Arc::new(Semaphore::new(NOTES)),
            listening,
        }))
    }

    pub(super) fn key(&self) -> &LookupKey {
        &self.0.opened.key
    }

    /// What comes of `work`, on a connection of its own.
    pub(super) fn query<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a mut Object) -> Work<'a, T> + Send + 'static,
    ) -> BoxFuture<Result<T, StoreError>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let mut object = inner.pool.get().await.map_err(pool_error)?;
            match timeout(PATIENCE, work(&mut object)).await {
                Ok(answer) => answer.map_err(store_error),
                Err(_) => {
                    // A connection that did not answer once is not used again.
                    drop(Object::take(object));
                    Err(late())
                }
            }
        })
    }

    /// Lists tokens, oldest first; of a `page` (offset and limit) newest first.
    pub(super) fn list_tokens(
        &self,
        which: TokenFilter,
        now: UnixTime,
        page: Option<(u64, u64)>,
    ) -> BoxFuture<Result<Vec<TokenRecord>, StoreError>> {
        let rows = self.query(move |object| {
            Box::pin(async move {
                let (condition, mut values) = condition(&which);
                values.push(Box::new(seconds(now)));
                let (columns, last) = (TokenRow::COLUMNS, values.len());
                let order = match page {
                    None => "ORDER BY created, id".to_owned(),
                    Some((offset, limit)) => {
                        values.push(Box::new(bounded(limit)));
                        values.push(Box::new(bounded(offset)));
                        let (limit, offset) = (last + 1, last + 2);
                        format!("ORDER BY created DESC, id DESC LIMIT ${limit} OFFSET ${offset}")
                    }
                };
                let list = format!(
                    "SELECT {columns} FROM portcullis_tokens
                     WHERE {condition} AND (expires_at IS NULL OR expires_at > ${last}) {order}"
                );
                let list = object.prepare_cached(&list).await?;
                let rows = object.query(&list, &borrowed(&values)).await?;
                rows.iter().map(token_row).collect::<Result<Vec<_>, _>>()
            })
        });
        Box::pin(async move { rows.await?.into_iter().map(TokenRow::record).collect() })
    }

    /// As [`query`](Self::query), then notifies the listeners of this process of the sessions that `work` ended. `work` notifies the others.
    pub(super) fn end<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a mut Object) -> Work<'a, (T, Vec<RecordId>)> + Send + 'static,
    ) -> BoxFuture<Result<T, StoreError>> {
        let (inner, ended) = (Arc::clone(&self.0), self.query(work));
        Box::pin(async move {
            let (result, ended) = ended.await?;
            inner.listening.call(&ended);
            Ok(result)
        })
    }

    pub(super) fn listening(&self) -> &Listening {
        &self.0.listening
    }

    /// Does `work` in the background.
    fn note(&self, work: impl for<'a> FnOnce(&'a mut Object) -> Work<'a, u64> + Send + 'static) {
        let (Ok(runtime), Ok(permit)) = (
            Handle::try_current(),
            Arc::clone(&self.0.notes).try_acquire_owned(),
        ) else {
            return;
        };
        let noted = self.query(work);
        runtime.spawn(async move {
            let _ = noted.await;
            drop(permit);
        });
    }
}

impl TokenStore for PostgresTokenStore {
    fn find(&self, hash: TokenHash) -> MaybeFuture<Result<Option<TokenRecord>, StoreError>> {
        let place = self.key().hmac(hash);
        let found = self.query(move |object| {
            Box::pin(async move {
                let columns = TokenRow::COLUMNS;
                let find = format!("SELECT {columns} FROM portcullis_tokens WHERE hash = $1");
                let find = object.prepare_cached(&find).await?;
                let found = object.query_opt(&find, &[&place.as_slice()]).await?;
                found.as_ref().map(token_row).transpose()
            })
        });
        MaybeFuture::from_future(async move { found.await?.map(TokenRow::record).transpose() })
    }

    fn insert(&self, hash: TokenHash, token: TokenRecord) -> BoxFuture<Result<(), StoreError>> {
        let place = self.key().hmac(hash);
        match TokenRow::of(&token) {
            Ok(row) => self.end(move |object| {
                Box::pin(async move {
                    let transaction = begin(object).await?;
                    let ended = sweep_tokens(&transaction, row.created).await?;
                    insert_token(&transaction, &place, &row).await?;
                    commit(transaction, &ended).await?;
                    Ok(((), ended))
                })
            }),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    fn list(&self, which: TokenFilter, now: UnixTime) -> BoxFuture<Result<Vec<TokenRecord>, StoreError>> {
        self.list_tokens(which, now, None)
    }

    fn revoke(&self, which: TokenFilter) -> BoxFuture<Result<u64, StoreError>> {
        self.end(move |object| {
            Box::pin(async move {
                let transaction = begin(object).await?;
                let (condition, values) = condition(&which);
                let (count, ended) = revoke(&transaction, &condition, &borrowed(&values)).await?;
                commit(transaction, &ended).await?;
                Ok((count, ended))
            })
        })
    }

    fn record_use(&self, id: RecordId, now: UnixTime) {
        let (Ok(id), now) = (number(id), seconds(now)) else {
            return;
        };
        self.note(move |object| {
            Box::pin(async move {
                let note = "UPDATE portcullis_tokens SET last_used = $2
                            WHERE id = $1 AND coalesce(last_used < $2, TRUE)";
                let note = object.prepare_cached(note).await?;
                object.execute(&note, &[&id, &now]).await
            })
        });
    }

    fn salted_hashes(&self) -> Option<&dyn SaltedHashStore> {
        self.0.opened.salted.then_some(self)
    }
}

impl SaltedHashStore for PostgresTokenStore {
    fn find_by_prefix(
        &self,
        prefix: &str,
    ) -> MaybeFuture<Result<Vec<(SaltedTokenHash, TokenRecord)>, StoreError>> {
        let prefix = prefix.to_owned();
        let rows = self.query(move |object| {
            Box::pin(async move {
                let columns = TokenRow::COLUMNS;
                let find = format!(
                    "SELECT {columns}, salted FROM portcullis_tokens WHERE prefix = $1 ORDER BY id LIMIT $2"
                );
                let find = object.prepare_cached(&find).await?;
                let limit = SaltedTokenHash::CANDIDATES as i64;
                let rows = object.query(&find, &[&prefix, &limit]).await?;
                let rows = rows
                    .iter()
                    .map(|row| Ok((token_row(row)?, row.try_get::<_, String>(12)?)));
                rows.collect::<Result<Vec<_>, Error>>()
            })
        });
        MaybeFuture::from_future(async move { salted_tokens(rows.await?) })
    }

    fn migrate(&self, id: RecordId, hash: TokenHash) {
        let Ok(id) = number(id) else { return };
        let place = self.key().hmac(hash);
        self.note(move |object| {
            Box::pin(async move {
                let adopt = "UPDATE portcullis_tokens SET hash = $2, prefix = NULL, salted = NULL
                             WHERE id = $1 AND salted IS NOT NULL";
                let adopt = object.prepare_cached(adopt).await?;
                object.execute(&adopt, &[&id, &place.as_slice()]).await
            })
        });
    }
}

impl fmt::Debug for PostgresTokenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresTokenStore")
    }
}

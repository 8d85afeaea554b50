//! The store, of tokens.

use std::{fmt, sync::Arc};

use rusqlite::{Connection, OptionalExtension as _, params_from_iter, types::Value};

use super::{
    error::store_error,
    schema::DatabaseInfo,
    statements::{condition, insert, revoke, sweep_tokens, token_row},
    workers::Threads,
};
use crate::{
    clock::UnixTime,
    maybe_future::{BoxFuture, MaybeFuture},
    oneshot::Receiver,
    store::{
        EndedSessions, RecordId, SaltedHashStore, SaltedTokenHash, StoreError, TokenFilter, TokenRecord,
        TokenStore,
        row::{LookupKey, TokenRow, bounded, number, salted_tokens, seconds},
        session::SessionListeners,
    },
    token::TokenHash,
};

/// Tokens in a file of SQLite's: the choice for one process, with nothing to install.
///
/// One thread writes and a few read; no async runtime is needed or used. What was acknowledged is on the disk: it is
/// there after the process was killed, or the power went. Writes that wait together share one wait for the disk.
/// Readers are not kept waiting by it, nor by another process that holds the database.
///
/// The tables are made, and brought to a newer version, when the file is opened. Their names begin with `portcullis_`,
/// so the file may have other tables as well. A clone is a handle on the same store; dropping the last one waits until
/// all is written.
///
/// [`on_sessions_ended`](crate::store::SessionStore::on_sessions_ended) reports what this store ends, not what another one on the
/// same file does.
///
/// # The database of a JupyterHub
///
/// Open a copy of `jupyterhub.sqlite`, of JupyterHub 3 or newer. When it is opened for the first time, the rows of
/// `api_tokens` are taken over: from then on those tokens are accepted, with their owners, scopes, notes and ends, and
/// under their ids. A service's token is owned by `services/<name>`, which cannot be a user's name. JupyterHub's own
/// tables are left as they are, and not read again.
///
/// Each such token is known by its salted hash until it is used; then the plain one takes its place.
///
/// # Security
///
/// The file is made with mode 0600. A reader of it finds hashes, names and session ids, and nothing to log in with. Who
/// can write to it can make tokens, so its folder should be its owner's alone.
///
/// # Example
///
/// ```
/// use portcullis::{store::SqliteTokenStore, verify::StoredTokens, Grant, Identity};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("tokens.sqlite");
/// let tokens = StoredTokens::new(SqliteTokenStore::open(&path)?);
/// let (token, _) = tokens.issue(Grant::new(Identity::new("me")).with_label("phone")).await?;
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
#[derive(Clone)]
pub struct SqliteTokenStore(Arc<Inner>);

struct Inner {
    threads: Threads,
    opened: DatabaseInfo,
    listeners: Arc<SessionListeners>,
}

impl SqliteTokenStore {
    pub(super) fn new(threads: Threads, opened: DatabaseInfo) -> Self {
        Self(Arc::new(Inner {
            threads,
            opened,
            listeners: Arc::default(),
        }))
    }

    pub(super) fn key(&self) -> &LookupKey {
        &self.0.opened.key
    }

    pub(super) fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> BoxFuture<Result<T, StoreError>> {
        wait(
            self.0
                .threads
                .read(|connection| work(connection).map_err(store_error)),
        )
    }

    pub(super) fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> BoxFuture<Result<T, StoreError>> {
        wait(self.0.threads.write(
            |connection| work(connection).map_err(store_error),
            |result| result,
        ))
    }

    /// Writes, then notifies the listeners of the sessions that ended.
    pub(super) fn end<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<(T, Vec<RecordId>), rusqlite::Error> + Send + 'static,
    ) -> BoxFuture<Result<T, StoreError>> {
        let listeners = Arc::clone(&self.0.listeners);
        wait(self.0.threads.write(
            |connection| work(connection).map_err(store_error),
            move |(result, ended)| {
                listeners.call(EndedSessions::Ids(&ended));
                result
            },
        ))
    }

    pub(super) fn listeners(&self) -> &SessionListeners {
        &self.0.listeners
    }

    /// Lists tokens, oldest first; of a `page` (offset and limit) newest first.
    pub(super) fn list_tokens(
        &self,
        which: TokenFilter,
        now: UnixTime,
        page: Option<(u64, u64)>,
    ) -> BoxFuture<Result<Vec<TokenRecord>, StoreError>> {
        let rows = self.read(move |connection| {
            let (condition, mut values) = condition(&which);
            values.push(Value::Integer(seconds(now)));
            let (columns, last) = (TokenRow::COLUMNS, values.len());
            let order = match page {
                None => "ORDER BY created, id".to_owned(),
                Some((offset, limit)) => {
                    values.push(Value::Integer(bounded(limit)));
                    values.push(Value::Integer(bounded(offset)));
                    let (limit, offset) = (last + 1, last + 2);
                    format!("ORDER BY created DESC, id DESC LIMIT ?{limit} OFFSET ?{offset}")
                }
            };
            let list = format!(
                "SELECT {columns} FROM portcullis_tokens
                 WHERE {condition} AND (expires_at IS NULL OR expires_at > ?{last}) {order}"
            );
            let mut list = connection.prepare_cached(&list)?;
            let rows = list.query_map(params_from_iter(values), token_row)?;
            rows.collect::<Result<Vec<_>, _>>()
        });
        Box::pin(async move { rows.await?.into_iter().map(TokenRow::record).collect() })
    }

    /// Writes in the background.
    fn note(&self, work: impl FnOnce(&Connection) -> Result<usize, rusqlite::Error> + Send + 'static) {
        let _ = self
            .0
            .threads
            .write(|connection| work(connection).map_err(store_error), drop);
    }
}

impl TokenStore for SqliteTokenStore {
    fn find(&self, hash: TokenHash) -> MaybeFuture<Result<Option<TokenRecord>, StoreError>> {
        let place = self.key().hmac(hash);
        let found = self.read(move |connection| {
            let columns = TokenRow::COLUMNS;
            let find = format!("SELECT {columns} FROM portcullis_tokens WHERE hash = ?1");
            connection
                .prepare_cached(&find)?
                .query_row([place], token_row)
                .optional()
        });
        MaybeFuture::from_future(async move { found.await?.map(TokenRow::record).transpose() })
    }

    fn insert(&self, hash: TokenHash, token: TokenRecord) -> BoxFuture<Result<(), StoreError>> {
        let place = self.key().hmac(hash);
        match TokenRow::of(&token) {
            Ok(row) => self.end(move |connection| {
                let ended = sweep_tokens(connection, row.created)?;
                insert(connection, place, &row)?;
                Ok(((), ended))
            }),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    fn list(&self, which: TokenFilter, now: UnixTime) -> BoxFuture<Result<Vec<TokenRecord>, StoreError>> {
        self.list_tokens(which, now, None)
    }

    fn revoke(&self, which: TokenFilter) -> BoxFuture<Result<u64, StoreError>> {
        self.end(move |connection| {
            let (condition, values) = condition(&which);
            revoke(connection, &condition, params_from_iter(values))
        })
    }

    fn record_use(&self, id: RecordId, now: UnixTime) {
        let (Ok(id), now) = (number(id), seconds(now)) else {
            return;
        };
        self.note(move |connection| {
            let note = "UPDATE portcullis_tokens SET last_used = ?2 WHERE id = ?1 AND coalesce(last_used < ?2, TRUE)";
            connection.prepare_cached(note)?.execute((id, now))
        });
    }

    fn salted_hashes(&self) -> Option<&dyn SaltedHashStore> {
        self.0.opened.salted.then_some(self)
    }
}

impl SaltedHashStore for SqliteTokenStore {
    fn find_by_prefix(
        &self,
        prefix: &str,
    ) -> MaybeFuture<Result<Vec<(SaltedTokenHash, TokenRecord)>, StoreError>> {
        let prefix = prefix.to_owned();
        let rows = self.read(move |connection| {
            let columns = TokenRow::COLUMNS;
            let find = format!(
                "SELECT {columns}, salted FROM portcullis_tokens WHERE prefix = ?1 ORDER BY id LIMIT ?2"
            );
            let mut find = connection.prepare_cached(&find)?;
            let limit = SaltedTokenHash::CANDIDATES as i64;
            let rows = find.query_map((prefix, limit), |row| {
                Ok((token_row(row)?, row.get::<_, String>(12)?))
            })?;
            rows.collect::<Result<Vec<_>, _>>()
        });
        MaybeFuture::from_future(async move { salted_tokens(rows.await?) })
    }

    fn migrate(&self, id: RecordId, hash: TokenHash) {
        let Ok(id) = number(id) else { return };
        let place = self.key().hmac(hash);
        self.note(move |connection| {
            let adopt = "UPDATE portcullis_tokens SET hash = ?2, prefix = NULL, salted = NULL
                         WHERE id = ?1 AND salted IS NOT NULL";
            connection.prepare_cached(adopt)?.execute((id, place))
        });
    }
}

impl fmt::Debug for SqliteTokenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SqliteTokenStore")
    }
}

/// The answer to what was given to a thread, or why it was not.
fn wait<T: Send + 'static>(
    reply: Result<Receiver<T, StoreError>, StoreError>,
) -> BoxFuture<Result<T, StoreError>> {
    match reply {
        Ok(reply) => Box::pin(reply),
        Err(error) => Box::pin(async { Err(error) }),
    }
}

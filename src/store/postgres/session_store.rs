//! Sessions in a server that several processes share.
//!
//! Locks are taken in one order, sessions before codes before tokens, and each statement sees what was committed before
//! it: [`begin`] sets this isolation. So a logout waits for an exchange in progress and then finds its token, or the
//! exchange finds its code gone.

use std::sync::Weak;

use deadpool_postgres::Transaction;
use tokio_postgres::{Error, Row};

use super::{
    ending::{end, replace},
    listening::commit,
    statements::{SWEEP_SESSIONS, begin, borrowed, session_condition},
    token_store::PostgresTokenStore,
};
use crate::{
    clock::UnixTime,
    maybe_future::{BoxFuture, MaybeFuture},
    store::{
        SessionFilter, SessionListener, SessionRecord, SessionStore, SessionTouch, StoreError,
        row::{GrantRow, SessionRow, TouchRow, seconds},
    },
    token::TokenHash,
};

impl SessionStore for PostgresTokenStore {
    fn insert_session(
        &self,
        hash: TokenHash,
        session: SessionRecord,
        replaced: Option<String>,
    ) -> BoxFuture<Result<(), StoreError>> {
        let place = self.key().hmac(hash);
        match SessionRow::of(&session, self.key()) {
            Ok(session) => self.end(move |object| {
                Box::pin(async move {
                    let transaction = begin(object).await?;
                    let sweep = transaction.prepare_cached(SWEEP_SESSIONS).await?;
                    transaction.execute(&sweep, &[&session.created, &4_i64]).await?;
                    let ended = match &replaced {
                        Some(replaced) => replace(&transaction, replaced, &session).await?,
                        None => Vec::new(),
                    };
                    insert(&transaction, &place, &session).await?;
                    commit(transaction, &ended).await?;
                    Ok(((), ended))
                })
            }),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    fn find_session(&self, hash: TokenHash) -> MaybeFuture<Result<Option<SessionRecord>, StoreError>> {
        let place = self.key().hmac(hash);
        let found = self.query(move |object| {
            Box::pin(async move {
                let columns = SessionRow::COLUMNS;
                let find = format!("SELECT {columns} FROM portcullis_sessions WHERE hash = $1");
                let find = object.prepare_cached(&find).await?;
                let found = object.query_opt(&find, &[&place.as_slice()]).await?;
                found.as_ref().map(session_row).transpose()
            })
        });
        let key = self.key().clone();
        MaybeFuture::from_future(async move { found.await?.map(|row| row.record(&key)).transpose() })
    }

    fn touch_session(&self, hash: TokenHash, touch: SessionTouch) -> BoxFuture<Result<bool, StoreError>> {
        let place = self.key().hmac(hash);
        match TouchRow::of(&touch) {
            Ok(row) => self.query(move |object| {
                Box::pin(async move {
                    let transaction = begin(object).await?;
                    let touched = touch_row(&transaction, &place, row).await?;
                    transaction.commit().await?;
                    Ok(touched)
                })
            }),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    fn list_sessions(
        &self,
        which: SessionFilter,
        now: UnixTime,
    ) -> BoxFuture<Result<Vec<SessionRecord>, StoreError>> {
        let (condition, mut values) = session_condition(&which, self.key());
        let rows = self.query(move |object| {
            Box::pin(async move {
                values.push(Box::new(seconds(now)));
                let (columns, last) = (SessionRow::COLUMNS, values.len());
                let list = format!(
                    "SELECT {columns} FROM portcullis_sessions
                     WHERE {condition} AND expires_at > ${last} ORDER BY created, id"
                );
                let list = object.prepare_cached(&list).await?;
                let rows = object.query(&list, &borrowed(&values)).await?;
                rows.iter().map(session_row).collect::<Result<Vec<_>, _>>()
            })
        });
        let key = self.key().clone();
        Box::pin(async move { rows.await?.into_iter().map(|row| row.record(&key)).collect() })
    }

    fn end_sessions(&self, which: SessionFilter) -> BoxFuture<Result<u64, StoreError>> {
        let (condition, values) = session_condition(&which, self.key());
        self.end(move |object| {
            Box::pin(async move {
                let transaction = begin(object).await?;
                let (count, ended) = end(&transaction, &condition, &borrowed(&values)).await?;
                commit(transaction, &ended).await?;
                Ok((count, ended))
            })
        })
    }

    fn remove_expired_sessions(&self, now: UnixTime, limit: usize) -> BoxFuture<Result<u64, StoreError>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.query(move |object| {
            Box::pin(async move {
                let sweep = object.prepare_cached(SWEEP_SESSIONS).await?;
                object.execute(&sweep, &[&seconds(now), &limit]).await
            })
        })
    }

    fn on_sessions_ended(&self, listener: Weak<SessionListener>) -> bool {
        self.listening().add(listener);
        true
    }
}

async fn insert(transaction: &Transaction<'_>, place: &[u8; 32], session: &SessionRow) -> Result<(), Error> {
    let columns = SessionRow::COLUMNS;
    let insert = format!(
        "INSERT INTO portcullis_sessions ({columns}, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
    );
    let insert = transaction.prepare_cached(&insert).await?;
    transaction
        .execute(
            &insert,
            &[
                &session.id,
                &session.grant.owner,
                &session.grant.identity,
                &session.grant.scopes,
                &session.grant.label,
                &session.grant.expires_at,
                &session.session_id,
                &session.created,
                &session.last_used,
                &session.checked_at,
                &session.expires_at,
                &session.note,
                &session.address,
                &session.credential,
                &session.membership,
                &place.as_slice(),
            ],
        )
        .await
        .map(drop)
}

async fn touch_row(transaction: &Transaction<'_>, place: &[u8; 32], row: TouchRow) -> Result<bool, Error> {
    let touch = "UPDATE portcullis_sessions SET last_used = greatest(last_used, $2), expires_at = $3
                 WHERE hash = $1 AND expires_at > $2";
    let touch = transaction.prepare_cached(touch).await?;
    let place = place.as_slice();
    let touched = transaction
        .execute(&touch, &[&place, &row.last_used, &row.expires_at])
        .await?;
    if touched == 0 {
        return Ok(false);
    }
    if let Some((checked_at, grant, membership)) = row.checked {
        let check = "UPDATE portcullis_sessions SET checked_at = $2, owner = $3, identity = $4, scopes = $5, label = $6,
                     grant_expires_at = $7, membership = $8 WHERE hash = $1 AND checked_at <= $2";
        let check = transaction.prepare_cached(check).await?;
        transaction
            .execute(
                &check,
                &[
                    &place,
                    &checked_at,
                    &grant.owner,
                    &grant.identity,
                    &grant.scopes,
                    &grant.label,
                    &grant.expires_at,
                    &membership,
                ],
            )
            .await?;
    }
    Ok(true)
}

fn session_row(row: &Row) -> Result<SessionRow, Error> {
    Ok(SessionRow {
        id: row.try_get(0)?,
        grant: GrantRow {
            owner: row.try_get(1)?,
            identity: row.try_get(2)?,
            scopes: row.try_get(3)?,
            label: row.try_get(4)?,
            expires_at: row.try_get(5)?,
        },
        session_id: row.try_get(6)?,
        created: row.try_get(7)?,
        last_used: row.try_get(8)?,
        checked_at: row.try_get(9)?,
        expires_at: row.try_get(10)?,
        note: row.try_get(11)?,
        address: row.try_get(12)?,
        credential: row.try_get(13)?,
        membership: row.try_get(14)?,
    })
}

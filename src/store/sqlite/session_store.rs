//! Sessions in a file.

use std::sync::Weak;

use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter, types::Value};

use super::{
    statements::{delete_sessions, delete_tokens, end_dependents, session_condition, sweep_sessions},
    token_store::SqliteTokenStore,
};
use crate::{
    clock::UnixTime,
    maybe_future::{BoxFuture, MaybeFuture},
    store::{
        RecordId, SessionFilter, SessionListener, SessionRecord, SessionStore, SessionTouch, StoreError,
        row::{GrantRow, SessionRow, TouchRow, seconds},
    },
    token::TokenHash,
};

impl SessionStore for SqliteTokenStore {
    fn insert_session(
        &self,
        hash: TokenHash,
        session: SessionRecord,
        replaced: Option<String>,
    ) -> BoxFuture<Result<(), StoreError>> {
        let place = self.key().hmac(hash);
        match SessionRow::of(&session, self.key()) {
            Ok(session) => self.end(move |connection| {
                sweep_sessions(connection, session.created, 4)?;
                let ended = match replaced {
                    Some(replaced) => replace(connection, &replaced, &session)?,
                    None => Vec::new(),
                };
                insert(connection, place, &session)?;
                Ok(((), ended))
            }),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    fn find_session(&self, hash: TokenHash) -> MaybeFuture<Result<Option<SessionRecord>, StoreError>> {
        let place = self.key().hmac(hash);
        let found = self.read(move |connection| {
            let columns = SessionRow::COLUMNS;
            let find = format!("SELECT {columns} FROM portcullis_sessions WHERE hash = ?1");
            connection
                .prepare_cached(&find)?
                .query_row([place], session_row)
                .optional()
        });
        let key = self.key().clone();
        MaybeFuture::from_future(async move { found.await?.map(|row| row.record(&key)).transpose() })
    }

    fn touch_session(&self, hash: TokenHash, touch: SessionTouch) -> BoxFuture<Result<bool, StoreError>> {
        let place = self.key().hmac(hash);
        match TouchRow::of(&touch) {
            Ok(row) => self.write(move |connection| touch_row(connection, place, row)),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    fn list_sessions(
        &self,
        which: SessionFilter,
        now: UnixTime,
    ) -> BoxFuture<Result<Vec<SessionRecord>, StoreError>> {
        let (condition, mut values) = session_condition(&which, self.key());
        let rows = self.read(move |connection| {
            values.push(Value::Integer(seconds(now)));
            let (columns, last) = (SessionRow::COLUMNS, values.len());
            let list = format!(
                "SELECT {columns} FROM portcullis_sessions
                 WHERE {condition} AND expires_at > ?{last} ORDER BY created, id"
            );
            let mut list = connection.prepare_cached(&list)?;
            let rows = list.query_map(params_from_iter(values), session_row)?;
            rows.collect::<Result<Vec<_>, _>>()
        });
        let key = self.key().clone();
        Box::pin(async move { rows.await?.into_iter().map(|row| row.record(&key)).collect() })
    }

    fn end_sessions(&self, which: SessionFilter) -> BoxFuture<Result<u64, StoreError>> {
        let (condition, values) = session_condition(&which, self.key());
        self.end(move |connection| {
            let selected = delete_sessions(connection, &condition, params_from_iter(values))?;
            let count = selected.len() as u64;
            Ok((count, end_dependents(connection, Vec::new(), selected)?))
        })
    }

    fn remove_expired_sessions(&self, now: UnixTime, limit: usize) -> BoxFuture<Result<u64, StoreError>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.write(move |connection| sweep_sessions(connection, seconds(now), limit))
    }

    fn on_sessions_ended(&self, listener: Weak<SessionListener>) -> bool {
        self.listeners().add(listener);
        true
    }
}

/// Replaces another session, if it exists, by `session`, and returns the ids of the sessions that this ends.
fn replace(
    connection: &Connection,
    replaced: &str,
    session: &SessionRow,
) -> Result<Vec<RecordId>, rusqlite::Error> {
    let ended = delete_sessions(connection, "session_id = ?1", [replaced])?;
    if ended.is_empty() {
        return Ok(Vec::new());
    }
    let codes = "DELETE FROM portcullis_codes WHERE session_id = ?1";
    connection.prepare_cached(codes)?.execute([replaced])?;
    let foreign = "session_id = ?1 AND owner <> ?2";
    let foreign = delete_tokens(connection, foreign, (replaced, &session.grant.owner))?;
    let mut ended: Vec<_> = ended.into_iter().map(|(id, _)| id).collect();
    ended.extend(end_dependents(connection, foreign, Vec::new())?);
    let own = "UPDATE portcullis_tokens SET session_id = ?2 WHERE session_id = ?1";
    connection
        .prepare_cached(own)?
        .execute((replaced, &session.session_id))?;
    Ok(ended)
}

fn insert(connection: &Connection, place: [u8; 32], session: &SessionRow) -> Result<(), rusqlite::Error> {
    let columns = SessionRow::COLUMNS;
    let insert = format!(
        "INSERT INTO portcullis_sessions ({columns}, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"
    );
    connection.prepare_cached(&insert)?.execute(params![
        session.id,
        session.grant.owner,
        session.grant.identity,
        session.grant.scopes,
        session.grant.label,
        session.grant.expires_at,
        session.session_id,
        session.created,
        session.last_used,
        session.checked_at,
        session.expires_at,
        session.note,
        session.address,
        session.credential,
        session.membership,
        place,
    ])?;
    Ok(())
}

fn touch_row(connection: &Connection, place: [u8; 32], row: TouchRow) -> Result<bool, rusqlite::Error> {
    let touch = "UPDATE portcullis_sessions SET last_used = max(last_used, ?2), expires_at = ?3
                 WHERE hash = ?1 AND expires_at > ?2";
    let touched = connection
        .prepare_cached(touch)?
        .execute((place, row.last_used, row.expires_at))?;
    if touched == 0 {
        return Ok(false);
    }
    if let Some((checked_at, grant, membership)) = row.checked {
        let check = "UPDATE portcullis_sessions SET checked_at = ?2, owner = ?3, identity = ?4, scopes = ?5, label = ?6,
                     grant_expires_at = ?7, membership = ?8 WHERE hash = ?1 AND checked_at <= ?2";
        connection.prepare_cached(check)?.execute(params![
            place,
            checked_at,
            grant.owner,
            grant.identity,
            grant.scopes,
            grant.label,
            grant.expires_at,
            membership,
        ])?;
    }
    Ok(true)
}

fn session_row(row: &Row<'_>) -> Result<SessionRow, rusqlite::Error> {
    Ok(SessionRow {
        id: row.get(0)?,
        grant: GrantRow {
            owner: row.get(1)?,
            identity: row.get(2)?,
            scopes: row.get(3)?,
            label: row.get(4)?,
            expires_at: row.get(5)?,
        },
        session_id: row.get(6)?,
        created: row.get(7)?,
        last_used: row.get(8)?,
        checked_at: row.get(9)?,
        expires_at: row.get(10)?,
        note: row.get(11)?,
        address: row.get(12)?,
        credential: row.get(13)?,
        membership: row.get(14)?,
    })
}

//! Codes and activity in a file.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{
    statements::{insert, revoke, sweep_tokens},
    token_store::SqliteTokenStore,
};
use crate::{
    clock::UnixTime,
    maybe_future::BoxFuture,
    store::{
        ActivityRecord, ClientRecord, CodeRecord, CodeRedemption, HubStore, RecordId, RefreshHashes,
        RefreshRotation, StoreError, TokenFilter, TokenRecord,
        row::{ActivityRow, ClientRow, CodeRow, TokenRow, bounded, seconds},
    },
    token::TokenHash,
};

impl HubStore for SqliteTokenStore {
    fn insert_code(
        &self,
        hash: TokenHash,
        code: CodeRecord,
        now: UnixTime,
    ) -> BoxFuture<Result<bool, StoreError>> {
        let (place, now, code) = (self.key().hmac(hash), seconds(now), CodeRow::of(&code));
        self.write(move |connection| {
            sweep(connection, now)?;
            if let Some(session_id) = &code.session_id {
                let lives = "SELECT 1 FROM portcullis_sessions WHERE session_id = ?1 AND expires_at > ?2";
                if !connection.prepare_cached(lives)?.exists((session_id, now))? {
                    return Ok(false);
                }
            }
            insert_code(connection, place, &code).map(|()| true)
        })
    }

    fn find_code(&self, hash: TokenHash) -> BoxFuture<Result<Option<CodeRecord>, StoreError>> {
        let place = self.key().hmac(hash);
        let found = self.read(move |connection| {
            let columns = CodeRow::COLUMNS;
            let find = format!("SELECT {columns} FROM portcullis_codes WHERE hash = ?1");
            connection
                .prepare_cached(&find)?
                .query_row([place], code_row)
                .optional()
        });
        Box::pin(async move { found.await?.map(CodeRow::record).transpose() })
    }

    fn redeem_code(
        &self,
        code: TokenHash,
        token_hash: TokenHash,
        token: TokenRecord,
    ) -> BoxFuture<Result<CodeRedemption, StoreError>> {
        let (code, place) = (self.key().hmac(code), self.key().hmac(token_hash));
        match TokenRow::of(&token) {
            Ok(row) => self.end(move |connection| redeem(connection, code, place, row)),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    fn insert_refresh(
        &self,
        hashes: RefreshHashes,
        record: TokenRecord,
    ) -> BoxFuture<Result<(), StoreError>> {
        let (place, secret) = (self.key().hmac(hashes.family), self.key().hmac(hashes.secret));
        match TokenRow::of(&record) {
            Ok(row) => self.end(move |connection| {
                let ended = sweep_tokens(connection, row.created)?;
                insert(connection, place, &row)?;
                let keep = "UPDATE portcullis_tokens SET refresh = ?2 WHERE hash = ?1";
                connection.prepare_cached(keep)?.execute((place, secret))?;
                Ok(((), ended))
            }),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    fn rotate_refresh(
        &self,
        hashes: RefreshHashes,
        next: TokenHash,
        expires_at: UnixTime,
        token_hash: TokenHash,
        token: TokenRecord,
    ) -> BoxFuture<Result<RefreshRotation, StoreError>> {
        let keyed = [hashes.family, hashes.secret, next, token_hash].map(|hash| self.key().hmac(hash));
        match TokenRow::of(&token) {
            Ok(row) => self.end(move |connection| rotate(connection, keyed, seconds(expires_at), row)),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    fn insert_client(&self, client: ClientRecord, limit: u64) -> BoxFuture<Result<bool, StoreError>> {
        let (row, limit) = (ClientRow::of(&client), bounded(limit));
        self.write(move |connection| {
            let expired = "DELETE FROM portcullis_clients WHERE expires_at <= ?1";
            connection.prepare_cached(expired)?.execute([row.created])?;
            let columns = ClientRow::COLUMNS;
            let insert = format!(
                "INSERT INTO portcullis_clients ({columns}) SELECT ?1, ?2, ?3, ?4, ?5
                 WHERE (SELECT count(*) FROM portcullis_clients) < ?6"
            );
            let values = params![
                row.id,
                row.name,
                row.redirect_uris,
                row.created,
                row.expires_at,
                limit
            ];
            Ok(connection.prepare_cached(&insert)?.execute(values)? > 0)
        })
    }

    fn find_client(&self, id: &str) -> BoxFuture<Result<Option<ClientRecord>, StoreError>> {
        let id = id.to_owned();
        let found = self.read(move |connection| {
            let columns = ClientRow::COLUMNS;
            let find = format!("SELECT {columns} FROM portcullis_clients WHERE id = ?1");
            connection
                .prepare_cached(&find)?
                .query_row([id], client_row)
                .optional()
        });
        Box::pin(async move { found.await?.map(ClientRow::record).transpose() })
    }

    fn keep_client(&self, id: &str, expires_at: UnixTime) -> BoxFuture<Result<(), StoreError>> {
        let (id, end) = (id.to_owned(), seconds(expires_at));
        self.write(move |connection| {
            let keep = "UPDATE portcullis_clients SET expires_at = ?2 WHERE id = ?1 AND expires_at < ?2";
            connection.prepare_cached(keep)?.execute((id, end)).map(drop)
        })
    }

    fn record_activity(&self, records: Vec<ActivityRecord>) -> BoxFuture<Result<(), StoreError>> {
        let rows: Vec<_> = records.iter().map(ActivityRow::of).collect();
        self.write(move |connection| {
            let columns = ActivityRow::COLUMNS;
            let keep = format!(
                "INSERT INTO portcullis_activity ({columns}) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET
                     last_activity = max(last_activity, excluded.last_activity),
                     started = max(started, excluded.started), stopped = max(stopped, excluded.stopped)"
            );
            let mut keep = connection.prepare_cached(&keep)?;
            for row in &rows {
                keep.execute((&row.owner, &row.server, row.last_activity, row.started, row.stopped))?;
            }
            Ok(())
        })
    }

    fn activity(&self, owners: Vec<String>) -> BoxFuture<Result<Vec<ActivityRecord>, StoreError>> {
        self.read(move |connection| {
            let columns = ActivityRow::COLUMNS;
            let find = format!("SELECT {columns} FROM portcullis_activity WHERE owner = ?1");
            let (mut find, mut records) = (connection.prepare_cached(&find)?, Vec::new());
            for owner in owners {
                for row in find.query_map([owner], activity_row)? {
                    records.push(row?.record());
                }
            }
            Ok(records)
        })
    }

    fn list_users(&self, offset: u64, limit: u64) -> BoxFuture<Result<(Vec<String>, u64), StoreError>> {
        let page = (bounded(limit), bounded(offset));
        self.read(move |connection| {
            let list =
                "SELECT owner FROM portcullis_activity WHERE server = '/' ORDER BY owner LIMIT ?1 OFFSET ?2";
            let mut list = connection.prepare_cached(list)?;
            let names = list
                .query_map(page, |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let count = "SELECT count(*) FROM portcullis_activity WHERE server = '/'";
            let total: i64 = connection
                .prepare_cached(count)?
                .query_row([], |row| row.get(0))?;
            Ok((names, total.unsigned_abs()))
        })
    }

    fn newest_tokens(
        &self,
        which: TokenFilter,
        now: UnixTime,
        offset: u64,
        limit: u64,
    ) -> BoxFuture<Result<Vec<TokenRecord>, StoreError>> {
        self.list_tokens(which, now, Some((offset, limit)))
    }
}

fn insert_code(connection: &Connection, place: [u8; 32], code: &CodeRow) -> Result<(), rusqlite::Error> {
    let columns = CodeRow::COLUMNS;
    let insert =
        format!("INSERT INTO portcullis_codes ({columns}, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
    connection.prepare_cached(&insert)?.execute(params![
        code.client_id,
        code.redirect_uri,
        code.owner,
        code.expires_at,
        code.code_challenge,
        code.scopes,
        code.session_id,
        code.resource,
        place,
    ])?;
    Ok(())
}

fn redeem(
    connection: &Connection,
    code: [u8; 32],
    place: [u8; 32],
    mut row: TokenRow,
) -> Result<(CodeRedemption, Vec<RecordId>), rusqlite::Error> {
    let mut ended = sweep_tokens(connection, row.created)?;
    let redeem =
        "UPDATE portcullis_codes SET token = ?2 WHERE hash = ?1 AND token IS NULL AND expires_at > ?3
                RETURNING session_id";
    let redeemed: Option<Option<String>> = connection
        .prepare_cached(redeem)?
        .query_row((code, row.id, row.created), |row| row.get(0))
        .optional()?;
    if let Some(session_id) = redeemed {
        row.session_id = session_id;
        insert(connection, place, &row)?;
        return Ok((CodeRedemption::Issued, ended));
    }
    let given = "SELECT token FROM portcullis_codes WHERE hash = ?1 AND expires_at > ?2";
    let given: Option<i64> = connection
        .prepare_cached(given)?
        .query_row((code, row.created), |row| row.get(0))
        .optional()?;
    let Some(token) = given else {
        return Ok((CodeRedemption::Unknown, ended));
    };
    let (revoked, dependents) = revoke(connection, "id = ?1", [token])?;
    ended.extend(dependents);
    Ok((CodeRedemption::AlreadyUsed { revoked }, ended))
}

fn rotate(
    connection: &Connection,
    [family, secret, next, place]: [[u8; 32]; 4],
    expires_at: i64,
    mut row: TokenRow,
) -> Result<(RefreshRotation, Vec<RecordId>), rusqlite::Error> {
    let mut ended = sweep_tokens(connection, row.created)?;
    let rotate = "UPDATE portcullis_tokens SET refresh = ?3, expires_at = ?4, last_used = ?5
                  WHERE hash = ?1 AND refresh = ?2 AND expires_at > ?5 RETURNING session_id";
    let rotated: Option<Option<String>> = connection
        .prepare_cached(rotate)?
        .query_row((family, secret, next, expires_at, row.created), |row| row.get(0))
        .optional()?;
    if let Some(session_id) = rotated {
        row.session_id = session_id;
        insert(connection, place, &row)?;
        return Ok((RefreshRotation::Issued, ended));
    }
    let reused = "hash = ?1 AND refresh IS NOT NULL AND expires_at > ?2";
    let (revoked, dependents) = revoke(connection, reused, (family, row.created))?;
    ended.extend(dependents);
    let result = match revoked {
        0 => RefreshRotation::Unknown,
        revoked => RefreshRotation::Reused { revoked },
    };
    Ok((result, ended))
}

/// Removes a few expired codes.
fn sweep(connection: &Connection, now: i64) -> Result<(), rusqlite::Error> {
    let codes = "DELETE FROM portcullis_codes WHERE hash IN
                 (SELECT hash FROM portcullis_codes WHERE expires_at <= ?1 ORDER BY expires_at LIMIT 4)";
    connection.prepare_cached(codes)?.execute([now]).map(drop)
}

fn activity_row(row: &Row<'_>) -> Result<ActivityRow, rusqlite::Error> {
    Ok(ActivityRow {
        owner: row.get(0)?,
        server: row.get(1)?,
        last_activity: row.get(2)?,
        started: row.get(3)?,
        stopped: row.get(4)?,
    })
}

fn client_row(row: &Row<'_>) -> Result<ClientRow, rusqlite::Error> {
    Ok(ClientRow {
        id: row.get(0)?,
        name: row.get(1)?,
        redirect_uris: row.get(2)?,
        created: row.get(3)?,
        expires_at: row.get(4)?,
    })
}

fn code_row(row: &Row<'_>) -> Result<CodeRow, rusqlite::Error> {
    Ok(CodeRow {
        client_id: row.get(0)?,
        redirect_uri: row.get(1)?,
        owner: row.get(2)?,
        expires_at: row.get(3)?,
        code_challenge: row.get(4)?,
        scopes: row.get(5)?,
        session_id: row.get(6)?,
        resource: row.get(7)?,
    })
}

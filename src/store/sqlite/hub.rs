//! Logins and codes in a file.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{
    statements::{insert, sweep_tokens},
    token_store::SqliteTokenStore,
};
use crate::{
    clock::UnixTime,
    maybe_future::{BoxFuture, MaybeFuture},
    store::{
        CodeRecord, CodeRedemption, HubStore, LoginFilter, LoginRecord, StoreError, TokenRecord,
        row::{CodeRow, LoginRow, TokenRow, number, seconds},
    },
    token::TokenHash,
};

impl HubStore for SqliteTokenStore {
    fn insert_login(
        &self,
        hash: TokenHash,
        login: LoginRecord,
        replaced: Option<String>,
    ) -> BoxFuture<Result<(), StoreError>> {
        let place = self.key().hmac(hash);
        match LoginRow::of(&login) {
            Ok(login) => self.write(move |connection| {
                sweep(connection, login.created)?;
                if let Some(replaced) = replaced {
                    replace(connection, &replaced, &login)?;
                }
                insert_login(connection, place, &login)
            }),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    fn find_login(&self, hash: TokenHash) -> MaybeFuture<Result<Option<LoginRecord>, StoreError>> {
        let place = self.key().hmac(hash);
        let found = self.read(move |connection| {
            let columns = LoginRow::COLUMNS;
            let find = format!("SELECT {columns} FROM portcullis_logins WHERE hash = ?1");
            connection
                .prepare_cached(&find)?
                .query_row([place], login_row)
                .optional()
        });
        MaybeFuture::from_future(async move { found.await?.map(LoginRow::record).transpose() })
    }

    fn list_logins(
        &self,
        which: LoginFilter,
        now: UnixTime,
    ) -> BoxFuture<Result<Vec<LoginRecord>, StoreError>> {
        let rows = self.read(move |connection| {
            let columns = LoginRow::COLUMNS;
            let list = format!(
                "SELECT {columns} FROM portcullis_logins WHERE {MEANT} AND expires_at > ?4 ORDER BY created, id"
            );
            let mut list = connection.prepare_cached(&list)?;
            let (owner, id, session_id) = meant(which);
            let rows = list.query_map((owner, id, session_id, seconds(now)), login_row)?;
            rows.collect::<Result<Vec<_>, _>>()
        });
        Box::pin(async move { rows.await?.into_iter().map(LoginRow::record).collect() })
    }

    fn revoke_logins(&self, which: LoginFilter) -> BoxFuture<Result<u64, StoreError>> {
        self.write(move |connection| {
            let (owner, id, session_id) = meant(which);
            let end = format!("DELETE FROM portcullis_logins WHERE {MEANT} RETURNING session_id");
            let mut end = connection.prepare_cached(&end)?;
            let ended = end.query_map((owner, id, session_id), |row| row.get::<_, String>(0))?;
            let ended = ended.collect::<Result<Vec<_>, _>>()?;
            for session_id in &ended {
                let codes = "DELETE FROM portcullis_codes WHERE session_id = ?1";
                connection.prepare_cached(codes)?.execute([session_id])?;
                let tokens = "DELETE FROM portcullis_tokens WHERE session_id = ?1";
                connection.prepare_cached(tokens)?.execute([session_id])?;
            }
            Ok(ended.len() as u64)
        })
    }

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
                let lives = "SELECT 1 FROM portcullis_logins WHERE session_id = ?1 AND expires_at > ?2";
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
            Ok(row) => self.write(move |connection| redeem(connection, code, place, row)),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }
}

/// Which logins are meant: owner, id and session id, of which the latter two may be open.
const MEANT: &str = "owner = ?1 AND id = coalesce(?2, id) AND session_id = coalesce(?3, session_id)";

fn meant(which: LoginFilter) -> (String, Option<i64>, Option<String>) {
    // An id beyond what a row can have is nobody's.
    let id = which.id.map(|id| number(id).unwrap_or(-1));
    (which.owner, id, which.session_id)
}

/// Puts the session of `login` in the place of another, if somebody is logged in there.
fn replace(connection: &Connection, replaced: &str, login: &LoginRow) -> Result<(), rusqlite::Error> {
    let end = "DELETE FROM portcullis_logins WHERE session_id = ?1";
    if connection.prepare_cached(end)?.execute([replaced])? == 0 {
        return Ok(());
    }
    let codes = "DELETE FROM portcullis_codes WHERE session_id = ?1";
    connection.prepare_cached(codes)?.execute([replaced])?;
    let foreign = "DELETE FROM portcullis_tokens WHERE session_id = ?1 AND owner <> ?2";
    connection
        .prepare_cached(foreign)?
        .execute((replaced, &login.owner))?;
    let own = "UPDATE portcullis_tokens SET session_id = ?2 WHERE session_id = ?1";
    connection
        .prepare_cached(own)?
        .execute((replaced, &login.session_id))?;
    Ok(())
}

fn insert_login(connection: &Connection, place: [u8; 32], login: &LoginRow) -> Result<(), rusqlite::Error> {
    let columns = LoginRow::COLUMNS;
    let insert =
        format!("INSERT INTO portcullis_logins ({columns}, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
    connection.prepare_cached(&insert)?.execute(params![
        login.id,
        login.owner,
        login.session_id,
        login.created,
        login.expires_at,
        login.note,
        place,
    ])?;
    Ok(())
}

fn insert_code(connection: &Connection, place: [u8; 32], code: &CodeRow) -> Result<(), rusqlite::Error> {
    let columns = CodeRow::COLUMNS;
    let insert =
        format!("INSERT INTO portcullis_codes ({columns}, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
    connection.prepare_cached(&insert)?.execute(params![
        code.client_id,
        code.redirect_uri,
        code.owner,
        code.expires_at,
        code.code_challenge,
        code.scopes,
        code.session_id,
        place,
    ])?;
    Ok(())
}

fn redeem(
    connection: &Connection,
    code: [u8; 32],
    place: [u8; 32],
    mut row: TokenRow,
) -> Result<CodeRedemption, rusqlite::Error> {
    sweep_tokens(connection, row.created)?;
    let burn = "UPDATE portcullis_codes SET token = ?2 WHERE hash = ?1 AND token IS NULL AND expires_at > ?3
                RETURNING session_id";
    let burnt: Option<Option<String>> = connection
        .prepare_cached(burn)?
        .query_row((code, row.id, row.created), |row| row.get(0))
        .optional()?;
    if let Some(session_id) = burnt {
        row.session_id = session_id;
        insert(connection, place, &row)?;
        return Ok(CodeRedemption::Issued);
    }
    let given = "SELECT token FROM portcullis_codes WHERE hash = ?1 AND expires_at > ?2";
    let given: Option<i64> = connection
        .prepare_cached(given)?
        .query_row((code, row.created), |row| row.get(0))
        .optional()?;
    let Some(token) = given else {
        return Ok(CodeRedemption::Unknown);
    };
    let revoke = "DELETE FROM portcullis_tokens WHERE id = ?1";
    let revoked = connection.prepare_cached(revoke)?.execute([token])?;
    Ok(CodeRedemption::AlreadyUsed {
        revoked: revoked as u64,
    })
}

/// Takes back the room of a few logins and codes that have expired.
fn sweep(connection: &Connection, now: i64) -> Result<(), rusqlite::Error> {
    let logins = "DELETE FROM portcullis_logins WHERE id IN
                  (SELECT id FROM portcullis_logins WHERE expires_at <= ?1 ORDER BY expires_at LIMIT 4)";
    connection.prepare_cached(logins)?.execute([now])?;
    let codes = "DELETE FROM portcullis_codes WHERE hash IN
                 (SELECT hash FROM portcullis_codes WHERE expires_at <= ?1 ORDER BY expires_at LIMIT 4)";
    connection.prepare_cached(codes)?.execute([now])?;
    Ok(())
}

fn login_row(row: &Row<'_>) -> Result<LoginRow, rusqlite::Error> {
    Ok(LoginRow {
        id: row.get(0)?,
        owner: row.get(1)?,
        session_id: row.get(2)?,
        created: row.get(3)?,
        expires_at: row.get(4)?,
        note: row.get(5)?,
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
    })
}

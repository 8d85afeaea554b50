//! Logins and codes in a server that several processes share.
//!
//! Locks are taken in one order, logins before codes before tokens, and each statement sees what was committed before
//! it: [`begin`] says so to the database. So a logout waits for an exchange under way and then finds its token, or the
//! exchange finds its code gone.

use deadpool_postgres::Transaction;
use tokio_postgres::{Error, Row};

use super::{
    statements::{SWEEP_TOKENS, begin, insert_token, token_values},
    token_store::PostgresTokenStore,
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

impl HubStore for PostgresTokenStore {
    fn insert_login(
        &self,
        hash: TokenHash,
        login: LoginRecord,
        replaced: Option<String>,
    ) -> BoxFuture<Result<(), StoreError>> {
        let place = self.key().hmac(hash);
        match LoginRow::of(&login) {
            Ok(login) => self.ask(move |object| {
                Box::pin(async move {
                    let transaction = begin(object).await?;
                    sweep(&transaction, login.created).await?;
                    if let Some(replaced) = &replaced {
                        replace(&transaction, replaced, &login).await?;
                    }
                    insert_login(&transaction, &place, &login).await?;
                    transaction.commit().await
                })
            }),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    fn find_login(&self, hash: TokenHash) -> MaybeFuture<Result<Option<LoginRecord>, StoreError>> {
        let place = self.key().hmac(hash);
        let found = self.ask(move |object| {
            Box::pin(async move {
                let columns = LoginRow::COLUMNS;
                let find = format!("SELECT {columns} FROM portcullis_logins WHERE hash = $1");
                let find = object.prepare_cached(&find).await?;
                let found = object.query_opt(&find, &[&place.as_slice()]).await?;
                found.as_ref().map(login_row).transpose()
            })
        });
        MaybeFuture::from_future(async move { found.await?.map(LoginRow::record).transpose() })
    }

    fn list_logins(
        &self,
        which: LoginFilter,
        now: UnixTime,
    ) -> BoxFuture<Result<Vec<LoginRecord>, StoreError>> {
        let rows = self.ask(move |object| {
            Box::pin(async move {
                let columns = LoginRow::COLUMNS;
                let list = format!(
                    "SELECT {columns} FROM portcullis_logins WHERE {MEANT} AND expires_at > $4 ORDER BY created, id"
                );
                let list = object.prepare_cached(&list).await?;
                let (owner, id, session_id) = meant(which);
                let rows = object.query(&list, &[&owner, &id, &session_id, &seconds(now)]).await?;
                rows.iter().map(login_row).collect::<Result<Vec<_>, _>>()
            })
        });
        Box::pin(async move { rows.await?.into_iter().map(LoginRow::record).collect() })
    }

    fn revoke_logins(&self, which: LoginFilter) -> BoxFuture<Result<u64, StoreError>> {
        self.ask(move |object| {
            Box::pin(async move {
                let transaction = begin(object).await?;
                let end = format!("DELETE FROM portcullis_logins WHERE {MEANT} RETURNING session_id");
                let end = transaction.prepare_cached(&end).await?;
                let (owner, id, session_id) = meant(which);
                let ended = transaction.query(&end, &[&owner, &id, &session_id]).await?;
                let ended = ended.iter().map(|row| row.try_get(0));
                let ended = ended.collect::<Result<Vec<String>, _>>()?;
                for of_sessions in [
                    "DELETE FROM portcullis_codes WHERE session_id = ANY ($1)",
                    "DELETE FROM portcullis_tokens WHERE session_id = ANY ($1)",
                ] {
                    let of_sessions = transaction.prepare_cached(of_sessions).await?;
                    transaction.execute(&of_sessions, &[&ended]).await?;
                }
                transaction.commit().await?;
                Ok(ended.len() as u64)
            })
        })
    }

    fn insert_code(
        &self,
        hash: TokenHash,
        code: CodeRecord,
        now: UnixTime,
    ) -> BoxFuture<Result<bool, StoreError>> {
        let (place, now, code) = (self.key().hmac(hash), seconds(now), CodeRow::of(&code));
        self.ask(move |object| {
            Box::pin(async move {
                let transaction = begin(object).await?;
                sweep(&transaction, now).await?;
                if let Some(session_id) = &code.session_id {
                    // Held until the code is there, so that a logout beside this takes the code with it.
                    let lives =
                        "SELECT 1 FROM portcullis_logins WHERE session_id = $1 AND expires_at > $2 FOR SHARE";
                    let lives = transaction.prepare_cached(lives).await?;
                    if transaction
                        .query_opt(&lives, &[session_id, &now])
                        .await?
                        .is_none()
                    {
                        return Ok(false);
                    }
                }
                insert_code(&transaction, &place, &code).await?;
                transaction.commit().await?;
                Ok(true)
            })
        })
    }

    fn find_code(&self, hash: TokenHash) -> BoxFuture<Result<Option<CodeRecord>, StoreError>> {
        let place = self.key().hmac(hash);
        let found = self.ask(move |object| {
            Box::pin(async move {
                let columns = CodeRow::COLUMNS;
                let find = format!("SELECT {columns} FROM portcullis_codes WHERE hash = $1");
                let find = object.prepare_cached(&find).await?;
                let found = object.query_opt(&find, &[&place.as_slice()]).await?;
                found.as_ref().map(code_row).transpose()
            })
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
            Ok(row) => self.ask(move |object| {
                Box::pin(async move {
                    let transaction = begin(object).await?;
                    let redeemed = redeem(&transaction, &code, &place, row).await?;
                    transaction.commit().await?;
                    Ok(redeemed)
                })
            }),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }
}

/// Which logins are meant: owner, id and session id, of which the latter two may be open.
const MEANT: &str = "owner = $1 AND id = coalesce($2, id) AND session_id = coalesce($3, session_id)";

fn meant(which: LoginFilter) -> (String, Option<i64>, Option<String>) {
    // An id beyond what a row can have is nobody's.
    let id = which.id.map(|id| number(id).unwrap_or(-1));
    (which.owner, id, which.session_id)
}

/// Puts the session of `login` in the place of another, if somebody is logged in there.
async fn replace(transaction: &Transaction<'_>, replaced: &str, login: &LoginRow) -> Result<(), Error> {
    let end = "DELETE FROM portcullis_logins WHERE session_id = $1";
    let end = transaction.prepare_cached(end).await?;
    if transaction.execute(&end, &[&replaced]).await? == 0 {
        return Ok(());
    }
    let codes = "DELETE FROM portcullis_codes WHERE session_id = $1";
    let codes = transaction.prepare_cached(codes).await?;
    transaction.execute(&codes, &[&replaced]).await?;
    let foreign = "DELETE FROM portcullis_tokens WHERE session_id = $1 AND owner <> $2";
    let foreign = transaction.prepare_cached(foreign).await?;
    transaction.execute(&foreign, &[&replaced, &login.owner]).await?;
    let own = "UPDATE portcullis_tokens SET session_id = $2 WHERE session_id = $1";
    let own = transaction.prepare_cached(own).await?;
    transaction.execute(&own, &[&replaced, &login.session_id]).await?;
    Ok(())
}

async fn insert_login(
    transaction: &Transaction<'_>,
    place: &[u8; 32],
    login: &LoginRow,
) -> Result<(), Error> {
    let columns = LoginRow::COLUMNS;
    let insert =
        format!("INSERT INTO portcullis_logins ({columns}, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)");
    let insert = transaction.prepare_cached(&insert).await?;
    transaction
        .execute(
            &insert,
            &[
                &login.id,
                &login.owner,
                &login.session_id,
                &login.created,
                &login.expires_at,
                &login.note,
                &place.as_slice(),
            ],
        )
        .await
        .map(drop)
}

async fn insert_code(transaction: &Transaction<'_>, place: &[u8; 32], code: &CodeRow) -> Result<(), Error> {
    let columns = CodeRow::COLUMNS;
    let insert =
        format!("INSERT INTO portcullis_codes ({columns}, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
    let insert = transaction.prepare_cached(&insert).await?;
    transaction
        .execute(
            &insert,
            &[
                &code.client_id,
                &code.redirect_uri,
                &code.owner,
                &code.expires_at,
                &code.code_challenge,
                &code.scopes,
                &code.session_id,
                &place.as_slice(),
            ],
        )
        .await
        .map(drop)
}

async fn redeem(
    transaction: &Transaction<'_>,
    code: &[u8; 32],
    place: &[u8; 32],
    mut row: TokenRow,
) -> Result<CodeRedemption, Error> {
    // Whoever comes second waits here for the first one's end, and then finds the code burnt.
    let burn = "UPDATE portcullis_codes SET token = $2 WHERE hash = $1 AND token IS NULL AND expires_at > $3
                RETURNING session_id";
    let burn = transaction.prepare_cached(burn).await?;
    let burnt = transaction
        .query_opt(&burn, &[&code.as_slice(), &row.id, &row.created])
        .await?;
    if let Some(burnt) = burnt {
        row.session_id = burnt.try_get(0)?;
        let sweep = transaction.prepare_cached(SWEEP_TOKENS).await?;
        transaction.execute(&sweep, &[&row.created]).await?;
        let insert = transaction.prepare_cached(&insert_token()).await?;
        transaction
            .execute(&insert, &token_values(&place.as_slice(), &row))
            .await?;
        return Ok(CodeRedemption::Issued);
    }
    let given =
        "SELECT token FROM portcullis_codes WHERE hash = $1 AND token IS NOT NULL AND expires_at > $2";
    let given = transaction.prepare_cached(given).await?;
    let Some(given) = transaction
        .query_opt(&given, &[&code.as_slice(), &row.created])
        .await?
    else {
        return Ok(CodeRedemption::Unknown);
    };
    let token: i64 = given.try_get(0)?;
    let revoke = transaction
        .prepare_cached("DELETE FROM portcullis_tokens WHERE id = $1")
        .await?;
    let revoked = transaction.execute(&revoke, &[&token]).await?;
    Ok(CodeRedemption::AlreadyUsed { revoked })
}

/// Takes back the room of a few logins and codes that have expired.
async fn sweep(transaction: &Transaction<'_>, now: i64) -> Result<(), Error> {
    for sweep in [
        "DELETE FROM portcullis_logins WHERE id IN
         (SELECT id FROM portcullis_logins WHERE expires_at <= $1 ORDER BY expires_at LIMIT 4 FOR UPDATE SKIP LOCKED)",
        "DELETE FROM portcullis_codes WHERE hash IN
         (SELECT hash FROM portcullis_codes WHERE expires_at <= $1 ORDER BY expires_at LIMIT 4 FOR UPDATE SKIP LOCKED)",
    ] {
        let sweep = transaction.prepare_cached(sweep).await?;
        transaction.execute(&sweep, &[&now]).await?;
    }
    Ok(())
}

fn login_row(row: &Row) -> Result<LoginRow, Error> {
    Ok(LoginRow {
        id: row.try_get(0)?,
        owner: row.try_get(1)?,
        session_id: row.try_get(2)?,
        created: row.try_get(3)?,
        expires_at: row.try_get(4)?,
        note: row.try_get(5)?,
    })
}

fn code_row(row: &Row) -> Result<CodeRow, Error> {
    Ok(CodeRow {
        client_id: row.try_get(0)?,
        redirect_uri: row.try_get(1)?,
        owner: row.try_get(2)?,
        expires_at: row.try_get(3)?,
        code_challenge: row.try_get(4)?,
        scopes: row.try_get(5)?,
        session_id: row.try_get(6)?,
    })
}

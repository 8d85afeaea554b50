//! Codes and activity in a server that several processes share. Locks are taken in the order that `session_store` states.

use deadpool_postgres::Transaction;
use tokio_postgres::{Error, Row, types::ToSql};

use super::{
    ending::{revoke, sweep_tokens},
    listening::commit,
    statements::{begin, insert_token},
    token_store::PostgresTokenStore,
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

impl HubStore for PostgresTokenStore {
    fn insert_code(
        &self,
        hash: TokenHash,
        code: CodeRecord,
        now: UnixTime,
    ) -> BoxFuture<Result<bool, StoreError>> {
        let (place, now, code) = (self.key().hmac(hash), seconds(now), CodeRow::of(&code));
        self.query(move |object| {
            Box::pin(async move {
                let transaction = begin(object).await?;
                sweep(&transaction, now).await?;
                if let Some(session_id) = &code.session_id {
                    // Held until the code is stored, so that a concurrent logout removes the code, too.
                    let lives =
                        "SELECT 1 FROM portcullis_sessions WHERE session_id = $1 AND expires_at > $2 FOR SHARE";
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
        let found = self.query(move |object| {
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
            Ok(row) => self.end(move |object| {
                Box::pin(async move {
                    let transaction = begin(object).await?;
                    let (redeemed, ended) = redeem(&transaction, &code, &place, row).await?;
                    commit(transaction, &ended).await?;
                    Ok((redeemed, ended))
                })
            }),
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
            Ok(row) => self.end(move |object| {
                Box::pin(async move {
                    let transaction = begin(object).await?;
                    let ended = sweep_tokens(&transaction, row.created).await?;
                    insert_token(&transaction, &place, &row).await?;
                    let keep = "UPDATE portcullis_tokens SET refresh = $2 WHERE hash = $1";
                    let keep = transaction.prepare_cached(keep).await?;
                    transaction
                        .execute(&keep, &[&place.as_slice(), &secret.as_slice()])
                        .await?;
                    commit(transaction, &ended).await?;
                    Ok(((), ended))
                })
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
        let expires_at = seconds(expires_at);
        match TokenRow::of(&token) {
            Ok(mut row) => self.end(move |object| {
                Box::pin(async move {
                    let transaction = begin(object).await?;
                    if let Some(ended) = rotate(&transaction, &keyed, expires_at, &mut row).await? {
                        commit(transaction, &ended).await?;
                        return Ok((RefreshRotation::Issued, ended));
                    }
                    // Without the lock on its session: a revocation takes those in an order of its own.
                    transaction.rollback().await?;
                    let transaction = begin(object).await?;
                    let reused = "hash = $1 AND refresh IS NOT NULL AND expires_at > $2";
                    let [family, ..] = &keyed;
                    let (revoked, ended) =
                        revoke(&transaction, reused, &[&family.as_slice(), &row.created]).await?;
                    commit(transaction, &ended).await?;
                    let result = match revoked {
                        0 => RefreshRotation::Unknown,
                        revoked => RefreshRotation::Reused { revoked },
                    };
                    Ok((result, ended))
                })
            }),
            Err(error) => Box::pin(async { Err(error) }),
        }
    }

    fn insert_client(&self, client: ClientRecord, limit: u64) -> BoxFuture<Result<bool, StoreError>> {
        let (row, limit) = (ClientRow::of(&client), bounded(limit));
        self.query(move |object| {
            Box::pin(async move {
                let transaction = begin(object).await?;
                // Two that register at once are counted one after the other.
                let lock = "LOCK TABLE portcullis_clients IN SHARE ROW EXCLUSIVE MODE";
                transaction.batch_execute(lock).await?;
                let expired = "DELETE FROM portcullis_clients WHERE expires_at <= $1";
                let expired = transaction.prepare_cached(expired).await?;
                transaction.execute(&expired, &[&row.created]).await?;
                let columns = ClientRow::COLUMNS;
                let insert = format!(
                    "INSERT INTO portcullis_clients ({columns}) SELECT $1::text, $2::text, $3::text, $4::bigint, $5::bigint
                     WHERE (SELECT count(*) FROM portcullis_clients) < $6"
                );
                let insert = transaction.prepare_cached(&insert).await?;
                let values: [&(dyn ToSql + Sync); 6] = [
                    &row.id,
                    &row.name,
                    &row.redirect_uris,
                    &row.created,
                    &row.expires_at,
                    &limit,
                ];
                let inserted = transaction.execute(&insert, &values).await?;
                transaction.commit().await?;
                Ok(inserted > 0)
            })
        })
    }

    fn find_client(&self, id: &str) -> BoxFuture<Result<Option<ClientRecord>, StoreError>> {
        let id = id.to_owned();
        let found = self.query(move |object| {
            Box::pin(async move {
                let columns = ClientRow::COLUMNS;
                let find = format!("SELECT {columns} FROM portcullis_clients WHERE id = $1");
                let find = object.prepare_cached(&find).await?;
                let found = object.query_opt(&find, &[&id]).await?;
                found.as_ref().map(client_row).transpose()
            })
        });
        Box::pin(async move { found.await?.map(ClientRow::record).transpose() })
    }

    fn keep_client(&self, id: &str, expires_at: UnixTime) -> BoxFuture<Result<(), StoreError>> {
        let (id, end) = (id.to_owned(), seconds(expires_at));
        self.query(move |object| {
            Box::pin(async move {
                let keep = "UPDATE portcullis_clients SET expires_at = $2 WHERE id = $1 AND expires_at < $2";
                let keep = object.prepare_cached(keep).await?;
                object.execute(&keep, &[&id, &end]).await.map(drop)
            })
        })
    }

    fn record_activity(&self, records: Vec<ActivityRecord>) -> BoxFuture<Result<(), StoreError>> {
        let mut rows: Vec<_> = records.iter().map(ActivityRow::of).collect();
        // Two nodes that lock rows in one order do not wait for each other.
        rows.sort_by(|one, other| (&one.owner, &one.server).cmp(&(&other.owner, &other.server)));
        self.query(move |object| {
            Box::pin(async move {
                let columns = ActivityRow::COLUMNS;
                let keep = format!(
                    "INSERT INTO portcullis_activity AS old ({columns}) VALUES ($1, $2, $3, $4, $5)
                     ON CONFLICT (owner, server) DO UPDATE SET
                         last_activity = greatest(old.last_activity, excluded.last_activity),
                         started = greatest(old.started, excluded.started),
                         stopped = greatest(old.stopped, excluded.stopped)"
                );
                let transaction = begin(object).await?;
                let keep = transaction.prepare_cached(&keep).await?;
                for row in &rows {
                    let times = [&row.last_activity, &row.started, &row.stopped];
                    let values: [&(dyn ToSql + Sync); 5] =
                        [&row.owner, &row.server, times[0], times[1], times[2]];
                    transaction.execute(&keep, &values).await?;
                }
                transaction.commit().await
            })
        })
    }

    fn activity(&self, owners: Vec<String>) -> BoxFuture<Result<Vec<ActivityRecord>, StoreError>> {
        self.query(move |object| {
            Box::pin(async move {
                let columns = ActivityRow::COLUMNS;
                let find = format!("SELECT {columns} FROM portcullis_activity WHERE owner = ANY ($1)");
                let find = object.prepare_cached(&find).await?;
                let rows = object.query(&find, &[&owners]).await?;
                rows.iter().map(|row| Ok(activity_row(row)?.record())).collect()
            })
        })
    }

    fn list_users(&self, offset: u64, limit: u64) -> BoxFuture<Result<(Vec<String>, u64), StoreError>> {
        let (offset, limit) = (bounded(offset), bounded(limit));
        self.query(move |object| {
            Box::pin(async move {
                let list = "SELECT owner FROM portcullis_activity WHERE server = '/' ORDER BY owner LIMIT $1 OFFSET $2";
                let list = object.prepare_cached(list).await?;
                let rows = object.query(&list, &[&limit, &offset]).await?;
                let names = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
                let count = "SELECT count(*) FROM portcullis_activity WHERE server = '/'";
                let count = object.prepare_cached(count).await?;
                let total: i64 = object.query_one(&count, &[]).await?.try_get(0)?;
                Ok((names, total.unsigned_abs()))
            })
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

async fn insert_code(transaction: &Transaction<'_>, place: &[u8; 32], code: &CodeRow) -> Result<(), Error> {
    let columns = CodeRow::COLUMNS;
    let insert =
        format!("INSERT INTO portcullis_codes ({columns}, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
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
                &code.resource,
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
) -> Result<(CodeRedemption, Vec<RecordId>), Error> {
    // A second request waits here until the first has ended, and then finds the code redeemed.
    let redeem =
        "UPDATE portcullis_codes SET token = $2 WHERE hash = $1 AND token IS NULL AND expires_at > $3
                RETURNING session_id";
    let redeem = transaction.prepare_cached(redeem).await?;
    let redeemed = transaction
        .query_opt(&redeem, &[&code.as_slice(), &row.id, &row.created])
        .await?;
    if let Some(redeemed) = redeemed {
        row.session_id = redeemed.try_get(0)?;
        let ended = sweep_tokens(transaction, row.created).await?;
        insert_token(transaction, place, &row).await?;
        return Ok((CodeRedemption::Issued, ended));
    }
    let given =
        "SELECT token FROM portcullis_codes WHERE hash = $1 AND token IS NOT NULL AND expires_at > $2";
    let given = transaction.prepare_cached(given).await?;
    let Some(given) = transaction
        .query_opt(&given, &[&code.as_slice(), &row.created])
        .await?
    else {
        return Ok((CodeRedemption::Unknown, Vec::new()));
    };
    let token: i64 = given.try_get(0)?;
    let (revoked, ended) = revoke(transaction, "id = $1", &[&token]).await?;
    Ok((CodeRedemption::AlreadyUsed { revoked }, ended))
}

/// Replaces the secret of a refresh token, if it is the current one, and inserts the token. Returns the ids of the sessions
/// that end with tokens that have expired.
async fn rotate(
    transaction: &Transaction<'_>,
    [family, secret, next, place]: &[[u8; 32]; 4],
    expires_at: i64,
    row: &mut TokenRow,
) -> Result<Option<Vec<RecordId>>, Error> {
    // The session is held until the token is stored, so that a concurrent logout removes the token, too.
    let session = "SELECT 1 FROM portcullis_sessions WHERE session_id =
                   (SELECT session_id FROM portcullis_tokens WHERE hash = $1) FOR SHARE";
    let session = transaction.prepare_cached(session).await?;
    transaction.execute(&session, &[&family.as_slice()]).await?;
    let rotate = "UPDATE portcullis_tokens SET refresh = $3, expires_at = $4, last_used = $5
                  WHERE hash = $1 AND refresh = $2 AND expires_at > $5 RETURNING session_id";
    let rotate = transaction.prepare_cached(rotate).await?;
    let values: [&(dyn ToSql + Sync); 5] = [
        &family.as_slice(),
        &secret.as_slice(),
        &next.as_slice(),
        &expires_at,
        &row.created,
    ];
    let Some(rotated) = transaction.query_opt(&rotate, &values).await? else {
        return Ok(None);
    };
    row.session_id = rotated.try_get(0)?;
    let ended = sweep_tokens(transaction, row.created).await?;
    insert_token(transaction, place, row).await?;
    Ok(Some(ended))
}

/// Removes a few expired codes.
async fn sweep(transaction: &Transaction<'_>, now: i64) -> Result<(), Error> {
    let sweep = "DELETE FROM portcullis_codes WHERE hash IN
         (SELECT hash FROM portcullis_codes WHERE expires_at <= $1 ORDER BY expires_at LIMIT 4 FOR UPDATE SKIP LOCKED)";
    let sweep = transaction.prepare_cached(sweep).await?;
    transaction.execute(&sweep, &[&now]).await.map(drop)
}

fn activity_row(row: &Row) -> Result<ActivityRow, Error> {
    Ok(ActivityRow {
        owner: row.try_get(0)?,
        server: row.try_get(1)?,
        last_activity: row.try_get(2)?,
        started: row.try_get(3)?,
        stopped: row.try_get(4)?,
    })
}

fn client_row(row: &Row) -> Result<ClientRow, Error> {
    Ok(ClientRow {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        redirect_uris: row.try_get(2)?,
        created: row.try_get(3)?,
        expires_at: row.try_get(4)?,
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
        resource: row.try_get(7)?,
    })
}

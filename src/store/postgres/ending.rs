//! Ends sessions and tokens with all that depends on them: codes and tokens made in a session, sessions that came from a token.

use std::mem;

use deadpool_postgres::Transaction;
use tokio_postgres::{Error, Row, types::ToSql};

use crate::store::{
    RecordId,
    row::{SessionRow, record_id, with_families},
};

/// Joins a session, `s`, to the token that it came from, whose key is `$hash`: see `row::TOKEN`.
macro_rules! came_from {
    ($hash:literal) => {
        concat!(
            "s.credential BETWEEN '\\x01'::bytea || ",
            $hash,
            " AND '\\x01'::bytea || ",
            $hash,
            " || decode(repeat('ff', 32), 'hex')"
        )
    };
}

/// The sessions that came from a few tokens which have expired, but none that another transaction holds.
const SWEEP_SESSIONS_OF_TOKENS: &str = concat!(
    "id IN (SELECT s.id FROM (SELECT hash FROM portcullis_tokens WHERE expires_at <= $1 ORDER BY expires_at LIMIT 4) AS t
     JOIN portcullis_sessions AS s ON ",
    came_from!("t.hash"),
    " FOR UPDATE OF s SKIP LOCKED)"
);
/// A few tokens that have expired, of which there is no session.
const SWEEP_TOKENS: &str = concat!(
    "DELETE FROM portcullis_tokens WHERE id IN (SELECT t.id FROM portcullis_tokens AS t WHERE t.expires_at <= $1
     AND NOT EXISTS (SELECT 1 FROM portcullis_sessions AS s WHERE ",
    came_from!("t.hash"),
    ") ORDER BY t.expires_at LIMIT 4 FOR UPDATE SKIP LOCKED)"
);

type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Sessions that were deleted: their ids and session ids.
type Deleted = (Vec<RecordId>, Vec<String>);

/// Removes a few expired tokens: more than an insertion adds, so few are left for long. Returns the ids of the sessions
/// that end with them.
pub(super) async fn sweep_tokens(transaction: &Transaction<'_>, now: i64) -> Result<Vec<RecordId>, Error> {
    let sessions = delete_sessions(transaction, SWEEP_SESSIONS_OF_TOKENS, &[&now]).await?;
    let ended = end_dependents(transaction, Vec::new(), sessions).await?;
    let sweep = transaction.prepare_cached(SWEEP_TOKENS).await?;
    transaction.execute(&sweep, &[&now]).await?;
    Ok(ended)
}

/// Revokes the selected tokens with all of their families, and returns how many there were and the ids of the sessions that end with them.
pub(super) async fn revoke(
    transaction: &Transaction<'_>,
    condition: &str,
    values: Values<'_>,
) -> Result<(u64, Vec<RecordId>), Error> {
    let condition = with_families(condition);
    let seed = format!("SELECT NULL::text, hash FROM portcullis_tokens WHERE {condition}");
    lock_sessions(transaction, &seed, values).await?;
    // A refresh token that is being used adds a token to its family, which the next statement sees.
    let lock = format!(
        "SELECT 1 FROM portcullis_tokens WHERE refresh IS NOT NULL AND ({condition}) ORDER BY id FOR UPDATE"
    );
    let lock = transaction.prepare_cached(&lock).await?;
    transaction.execute(&lock, values).await?;
    let tokens = delete_tokens(transaction, &condition, values).await?;
    let count = tokens.len() as u64;
    let tokens = tokens.into_iter().flatten().collect();
    Ok((
        count,
        end_dependents(transaction, tokens, Default::default()).await?,
    ))
}

/// Ends the selected sessions, and returns how many there were and the ids of all that end with them.
pub(super) async fn end(
    transaction: &Transaction<'_>,
    condition: &str,
    values: Values<'_>,
) -> Result<(u64, Vec<RecordId>), Error> {
    let seed = format!("SELECT session_id, NULL::bytea FROM portcullis_sessions WHERE {condition}");
    lock_sessions(transaction, &seed, values).await?;
    let sessions = delete_sessions(transaction, condition, values).await?;
    let count = sessions.0.len() as u64;
    Ok((count, end_dependents(transaction, Vec::new(), sessions).await?))
}

/// Locks the sessions that depend on what `seed` selects, before any token is locked: in the order that `session_store` states.
async fn lock_sessions(transaction: &Transaction<'_>, seed: &str, values: Values<'_>) -> Result<(), Error> {
    let lock = format!(
        "WITH RECURSIVE reached (session_id, hash) AS (
             {seed} UNION
             SELECT next.session_id, next.hash FROM reached, LATERAL (
                 SELECT s.session_id, NULL::bytea AS hash FROM portcullis_sessions AS s WHERE {}
                 UNION ALL
                 SELECT NULL::text, t.hash FROM portcullis_tokens AS t WHERE t.session_id = reached.session_id
             ) AS next
         )
         SELECT 1 FROM portcullis_sessions WHERE session_id IN (SELECT session_id FROM reached) ORDER BY id FOR UPDATE",
        came_from!("reached.hash")
    );
    let lock = transaction.prepare_cached(&lock).await?;
    transaction.execute(&lock, values).await.map(drop)
}

/// Ends the session with this session id, if it is there, and moves the tokens that its owner made in it to `session`. Returns the
/// ids of all sessions that this ends.
pub(super) async fn replace(
    transaction: &Transaction<'_>,
    replaced: &str,
    session: &SessionRow,
) -> Result<Vec<RecordId>, Error> {
    let seed = "SELECT session_id, NULL::bytea FROM portcullis_sessions WHERE session_id = $1";
    lock_sessions(transaction, seed, &[&replaced]).await?;
    let (mut ended, _) = delete_sessions(transaction, "session_id = $1", &[&replaced]).await?;
    if ended.is_empty() {
        return Ok(ended);
    }
    let codes = "DELETE FROM portcullis_codes WHERE session_id = $1";
    let codes = transaction.prepare_cached(codes).await?;
    transaction.execute(&codes, &[&replaced]).await?;
    let foreign = "session_id = $1 AND owner <> $2";
    let (_, dependents) = revoke(transaction, foreign, &[&replaced, &session.grant.owner]).await?;
    ended.extend(dependents);
    let own = "UPDATE portcullis_tokens SET session_id = $2 WHERE session_id = $1";
    let own = transaction.prepare_cached(own).await?;
    transaction
        .execute(&own, &[&replaced, &session.session_id])
        .await?;
    Ok(ended)
}

async fn delete_sessions(
    transaction: &Transaction<'_>,
    condition: &str,
    values: Values<'_>,
) -> Result<Deleted, Error> {
    let delete = format!("DELETE FROM portcullis_sessions WHERE {condition} RETURNING id, session_id");
    let delete = transaction.prepare_cached(&delete).await?;
    let rows = transaction.query(&delete, values).await?;
    let session = |row: &Row| Ok((record_id(row.try_get(0)?), row.try_get(1)?));
    rows.iter().map(session).collect()
}

/// Deletes tokens, and returns what they lay under; one that is known by a salted hash alone lay under none.
async fn delete_tokens(
    transaction: &Transaction<'_>,
    condition: &str,
    values: Values<'_>,
) -> Result<Vec<Option<Vec<u8>>>, Error> {
    let delete = format!("DELETE FROM portcullis_tokens WHERE {condition} RETURNING hash");
    let delete = transaction.prepare_cached(&delete).await?;
    let rows = transaction.query(&delete, values).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Ends all that depends on tokens and sessions which were deleted, and returns the ids of all sessions that ended.
async fn end_dependents(
    transaction: &Transaction<'_>,
    mut tokens: Vec<Vec<u8>>,
    mut sessions: Deleted,
) -> Result<Vec<RecordId>, Error> {
    let mut ended = Vec::new();
    while !(tokens.is_empty() && sessions.0.is_empty()) {
        let (ids, session_ids) = mem::take(&mut sessions);
        if !ids.is_empty() {
            ended.extend(ids);
            let codes = "DELETE FROM portcullis_codes WHERE session_id = ANY ($1)";
            let codes = transaction.prepare_cached(codes).await?;
            transaction.execute(&codes, &[&session_ids]).await?;
            let made = delete_tokens(transaction, "session_id = ANY ($1)", &[&session_ids]).await?;
            tokens.extend(made.into_iter().flatten());
        }
        if !tokens.is_empty() {
            let of_tokens = concat!(
                "id IN (SELECT s.id FROM unnest($1::bytea[]) AS place JOIN portcullis_sessions AS s ON ",
                came_from!("place"),
                ")"
            );
            sessions = delete_sessions(transaction, of_tokens, &[&mem::take(&mut tokens)]).await?;
        }
    }
    Ok(ended)
}

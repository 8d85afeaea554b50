//! Statements, their values and their rows.

use std::mem;

use rusqlite::{Connection, Params, Row, params, types::Value};

use crate::store::{
    RecordId, SessionFilter, TokenFilter,
    row::{GrantRow, LookupKey, TOKEN, TokenRow, credential_bytes, number, record_id, with_families},
};

pub(super) fn insert(
    connection: &Connection,
    place: [u8; 32],
    row: &TokenRow,
) -> Result<(), rusqlite::Error> {
    let columns = TokenRow::COLUMNS;
    let insert = format!(
        "INSERT INTO portcullis_tokens ({columns}, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
    );
    connection.prepare_cached(&insert)?.execute(params![
        row.id,
        row.grant.owner,
        row.grant.identity,
        row.grant.scopes,
        row.grant.label,
        row.created,
        row.grant.expires_at,
        row.last_used,
        row.session_id,
        row.client_id,
        row.family,
        row.resource,
        place,
    ])?;
    Ok(())
}

pub(super) fn token_row(row: &Row<'_>) -> Result<TokenRow, rusqlite::Error> {
    Ok(TokenRow {
        id: row.get(0)?,
        grant: GrantRow {
            owner: row.get(1)?,
            identity: row.get(2)?,
            scopes: row.get(3)?,
            label: row.get(4)?,
            expires_at: row.get(6)?,
        },
        created: row.get(5)?,
        last_used: row.get(7)?,
        session_id: row.get(8)?,
        client_id: row.get(9)?,
        family: row.get(10)?,
        resource: row.get(11)?,
    })
}

/// Removes a few expired tokens: more than an insertion adds, so few are left for long. Returns the ids of the sessions
/// that end with them.
pub(super) fn sweep_tokens(connection: &Connection, now: i64) -> Result<Vec<RecordId>, rusqlite::Error> {
    let expired =
        "hash IN (SELECT hash FROM portcullis_tokens WHERE expires_at <= ?1 ORDER BY expires_at LIMIT 4)";
    let tokens = delete_tokens(connection, expired, [now])?;
    end_dependents(connection, tokens, Vec::new())
}

/// Deletes tokens, and returns what they lay under.
pub(super) fn delete_tokens(
    connection: &Connection,
    condition: &str,
    values: impl Params,
) -> Result<Vec<Vec<u8>>, rusqlite::Error> {
    let delete = format!("DELETE FROM portcullis_tokens WHERE {condition} RETURNING hash");
    let mut delete = connection.prepare_cached(&delete)?;
    let deleted = delete.query_map(values, |row| row.get(0))?;
    deleted.collect()
}

/// Deletes the selected tokens with all of their families. Returns how many there were and the ids of the sessions that end with
/// them.
pub(super) fn revoke(
    connection: &Connection,
    condition: &str,
    values: impl Params,
) -> Result<(u64, Vec<RecordId>), rusqlite::Error> {
    let tokens = delete_tokens(connection, &with_families(condition), values)?;
    let count = tokens.len() as u64;
    Ok((count, end_dependents(connection, tokens, Vec::new())?))
}

/// Deletes sessions, and returns their ids and session ids.
pub(super) fn delete_sessions(
    connection: &Connection,
    condition: &str,
    values: impl Params,
) -> Result<Vec<(RecordId, String)>, rusqlite::Error> {
    let delete = format!("DELETE FROM portcullis_sessions WHERE {condition} RETURNING id, session_id");
    let mut delete = connection.prepare_cached(&delete)?;
    let deleted = delete.query_map(values, |row| Ok((record_id(row.get(0)?), row.get(1)?)))?;
    deleted.collect()
}

/// Ends all that depends on tokens and sessions which were deleted: codes and tokens made in a session, sessions that came from
/// a token. Returns the ids of all sessions that ended.
pub(super) fn end_dependents(
    connection: &Connection,
    mut tokens: Vec<Vec<u8>>,
    mut sessions: Vec<(RecordId, String)>,
) -> Result<Vec<RecordId>, rusqlite::Error> {
    let mut ended = Vec::new();
    while !(tokens.is_empty() && sessions.is_empty()) {
        for (id, session_id) in mem::take(&mut sessions) {
            let codes = "DELETE FROM portcullis_codes WHERE session_id = ?1";
            connection.prepare_cached(codes)?.execute([&session_id])?;
            tokens.extend(delete_tokens(connection, "session_id = ?1", [&session_id])?);
            ended.push(id);
        }
        for place in mem::take(&mut tokens) {
            let first = [&[TOKEN][..], &place].concat();
            let last = [&first[..], &[u8::MAX; 32]].concat();
            sessions.extend(delete_sessions(
                connection,
                "credential BETWEEN ?1 AND ?2",
                (first, last),
            )?);
        }
    }
    Ok(ended)
}

/// The conditions of a `WHERE`, and their values.
pub(super) fn condition(which: &TokenFilter) -> (String, Vec<Value>) {
    all_of([
        ("id =", id(which.id)),
        ("owner =", text(&which.owner)),
        ("session_id =", text(&which.session_id)),
        ("client_id =", text(&which.client_id)),
    ])
}

/// As [`condition`], of sessions.
pub(super) fn session_condition(which: &SessionFilter, key: &LookupKey) -> (String, Vec<Value>) {
    let credential = which
        .credential
        .map(|credential| Value::Blob(credential_bytes(credential, key)));
    all_of([
        ("id =", id(which.id)),
        ("owner =", text(&which.owner)),
        ("credential =", credential),
        ("session_id =", text(&which.session_id)),
        ("session_id <>", text(&which.other_than)),
    ])
}

/// An id that is too large for a row matches nothing.
fn id(id: Option<RecordId>) -> Option<Value> {
    id.map(|id| Value::Integer(number(id).unwrap_or(-1)))
}

fn text(text: &Option<String>) -> Option<Value> {
    text.clone().map(Value::Text)
}

fn all_of<const N: usize>(conditions: [(&str, Option<Value>); N]) -> (String, Vec<Value>) {
    let (mut condition, mut values) = (String::new(), Vec::new());
    for (column, value) in conditions {
        if let Some(value) = value {
            values.push(value);
            let and = if condition.is_empty() { "" } else { " AND " };
            condition.push_str(&format!("{and}{column} ?{}", values.len()));
        }
    }
    (condition, values)
}

/// Removes at most `limit` sessions that have expired, and returns how many.
pub(super) fn sweep_sessions(connection: &Connection, now: i64, limit: i64) -> Result<u64, rusqlite::Error> {
    let sweep = "DELETE FROM portcullis_sessions WHERE hash IN
                 (SELECT hash FROM portcullis_sessions WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";
    let removed = connection.prepare_cached(sweep)?.execute((now, limit))?;
    Ok(removed as u64)
}

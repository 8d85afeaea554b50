//! Statements, their values and their rows.

use deadpool_postgres::{Object, Transaction};
use tokio_postgres::{Error, IsolationLevel, Row, types::ToSql};

use crate::store::{
    RecordId, SessionFilter, TokenFilter,
    row::{GrantRow, LookupKey, TokenRow, credential_bytes, number},
};

/// Removes at most `$2` sessions that have expired.
pub(super) const SWEEP_SESSIONS: &str = "DELETE FROM portcullis_sessions WHERE id IN
    (SELECT id FROM portcullis_sessions WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// Begins a transaction of the isolation that the statements here are written for: each one sees what was committed
/// before it. The default of the database, the role or the session has no say.
pub(super) async fn begin(object: &mut Object) -> Result<Transaction<'_>, Error> {
    let transaction = object.build_transaction();
    let transaction = transaction.isolation_level(IsolationLevel::ReadCommitted);
    transaction.start().await
}

pub(super) async fn insert_token(
    transaction: &Transaction<'_>,
    place: &[u8; 32],
    row: &TokenRow,
) -> Result<(), Error> {
    let columns = TokenRow::COLUMNS;
    let insert = format!(
        "INSERT INTO portcullis_tokens ({columns}, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
    );
    let insert = transaction.prepare_cached(&insert).await?;
    transaction
        .execute(
            &insert,
            &[
                &row.id,
                &row.grant.owner,
                &row.grant.identity,
                &row.grant.scopes,
                &row.grant.label,
                &row.created,
                &row.grant.expires_at,
                &row.last_used,
                &row.session_id,
                &row.client_id,
                &row.family,
                &row.resource,
                &place.as_slice(),
            ],
        )
        .await
        .map(drop)
}

pub(super) fn token_row(row: &Row) -> Result<TokenRow, Error> {
    Ok(TokenRow {
        id: row.try_get(0)?,
        grant: GrantRow {
            owner: row.try_get(1)?,
            identity: row.try_get(2)?,
            scopes: row.try_get(3)?,
            label: row.try_get(4)?,
            expires_at: row.try_get(6)?,
        },
        created: row.try_get(5)?,
        last_used: row.try_get(7)?,
        session_id: row.try_get(8)?,
        client_id: row.try_get(9)?,
        family: row.try_get(10)?,
        resource: row.try_get(11)?,
    })
}

pub(super) type Values = Vec<Box<dyn ToSql + Send + Sync>>;

/// The conditions of a `WHERE`, and their values.
pub(super) fn condition(which: &TokenFilter) -> (String, Values) {
    all_of([
        ("id =", id(which.id)),
        ("owner =", value(&which.owner)),
        ("session_id =", value(&which.session_id)),
        ("client_id =", value(&which.client_id)),
    ])
}

/// As [`condition`], of sessions.
pub(super) fn session_condition(which: &SessionFilter, key: &LookupKey) -> (String, Values) {
    all_of([
        ("id =", id(which.id)),
        ("owner =", value(&which.owner)),
        (
            "credential =",
            value(
                &which
                    .credential
                    .map(|credential| credential_bytes(credential, key)),
            ),
        ),
        ("session_id =", value(&which.session_id)),
        ("session_id <>", value(&which.other_than)),
    ])
}

/// An id that is too large for a row matches nothing.
fn id(id: Option<RecordId>) -> Option<Box<dyn ToSql + Send + Sync>> {
    value(&id.map(|id| number(id).unwrap_or(-1)))
}

fn value<T: ToSql + Clone + Send + Sync + 'static>(
    value: &Option<T>,
) -> Option<Box<dyn ToSql + Send + Sync>> {
    value.clone().map(|value| Box::new(value) as _)
}

fn all_of<const N: usize>(conditions: [(&str, Option<Box<dyn ToSql + Send + Sync>>); N]) -> (String, Values) {
    let (mut condition, mut values) = (String::new(), Values::new());
    for (column, value) in conditions {
        if let Some(value) = value {
            values.push(value);
            let and = if condition.is_empty() { "" } else { " AND " };
            condition.push_str(&format!("{and}{column} ${}", values.len()));
        }
    }
    (condition, values)
}

pub(super) fn borrowed(values: &Values) -> Vec<&(dyn ToSql + Sync)> {
    values
        .iter()
        .map(|value| &**value as &(dyn ToSql + Sync))
        .collect()
}

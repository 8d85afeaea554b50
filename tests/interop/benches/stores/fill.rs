//! Stores with many tokens in them.

use std::{error::Error, path::Path};

use hmac::{Hmac, KeyInit as _, Mac as _};
use portcullis::{
    Secret, Token,
    store::{PostgresTokenStore, SqliteTokenStore},
};
use portcullis_interop::postgres::Postgres;
use rusqlite::Connection;
use sha2::Sha256;

/// When they were created. They were last used in a year that does not end soon, so that no lookup writes.
pub(crate) const CREATED: u64 = 1_800_000_000;
const USED: u64 = 4_000_000_000;
/// The key of the database, that the server can make the hashes itself.
pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef";

/// One of the tokens.
pub(crate) fn token(number: usize) -> String {
    format!("token-of-this-bench-{number}")
}

/// What the store finds one of the tokens by.
pub(crate) fn keyed(number: usize) -> Vec<u8> {
    let token: Token = token(number).parse().expect("a token");
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).expect("a key of any length");
    mac.update(token.hash().as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Writes the tables without the store, in one go: in the order of the hashes, and without waiting for the disk.
pub(crate) fn sqlite(path: &Path, count: usize) -> Result<(SqliteTokenStore, usize), Box<dyn Error>> {
    let store = SqliteTokenStore::builder(path)
        .hash_key(Secret::from(KEY))
        .open()?;
    let mut hashes = Vec::with_capacity(count);
    for number in 0..count {
        hashes.push((keyed(number), number));
    }
    hashes.sort_unstable();
    let mut database = Connection::open(path)?;
    database.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -262144")?;
    let transaction = database.transaction()?;
    let insert = format!(
        r#"INSERT INTO portcullis_tokens (id, hash, owner, scopes, label, created, last_used)
           VALUES (abs(random()), ?1, 'user-' || ?2, '["read", "access:servers!user"]', 'a token of the bench', {CREATED}, {USED})"#
    );
    let mut statement = transaction.prepare(&insert)?;
    for (hash, number) in hashes {
        statement.execute((hash, i64::try_from(number % 1_000)?))?;
    }
    drop(statement);
    transaction.commit()?;
    database.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok((store, count))
}

/// By the server, at once.
pub(crate) async fn postgres(
    server: &Postgres,
    name: &str,
    count: usize,
) -> Result<(PostgresTokenStore, usize), Box<dyn Error>> {
    server.sql("postgres", &format!("CREATE DATABASE {name}"));
    let store = PostgresTokenStore::builder(&server.config(name))
        .with_key(Secret::from(KEY))
        .connect()
        .await?;
    let last = count - 1;
    server.sql(name, "CREATE EXTENSION pgcrypto");
    server.sql(
        name,
        &format!(
            r#"INSERT INTO portcullis_tokens (id, hash, owner, scopes, label, created, last_used)
               SELECT (random() * 9e18)::bigint,
                   hmac(sha256(convert_to('token-of-this-bench-' || number, 'UTF8')), '{KEY}', 'sha256'),
                   'user-' || number % 1000, '["read", "access:servers!user"]', 'a token of the bench', {CREATED}, {USED}
               FROM generate_series(0, {last}) AS number ORDER BY random()"#
        ),
    );
    server.sql(name, "VACUUM ANALYZE portcullis_tokens");
    Ok((store, count))
}

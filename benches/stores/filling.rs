//! Stores with many tokens in them.

use std::{error::Error, path::Path};

use portcullis::{
    Grant, Identity, Secret, Token, TokenStore, UnixTime,
    store::{PostgresTokenStore, SqliteTokenStore, TokenRecord},
};
use portcullis_interop::postgres::Postgres;

/// When they were made. They were used in a year that is not over soon, so that no look-up writes.
pub(crate) const CREATED: u64 = 1_800_000_000;
const USED: u64 = 4_000_000_000;
/// The key of the database, that the server can make the hashes itself.
const KEY: &str = "0123456789abcdef0123456789abcdef";

/// One of the tokens.
pub(crate) fn token(number: usize) -> String {
    format!("token-of-this-bench-{number}")
}

/// By the store itself: so many at once that they share their waits for the disk.
pub(crate) async fn sqlite(path: &Path, count: usize) -> Result<(SqliteTokenStore, usize), Box<dyn Error>> {
    let store = SqliteTokenStore::open(path)?;
    for numbers in (0..count).collect::<Vec<_>>().chunks(2_048) {
        let mut inserted = Vec::with_capacity(numbers.len());
        for &number in numbers {
            let token: Token = token(number).parse()?;
            inserted.push(store.insert(token.hash(), record(number)));
        }
        for inserted in inserted {
            inserted.await?;
        }
    }
    Ok((store, count))
}

fn record(number: usize) -> TokenRecord {
    let grant = Grant::new(Identity::new(&format!("user-{}", number % 1_000)))
        .with_scopes(["read", "access:servers!user"])
        .labelled("a token of the bench");
    TokenRecord::new(grant, UnixTime::from_secs(CREATED)).last_used_at(UnixTime::from_secs(USED))
}

/// By the server, at once.
pub(crate) async fn postgres(
    server: &Postgres,
    name: &str,
    count: usize,
) -> Result<(PostgresTokenStore, usize), Box<dyn Error>> {
    server.sql("postgres", &format!("CREATE DATABASE {name}"));
    let store = PostgresTokenStore::at(&server.config(name))
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

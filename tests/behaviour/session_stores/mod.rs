//! Replicas that share their sessions in memory or in SQLite. The tests of the real peers run the same in PostgreSQL.

mod scenarios;

use std::sync::Arc;

use portcullis::store::MemoryTokenStore;
#[cfg(feature = "sqlite")]
use portcullis::store::SqliteTokenStore;

#[cfg(feature = "sqlite")]
use self::scenarios::nothing_in_a_dump_is_accepted;
use self::scenarios::{
    changes_hold_at_both_replicas_under_load, changes_hold_at_the_other_replica_and_after_a_restart,
};

#[tokio::test]
async fn changes_hold_at_another_replica_and_after_a_restart_with_sessions_in_memory() {
    let store = Arc::new(MemoryTokenStore::new());
    changes_hold_at_the_other_replica_and_after_a_restart(async || Arc::clone(&store)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_hold_at_two_replicas_under_load_with_sessions_in_memory() {
    let store = Arc::new(MemoryTokenStore::new());
    changes_hold_at_both_replicas_under_load([Arc::clone(&store), store]).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn changes_hold_at_another_replica_and_after_a_restart_with_sessions_in_sqlite() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sessions.sqlite");
    changes_hold_at_the_other_replica_and_after_a_restart(async || {
        SqliteTokenStore::open(&file).expect("a store")
    })
    .await;
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread")]
async fn changes_hold_at_two_replicas_under_load_with_sessions_in_sqlite() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sessions.sqlite");
    let open = || SqliteTokenStore::open(&file).expect("a store");
    changes_hold_at_both_replicas_under_load([open(), open()]).await;
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn nothing_in_a_copy_of_a_sqlite_database_is_accepted_as_a_cookie_or_a_token() {
    use rusqlite::{Connection, types::Value};

    let folder = tempfile::tempdir().expect("a folder");
    let (file, copy) = (
        folder.path().join("sessions.sqlite"),
        folder.path().join("copy.sqlite"),
    );
    let dump = async || {
        let database = Connection::open(&file).expect("opened");
        let target = copy.to_str().expect("a path of text");
        database.execute("VACUUM INTO ?1", [target]).expect("copied");
        let store = SqliteTokenStore::open(&copy).expect("a store");
        let mut values = std::collections::BTreeSet::new();
        for table in ["store", "tokens", "sessions"] {
            let select = format!("SELECT * FROM portcullis_{table}");
            let mut rows = database.prepare(&select).expect("a table");
            let columns = rows.column_count();
            let mut rows = rows.query([]).expect("rows");
            while let Some(row) = rows.next().expect("a row") {
                for column in 0..columns {
                    values.insert(match row.get(column).expect("a value") {
                        Value::Null => continue,
                        Value::Integer(number) => number.to_string().into_bytes(),
                        Value::Real(number) => number.to_string().into_bytes(),
                        Value::Text(text) => text.into_bytes(),
                        Value::Blob(bytes) => bytes,
                    });
                }
            }
        }
        (values, store)
    };
    nothing_in_a_dump_is_accepted(SqliteTokenStore::open(&file).expect("a store"), dump).await;
}

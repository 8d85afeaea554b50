//! Opening a database: what is made, what is brought up to date, what is refused.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use portcullis::{
    Secret, TokenStore,
    store::{SqliteTokenStore, StoreErrorKind, Tokens},
};
use rusqlite::Connection;

use super::{is_there, record};

#[tokio::test]
async fn a_database_outlives_its_process_and_is_its_owners_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokens.sqlite");
    let store = SqliteTokenStore::open(&path).expect("a store");
    let (stays, record) = (store.issue(record("me")).await.expect("issued"), record("me"));
    let goes = store.issue(record.clone()).await.expect("issued");
    store.revoke(Tokens::with_id(record.id())).await.expect("revoked");
    for file in fs::read_dir(folder.path()).expect("a folder") {
        let file = file.expect("a file");
        let mode = file.metadata().expect("there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.file_name());
    }
    drop(store);
    let store = SqliteTokenStore::open(&path).expect("it opens again");
    assert!(is_there(&store, &stays).await && !is_there(&store, &goes).await);
}

#[tokio::test]
async fn other_tables_in_the_same_file_are_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("app.sqlite");
    let app = Connection::open(&path).expect("opened");
    app.execute_batch("CREATE TABLE tokens (id); INSERT INTO tokens VALUES (7)")
        .expect("made");
    let store = SqliteTokenStore::open(&path).expect("a store");
    let token = store.issue(record("me")).await.expect("issued");
    assert!(is_there(&store, &token).await);
    let id: i64 = app
        .query_row("SELECT id FROM tokens", [], |row| row.get(0))
        .expect("there");
    assert_eq!(id, 7);
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_when_it_is_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let key = || Secret::from("0123456789abcdef0123456789abcdef");
    fs::write(
        at("text"),
        "no database at all, but a text of more than a few octets".repeat(20),
    )
    .expect("written");
    fs::write(at("empty"), "").expect("written");
    drop(SqliteTokenStore::open(at("newer")).expect("a store"));
    let newer = Connection::open(at("newer")).expect("opened");
    newer
        .execute_batch("UPDATE portcullis_store SET version = 999")
        .expect("changed");
    drop(SqliteTokenStore::open(at("keyless")).expect("a store"));
    drop(
        SqliteTokenStore::at(at("keyed"))
            .with_key(key())
            .open()
            .expect("a store"),
    );

    type Open = fn(&Path) -> Result<SqliteTokenStore, portcullis::StoreError>;
    let plain: Open = |path| SqliteTokenStore::open(path);
    let keyed: Open = |path| {
        SqliteTokenStore::at(path)
            .with_key("0123456789abcdef0123456789abcdef".into())
            .open()
    };
    let other: Open = |path| SqliteTokenStore::at(path).with_key("another".into()).open();
    for (name, open, expected) in [
        ("empty", plain, Ok(())),
        ("keyless", plain, Ok(())),
        ("keyed", keyed, Ok(())),
        (
            "keyed",
            plain,
            Err((StoreErrorKind::Schema, "with a key of one's own")),
        ),
        ("keyed", other, Err((StoreErrorKind::Schema, "another key"))),
        ("keyless", keyed, Err((StoreErrorKind::Schema, "a key within"))),
        ("newer", plain, Err((StoreErrorKind::Schema, "found 999"))),
        ("text", plain, Err((StoreErrorKind::Schema, "found another file"))),
        (
            "missing/tokens",
            plain,
            Err((StoreErrorKind::Unavailable, "cannot be opened")),
        ),
    ] {
        let opened = open(&at(name)).map(drop);
        match (opened, expected) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err((kind, words))) => {
                assert_eq!(error.kind(), kind, "{name}: {error}");
                assert!(error.to_string().contains(words), "{name}: {error}");
            }
            (opened, expected) => panic!("{name}: {opened:?}, expected {expected:?}"),
        }
    }
}

#[tokio::test]
async fn a_key_of_ones_own_is_not_in_the_database() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokens.sqlite");
    let store = SqliteTokenStore::at(&path)
        .with_key("canary canary canary canary 1234".into())
        .open()
        .expect("a store");
    let token = store.issue(record("me")).await.expect("issued");
    assert!(is_there(&store, &token).await);
    drop(store);
    let octets = fs::read(&path).expect("read");
    for secret in [&b"canary"[..], token.expose().as_bytes(), token.hash().as_bytes()] {
        assert!(memchr::memmem::find(&octets, secret).is_none());
    }
}

//! Opening a database: what is made, what is brought up to date, what is refused.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, sync::Barrier, thread, time::Duration};

use portcullis::{
    Secret, Token,
    clock::UnixTime,
    store::{
        SessionCredential, SessionRecord, SessionStore, SqliteTokenStore, StoreErrorKind, TokenFilter,
        TokenStore,
    },
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
    store.revoke(TokenFilter::id(record.id())).await.expect("revoked");
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
        "no database at all, but a text of more than a few bytes".repeat(20),
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
        SqliteTokenStore::builder(at("keyed"))
            .hash_key(key())
            .open()
            .expect("a store"),
    );

    type Open = fn(&Path) -> Result<SqliteTokenStore, portcullis::store::StoreError>;
    let plain: Open = |path| SqliteTokenStore::open(path);
    let keyed: Open = |path| {
        SqliteTokenStore::builder(path)
            .hash_key("0123456789abcdef0123456789abcdef".into())
            .open()
    };
    let other: Open = |path| {
        SqliteTokenStore::builder(path)
            .hash_key("another key of thirty-two bytes.".into())
            .open()
    };
    for (name, open, expected) in [
        ("empty", plain, Ok(())),
        ("keyless", plain, Ok(())),
        ("keyed", keyed, Ok(())),
        ("keyed", plain, Err((StoreErrorKind::Schema, "with a custom key"))),
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

#[test]
fn short_keys_are_refused_and_nothing_is_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokens.sqlite");
    for length in [0, 1, 31] {
        let key = Secret::from("k".repeat(length).as_str());
        let opened = SqliteTokenStore::builder(&path).hash_key(key).open();
        let error = opened.map(drop).expect_err("too short");
        assert_eq!(error.kind(), StoreErrorKind::Config, "{length}: {error}");
        assert!(error.to_string().contains(&format!("found {length}")), "{error}");
        assert!(!path.exists(), "{length}");
    }
    let key = Secret::from("k".repeat(32).as_str());
    SqliteTokenStore::builder(&path)
        .hash_key(key)
        .open()
        .expect("a store");
}

#[test]
fn names_that_are_no_files_to_sqlite_are_refused() {
    for name in [":memory:", ":other:", "file::memory:", "file:tokens?mode=memory"] {
        let error = SqliteTokenStore::open(name).map(drop).expect_err("no file");
        assert_eq!(error.kind(), StoreErrorKind::Config, "{name}: {error}");
        assert!(error.to_string().contains(name), "{error}");
        assert!(!Path::new(name).exists(), "{name}");
    }
}

#[test]
fn a_file_that_others_can_write_to_is_refused_by_its_mode() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokens.sqlite");
    drop(SqliteTokenStore::open(&path).expect("a store"));
    for (mode, good) in [
        (0o600, true),
        (0o640, true),
        (0o644, true),
        (0o660, false),
        (0o602, false),
        (0o666, false),
    ] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its owner may");
        match SqliteTokenStore::open(&path).map(drop) {
            Ok(()) => assert!(good, "{mode:o}"),
            Err(error) => {
                assert!(!good, "{mode:o}: {error}");
                assert_eq!(error.kind(), StoreErrorKind::Config, "{error}");
                assert!(error.to_string().contains(&format!("mode {mode:04o}")), "{error}");
                assert!(error.to_string().contains("chmod 600"), "{error}");
            }
        }
    }
}

#[test]
fn a_file_that_another_program_is_writing_to_is_opened_once_it_has_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("app.sqlite");
    let app = Connection::open(&path).expect("opened");
    app.execute_batch("CREATE TABLE app (id); BEGIN IMMEDIATE; INSERT INTO app VALUES (1)")
        .expect("held");
    let opener = thread::spawn(move || SqliteTokenStore::open(&path).map(drop));
    // Time for an attempt that is refused at once.
    thread::sleep(Duration::from_millis(200));
    app.execute_batch("COMMIT").expect("written");
    opener.join().expect("ended").expect("a store");
}

#[test]
fn a_file_that_many_open_and_close_at_once_opens_for_each() {
    const OPENERS: usize = 6;
    let folder = tempfile::tempdir().expect("a folder");
    for round in 0..10 {
        let path = folder.path().join(format!("tokens{round}.sqlite"));
        let start = Barrier::new(OPENERS);
        thread::scope(|scope| {
            for _ in 0..OPENERS {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..3 {
                        drop(SqliteTokenStore::open(&path).expect("a store"));
                    }
                });
            }
        });
    }
}

/// Another process that finds no lock takes the file for closed, and tidies away what is in use.
#[cfg(target_os = "linux")]
#[test]
fn a_second_store_on_the_same_file_leaves_the_locks_of_the_first() {
    use std::os::unix::fs::MetadataExt as _;

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokens.sqlite");
    let first = SqliteTokenStore::open(&path).expect("a store");
    let mark = format!(":{} ", fs::metadata(&path).expect("there").ino());
    // A single read may miss a lock, because other locks come and go between the parts of the file.
    let locked = || {
        (0..20).any(|_| {
            let locks = fs::read_to_string("/proc/locks").expect("read");
            locks.lines().any(|line| line.contains(&mark))
        })
    };
    assert!(locked());
    let second = SqliteTokenStore::open(&path).expect("a store");
    assert!(locked());
    drop(second);
    assert!(locked());
    drop(first);
    assert!(!locked());
}

#[tokio::test]
async fn a_custom_key_is_not_in_the_database() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokens.sqlite");
    let store = SqliteTokenStore::builder(&path)
        .hash_key("canary canary canary canary 1234".into())
        .open()
        .expect("a store");
    let token = store.issue(record("me")).await.expect("issued");
    assert!(is_there(&store, &token).await);
    let (now, end) = (UnixTime::from_secs(1), UnixTime::from_secs(2));
    let session = SessionRecord::new(record("me").grant().clone(), "5e55", now, end)
        .with_credential(SessionCredential::Token(token.hash()));
    let begun = store.insert_session(Token::generate().hash(), session, None);
    begun.await.expect("begun");
    drop(store);
    let bytes = fs::read(&path).expect("read");
    for secret in [&b"canary"[..], token.expose().as_bytes(), token.hash().as_bytes()] {
        assert!(memchr::memmem::find(&bytes, secret).is_none());
    }
}

/// A file as version 1 made it, with all that it can hold.
#[cfg(feature = "hub-server")]
#[tokio::test]
async fn a_database_of_version_1_is_brought_up_to_date_and_loses_nothing() {
    use portcullis::{
        Grant, Identity,
        store::{CodeRecord, CodeRedemption, HubStore, SessionFilter, TokenRecord},
    };

    let folder = tempfile::tempdir().expect("a folder");
    let (new, path) = (
        folder.path().join("new.sqlite"),
        folder.path().join("tokens.sqlite"),
    );
    let (now, end) = (
        UnixTime::from_secs(1_800_000_000),
        UnixTime::from_secs(1_900_000_000),
    );
    let grant = Grant::new(Identity::new("alice"));
    let sessions = [("5e55", "Firefox on Linux"), ("5e56", "")].map(|(session_id, note)| {
        let session = SessionRecord::new(grant.clone(), session_id, now, end).with_note(note);
        (Token::generate().hash(), session)
    });
    let of_session = TokenRecord::new(grant.clone().with_scopes(["read"]), now).with_session("5e55");
    let (code, code_hash) = (
        CodeRecord::new("c", "/", "alice", end).with_session("5e55"),
        Token::generate().hash(),
    );
    let store = SqliteTokenStore::open(&new).expect("a store");
    for (hash, session) in &sessions {
        store
            .insert_session(*hash, session.clone(), None)
            .await
            .expect("begun");
    }
    let token = store.issue(of_session.clone()).await.expect("issued");
    assert!(
        store
            .insert_code(code_hash, code.clone(), now)
            .await
            .expect("kept")
    );
    drop(store);
    let old = Connection::open(&path).expect("opened");
    old.execute_batch(include_str!("../../../src/store/sqlite/1.sql"))
        .expect("made");
    let tokens = "hash, id, prefix, salted, owner, identity, scopes, label, created, expires_at, last_used, session_id, client_id";
    let codes = "hash, client_id, redirect_uri, owner, expires_at, code_challenge, scopes, session_id, token";
    old.execute_batch(&format!(
        "ATTACH '{}' AS new;
         INSERT INTO portcullis_store SELECT one, 1, lookup_key, lookup_key_check FROM new.portcullis_store;
         INSERT INTO portcullis_tokens SELECT {tokens} FROM new.portcullis_tokens;
         INSERT INTO portcullis_codes SELECT {codes} FROM new.portcullis_codes;
         INSERT INTO portcullis_logins
             SELECT id, hash, owner, session_id, created, expires_at, note FROM new.portcullis_sessions;",
        new.display()
    ))
    .expect("filled");
    drop(old);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its owner may");

    for opened in ["first", "again"] {
        let store = SqliteTokenStore::open(&path).expect("a store");
        for (hash, session) in &sessions {
            let found = store.find_session(*hash).await.expect("an answer");
            assert_eq!(found.as_ref(), Some(session), "opened {opened}");
        }
        let found = store.find(token.hash()).await.expect("an answer");
        assert_eq!(found.as_ref(), Some(&of_session), "opened {opened}");
        let found = store.find_code(code_hash).await.expect("an answer");
        assert_eq!(found.as_ref(), Some(&code), "opened {opened}");
    }
    let store = SqliteTokenStore::open(&path).expect("a store");
    let redeemed = store
        .redeem_code(code_hash, Token::generate().hash(), TokenRecord::new(grant, now))
        .await;
    assert_eq!(redeemed.expect("an answer"), CodeRedemption::Issued);
    let ended = store
        .end_sessions(SessionFilter::owner("alice").and_session("5e55"))
        .await;
    assert_eq!(ended.expect("ended"), 1);
    assert!(
        !is_there(&store, &token).await,
        "its tokens end with a session of version 1"
    );
    let tables = Connection::open(&path).expect("opened");
    let old: i64 = tables
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name LIKE '%logins%'",
            [],
            |row| row.get(0),
        )
        .expect("counted");
    assert_eq!(old, 0, "nothing is left of the table of logins");
}

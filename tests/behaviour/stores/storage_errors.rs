//! A database that is locked by another process, or full.

use std::time::{Duration, Instant};

use portcullis::{
    Token,
    clock::UnixTime,
    store::{
        SessionFilter, SessionRecord, SessionStore, SessionTouch, SqliteTokenStore, StoreErrorKind,
        TokenFilter, TokenRecord, TokenStore,
    },
    token::TokenHash,
};
use rusqlite::Connection;

use super::{is_there, record};

#[tokio::test(flavor = "multi_thread")]
async fn while_another_holds_the_database_tokens_are_found_and_nothing_is_half_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokens.sqlite");
    let store = SqliteTokenStore::open(&path).expect("a store");
    let before = store.issue(record("me")).await.expect("issued");

    let holder = Connection::open(&path).expect("opened");
    holder.execute_batch("BEGIN IMMEDIATE").expect("held");
    let began = Instant::now();
    let (late, refused) = (record("me"), record("me"));
    let writes = [late, refused].map(|record| {
        let store = store.clone();
        tokio::spawn(async move { store.issue(record).await })
    });
    for _ in 0..100 {
        assert!(is_there(&store, &before).await, "who reads does not wait");
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    for write in writes {
        let error = write.await.expect("answered").expect_err("held by another");
        assert_eq!(error.kind(), StoreErrorKind::Busy, "{error}");
    }
    let count: i64 = holder
        .query_row("SELECT count(*) FROM portcullis_tokens", [], |row| row.get(0))
        .expect("counted");
    assert_eq!(count, 1, "nothing of what was refused was written");

    // Held for a moment only, it is waited for.
    let write = tokio::spawn({
        let store = store.clone();
        async move { store.issue(record("me")).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    holder.execute_batch("ROLLBACK").expect("let go");
    let freed = Instant::now();
    let after = write.await.expect("answered").expect("issued");
    assert!(freed.elapsed() < Duration::from_secs(1), "back within a second");
    assert!(is_there(&store, &after).await);
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_acknowledged_and_keeps_nothing_that_was_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokens.sqlite");
    let store = SqliteTokenStore::builder(&path)
        .max_size(256 * 1_024)
        .open()
        .expect("a store");
    let (mut kept, mut refused) = (Vec::new(), Vec::new());
    // Many at once, so that the disk is full in the middle of what is written together.
    for _ in 0..200 {
        let tokens: Vec<_> = (0..32).map(|_| (Token::generate(), record("me"))).collect();
        let inserted: Vec<_> = tokens
            .iter()
            .map(|(token, record)| store.insert(token.hash(), record.clone()))
            .collect();
        for ((token, record), inserted) in tokens.into_iter().zip(inserted) {
            match inserted.await {
                Ok(()) => kept.push((token, record)),
                Err(error) => {
                    assert_eq!(error.kind(), StoreErrorKind::Full, "{error}");
                    refused.push(token);
                }
            }
        }
    }
    assert!(
        kept.len() > 400 && refused.len() > 100,
        "{} kept, {} refused",
        kept.len(),
        refused.len()
    );
    check(&store, &kept, &refused).await;

    // Many pages of each index: one of them is in the order of time, so a new token needs space at its end.
    let half = kept.len() / 2;
    for (_, record) in kept.drain(..half) {
        assert_eq!(
            store
                .revoke(TokenFilter::id(record.id()))
                .await
                .expect("revoked on a full disk"),
            1
        );
    }
    let record = record("me");
    kept.push((
        store
            .issue(record.clone())
            .await
            .expect("issued in the space of those revoked"),
        record,
    ));
    check(&store, &kept, &refused).await;
    drop(store);
    check(&SqliteTokenStore::open(&path).expect("a store"), &kept, &refused).await;
}

async fn check(store: &SqliteTokenStore, kept: &[(Token, TokenRecord)], refused: &[Token]) {
    for (token, _) in kept {
        assert!(is_there(store, token).await, "what was acknowledged is there");
    }
    for token in refused {
        assert!(!is_there(store, token).await, "what was refused is not");
    }
}

#[tokio::test]
async fn what_is_wrong_in_one_write_spoils_none_that_are_written_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteTokenStore::open(folder.path().join("tokens.sqlite")).expect("a store");
    let taken = Token::generate();
    store.insert(taken.hash(), record("first")).await.expect("kept");
    let tokens: Vec<_> = (0..100).map(|_| Token::generate()).collect();
    let inserted: Vec<_> = tokens
        .iter()
        .map(|token| {
            (
                store.insert(token.hash(), record("me")),
                store.insert(taken.hash(), record("me")),
            )
        })
        .collect();
    for (good, bad) in inserted {
        good.await.expect("a new one is kept");
        assert_eq!(
            bad.await.expect_err("there already").kind(),
            StoreErrorKind::Duplicate
        );
    }
    for token in &tokens {
        assert!(is_there(&store, token).await);
    }
}

#[tokio::test]
async fn who_is_not_waited_for_any_more_is_written_all_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteTokenStore::open(folder.path().join("tokens.sqlite")).expect("a store");
    let token = Token::generate();
    drop(store.insert(token.hash(), record("me")));
    let after = store.issue(record("me")).await.expect("written behind it");
    assert!(is_there(&store, &after).await && is_there(&store, &token).await);
}

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const END: UnixTime = UnixTime::from_secs(1_900_000_000);

/// A session that is not yet in the store, and the hash of its cookie.
fn session(session_id: &str) -> (TokenHash, SessionRecord) {
    let session = SessionRecord::new(record("me").grant().clone(), session_id, NOW, END);
    (Token::generate().hash(), session)
}

#[tokio::test(flavor = "multi_thread")]
async fn while_another_holds_the_database_sessions_are_found_and_no_change_is_half_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokens.sqlite");
    let store = SqliteTokenStore::open(&path).expect("a store");
    let ((hash, begun), (new_hash, new)) = (session("s1"), session("s2"));
    store
        .insert_session(hash, begun.clone(), None)
        .await
        .expect("begun");

    let holder = Connection::open(&path).expect("opened");
    holder.execute_batch("BEGIN IMMEDIATE").expect("held");
    let touch = SessionTouch::new(UnixTime::from_secs(1_800_000_060), END);
    let began = Instant::now();
    // All at once: what is refused together has waited together.
    let (inserted, touched, ended, removed) = (
        store.insert_session(new_hash, new.clone(), Some("s1".to_owned())),
        store.touch_session(hash, touch.clone()),
        store.end_sessions(SessionFilter::owner("me")),
        store.remove_expired_sessions(END, 10),
    );
    for _ in 0..100 {
        let found = store.find_session(hash).await.expect("who reads does not wait");
        assert_eq!(found.as_ref(), Some(&begun));
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let refused = [
        ("insert", inserted.await.expect_err("held").kind()),
        ("touch", touched.await.expect_err("held").kind()),
        ("end", ended.await.expect_err("held").kind()),
        ("remove", removed.await.expect_err("held").kind()),
    ];
    for (what, kind) in refused {
        assert_eq!(kind, StoreErrorKind::Busy, "{what}");
    }
    assert!(
        began.elapsed() < Duration::from_secs(30),
        "in bounded time: {:?}",
        began.elapsed()
    );
    let found = store.find_session(hash).await.expect("an answer");
    assert_eq!(
        found.as_ref(),
        Some(&begun),
        "nothing of what was refused was done"
    );
    assert_eq!(store.find_session(new_hash).await.expect("an answer"), None);

    holder.execute_batch("ROLLBACK").expect("let go");
    assert!(store.touch_session(hash, touch).await.expect("touched"));
    let inserted = store.insert_session(new_hash, new.clone(), Some("s1".to_owned()));
    inserted.await.expect("begun");
    assert_eq!(store.find_session(hash).await.expect("an answer"), None);
    assert_eq!(
        store
            .end_sessions(SessionFilter::id(new.id()))
            .await
            .expect("ended"),
        1
    );
}

#[tokio::test]
async fn a_full_disk_ends_sessions_and_loses_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokens.sqlite");
    let settings = SqliteTokenStore::builder(&path).max_size(256 * 1_024);
    let store = settings.open().expect("a store");
    let (mut kept, mut refused) = (Vec::new(), Vec::new());
    for number in 0.. {
        let (hash, session) = session(&format!("s{number}"));
        match store.insert_session(hash, session.clone(), None).await {
            Ok(()) => kept.push((hash, session)),
            Err(error) => {
                assert_eq!(error.kind(), StoreErrorKind::Full, "{error}");
                refused.push(hash);
            }
        }
        if refused.len() == 20 {
            break;
        }
    }
    assert!(kept.len() > 100, "{} kept", kept.len());
    let check = async |kept: &[(TokenHash, SessionRecord)]| {
        for (hash, session) in kept {
            let found = store.find_session(*hash).await.expect("an answer");
            assert_eq!(found.as_ref(), Some(session), "what was acknowledged is there");
        }
        for hash in &refused {
            assert_eq!(store.find_session(*hash).await.expect("an answer"), None);
        }
    };
    check(&kept).await;
    for (hash, session) in kept.drain(..50) {
        let ended = store.end_sessions(SessionFilter::id(session.id())).await;
        assert_eq!(ended.expect("ended on a full disk"), 1);
        assert_eq!(store.find_session(hash).await.expect("an answer"), None);
    }
    let (hash, after) = session("after");
    let begun = store.insert_session(hash, after.clone(), None).await;
    begun.expect("begun in the space of those that ended");
    kept.push((hash, after));
    check(&kept).await;
}

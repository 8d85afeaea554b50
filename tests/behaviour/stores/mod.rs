//! What a store of tokens keeps, whatever happens to its process and its disk.

mod crash_durability;
#[cfg(feature = "hub-server")]
mod database_dump;
mod jupyterhub_migration;
mod open_database;
mod storage_errors;

use portcullis::{
    Grant, Identity, Token, TokenVerifier, Verification,
    clock::{Clock as _, SystemClock, UnixTime},
    store::{MemoryTokenStore, SqliteTokenStore, TokenRecord, TokenStore},
    testing::{TestClock, attempt_store_conformance, token_store_conformance},
    token::PresentedToken,
    verify::StoredTokens,
};

#[tokio::test]
async fn memory_keeps_what_a_store_promises() {
    let store = MemoryTokenStore::new();
    token_store_conformance(&store).await;
    attempt_store_conformance(&store).await;
    #[cfg(not(feature = "hub-server"))]
    portcullis::testing::session_store_conformance(&store).await;
    #[cfg(feature = "hub-server")]
    portcullis::testing::hub_store_conformance(&store).await;
}

#[tokio::test]
async fn sqlite_keeps_what_a_store_promises() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokens.sqlite");
    let store = SqliteTokenStore::open(&path).expect("a store");
    token_store_conformance(&store).await;
    attempt_store_conformance(&store).await;
    #[cfg(not(feature = "hub-server"))]
    portcullis::testing::session_store_conformance(&store).await;
    #[cfg(feature = "hub-server")]
    portcullis::testing::hub_store_conformance(&store).await;
    drop(store);
    assert!(
        !folder.path().join("tokens.sqlite-wal").exists(),
        "all is in the one file, once it is closed"
    );
}

#[tokio::test]
async fn a_use_is_written_once_a_minute_and_an_expired_token_is_reported_with_its_expiry() {
    let clock = TestClock::new(UnixTime::from_secs(1_800_000_000));
    let start = portcullis::clock::Clock::now(&clock);
    let end = start.saturating_add(std::time::Duration::from_secs(150));
    let tokens = StoredTokens::with_clock(MemoryTokenStore::new(), clock.clone());
    let (token, _) = tokens
        .issue(Grant::new(Identity::new("me")).with_expiry(end))
        .await
        .expect("issued");
    let mut seen = Vec::new();
    for _ in 0..6 {
        assert!(
            matches!(verify(&tokens, token.expose()).await, Verification::Valid(grant) if grant.expires_at() == Some(end))
        );
        let record = tokens
            .store()
            .find(token.hash())
            .await
            .expect("an answer")
            .expect("there");
        let last_used = record.last_used().expect("used");
        seen.push(last_used.saturating_duration_since(start).as_secs());
        clock.advance(std::time::Duration::from_secs(35));
    }
    assert_eq!(
        seen,
        [0, 0, 70, 70, 140, 140],
        "a use within a minute of the last is not written, nor one after the end"
    );
}

#[tokio::test]
async fn a_use_that_another_node_wrote_within_the_minute_is_not_written_again() {
    let clock = TestClock::new(UnixTime::from_secs(1_800_000_000));
    let store = std::sync::Arc::new(MemoryTokenStore::new());
    let nodes = [(); 2].map(|()| StoredTokens::with_clock(store.clone(), clock.clone()));
    let (token, _) = nodes[0]
        .issue(Grant::new(Identity::new("me")))
        .await
        .expect("issued");
    for (node, seconds) in [(0, 0), (1, 35), (1, 70), (0, 105)] {
        verify(&nodes[node], token.expose()).await;
        let record = store.find(token.hash()).await.expect("an answer").expect("there");
        let written = record.last_used().map(|time| time.as_secs() - 1_800_000_000);
        assert_eq!(
            written,
            Some(if seconds < 70 { 0 } else { 70 }),
            "after {seconds} s"
        );
        clock.advance(std::time::Duration::from_secs(35));
    }
}

#[tokio::test]
async fn a_look_up_is_one_read_of_one_index() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokens.sqlite");
    drop(SqliteTokenStore::open(&path).expect("a store"));
    let database = rusqlite::Connection::open(&path).expect("opened");
    for (table, column) in [
        ("tokens", "hash"),
        ("tokens", "owner"),
        ("tokens", "session_id"),
        ("sessions", "hash"),
        ("sessions", "session_id"),
        ("sessions", "owner"),
        ("sessions", "credential"),
        ("codes", "hash"),
    ] {
        let explain = format!("EXPLAIN QUERY PLAN SELECT * FROM portcullis_{table} WHERE {column} = ?1");
        let plan: String = database
            .query_row(&explain, [""], |row| row.get(3))
            .expect("a plan");
        assert!(
            plan.starts_with("SEARCH") && plan.contains(column),
            "{table}.{column}: {plan}"
        );
    }
}

#[tokio::test]
async fn the_newest_tokens_of_an_owner_and_a_page_of_users_are_read_from_an_index() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("tokens.sqlite");
    drop(SqliteTokenStore::open(&path).expect("a store"));
    let database = rusqlite::Connection::open(&path).expect("opened");
    for (query, index) in [
        (
            "* FROM portcullis_tokens WHERE owner = ?1 ORDER BY created DESC, id DESC LIMIT 100",
            "portcullis_tokens_owner",
        ),
        (
            "owner FROM portcullis_activity WHERE server = '/' ORDER BY owner LIMIT 50 OFFSET 50",
            "portcullis_activity_users",
        ),
    ] {
        let mut explain = database
            .prepare(&format!("EXPLAIN QUERY PLAN SELECT {query}"))
            .expect("a plan");
        let count = explain.parameter_count();
        let steps = explain.query_map(rusqlite::params_from_iter(vec![""; count]), |row| {
            row.get::<_, String>(3)
        });
        let steps: Vec<String> = steps.expect("a plan").collect::<Result<_, _>>().expect("a plan");
        // Tokens of one second are sorted by their ids, and nothing beyond.
        let sorts_all = steps.iter().any(|step| step == "USE TEMP B-TREE FOR ORDER BY");
        assert!(steps[0].contains(index) && !sorts_all, "{steps:?}");
    }
}

/// What is found in a full store when one more session begins.
#[tokio::test]
async fn a_full_store_in_memory_refuses_no_login_and_ends_what_is_needed_least() {
    use portcullis::store::{SessionRecord, SessionStore, SessionTouch, TokenFilter};

    let at = |second| UnixTime::from_secs(1_800_000_000 + second);
    let end = at(100);
    // What is done before the fourth session begins at second 10, and which of the first three are there after.
    type Before = &'static [(usize, u64)];
    let cases: [(&str, u64, Before, [bool; 3]); 4] = [
        ("none was used again", 100, &[], [false, true, true]),
        ("the first was used again", 100, &[(0, 5)], [true, false, true]),
        (
            "all but the last were",
            100,
            &[(0, 5), (1, 6)],
            [true, true, false],
        ),
        ("the last has expired", 9, &[], [true, true, false]),
    ];
    for (case, last_ends, touched, there) in cases {
        let store = MemoryTokenStore::new().max_sessions(3);
        let hashes = [(); 4].map(|()| Token::generate().hash());
        let begin = async |number: usize, now, end| {
            let grant = Grant::new(Identity::new("me"));
            let session = SessionRecord::new(grant.clone(), &format!("s{number}"), now, end);
            store
                .insert_session(hashes[number], session, None)
                .await
                .expect("begun");
            let token = TokenRecord::new(grant, now).with_session(&format!("s{number}"));
            store.issue(token).await.expect("issued");
        };
        for (number, ends) in [100, 100, last_ends].into_iter().enumerate() {
            begin(number, at(number as u64), at(ends)).await;
        }
        for (number, second) in touched {
            let touch = SessionTouch::new(at(*second), end);
            assert!(
                store
                    .touch_session(hashes[*number], touch)
                    .await
                    .expect("touched"),
                "{case}"
            );
        }
        begin(3, at(10), end).await;
        for (number, there) in there.into_iter().chain([true]).enumerate() {
            let found = store.find_session(hashes[number]).await.expect("an answer");
            assert_eq!(found.is_some(), there, "{case}: session {number}");
            let tokens = store
                .list(TokenFilter::session(&format!("s{number}")), at(10))
                .await;
            // A session that has expired is removed; its tokens have an end of their own.
            let expired = number == 2 && last_ends == 9;
            assert_eq!(
                tokens.expect("a list").len(),
                usize::from(there || expired),
                "{case}: token {number}"
            );
        }
    }
}

#[tokio::test]
async fn a_mistyped_token_is_reported_without_a_lookup() {
    let tokens = StoredTokens::new(MemoryTokenStore::new());
    let (token, _) = tokens
        .issue(Grant::new(Identity::new("me")))
        .await
        .expect("issued");
    let verdict = verify(&tokens, &token.expose()[..52]).await;
    assert!(matches!(
        verdict,
        Verification::Rejected(portcullis::Reason::TokenChecksumMismatch)
    ));
    assert!(matches!(
        verify(&tokens, Token::generate().expose()).await,
        Verification::Unknown
    ));
}

async fn verify<S: TokenStore>(tokens: &StoredTokens<S>, token: &str) -> Verification {
    tokens
        .verify(PresentedToken::new(token.as_bytes()).expect("a token"))
        .await
}

fn record(owner: &str) -> TokenRecord {
    TokenRecord::new(Grant::new(Identity::new(owner)), SystemClock.now())
}

async fn is_there(store: &dyn TokenStore, token: &Token) -> bool {
    store.find(token.hash()).await.expect("an answer").is_some()
}

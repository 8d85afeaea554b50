//! Stores of tokens against the real thing: a server of PostgreSQL's, and the database of a real JupyterHub.

mod ended_sessions;
mod session_errors;

use std::{
    collections::BTreeSet,
    process::Command,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use portcullis::{
    Grant, Identity, Token, TokenVerifier, Verification,
    clock::{Clock as _, SystemClock, UnixTime},
    store::{
        AttemptKey, AttemptRecord, AttemptStore, CodeRecord, CodeRedemption, HubStore, PostgresTokenStore,
        SessionCredential, SessionFilter, SessionRecord, SessionStore, SqliteTokenStore, StoreErrorKind,
        TokenFilter, TokenRecord, TokenStore,
    },
    testing::{attempt_store_conformance, hub_store_conformance, token_store_conformance},
    token::PresentedToken,
    verify::StoredTokens,
};
use portcullis_interop::{install, postgres::Postgres};

#[path = "../../../behaviour/session_stores/scenarios.rs"]
mod session_stores;
#[path = "../../../behaviour/shared_rate_limits/scenarios.rs"]
mod shared_rate_limits;
use session_stores::{
    changes_hold_at_both_replicas_under_load, changes_hold_at_the_other_replica_and_after_a_restart,
    nothing_in_a_dump_is_accepted,
};
use shared_rate_limits::{Replicas, an_outage_denies_no_login, replicas_count_together};

/// One server for all tests that run at once; each has a database of its own in it.
fn server() -> Arc<Postgres> {
    static SERVER: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
    let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    server.upgrade().unwrap_or_else(|| {
        let started = Arc::new(Postgres::start());
        *server = Arc::downgrade(&started);
        started
    })
}

/// A new database: its server, which ends with the last test, and the connection string.
fn database(name: &str) -> (Arc<Postgres>, String) {
    let server = server();
    server.sql("postgres", &format!("CREATE DATABASE {name}"));
    let config = server.config(name);
    (server, config)
}

async fn connect(config: &str) -> PostgresTokenStore {
    PostgresTokenStore::connect(config).await.expect("a store")
}

fn grant(owner: &str) -> Grant {
    Grant::new(Identity::new(owner))
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_keeps_what_a_store_promises() {
    let (_server, config) = database("conformance");
    let store = connect(&config).await;
    token_store_conformance(&store).await;
    attempt_store_conformance(&store).await;
    hub_store_conformance(&store).await;
    // Once more, by another node's key and tables as they are now.
    hub_store_again(&config).await;
}

async fn hub_store_again(config: &str) {
    let (first, second) = (connect(config).await, connect(config).await);
    let tokens = StoredTokens::new(first);
    let (token, record) = tokens
        .issue(grant("alice").with_label("phone"))
        .await
        .expect("issued");
    assert_eq!(second.find(token.hash()).await.expect("an answer"), Some(record));
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_start_at_once_make_the_tables_once() {
    let (_server, config) = database("starters");
    let starters: Vec<_> = (0..8)
        .map(|_| {
            let config = config.clone();
            tokio::spawn(async move { connect(&config).await })
        })
        .collect();
    let mut stores = Vec::new();
    for starter in starters {
        stores.push(starter.await.expect("started"));
    }
    let token = stores[0]
        .issue(TokenRecord::new(grant("alice"), SystemClock.now()))
        .await
        .expect("issued");
    for store in &stores {
        assert!(store.find(token.hash()).await.expect("an answer").is_some());
    }
}

const LEVELS: [&str; 4] = [
    "read uncommitted",
    "read committed",
    "repeatable read",
    "serializable",
];

/// A new database whose default is `level`.
fn database_at(name: &str, level: &str) -> (Arc<Postgres>, String) {
    let (server, config) = database(name);
    server.sql(
        "postgres",
        &format!("ALTER DATABASE {name} SET default_transaction_isolation = '{level}'"),
    );
    assert_eq!(
        server.sql(name, "SHOW default_transaction_isolation").trim(),
        level
    );
    (server, config)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_keeps_its_promises_whatever_isolation_is_the_default() {
    for (number, level) in LEVELS.into_iter().enumerate() {
        let (server, config) = database_at(&format!("isolation{number}"), level);
        let starters: Vec<_> = (0..8)
            .map(|_| {
                let config = config.clone();
                tokio::spawn(async move { connect(&config).await })
            })
            .collect();
        for starter in starters {
            starter.await.unwrap_or_else(|error| panic!("{level}: {error}"));
        }
        let store = connect(&config).await;
        token_store_conformance(&store).await;
        hub_store_conformance(&store).await;
        uses_and_revocations_meet(&store, level).await;
        drop(server);
    }
}

/// Single statements that change the same row.
async fn uses_and_revocations_meet(store: &PostgresTokenStore, level: &str) {
    let now = SystemClock.now();
    for _ in 0..30 {
        let record = TokenRecord::new(grant("alice"), now);
        store.issue(record.clone()).await.expect("issued");
        for second in 1..=8 {
            store.record_use(record.id(), now.saturating_add(Duration::from_secs(second)));
        }
        let revoked = store.revoke(TokenFilter::id(record.id())).await;
        let revoked = revoked.unwrap_or_else(|error| panic!("{level}: {error}"));
        assert_eq!(revoked, 1, "{level}");
    }
}

/// Holds each insertion into `table` back until another transaction waits for a lock.
fn hold_back(server: &Postgres, name: &str, table: &str) {
    server.sql(
        name,
        &format!(
            "CREATE FUNCTION hold_back_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 FOR round IN 1..1000 LOOP
                     EXIT WHEN EXISTS (SELECT 1 FROM pg_locks AS waiting JOIN pg_stat_activity AS session
                         ON session.pid = waiting.pid WHERE NOT waiting.granted AND session.datname = '{name}');
                     PERFORM pg_sleep(0.002);
                     PERFORM pg_stat_clear_snapshot();
                 END LOOP;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER hold_back BEFORE INSERT ON portcullis_{table}
                 FOR EACH ROW EXECUTE FUNCTION hold_back_{table}()"
        ),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_during_a_code_or_a_token_leaves_neither_at_every_isolation() {
    for (number, level) in LEVELS.into_iter().enumerate() {
        let name = format!("logout{number}");
        let (server, config) = database_at(&name, level);
        let (one, other) = (connect(&config).await, connect(&config).await);
        let now = SystemClock.now();
        let end = now.saturating_add(Duration::from_secs(60));
        let begin = async |session_id: &str| {
            let login = SessionRecord::new(grant("alice"), session_id, now, end);
            let begun = one.insert_session(Token::generate().hash(), login, None).await;
            begun.unwrap_or_else(|error| panic!("{level}: {error}"));
        };
        let code = |session_id: &str| CodeRecord::new("c", "/", "alice", end).with_session(session_id);
        let waits = || async {
            // The insertion is in its transaction once it is in the trigger.
            let waiting = format!(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = '{name}'"
            );
            while server.sql(&name, &waiting).trim() == "0" {}
        };

        begin("held").await;
        let held = Token::generate().hash();
        assert!(one.insert_code(held, code("held"), now).await.expect("kept"));
        begin("5e55").await;
        hold_back(&server, &name, "codes");
        hold_back(&server, &name, "tokens");

        let hash = Token::generate().hash();
        let inserted = tokio::spawn(one.insert_code(hash, code("5e55"), now));
        waits().await;
        let ended = other
            .end_sessions(SessionFilter::owner("alice").and_session("5e55"))
            .await;
        assert_eq!(ended.unwrap_or_else(|error| panic!("{level}: {error}")), 1);
        let inserted = inserted.await.expect("answered");
        assert!(inserted.unwrap_or_else(|error| panic!("{level}: {error}")));
        let token = Token::generate().hash();
        let redeemed = one
            .redeem_code(hash, token, TokenRecord::new(grant("alice"), now))
            .await;
        assert_eq!(redeemed.expect("an answer"), CodeRedemption::Unknown, "{level}");

        let token = Token::generate().hash();
        let redeemed = tokio::spawn(one.redeem_code(held, token, TokenRecord::new(grant("alice"), now)));
        waits().await;
        let ended = other
            .end_sessions(SessionFilter::owner("alice").and_session("held"))
            .await;
        assert_eq!(ended.unwrap_or_else(|error| panic!("{level}: {error}")), 1);
        let redeemed = redeemed.await.expect("answered");
        assert_eq!(
            redeemed.unwrap_or_else(|error| panic!("{level}: {error}")),
            CodeRedemption::Issued
        );
        assert_eq!(
            one.find(token).await.expect("an answer"),
            None,
            "{level}: the token ended with the login"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_another_role_holds_is_named_and_holds_up_no_start_of_tables_that_are_there() {
    const LOCK: i64 = 0x706f_7274;
    let (server, made) = database("locked_made");
    connect(&made).await;
    let (_server, config) = database("locked");
    server.sql("postgres", "CREATE ROLE guest LOGIN");
    let holders = ["locked", "locked_made"].map(|name| {
        let server = Arc::clone(&server);
        std::thread::spawn(move || {
            let hold = format!("SET ROLE guest; SELECT pg_advisory_lock({LOCK}); SELECT pg_sleep(60)");
            // It fails when its session is ended below.
            server.sql(name, &hold);
        })
    });
    let held = format!(
        "FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
         WHERE locktype = 'advisory' AND objid = {LOCK} AND granted AND datname IN ('locked', 'locked_made')"
    );
    while server.sql("postgres", &format!("SELECT count(*) {held}")).trim() != "2" {}

    connect(&made).await;
    let error = PostgresTokenStore::connect(&config)
        .await
        .map(drop)
        .expect_err("held");
    assert_eq!(error.kind(), StoreErrorKind::Busy, "{error}");
    for words in [LOCK.to_string().as_str(), "pg_locks"] {
        assert!(error.to_string().contains(words), "{error}");
    }
    server.sql("postgres", &format!("SELECT pg_terminate_backend(pid) {held}"));
    for holder in holders {
        let _ = holder.join();
    }
    connect(&config).await;
}

#[tokio::test]
async fn a_short_key_is_rejected_before_the_server_is_queried() {
    let settings = PostgresTokenStore::builder("host=/nowhere user=hub").with_key("".into());
    let error = settings.connect().await.map(drop).expect_err("too short");
    assert_eq!(error.kind(), StoreErrorKind::Config, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_on_one_node_is_felt_on_another_under_load() {
    let (_server, config) = database("nodes");
    let (one, other) = (
        StoredTokens::new(connect(&config).await),
        StoredTokens::new(connect(&config).await),
    );
    let mut issued = Vec::new();
    for _ in 0..20 {
        issued.push(one.issue(grant("alice")).await.expect("issued"));
    }
    // When each token's revocation was acknowledged, in microseconds since the start.
    let start = Instant::now();
    let revoked: Arc<Vec<AtomicU64>> = Arc::new(issued.iter().map(|_| AtomicU64::new(u64::MAX)).collect());
    let (ends, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..32)
        .map(|number: usize| {
            let token = issued[number % issued.len()].0.clone();
            let (node, revoked, ends, asked) = (
                other.clone(),
                Arc::clone(&revoked),
                Arc::clone(&ends),
                Arc::clone(&asked),
            );
            tokio::spawn(async move {
                let place = number % revoked.len();
                let mut latest = Duration::ZERO;
                while !ends.load(Ordering::Relaxed) {
                    let began = start.elapsed();
                    let presented = PresentedToken::new(token.expose().as_bytes()).expect("a token");
                    asked.fetch_add(1, Ordering::Relaxed);
                    if let Verification::Valid(_) = node.verify(presented).await {
                        let revoked = Duration::from_micros(revoked[place].load(Ordering::Acquire));
                        latest = latest.max(began.saturating_sub(revoked));
                    }
                }
                latest
            })
        })
        .collect();
    for (place, (_, record)) in issued.iter().enumerate() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(
            one.revoke(TokenFilter::id(record.id())).await.expect("revoked"),
            1
        );
        let at = u64::try_from(start.elapsed().as_micros()).expect("soon");
        revoked[place].store(at, Ordering::Release);
    }
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    ends.store(true, Ordering::Relaxed);
    for client in clients {
        let late = client.await.expect("a result");
        assert_eq!(
            late,
            Duration::ZERO,
            "a lookup after the revocation is rejected at once"
        );
    }
    assert!(asked.load(Ordering::Relaxed) > 1_000, "that was load");
    for (token, _) in &issued {
        let presented = PresentedToken::new(token.expose().as_bytes()).expect("a token");
        assert!(matches!(other.verify(presented).await, Verification::Unknown));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_clients_on_two_nodes_one_gets_the_token_of_a_code() {
    let (_server, config) = database("codes");
    let nodes = [connect(&config).await, connect(&config).await];
    let now = SystemClock.now();
    let end = now.saturating_add(Duration::from_secs(60));
    nodes[0]
        .insert_session(
            Token::generate().hash(),
            SessionRecord::new(grant("alice"), "5e55", now, end),
            None,
        )
        .await
        .expect("begun");
    for _ in 0..5 {
        let code = Token::generate().hash();
        let record = CodeRecord::new("c", "/", "alice", end).with_session("5e55");
        assert!(nodes[0].insert_code(code, record, now).await.expect("kept"));
        let clients: Vec<_> = (0..64)
            .map(|number: usize| {
                let (node, token) = (nodes[number % 2].clone(), Token::generate().hash());
                tokio::spawn(async move {
                    let redeemed = node
                        .redeem_code(code, token, TokenRecord::new(grant("alice"), now))
                        .await;
                    (redeemed.expect("an answer"), token)
                })
            })
            .collect();
        let mut issued = 0;
        let mut tokens = Vec::new();
        for client in clients {
            let (redeemed, token) = client.await.expect("answered");
            issued += usize::from(redeemed == CodeRedemption::Issued);
            tokens.push(token);
        }
        assert_eq!(issued, 1, "one winner");
        for token in tokens {
            assert_eq!(
                nodes[0].find(token).await.expect("an answer"),
                None,
                "and its token ends"
            );
        }
    }
}

/// A server of its own, for it is stopped.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_cut_is_made_again_and_nothing_is_refused_meanwhile() {
    let server = Postgres::start();
    let store = connect(&server.config("postgres")).await;
    let tokens = StoredTokens::new(store.clone());
    let (token, record) = tokens.issue(grant("alice")).await.expect("issued");
    let (revoked, other) = tokens.issue(grant("alice")).await.expect("issued");
    tokens.revoke(TokenFilter::id(other.id())).await.expect("revoked");
    let verify = async |token: &Token| {
        tokens
            .verify(PresentedToken::new(token.expose().as_bytes()).expect("a token"))
            .await
    };

    for _ in 0..5 {
        server.sql(
            "postgres",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = 'hub'",
        );
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            match verify(&token).await {
                Verification::Valid(_) => break,
                Verification::Unavailable(_) => assert!(Instant::now() < deadline, "connected again"),
                result => panic!("a cut connection is no answer about the token, but: {result:?}"),
            }
        }
        assert!(matches!(verify(&revoked).await, Verification::Unknown));
    }

    server.stop();
    let began = Instant::now();
    for _ in 0..3 {
        assert!(
            matches!(verify(&token).await, Verification::Unavailable(_)),
            "no token is accepted, and none is rejected"
        );
        assert!(matches!(verify(&revoked).await, Verification::Unavailable(_)));
        let error = tokens
            .issue(grant("alice"))
            .await
            .expect_err("nowhere to keep it");
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        let error = tokens
            .revoke(TokenFilter::id(record.id()))
            .await
            .expect_err("nowhere to revoke it");
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    }
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "a server that is not there is known at once"
    );
    server.begin();
    let began = Instant::now();
    while !matches!(verify(&token).await, Verification::Valid(_)) {
        assert!(began.elapsed() < Duration::from_secs(1), "back within a second");
    }
    assert!(
        matches!(verify(&revoked).await, Verification::Unknown),
        "what was revoked stays revoked"
    );
}

async fn replicas(config: &str) -> Replicas {
    Replicas::new([
        Arc::new(connect(config).await) as Arc<dyn AttemptStore>,
        Arc::new(connect(config).await),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_count_wrong_passwords_together_at_every_isolation_level() {
    for level in LEVELS {
        let name = format!("attempts_{}", level.replace(' ', "_"));
        let (server, config) = database_at(&name, level);
        replicas_count_together(&replicas(&config).await).await;
        let rows = server.sql(&name, "SELECT count(*) FROM portcullis_attempts");
        assert!(
            rows.trim().parse().is_ok_and(|rows: u32| rows > 3),
            "{level}: {rows}"
        );
        let names = "SELECT count(*) FROM portcullis_attempts AS attempt WHERE attempt::text LIKE '%guessed%'
                     OR position('guessed'::bytea IN key) > 0";
        assert_eq!(server.sql(&name, names).trim(), "0", "no name is in the table");
    }
}

/// A server of its own, for it is stopped.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_count_in_memory_while_the_server_is_stopped() {
    let server = Postgres::start();
    let replicas = replicas(&server.config("postgres")).await;
    an_outage_denies_no_login(&replicas, async |is_cut| match is_cut {
        true => server.stop(),
        false => server.begin(),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_attempts_are_removed_and_all_are_bounded() {
    let (server, config) = database("attempts");
    let store = connect(&config).await;
    let insert = |rows: u32, expires_at: u32| {
        let insert = format!(
            "INSERT INTO portcullis_attempts
             SELECT sha256(number::text::bytea), 1, 0, '', {expires_at} + number FROM generate_series(1, {rows}) AS number"
        );
        server.sql("attempts", &insert);
    };
    let rows = || {
        server
            .sql("attempts", "SELECT count(*) FROM portcullis_attempts")
            .trim()
            .to_owned()
    };
    let now = UnixTime::from_secs(1_000_000);
    let record = AttemptRecord::new(UnixTime::from_secs(2_000_000)).with_failures(1, now);
    let write = async |first| {
        let key = AttemptKey::from_bytes([first; 32]);
        let written = store.replace_attempts(key, None, record.clone(), now).await;
        assert!(written.expect("a store that can be written to"));
    };
    insert(10, 1_000);
    for (first, expected) in [(1, "7"), (2, "4"), (3, "3"), (4, "4")] {
        // Removes four that have expired, and adds one.
        write(first).await;
        assert_eq!(rows(), expected);
    }
    insert(100_100, 1_000_000);
    write(255).await;
    assert_eq!(rows(), "100105", "one key in 256 looks");
    write(0).await;
    assert_eq!(rows(), "100001", "those that expire first are removed");
}

/// The tables as version 1 made them, with all that they can hold.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_version_1_is_brought_up_to_date_and_loses_nothing() {
    let (server, config) = database("version1");
    let (now, end) = (
        SystemClock.now(),
        SystemClock.now().saturating_add(Duration::from_secs(600)),
    );
    let sessions = [("5e55", "Firefox on Linux"), ("5e56", "")].map(|(session_id, note)| {
        let session = SessionRecord::new(grant("alice"), session_id, now, end).with_note(note);
        (Token::generate().hash(), session)
    });
    let of_session = TokenRecord::new(grant("alice").with_scopes(["read"]), now).with_session("5e55");
    let code = CodeRecord::new("c", "/", "alice", end).with_session("5e55");
    let code_hash = Token::generate().hash();
    let store = connect(&config).await;
    for (hash, session) in &sessions {
        let begun = store.insert_session(*hash, session.clone(), None).await;
        begun.expect("begun");
    }
    let token = store.issue(of_session.clone()).await.expect("issued");
    assert!(
        store
            .insert_code(code_hash, code.clone(), now)
            .await
            .expect("kept")
    );
    drop(store);
    let tokens = "id, hash, prefix, salted, owner, identity, scopes, label, created, expires_at, last_used, session_id, client_id";
    let codes = "hash, client_id, redirect_uri, owner, expires_at, code_challenge, scopes, session_id, token";
    server.sql(
        "version1",
        &format!(
            "ALTER SCHEMA public RENAME TO newest; CREATE SCHEMA public; {}
             INSERT INTO portcullis_store SELECT one, 1, lookup_key, lookup_key_check FROM newest.portcullis_store;
             INSERT INTO portcullis_tokens SELECT {tokens} FROM newest.portcullis_tokens;
             INSERT INTO portcullis_codes SELECT {codes} FROM newest.portcullis_codes;
             INSERT INTO portcullis_logins
                 SELECT id, hash, owner, session_id, created, expires_at, note FROM newest.portcullis_sessions;
             DROP SCHEMA newest CASCADE",
            include_str!("../../../../src/store/postgres/1.sql")
        ),
    );
    // Nodes that start at once bring it up to date once.
    let nodes: Vec<_> = (0..4)
        .map(|_| {
            let config = config.clone();
            tokio::spawn(async move { connect(&config).await })
        })
        .collect();
    for node in nodes {
        let store = node.await.expect("connected");
        for (hash, session) in &sessions {
            let found = store.find_session(*hash).await.expect("an answer");
            assert_eq!(found.as_ref(), Some(session));
        }
        let found = store.find(token.hash()).await.expect("an answer");
        assert_eq!(found.as_ref(), Some(&of_session));
        let found = store.find_code(code_hash).await.expect("an answer");
        assert_eq!(found.as_ref(), Some(&code));
    }
    let store = connect(&config).await;
    let ended = store
        .end_sessions(SessionFilter::owner("alice").and_session("5e55"))
        .await;
    assert_eq!(ended.expect("ended"), 1);
    assert_eq!(store.find(token.hash()).await.expect("an answer"), None);
    let old = "SELECT count(*) FROM pg_class WHERE relname LIKE '%logins%'";
    assert_eq!(
        server.sql("version1", old).trim(),
        "0",
        "nothing is left of the table of logins"
    );
    hub_store_conformance(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_a_dump_logs_in() {
    let (server, config) = database("dumped");
    let store = connect(&config).await;
    let tokens = StoredTokens::new(store.clone());
    let now = SystemClock.now();
    let end = now.saturating_add(Duration::from_secs(60));
    let identity = Identity::new("alice").with_name("Alice Liddell");
    let (token, _) = tokens
        .issue(Grant::new(identity).with_scopes(["read"]).with_label("phone"))
        .await
        .expect("issued");
    let (login, code) = (Token::generate(), Token::generate());
    let record = SessionRecord::new(grant("alice"), "8ace623e786f454682aebac535bc5bf4", now, end)
        .with_note("browser")
        .with_credential(SessionCredential::Token(token.hash()));
    store
        .insert_session(login.hash(), record, None)
        .await
        .expect("begun");
    let record =
        CodeRecord::new("service-grader", "/callback", "alice", end).with_code_challenge("E9Melhoa2OwvFrEM");
    store.insert_code(code.hash(), record, now).await.expect("kept");

    let mut values = BTreeSet::new();
    for table in [
        "portcullis_store",
        "portcullis_tokens",
        "portcullis_sessions",
        "portcullis_codes",
    ] {
        for row in server.sql("dumped", &format!("SELECT * FROM {table}")).lines() {
            for value in row.split('\t').filter(|value| !value.is_empty()) {
                values.insert(value.to_owned());
                values.insert(value.trim_start_matches("\\x").to_owned());
            }
        }
    }
    assert!(values.len() > 20, "{values:?}");
    let known = |text: &str| PresentedToken::new(text.as_bytes()).map(PresentedToken::hash);
    for value in &values {
        for secret in [&token, &login, &code] {
            assert!(
                !value.contains(&secret.expose()[4..]),
                "no secret lies in the database"
            );
        }
        // As the hash itself, if it is one, and as the text of a credential.
        let parts = value.as_bytes().windows(64).map(std::str::from_utf8);
        let parts = parts.filter_map(|part| part.ok()?.parse().ok());
        for hash in known(value).into_iter().chain(parts) {
            assert_eq!(
                store.find(hash).await.expect("an answer"),
                None,
                "{value} is no token"
            );
            assert_eq!(
                store.find_session(hash).await.expect("an answer"),
                None,
                "{value} is no cookie"
            );
            assert_eq!(
                store.find_code(hash).await.expect("an answer"),
                None,
                "{value} is no code"
            );
        }
    }
    assert!(
        store.find(token.hash()).await.expect("an answer").is_some(),
        "while the token is"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_hold_at_another_replica_after_a_restart_and_under_load_with_sessions_in_postgres() {
    let (_server, config) = database("replicas");
    changes_hold_at_the_other_replica_and_after_a_restart(async || connect(&config).await).await;
    let (_server, config) = database("replicas_under_load");
    changes_hold_at_both_replicas_under_load([connect(&config).await, connect(&config).await]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_a_copy_of_a_postgres_database_is_accepted_as_a_cookie_or_a_token() {
    let (server, config) = database("replayed");
    let dump = async || {
        let mut values = BTreeSet::new();
        for table in ["portcullis_store", "portcullis_tokens", "portcullis_sessions"] {
            for row in server.sql("replayed", &format!("SELECT * FROM {table}")).lines() {
                for value in row.split('\t').filter(|value| !value.is_empty()) {
                    let digits = value.strip_prefix("\\x").unwrap_or_default().as_bytes().chunks(2);
                    let bytes = digits.filter_map(|pair| std::str::from_utf8(pair).ok());
                    let bytes = bytes.map(|pair| u8::from_str_radix(pair, 16).expect("a byte"));
                    values.extend([value.into(), bytes.collect()]);
                }
            }
        }
        server.copy("replayed", "copied");
        (values, connect(&server.config("copied")).await)
    };
    nothing_in_a_dump_is_accepted(connect(&config).await, dump).await;
}

/// The columns as JupyterHub 6 makes them in PostgreSQL, and rows as it wrote them.
#[tokio::test(flavor = "multi_thread")]
async fn the_tokens_of_a_jupyterhub_in_postgres_are_taken_over() {
    let (server, config) = database("jupyterhub");
    server.sql(
        "jupyterhub",
        r#"CREATE TABLE users (id integer PRIMARY KEY, name varchar(255) UNIQUE);
           CREATE TABLE services (id integer PRIMARY KEY, name varchar(255) UNIQUE);
           CREATE TABLE api_tokens (user_id integer, service_id integer, id integer PRIMARY KEY, hashed varchar(255) UNIQUE,
               prefix varchar(16), client_id varchar(255), session_id varchar(255), created timestamp, expires_at timestamp,
               last_activity timestamp, note varchar(1023), scopes text);
           INSERT INTO users VALUES (1, 'alice');
           INSERT INTO services VALUES (1, 'ext');
           INSERT INTO api_tokens VALUES
               (1, NULL, 3, 'sha512:1:c39f2e604f44d363:b55fffa0a1aef162e76c3371c92698e6097bc9695b4c5f8da2e33943b11aa4be4443cf75231a9c92602da84405aa5a786a16d1e54718eb5dc88c7fc291e0648e',
                '9277', 'jupyterhub', NULL, '2026-01-02 03:04:05.678901', NULL, NULL, 'Server at /user/alice/', '["access:servers!server=alice/", "users:activity!user"]'),
               (NULL, 1, 2, 'sha512:16384:5e31813f4e08e1ca:c886d39e51e9aff2875b61a7e303d1c205c34fa961081d6fb22d85225106dd90a5e16f803274b76651e3935202c2801afc721e1dba0a57d31dde0ba403842795',
                'b3c6', 'jupyterhub', NULL, '2026-01-02 03:04:05', '2126-01-02 03:04:05', NULL, 'from config', '["inherit"]'),
               (1, NULL, 4, 'sha512:1:00:68e60e19', 'zzzz', NULL, NULL, NULL, NULL, NULL, '', '[]'),
               (1, NULL, 5, 'sha512:1:00:68e60e20', 'zzzz', 'jupyterhub', NULL, NULL, '2020-01-01 00:00:00', NULL, '', '[]')"#,
    );
    let tokens = StoredTokens::new(connect(&config).await);
    for (round, first) in [(1, true), (2, false)] {
        for (token, owner, id, scopes) in [
            (
                "927768d726054367b1deb6cfc1b0ba64",
                "alice",
                3,
                "access:servers!server=alice/",
            ),
            ("b3c678e071572b2a756642510c2b199f", "services/ext", 2, "inherit"),
        ] {
            let presented = PresentedToken::new(token.as_bytes()).expect("a token");
            let record = tokens
                .find(presented)
                .await
                .expect("an answer")
                .expect("a token of the hub's");
            assert_eq!(
                (record.owner(), record.id().as_u64()),
                (owner, id),
                "round {round}"
            );
            assert!(record.grant().scopes().contains(scopes));
            assert_eq!(record.created().as_secs(), 1_767_323_045);
            adopted(&tokens, presented, first).await;
        }
    }
    let count = server.sql(
        "jupyterhub",
        "SELECT count(*) FROM portcullis_tokens WHERE salted IS NOT NULL",
    );
    assert_eq!(
        count.trim(),
        "0",
        "each is known by its plain hash now; what had expired or had no client was left"
    );
    assert!(
        tokens
            .find(PresentedToken::new(b"9277zzzz").expect("a token"))
            .await
            .expect("an answer")
            .is_none()
    );
}

/// Waits until the token is known by its plain hash.
async fn adopted(tokens: &StoredTokens<PostgresTokenStore>, token: PresentedToken<'_>, first: bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while tokens
        .store()
        .find(token.hash())
        .await
        .expect("an answer")
        .is_none()
    {
        assert!(
            first && Instant::now() < deadline,
            "a token is adopted when it is used first"
        );
    }
}

/// What makes the database: JupyterHub's own tables, and its own way to make tokens.
const JUPYTERHUB: &str = r#"
import json, sys
from datetime import timedelta
from jupyterhub import orm
from jupyterhub.utils import utcnow
db = orm.new_session_factory("sqlite:///" + sys.argv[1])()
db.add(orm.OAuthClient(identifier="jupyterhub"))
db.add(orm.OAuthClient(identifier="service-grader"))
alice, service = orm.User(name="alice"), orm.Service(name="grader")
db.add_all([alice, service])
db.commit()
new = orm.APIToken.new
tokens = {
    "api": new(user=alice, note="phone"),
    "given": new(user=alice, token="a-token-from-the-configuration", generated=False),
    "oauth": new(user=alice, oauth_client=db.query(orm.OAuthClient).filter_by(identifier="service-grader").one(),
                 session_id="8ace623e786f454682aebac535bc5bf4", expires_in=1209600),
    "service": new(service=service, note="the grader's"),
    "over": new(user=alice, expires_in=1),
    "revoked": new(user=alice),
}
orm.APIToken.find(db, tokens["over"]).expires_at = utcnow(with_tz=False) - timedelta(seconds=5)
db.delete(orm.APIToken.find(db, tokens["revoked"]))
db.commit()
print(json.dumps(tokens))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_database_of_a_real_jupyterhub_is_opened_and_its_tokens_are_accepted() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("jupyterhub.sqlite");
    let made = Command::new(install::python().join("python"))
        .args(["-c", JUPYTERHUB])
        .arg(&path)
        .output()
        .expect("Python runs");
    let errors = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{errors}");
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).expect("JSON");
    for round in 1..=2 {
        let tokens = StoredTokens::new(SqliteTokenStore::open(&path).expect("a store"));
        for (name, expected) in [
            ("api", Some(("alice", "jupyterhub", Some("phone"), None, false))),
            ("given", Some(("alice", "jupyterhub", None, None, false))),
            (
                "oauth",
                Some((
                    "alice",
                    "service-grader",
                    None,
                    Some("8ace623e786f454682aebac535bc5bf4"),
                    true,
                )),
            ),
            (
                "service",
                Some(("services/grader", "jupyterhub", Some("the grader's"), None, false)),
            ),
            ("over", None),
            ("revoked", None),
        ] {
            let token = made[name].as_str().expect("a token");
            let presented = PresentedToken::new(token.as_bytes()).expect("a token");
            let found = tokens.find(presented).await.expect("an answer");
            let found = found.as_ref().map(|record| {
                let grant = record.grant();
                let client = record.client_id().expect("a client");
                (
                    record.owner(),
                    client,
                    grant.label(),
                    record.session_id(),
                    grant.expires_at().is_some(),
                )
            });
            assert_eq!(found, expected, "{name}, round {round}");
        }
    }
}

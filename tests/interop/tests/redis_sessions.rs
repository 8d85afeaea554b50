//! `RedisSessionStore` of the example `redis_sessions` against a real server.

use std::{collections::BTreeSet, time::Duration};

use portcullis::{
    Grant, Identity, Token,
    clock::UnixTime,
    store::{SessionFilter, SessionRecord, SessionStore, SessionTouch, StoreError, StoreErrorKind},
    testing::session_store_conformance,
    token::TokenHash,
};
use portcullis_interop::{
    example::Example,
    headless_browser::{HeadlessBrowser, wait_until},
    redis::Redis,
};
use redis::FromRedisValue;

use store::RedisSessionStore;

#[path = "../../../examples/redis_sessions/store/mod.rs"]
mod store;

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

/// How long the store may take to notice that the server ends, hangs or is back: far more than it takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn after(seconds: u64) -> UnixTime {
    NOW.saturating_add(Duration::from_secs(seconds))
}

fn session(owner: &str, session_id: &str) -> SessionRecord {
    let grant = Grant::new(Identity::new(owner)).with_groups(["staff"]).as_admin();
    SessionRecord::new(grant, session_id, NOW, after(3_600))
}

async fn connect(server: &Redis) -> RedisSessionStore {
    RedisSessionStore::connect(&server.url()).await.expect("a store")
}

async fn begin(store: &RedisSessionStore, session: &SessionRecord) -> TokenHash {
    let hash = Token::generate().hash();
    let begun = store.insert_session(hash, session.clone(), None).await;
    begun.expect("a new session is kept");
    hash
}

/// Sends a command past the store.
fn raw<T: FromRedisValue>(server: &Redis, command: &[&str]) -> T {
    let client = redis::Client::open(server.url()).expect("a URL");
    let mut connection = client.get_connection().expect("a connection");
    let (name, arguments) = command.split_first().expect("a command");
    let answer = redis::cmd(name).arg(arguments).query(&mut connection);
    answer.expect("an answer")
}

/// Calls each method once: its name, and what came of it.
async fn call_each(
    store: &RedisSessionStore,
    hash: TokenHash,
) -> [(&'static str, Result<String, StoreError>); 6] {
    fn text<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> Result<String, StoreError> {
        answer.map(|answer| format!("{answer:?}"))
    }
    let touch = SessionTouch::new(after(1), after(3_600));
    let new = session("late", "late");
    let (find, touched, list, ended, expired, inserted) = tokio::join!(
        store.find_session(hash).into_future(),
        store.touch_session(hash, touch),
        store.list_sessions(SessionFilter::owner("alice"), NOW),
        store.end_sessions(SessionFilter::owner("late")),
        store.remove_expired_sessions(NOW, 10),
        store.insert_session(Token::generate().hash(), new, None),
    );
    [
        ("find", text(find)),
        ("touch", text(touched)),
        ("list", text(list)),
        ("end", text(ended)),
        ("remove expired", text(expired)),
        ("insert", text(inserted)),
    ]
}

/// Asserts that each method fails because the server does not answer.
async fn assert_unavailable(store: &RedisSessionStore, hash: TokenHash, why: &str) {
    let calls = tokio::time::timeout(PATIENCE, call_each(store, hash)).await;
    for (method, answer) in calls.unwrap_or_else(|_| panic!("{why}: a method has a deadline")) {
        let kind = answer.map_err(|error| error.kind());
        assert_eq!(kind, Err(StoreErrorKind::Unavailable), "{why}: {method}");
    }
}

/// Finds a session once the server answers again.
async fn find_again(store: &RedisSessionStore, hash: TokenHash) -> Option<SessionRecord> {
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            match store.find_session(hash).await {
                Ok(found) => break found,
                Err(error) => assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}"),
            }
        }
    });
    found.await.expect("the connection comes back")
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_keeps_what_a_store_promises() {
    let server = Redis::start();
    session_store_conformance(&connect(&server).await).await;
    let (store, with_groups) = (connect(&server).await, session("alice", "groups"));
    let hash = begin(&store, &with_groups).await;
    let found = connect(&server)
        .await
        .find_session(hash)
        .await
        .expect("an answer");
    assert_eq!(found, Some(with_groups), "another client finds all of the grant");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_is_an_error_and_sessions_are_as_before_when_it_is_back() {
    let mut server = Redis::start();
    let store = connect(&server).await;
    let (kept, ended) = (session("alice", "kept"), session("bob", "ended"));
    let (kept_hash, ended_hash) = (begin(&store, &kept).await, begin(&store, &ended).await);
    let count = store.end_sessions(SessionFilter::owner("bob")).await;
    assert_eq!(count.expect("an answer"), 1);
    for _ in 0..2 {
        server.kill();
        assert_unavailable(&store, kept_hash, "the server was killed").await;
        server.restart();
        assert_eq!(find_again(&store, kept_hash).await, Some(kept.clone()));
        let found = store.find_session(ended_hash).await.expect("an answer");
        assert_eq!(found, None, "a session that has ended does not come back");
        let mine = store.list_sessions(SessionFilter::owner("alice"), NOW).await;
        let mine = mine.expect("the script is loaded again");
        assert_eq!(mine, std::slice::from_ref(&kept));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_an_error_within_the_deadline() {
    let server = Redis::start();
    let store = connect(&server).await;
    let kept = session("alice", "kept");
    let hash = begin(&store, &kept).await;
    server.signal("STOP");
    assert_unavailable(&store, hash, "the server hangs").await;
    server.signal("CONT");
    assert!(
        find_again(&store, hash).await.is_some(),
        "the session is found again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_that_replace_one_session_at_once_begin_one_session_each() {
    let server = Redis::start();
    let clients = [connect(&server).await, connect(&server).await];
    for round in 0..50 {
        let old = begin(&clients[0], &session("alice", "before")).await;
        let insert = |client: usize| {
            let (hash, new) = (
                Token::generate().hash(),
                session("alice", &format!("{round} {client}")),
            );
            let inserted = clients[client].insert_session(hash, new, Some("before".to_owned()));
            tokio::spawn(inserted)
        };
        let (first, second) = (insert(0), insert(1));
        for inserted in [first, second] {
            inserted
                .await
                .expect("no panic")
                .expect("each new session begins");
        }
        let found = clients[1].find_session(old).await.expect("an answer");
        assert_eq!(found, None, "the session they replace ends");
        let mine = clients[0].list_sessions(SessionFilter::owner("alice"), NOW).await;
        let ids: BTreeSet<_> = mine
            .expect("a list")
            .iter()
            .map(|record| record.session_id().to_owned())
            .collect();
        assert_eq!(ids, BTreeSet::from([format!("{round} 0"), format!("{round} 1")]));
        let ended = clients[1].end_sessions(SessionFilter::owner("alice")).await;
        assert_eq!(ended.expect("an answer"), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_key_has_a_time_to_live_and_none_is_left_of_sessions_that_ended() {
    let server = Redis::start();
    let store = connect(&server).await;
    let hash = begin(&store, &session("alice", "first")).await;
    begin(&store, &session("alice", "second")).await;
    let touch = SessionTouch::new(after(1), after(7_200));
    assert!(store.touch_session(hash, touch).await.expect("an answer"));
    for key in raw::<Vec<String>>(&server, &["KEYS", "*"]) {
        let left: i64 = raw(&server, &["TTL", &key]);
        let day = 24 * 3_600;
        assert!(
            (day + 3_590..=day + 7_199).contains(&left),
            "{key} is left for {left} s"
        );
    }
    let ended = store.end_sessions(SessionFilter::owner("alice")).await;
    assert_eq!(ended.expect("an answer"), 2);
    assert_eq!(raw::<Vec<String>>(&server, &["KEYS", "*"]), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_redis_has_removed_is_in_no_list_and_leaves_its_indexes() {
    let server = Redis::start();
    let store = connect(&server).await;
    let gone = session("alice", "gone");
    for number in 0..6 {
        let hash = begin(&store, &session("alice", &format!("old {number}"))).await;
        raw::<()>(&server, &["DEL", &format!("portcullis:session:{hash}")]);
    }
    let hash = begin(&store, &gone).await;
    raw::<()>(&server, &["DEL", &format!("portcullis:session:{hash}")]);
    let which = || SessionFilter::owner("alice");
    assert_eq!(store.list_sessions(which(), NOW).await.expect("a list"), []);
    assert_eq!(store.end_sessions(which()).await.expect("an answer"), 0);
    begin(&store, &gone).await;
    begin(&store, &session("alice", "new")).await;
    let entries: u64 = raw(&server, &["ZCARD", "portcullis:sessions:owner:alice"]);
    assert_eq!(entries, 2, "insertions have removed what selects nothing");
    assert_eq!(store.end_sessions(which()).await.expect("an answer"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_refuses_new_sessions_and_ends_old_ones() {
    let server = Redis::start();
    let store = connect(&server).await;
    let hash = begin(&store, &session("alice", "old")).await;
    raw::<()>(&server, &["CONFIG", "SET", "maxmemory", "1"]);
    let refused = store
        .insert_session(Token::generate().hash(), session("alice", "new"), None)
        .await;
    assert_eq!(refused.map_err(|error| error.kind()), Err(StoreErrorKind::Full));
    assert!(store.find_session(hash).await.expect("an answer").is_some());
    let ended = store.end_sessions(SessionFilter::owner("alice")).await;
    assert_eq!(ended.expect("an answer"), 1);
    assert!(store.find_session(hash).await.expect("an answer").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_names_what_is_wrong_with_the_server() {
    let server = Redis::start();
    raw::<()>(&server, &["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]);
    let locked = Redis::start();
    raw::<()>(&locked, &["CONFIG", "SET", "requirepass", "secret"]);
    for (url, kind, part) in [
        (server.url(), StoreErrorKind::Config, "`noeviction`"),
        (locked.url(), StoreErrorKind::Config, "NOAUTH"),
        (
            format!("{}?pass=wrong", locked.url()),
            StoreErrorKind::Config,
            "WRONGPASS",
        ),
        ("https://127.0.0.1".to_owned(), StoreErrorKind::Config, "URL"),
        (
            "redis+unix:///nowhere".to_owned(),
            StoreErrorKind::Unavailable,
            "No such file",
        ),
        (
            "redis://127.0.0.1:1".to_owned(),
            StoreErrorKind::Unavailable,
            "refused",
        ),
    ] {
        let error = RedisSessionStore::connect(&url).await.expect_err("an error");
        assert_eq!(error.kind(), kind, "{url}: {error}");
        assert!(
            error.to_string().contains(part),
            "{url}: expected {part:?}, found {error}"
        );
        assert!(
            !error.to_string().contains("wrong"),
            "the password is not shown: {error}"
        );
    }
}

#[test]
fn users_of_the_example_log_in_list_their_sessions_and_end_them() {
    let mut redis = Redis::start();
    let data = tempfile::tempdir().expect("a directory");
    let start = || {
        let mut command = Example::command(&Example::build("redis_sessions"));
        command.args(["--port", "0", "--redis", &redis.url(), "--cookie-secret"]);
        command.arg(data.path().join("cookie_secret"));
        let process = Example::start("redis_sessions", command);
        let password = process.line_after("alice's password: ");
        let line = process.line_after("Open ");
        let url = line.split_once("/ and log in").expect("its address").0.to_owned();
        (process, url, password)
    };
    let log_in = |person: &mut HeadlessBrowser, url: &str, password: &str| {
        let form = person.open(url);
        let xsrf = form.hidden("_xsrf");
        let fields = [("_xsrf", &*xsrf), ("username", "alice"), ("password", password)];
        let page = person.submit(&form.url, &fields);
        assert!(page.answer.body.contains("Hello, alice!"), "{page:?}");
    };
    let is_logged_in = |person: &HeadlessBrowser, url: &str| {
        let page = person.clone().open(url);
        assert!([200, 401].contains(&page.answer.status), "{page:?}");
        page.answer.body.contains("Hello, alice!")
    };
    let (process, url, password) = start();
    let (mut here, mut there, mut elsewhere) = (
        HeadlessBrowser::default(),
        HeadlessBrowser::default(),
        HeadlessBrowser::default(),
    );
    for person in [&mut here, &mut there, &mut elsewhere] {
        log_in(person, &url, &password);
    }
    let sessions = format!("{url}/sessions");
    let page = here.open(&sessions);
    assert_eq!(
        page.answer.body.matches("<p>Firefox on Linux").count(),
        3,
        "{page:?}"
    );
    assert_eq!(page.answer.body.matches("127.0.0.1 · ").count(), 3, "{page:?}");
    let xsrf = page.hidden("_xsrf");
    let end = page.hidden("end");
    here.submit(&sessions, &[("_xsrf", &xsrf), ("end", &end)]);
    let ended = [&there, &elsewhere].map(|person| !is_logged_in(person, &url));
    assert_eq!(
        ended.iter().filter(|ended| **ended).count(),
        1,
        "one of the two has ended"
    );
    let page = here.submit(&sessions, &[("_xsrf", &xsrf), ("end", "others")]);
    assert_eq!(
        page.answer.body.matches("<p>Firefox on Linux").count(),
        1,
        "{page:?}"
    );
    assert!(is_logged_in(&here, &url) && !is_logged_in(&there, &url) && !is_logged_in(&elsewhere, &url));

    // A session outlives the application and the server, and a logout does too.
    drop(process);
    let (_process, url, password) = start();
    log_in(&mut there, &url, &password);
    let copied = there.clone();
    assert_eq!(there.open(&format!("{url}/logout")).answer.status, 200);
    redis.kill();
    let down = here.open(&url);
    assert_eq!(down.answer.status, 503, "{down:?}");
    redis.restart();
    wait_until("Redis answers", || here.open(&url).answer.status == 200);
    assert!(is_logged_in(&here, &url) && !is_logged_in(&copied, &url));
}

//! Sessions that end on one node of several.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use portcullis::{
    Token,
    clock::{Clock as _, SystemClock},
    store::{
        EndedSessions, PostgresTokenStore, RecordId, SessionFilter, SessionListener, SessionRecord,
        SessionStore,
    },
};
use portcullis_interop::postgres::Postgres;

use super::{connect, database, grant};

/// A listener of one node, and what it was called with: `None` for any session.
pub(crate) struct Listener {
    _called: Arc<SessionListener>,
    calls: Arc<Mutex<Vec<Option<Vec<RecordId>>>>>,
}

impl Listener {
    /// Returns once the node listens to the others.
    pub(crate) async fn first_of(node: &PostgresTokenStore) -> Self {
        let listener = Self::of(node);
        listener.waits_for(&None, Duration::from_secs(5)).await;
        listener
    }

    fn of(node: &PostgresTokenStore) -> Self {
        let calls = Arc::<Mutex<Vec<_>>>::default();
        let called: Arc<SessionListener> = Arc::new({
            let calls = Arc::clone(&calls);
            move |ended| {
                calls.lock().expect("no panic").push(match ended {
                    EndedSessions::Ids(ids) => Some(ids.to_vec()),
                    EndedSessions::Unknown => None,
                });
            }
        });
        assert!(node.on_sessions_ended(Arc::downgrade(&called)));
        Self {
            _called: called,
            calls,
        }
    }

    /// Waits for a call with `expected`, and forgets the calls until then.
    pub(crate) async fn waits_for(&self, expected: &Option<Vec<RecordId>>, patience: Duration) {
        let start = Instant::now();
        loop {
            {
                let mut calls = self.calls.lock().expect("no panic");
                if let Some(place) = calls.iter().position(|call| call == expected) {
                    calls.drain(..=place);
                    return;
                }
                assert!(
                    start.elapsed() < patience,
                    "expected {expected:?}, found {calls:?}"
                );
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

async fn begin(store: &PostgresTokenStore, session_id: &str, replaced: Option<&str>) -> RecordId {
    let now = SystemClock.now();
    let end = now.saturating_add(Duration::from_secs(600));
    let session = SessionRecord::new(grant("alice"), session_id, now, end);
    let id = session.id();
    let replaced = replaced.map(str::to_owned);
    let begun = store.insert_session(Token::generate().hash(), session, replaced);
    begun.await.expect("begun");
    id
}

async fn end(store: &PostgresTokenStore, which: SessionFilter) -> u64 {
    store.end_sessions(which).await.expect("ended")
}

/// How many connections to `database` listen.
fn listening(server: &Postgres, database: &str) -> usize {
    let count = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'
         AND (query LIKE 'LISTEN%' OR query = 'SELECT 1')"
    );
    server.sql("postgres", &count).trim().parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_on_one_node_is_named_on_each_within_a_second() {
    const SECOND: Duration = Duration::from_secs(1);
    let (server, config) = database("ended");
    let (one, other) = (connect(&config).await, connect(&config).await);
    assert_eq!(
        listening(&server, "ended"),
        0,
        "a store without listeners does not listen"
    );
    let listeners = [Listener::first_of(&one).await, Listener::first_of(&other).await];
    let second = Listener::of(&one);

    let first = begin(&one, "s1", None).await;
    let replacing = begin(&one, "s2", Some("s1")).await;
    for listener in listeners.iter().chain([&second]) {
        listener.waits_for(&Some(vec![first]), SECOND).await;
    }
    assert_eq!(end(&other, SessionFilter::id(replacing)).await, 1);
    for listener in &listeners {
        listener.waits_for(&Some(vec![replacing]), SECOND).await;
    }

    for number in 0..1_000 {
        begin(&one, &format!("many {number}"), None).await;
    }
    assert_eq!(end(&one, SessionFilter::owner("alice")).await, 1_000);
    listeners[1].waits_for(&None, SECOND).await;

    assert_eq!(listening(&server, "ended"), 2, "one connection for each store");
    drop(one);
    let start = Instant::now();
    while listening(&server, "ended") != 1 {
        assert!(
            start.elapsed() < SECOND * 5,
            "a store that is dropped stops to listen"
        );
    }
    let last = begin(&other, "last", None).await;
    end(&other, SessionFilter::id(last)).await;
    listeners[1].waits_for(&Some(vec![last]), SECOND).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_interruption_any_session_may_have_ended() {
    let server = Postgres::start();
    let config = server.config("postgres");
    let (one, other) = (connect(&config).await, connect(&config).await);
    let listener = Listener::first_of(&other).await;
    for _ in 0..3 {
        let ended = begin(&one, "s1", None).await;
        server.sql(
            "postgres",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND usename = 'hub'",
        );
        end(&one, SessionFilter::id(ended)).await;
        listener.waits_for(&None, Duration::from_secs(2)).await;
    }
    server.stop();
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.begin();
    listener.waits_for(&None, Duration::from_secs(2)).await;
    let ended = begin(&one, "s2", None).await;
    end(&one, SessionFilter::id(ended)).await;
    listener
        .waits_for(&Some(vec![ended]), Duration::from_secs(1))
        .await;
}

//! Replicas that share a store count wrong passwords together, and each alone while the store does not answer.

mod scenarios;

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use portcullis::{
    AuthLayer, Grant, Identity, PasswordHash,
    clock::UnixTime,
    hub_server::Hub,
    store::{
        AttemptKey, AttemptRecord, AttemptStore, BoxFuture, MemoryTokenStore, StoreError, StoreErrorKind,
    },
    verify::SharedPassword,
};

use self::scenarios::{Replicas, an_outage_denies_no_login, replicas_count_together};

#[tokio::test]
async fn replicas_with_one_store_in_memory_count_together() {
    let store: Arc<dyn AttemptStore> = Arc::new(MemoryTokenStore::new());
    replicas_count_together(&Replicas::new([Arc::clone(&store), store])).await;
}

/// A store that can be cut off.
#[derive(Clone, Default)]
struct Switched {
    store: Arc<MemoryTokenStore>,
    state: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
}

const UP: usize = 0;
const DOWN: usize = 1;
/// It carries out each call, and does not answer.
const SILENT: usize = 2;

impl Switched {
    fn answer<T: Send + 'static>(
        &self,
        answer: BoxFuture<Result<T, StoreError>>,
    ) -> BoxFuture<Result<T, StoreError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match self.state.load(Ordering::Relaxed) {
            UP => answer,
            DOWN => Box::pin(async { Err(StoreError::new(StoreErrorKind::Unavailable, "it is cut off")) }),
            _ => Box::pin(pending()),
        }
    }
}

impl AttemptStore for Switched {
    fn find_attempts(
        &self,
        key: AttemptKey,
        now: UnixTime,
    ) -> BoxFuture<Result<Option<AttemptRecord>, StoreError>> {
        if self.state.load(Ordering::Relaxed) == SILENT {
            return self.store.find_attempts(key, now);
        }
        self.answer(self.store.find_attempts(key, now))
    }

    fn replace_attempts(
        &self,
        key: AttemptKey,
        current: Option<AttemptRecord>,
        next: AttemptRecord,
        now: UnixTime,
    ) -> BoxFuture<Result<bool, StoreError>> {
        // The store in memory writes when it is called, so one that is down is not called.
        if self.state.load(Ordering::Relaxed) == DOWN {
            return self.answer(Box::pin(pending()));
        }
        self.answer(self.store.replace_attempts(key, current, next, now))
    }
}

#[tokio::test]
async fn an_outage_of_the_store_refuses_no_login_and_is_reported_once() {
    for state in [DOWN, SILENT] {
        let store = Switched::default();
        let shared: Arc<dyn AttemptStore> = Arc::new(store.clone());
        let replicas = Replicas::new([Arc::clone(&shared), shared]);
        an_outage_denies_no_login(&replicas, async |is_cut| {
            store
                .state
                .store(if is_cut { state } else { UP }, Ordering::Relaxed);
        })
        .await;
    }
}

#[tokio::test]
async fn a_login_that_a_store_notes_too_late_is_no_failure() {
    let store = Switched::default();
    let shared: Arc<dyn AttemptStore> = Arc::new(store.clone());
    let replicas = Replicas::new([Arc::clone(&shared), shared]);
    let pass = || replicas.clock.advance(std::time::Duration::from_secs(6));
    store.state.store(SILENT, Ordering::Relaxed);
    for _ in 0..3 {
        assert_eq!(replicas.reason(0, "alice", "right").await, None);
        pass();
    }
    store.state.store(UP, Ordering::Relaxed);
    assert_eq!(replicas.reason(0, "bob", "right").await, None);
    assert_eq!(replicas.heard([1, 0], "alice").await, 5);
}

#[tokio::test]
async fn an_attempt_that_is_dropped_before_its_password_is_checked_leaves_nothing() {
    let store = Switched::default();
    let shared: Arc<dyn AttemptStore> = Arc::new(store.clone());
    let replicas = Replicas::new([Arc::clone(&shared), shared]);
    for _ in 0..200 {
        drop(replicas.attempt(0, "alice", "wrong"));
    }
    store.state.store(SILENT, Ordering::Relaxed);
    let attempt = tokio::spawn(replicas.attempt(0, "alice", "wrong").into_future());
    while store.asked.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    attempt.abort();
    assert!(attempt.await.is_err());
    store.state.store(UP, Ordering::Relaxed);
    assert_eq!(replicas.heard([0, 1], "alice").await, 5);
}

#[tokio::test]
async fn an_unavailable_store_is_tried_once_in_five_seconds() {
    let store = Switched::default();
    let shared: Arc<dyn AttemptStore> = Arc::new(store.clone());
    let replicas = Replicas::new([Arc::clone(&shared), shared]);
    store.state.store(DOWN, Ordering::Relaxed);
    for second in 0..10 {
        for user in 0..20 {
            assert_eq!(replicas.reason(0, &format!("user{user}"), "right").await, None);
        }
        let expected = if second < 5 { 1 } else { 2 };
        assert_eq!(
            store.asked.load(Ordering::Relaxed),
            expected,
            "in second {second}"
        );
        replicas.clock.advance(std::time::Duration::from_secs(1));
    }
}

#[test]
fn limits_are_shared_by_a_keyring_that_is_configured() {
    let expected =
        "shared_rate_limits: expected the keyring that all replicas have, found none: call `.keyring(…)`";
    let hash = PasswordHash::hash(&"a password that is long".into()).expect("a good password");
    let layer = AuthLayer::builder()
        .password(hash.clone())
        .shared_rate_limits(MemoryTokenStore::new());
    let error = layer.build().map(drop).expect_err("no keyring");
    assert_eq!(error.to_string(), expected);
    let hub = Hub::builder(MemoryTokenStore::new())
        .password_verifier(SharedPassword::new(hash, Grant::new(Identity::anonymous())))
        .shared_rate_limits(MemoryTokenStore::new());
    let error = hub.build().map(drop).expect_err("no keyring");
    assert_eq!(error.to_string(), expected);
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::{path::Path, sync::Mutex};

    use portcullis::store::SqliteTokenStore;
    use rusqlite::Connection;

    use super::*;

    fn replicas(path: &Path) -> Replicas {
        Replicas::new(
            [0, 1].map(|_| -> Arc<dyn AttemptStore> {
                Arc::new(SqliteTokenStore::open(path).expect("a store"))
            }),
        )
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn replicas_with_one_file_count_together_and_write_no_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("shared.sqlite");
        let replicas = replicas(&path);
        replicas_count_together(&replicas).await;
        let rows: u32 = Connection::open(&path)
            .and_then(|database| {
                database.query_row("SELECT count(*) FROM portcullis_attempts", [], |row| row.get(0))
            })
            .expect("a count");
        assert!(rows > 3, "{rows}");
        drop(replicas);
        let file = std::fs::read(&path).expect("the file");
        for name in ["spread", "guessed", "forgiven"] {
            let found = file.windows(name.len()).any(|window| window == name.as_bytes());
            assert!(!found, "{name} is in the file");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_that_another_process_holds_refuses_no_login() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("shared.sqlite");
        let stores = [0, 1].map(|_| Arc::new(SqliteTokenStore::open(&path).expect("a store")));
        let replicas = Replicas::new(stores.clone().map(|store| store as Arc<dyn AttemptStore>));
        let other = Mutex::new(Connection::open(&path).expect("opened"));
        an_outage_denies_no_login(&replicas, async |is_cut| {
            let statement = if is_cut { "BEGIN IMMEDIATE" } else { "COMMIT" };
            let held = other.lock().expect("one at a time").execute_batch(statement);
            held.expect("the lock of the file");
            if !is_cut {
                // What waited for the file is written before this is.
                for store in &stores {
                    let (key, now) = (AttemptKey::from_bytes([1; 32]), UnixTime::from_secs(0));
                    let written = store
                        .replace_attempts(key, None, AttemptRecord::new(now), now)
                        .await;
                    assert!(written.expect("a store that can be written to"));
                }
            }
        })
        .await;
    }

    #[tokio::test]
    async fn expired_rows_are_removed_and_all_rows_are_bounded() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("shared.sqlite");
        let store = SqliteTokenStore::open(&path).expect("a store");
        let database = Connection::open(&path).expect("opened");
        let insert = |rows: u32, expires_at: u32| {
            let insert =
                "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?1)
                 INSERT INTO portcullis_attempts SELECT randomblob(32), 1, 0, x'', ?2 + n FROM number";
            database.execute(insert, (rows, expires_at)).expect("rows");
        };
        let rows = || -> u32 {
            let count = "SELECT count(*) FROM portcullis_attempts";
            database.query_row(count, [], |row| row.get(0)).expect("a count")
        };
        let now = UnixTime::from_secs(1_000_000);
        let record = AttemptRecord::new(UnixTime::from_secs(2_000_000)).with_failures(1, now);
        let write = async |key| {
            let written = store
                .replace_attempts(AttemptKey::from_bytes(key), None, record.clone(), now)
                .await;
            assert!(written.expect("a store that can be written to"));
        };
        insert(10, 1_000);
        for expected in [7, 4, 3, 4] {
            // Removes four that have expired, and adds one.
            write([rows() as u8; 32]).await;
            assert_eq!(rows(), expected);
        }
        insert(100_100, 1_000_000);
        write([255; 32]).await;
        assert_eq!(rows(), 100_105, "one key in 256 looks");
        write([0; 32]).await;
        assert_eq!(rows(), 100_001, "those that expire first are removed");
        let kept = store.find_attempts(AttemptKey::from_bytes([255; 32]), now).await;
        assert!(kept.expect("an answer").is_some());
    }
}

//! Sessions in a server that is cut off, that does not answer, and that is stopped.

use std::{
    os::unix::fs::PermissionsExt as _,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use portcullis::{
    Token,
    clock::{Clock as _, SystemClock},
    store::{PostgresTokenStore, SessionFilter, SessionRecord, SessionStore, SessionTouch, StoreErrorKind},
    token::TokenHash,
};
use portcullis_interop::postgres::Postgres;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
};

use super::{connect, ended_sessions::Listener, grant};

const FORWARD: u8 = 0;
/// What is sent is dropped, and the connections stay open.
const SILENT: u8 = 1;
/// Connections are closed.
const CLOSED: u8 = 2;

/// A socket in a folder of its own, in front of that of the server.
struct Proxy {
    folder: TempDir,
    state: Arc<AtomicU8>,
}

impl Proxy {
    fn start(server: &Postgres) -> Self {
        const SOCKET: &str = ".s.PGSQL.5432";
        let folder = tempfile::tempdir().expect("a folder");
        let config = server.config("postgres");
        let behind = config
            .strip_prefix("host=")
            .and_then(|rest| rest.split(' ').next());
        let behind = std::path::Path::new(behind.expect("a folder")).join(SOCKET);
        let listener = UnixListener::bind(folder.path().join(SOCKET)).expect("a socket");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))
            .expect("its own folder");
        let state = Arc::<AtomicU8>::default();
        let proxy = Self {
            folder,
            state: Arc::clone(&state),
        };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = UnixStream::connect(&behind).await else {
                    continue;
                };
                let ((client_read, client_write), (server_read, server_write)) =
                    (client.into_split(), server.into_split());
                tokio::spawn(forward(client_read, server_write, Arc::clone(&state)));
                tokio::spawn(forward(server_read, client_write, Arc::clone(&state)));
            }
        });
        proxy
    }

    fn config(&self) -> String {
        format!("host={} user=hub dbname=postgres", self.folder.path().display())
    }
}

async fn forward(
    mut from: tokio::net::unix::OwnedReadHalf,
    mut to: tokio::net::unix::OwnedWriteHalf,
    state: Arc<AtomicU8>,
) {
    let mut buffer = vec![0; 16_384];
    loop {
        let read = tokio::time::timeout(Duration::from_millis(20), from.read(&mut buffer)).await;
        let state = state.load(Ordering::Relaxed);
        match read {
            _ if state == CLOSED => return,
            Err(_) => {}
            Ok(Ok(count)) if count > 0 => {
                if state == FORWARD && to.write_all(&buffer[..count]).await.is_err() {
                    return;
                }
            }
            Ok(_) => return,
        }
    }
}

fn session(session_id: &str) -> (TokenHash, SessionRecord) {
    let now = SystemClock.now();
    let session = SessionRecord::new(
        grant("alice"),
        session_id,
        now,
        now.saturating_add(Duration::from_secs(600)),
    );
    (Token::generate().hash(), session)
}

/// What each operation on the session `old` fails with, all at once.
async fn refusals(store: &PostgresTokenStore, old: TokenHash) -> Vec<(&'static str, Option<StoreErrorKind>)> {
    let (hash, new) = session("new");
    let touch = SessionTouch::new(new.created(), new.expires_at());
    let (found, inserted, touched, ended) = tokio::join!(
        store.find_session(old).into_future(),
        store.insert_session(hash, new, Some("old".to_owned())),
        store.touch_session(old, touch),
        store.end_sessions(SessionFilter::owner("alice")),
    );
    vec![
        ("find", found.err().map(|error| error.kind())),
        ("insert", inserted.err().map(|error| error.kind())),
        ("touch", touched.err().map(|error| error.kind())),
        ("end", ended.err().map(|error| error.kind())),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_server_is_no_answer_and_is_tried_again() {
    let server = Postgres::start();
    let proxy = Proxy::start(&server);
    let store = connect(&proxy.config()).await;
    let direct = connect(&server.config("postgres")).await;
    let listener = Listener::first_of(&store).await;
    let (hash, old) = session("old");
    store
        .insert_session(hash, old.clone(), None)
        .await
        .expect("begun");

    for (name, fault) in [("silent", SILENT), ("closed", CLOSED), ("stopped", FORWARD)] {
        match name {
            "stopped" => server.stop(),
            _ => proxy.state.store(fault, Ordering::Relaxed),
        }
        let began = Instant::now();
        for (operation, kind) in refusals(&store, hash).await {
            assert_eq!(kind, Some(StoreErrorKind::Unavailable), "{name}: {operation}");
        }
        assert!(
            began.elapsed() < Duration::from_secs(12),
            "{name}: {:?}",
            began.elapsed()
        );
        if name == "silent" {
            // Longer than it takes to find out that the connection which listens is cut off.
            tokio::time::sleep(Duration::from_secs(11)).await;
        }
        match name {
            "stopped" => server.begin(),
            _ => proxy.state.store(FORWARD, Ordering::Relaxed),
        }
        let began = Instant::now();
        let found = loop {
            match store.find_session(hash).await {
                Ok(found) => break found,
                Err(error) => assert!(began.elapsed() < Duration::from_secs(10), "{name}: {error}"),
            }
        };
        assert_eq!(
            found.as_ref(),
            Some(&old),
            "{name}: nothing of what was refused was done"
        );
        listener.waits_for(&None, Duration::from_secs(10)).await;
        let (hash, other) = session(name);
        direct.insert_session(hash, other.clone(), None).await.ok();
        if store.find_session(hash).await.expect("an answer").is_some() {
            direct
                .end_sessions(SessionFilter::id(other.id()))
                .await
                .expect("ended");
            listener
                .waits_for(&Some(vec![other.id()]), Duration::from_secs(1))
                .await;
        }
    }
    let (hash, new) = session("new");
    let inserted = store.insert_session(hash, new.clone(), Some("old".to_owned()));
    inserted.await.expect("begun");
    assert_eq!(
        store
            .end_sessions(SessionFilter::owner("alice"))
            .await
            .expect("ended"),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_64_clients_that_replace_one_session_on_two_nodes_each_gets_its_own() {
    let server = Postgres::start();
    let config = server.config("postgres");
    let nodes = [connect(&config).await, connect(&config).await];
    let (old_hash, old) = session("old");
    nodes[0].insert_session(old_hash, old, None).await.expect("begun");
    let clients: Vec<_> = (0..64)
        .map(|number: usize| {
            let (hash, new) = session(&format!("s{number}"));
            let inserted = nodes[number % 2].insert_session(hash, new.clone(), Some("old".to_owned()));
            tokio::spawn(async move {
                inserted.await.expect("begun");
                (hash, new)
            })
        })
        .collect();
    for client in clients {
        let (hash, new) = client.await.expect("answered");
        assert_eq!(nodes[0].find_session(hash).await.expect("an answer"), Some(new));
    }
    assert_eq!(nodes[1].find_session(old_hash).await.expect("an answer"), None);
}

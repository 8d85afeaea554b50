//! What two replicas do with sessions in a store, whatever the store is.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use http::Request;
use portcullis::{
    AuthLayer, BackendError, Grant, Identity, Keyring, MaybeFuture, RequestHead, Secret,
    clock::UnixTime,
    store::{SessionStore, TokenStore},
    testing::TestClock,
    verify::{StoredTokens, UserLookup},
};

/// When the last answer of the directory is too old.
const INTERVAL: Duration = Duration::from_secs(60);
/// Requests of each client before the changes, and after them.
const REQUESTS: usize = 30;

/// What ends a session, or changes what it may do.
const CHANGES: [Change; 7] = [
    Change::None,
    Change::Logout,
    Change::SessionEnded,
    Change::AllSessionsEnded,
    Change::UserDeleted,
    Change::ScopeRemoved,
    Change::PasswordChanged,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    None,
    Logout,
    SessionEnded,
    AllSessionsEnded,
    UserDeleted,
    ScopeRemoved,
    PasswordChanged,
}

impl Change {
    /// What a request with the session gets afterwards: `None` if it is refused, otherwise whether it has the scope `admin`.
    fn outcome(self) -> Option<bool> {
        match self {
            Self::None => Some(true),
            Self::ScopeRemoved => Some(false),
            _ => None,
        }
    }
}

/// A directory of users, in which every replica looks.
#[derive(Clone, Default)]
struct Directory(Arc<Mutex<HashMap<String, Grant>>>);

impl UserLookup for Directory {
    fn current(&self, username: &str) -> MaybeFuture<Result<Option<Grant>, BackendError>> {
        let found = self.0.lock().expect("users").get(username).cloned();
        MaybeFuture::from_future(async move { Ok(found) })
    }
}

/// What replicas share in addition to the store.
#[derive(Clone)]
struct Site {
    clock: TestClock,
    users: Directory,
}

impl Site {
    fn new() -> Self {
        Self {
            clock: TestClock::new(UnixTime::from_secs(1_700_000_000)),
            users: Directory::default(),
        }
    }

    fn replica(&self, store: impl SessionStore) -> AuthLayer {
        let layer = AuthLayer::builder()
            .custom_login_page()
            .keyring(keyring())
            .clock(self.clock.clone())
            .user_lookup(self.users.clone())
            .refresh_interval(INTERVAL)
            .sessions(store);
        layer.build().expect("a layer")
    }

    /// Adds a user to the directory, and logs them in. Returns the cookie.
    async fn log_in(&self, replica: &AuthLayer, name: &str) -> String {
        let grant = user(name);
        self.users
            .0
            .lock()
            .expect("users")
            .insert(name.to_owned(), grant.clone());
        let form = request("cookie", "theme=dark");
        let cookies = replica
            .login(RequestHead::new(&form), grant)
            .await
            .expect("a login");
        let line = cookies.iter().next().expect("a cookie").to_str().expect("ASCII");
        line.split(';').next().unwrap_or_default().to_owned()
    }

    /// Makes the change at one replica.
    async fn change(&self, replica: &AuthLayer, change: Change, name: &str, cookie: &str) {
        let sessions = replica.sessions().expect("a store");
        let set = |grant: Option<Grant>| {
            let mut users = self.users.0.lock().expect("users");
            match grant {
                Some(grant) => users.insert(name.to_owned(), grant),
                None => users.remove(name),
            };
        };
        match change {
            Change::None => {}
            Change::Logout => {
                let leaving = request("cookie", cookie);
                let _cookies = replica
                    .logout(RequestHead::new(&leaving))
                    .await
                    .expect("a logout");
            }
            Change::SessionEnded => {
                let list = sessions.list(name).await.expect("a list");
                assert!(sessions.end(name, list[0].id).await.expect("ended"));
            }
            Change::AllSessionsEnded => assert_eq!(sessions.end_all(name).await.expect("ended"), 1),
            Change::UserDeleted => set(None),
            Change::ScopeRemoved => set(Some(user(name).with_scopes([""; 0]))),
            Change::PasswordChanged => set(Some(user(name).with_security_stamp("new hash"))),
        }
    }
}

fn user(name: &str) -> Grant {
    let grant = Grant::new(Identity::new(name)).with_scopes(["admin"]);
    grant.with_security_stamp("old hash")
}

fn keyring() -> Keyring {
    Keyring::from_secret(Secret::from(&[7; 32][..])).expect("a keyring")
}

fn request(header: &str, value: &str) -> Request<()> {
    let request = Request::get("/")
        .header("host", "localhost")
        .header(header, value);
    request.body(()).expect("a request")
}

/// Whether the session of `cookie` has the scope `admin`, or `None` if it is refused.
async fn outcome(replica: &AuthLayer, cookie: &str) -> Option<bool> {
    let request = request("cookie", cookie);
    let session = replica.authenticate(RequestHead::new(&request)).await.ok()?;
    Some(session.has_scope("admin"))
}

/// Logs two users in for each change: the session of one is used at the other replica, the session of the other one only after a
/// restart.
pub(crate) async fn changes_hold_at_the_other_replica_and_after_a_restart<S: SessionStore>(
    open: impl AsyncFn() -> S,
) {
    let site = Site::new();
    let mut sessions = Vec::new();
    {
        let (one, other) = (site.replica(open().await), site.replica(open().await));
        for change in CHANGES {
            for user in ["first", "second"] {
                let name = format!("{change:?} {user}");
                let cookie = site.log_in(&one, &name).await;
                assert_eq!(outcome(&other, &cookie).await, Some(true), "{name} logged in");
                sessions.push((change, name, cookie));
            }
        }
        for (change, name, cookie) in &sessions {
            site.change(&one, *change, name, cookie).await;
        }
        site.clock.advance(INTERVAL);
        for (change, name, cookie) in sessions.iter().step_by(2) {
            assert_eq!(
                outcome(&other, cookie).await,
                change.outcome(),
                "{name} at the other replica"
            );
        }
    }
    let restarted = site.replica(open().await);
    for (change, name, cookie) in &sessions {
        assert_eq!(
            outcome(&restarted, cookie).await,
            change.outcome(),
            "{name} after a restart"
        );
    }
}

/// Clients that send requests to two replicas all the time. A request after a change gets the new state.
pub(crate) async fn changes_hold_at_both_replicas_under_load(stores: [impl SessionStore; 2]) {
    let site = Site::new();
    let replicas = stores.map(|store| site.replica(store));
    let mut clients = Vec::new();
    let mut sessions = Vec::new();
    for change in CHANGES {
        let (name, has_changed) = (format!("{change:?}"), Arc::new(AtomicBool::new(false)));
        let cookie = site.log_in(&replicas[0], &name).await;
        for number in 0..4 {
            let [before, after] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
            let client = Client {
                replica: replicas[number % 2].clone(),
                cookie: cookie.clone(),
                change,
                has_changed: Arc::clone(&has_changed),
                counts: [Arc::clone(&before), Arc::clone(&after)],
            };
            clients.push((tokio::spawn(client.run()), before, after));
        }
        sessions.push((change, name, cookie, has_changed));
    }
    let all = |count: fn(&AtomicUsize) -> bool, which: usize| {
        clients.iter().all(|(client, before, after)| {
            client.is_finished() || count(if which == 0 { before } else { after })
        })
    };
    while !all(|count| count.load(Ordering::Relaxed) >= REQUESTS, 0) {
        tokio::task::yield_now().await;
    }
    // What a replica ends itself holds at once.
    for (change, name, cookie, has_changed) in &sessions {
        site.change(&replicas[0], *change, name, cookie).await;
        let is_at_once = matches!(
            change,
            Change::Logout | Change::SessionEnded | Change::AllSessionsEnded
        );
        has_changed.store(is_at_once, Ordering::Release);
    }
    // What the directory says holds at the refresh interval.
    site.clock.advance(INTERVAL);
    for (_, _, _, has_changed) in &sessions {
        has_changed.store(true, Ordering::Release);
    }
    for (client, _, _) in clients {
        if let Err(late) = client.await.expect("a client") {
            panic!("{late}");
        }
    }
}

struct Client {
    replica: AuthLayer,
    cookie: String,
    change: Change,
    has_changed: Arc<AtomicBool>,
    /// Its requests before the change, and after it.
    counts: [Arc<AtomicUsize>; 2],
}

impl Client {
    async fn run(self) -> Result<(), String> {
        let [before, after] = &self.counts;
        while after.load(Ordering::Relaxed) < REQUESTS {
            let has_changed = self.has_changed.load(Ordering::Acquire);
            let found = outcome(&self.replica, &self.cookie).await;
            let expected = self.change.outcome();
            let is_expected = match has_changed {
                true => found == expected,
                // Meanwhile it may hold already.
                false => found == Some(true) || found == expected,
            };
            if !is_expected {
                let change = self.change;
                return Err(format!(
                    "{change:?}, after the change: {has_changed}: found {found:?}"
                ));
            }
            let count = if has_changed { after } else { before };
            count.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

/// Tries each value of the database as a cookie and as a token, at the layer that wrote it and at one that runs on a copy.
pub(crate) async fn nothing_in_a_dump_is_accepted<S: SessionStore + TokenStore + Clone>(
    store: S,
    dump: impl AsyncFnOnce() -> (BTreeSet<Vec<u8>>, S),
) {
    let site = Site::new();
    let layer = |store: S| {
        let layer = AuthLayer::builder()
            .bearer_tokens(StoredTokens::new(store.clone()))
            .allow_token_login()
            .keyring(keyring())
            .clock(site.clock.clone())
            .sessions(store);
        layer.build().expect("a layer")
    };
    let original = layer(store.clone());
    let cookie = site.log_in(&original, "alice").await;
    let (token, _) = StoredTokens::new(store)
        .issue(user("alice"))
        .await
        .expect("issued");
    let bearer = format!("Bearer {}", token.expose());

    let (values, copy) = dump().await;
    let copied = layer(copy);
    for layer in [&original, &copied] {
        assert_eq!(
            outcome(layer, &cookie).await,
            Some(true),
            "the session is in the store"
        );
        let request = request("authorization", &bearer);
        assert!(
            layer.authenticate(RequestHead::new(&request)).await.is_ok(),
            "so is the token"
        );
    }
    let mut credentials = BTreeSet::new();
    for value in &values {
        // Whole, in parts as long as the random value of a cookie, and as text that has its bytes.
        let parts = value.windows(43).chain(value.windows(32)).map(<[u8]>::to_vec);
        for bytes in parts.chain([value.clone()]) {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let base64 = BASE64_URL_SAFE_NO_PAD.encode(&bytes);
            credentials.extend(String::from_utf8(bytes).into_iter().chain([hex, base64]));
        }
    }
    assert!(credentials.len() > 40, "{}", credentials.len());
    for credential in credentials
        .iter()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()))
    {
        for (header, value) in [
            ("cookie", format!("session={credential}")),
            ("cookie", format!("session={credential}.")),
            ("authorization", format!("Bearer {credential}")),
            ("authorization", format!("token {credential}")),
        ] {
            for layer in [&original, &copied] {
                let request = request(header, &value);
                let found = layer.authenticate(RequestHead::new(&request)).await;
                assert!(found.is_err(), "{header}: {value}");
            }
        }
    }
}

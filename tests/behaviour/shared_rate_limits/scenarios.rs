//! What two replicas that share a store do with passwords, whatever the store is.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::Request;
use portcullis::{
    AuthLayer, Denial, Event, Grant, Identity, Keyring, MaybeFuture, Reason, RequestHead, Secret,
    Verification, clock::UnixTime, request::Peer, store::AttemptStore, testing::TestClock,
    verify::PasswordVerifier,
};
use tokio::{
    sync::Semaphore,
    task::{JoinSet, yield_now},
};

pub(crate) const RIGHT: &str = "right";
pub(crate) const WRONG: &str = "wrong";

/// Two layers with one clock, one directory of users, and a store each.
#[derive(Clone)]
pub(crate) struct Replicas {
    layers: [AuthLayer; 2],
    pub(crate) clock: TestClock,
    directory: Directory,
    events: Arc<Mutex<Vec<String>>>,
    clients: Arc<AtomicU32>,
}

/// Knows every user, by one password.
#[derive(Clone)]
struct Directory {
    checked: Arc<AtomicUsize>,
    /// Answers wait for a permit of it.
    open: Arc<Semaphore>,
}

impl PasswordVerifier for Directory {
    fn verify(&self, username: &str, password: &Secret) -> MaybeFuture<Verification> {
        self.checked.fetch_add(1, Ordering::Relaxed);
        let (open, name) = (Arc::clone(&self.open), username.to_owned());
        let is_right = password.expose() == RIGHT.as_bytes();
        MaybeFuture::from_future(async move {
            let _open = open.acquire().await.expect("never closed");
            if is_right {
                Verification::Valid(Grant::new(Identity::new(&name)))
            } else {
                Verification::Rejected(Reason::IncorrectPassword)
            }
        })
    }
}

impl Replicas {
    pub(crate) fn new(stores: [Arc<dyn AttemptStore>; 2]) -> Self {
        let clock = TestClock::new(UnixTime::from_secs(1_700_000_000));
        let directory = Directory {
            checked: Arc::default(),
            open: Arc::new(Semaphore::new(1_000)),
        };
        let events: Arc<Mutex<Vec<String>>> = Arc::default();
        let layers = stores.map(|store| {
            let events = Arc::clone(&events);
            AuthLayer::builder()
                .password_verifier(directory.clone())
                .custom_login_page()
                .peer_extractor(|extensions| extensions.get::<SocketAddr>().copied().map(Peer::Ip))
                .keyring(Keyring::from_secret(Secret::from(&[7; 32][..])).expect("a keyring"))
                .clock(clock.clone())
                .observer(move |event: &Event<'_>| {
                    if let Event::SharedRateLimitsUnavailable { error } = event {
                        events.lock().expect("one at a time").push(error.to_string());
                    }
                })
                .shared_rate_limits(store)
                .build()
                .expect("a layer")
        });
        Self {
            layers,
            clock,
            directory,
            events,
            clients: Arc::default(),
        }
    }

    /// One attempt at one of the replicas, from an address that no other attempt came from.
    pub(crate) fn attempt(
        &self,
        replica: usize,
        user: &str,
        password: &str,
    ) -> MaybeFuture<Result<(), Denial>> {
        let address = Ipv4Addr::from_bits(0xc633_0000 + self.clients.fetch_add(1, Ordering::Relaxed));
        let mut request = Request::post("/login")
            .header("host", "localhost")
            .body(())
            .expect("a request");
        request.extensions_mut().insert(SocketAddr::from((address, 1)));
        self.layers[replica % 2]
            .verify_password(RequestHead::new(&request), user, &password.into())
            .map(|answer| answer.map(drop))
    }

    /// What came of it: `None` if it is a login.
    pub(crate) async fn reason(&self, replica: usize, user: &str, password: &str) -> Option<Reason> {
        self.attempt(replica, user, password)
            .await
            .err()
            .map(|denial| denial.reason())
    }

    /// How many wrong passwords of `user` are checked until one is refused unseen, at these replicas in turn.
    pub(crate) async fn heard(&self, replicas: [usize; 2], user: &str) -> usize {
        for count in 0..100 {
            match self.reason(replicas[count % 2], user, WRONG).await {
                Some(Reason::IncorrectPassword) => {}
                Some(Reason::RateLimited) => return count,
                other => panic!("{user}: {other:?} after {count} wrong passwords"),
            }
        }
        panic!("{user}: a hundred wrong passwords are checked in a row");
    }

    pub(crate) fn checked(&self) -> usize {
        self.directory.checked.load(Ordering::Relaxed)
    }

    pub(crate) fn outages(&self) -> usize {
        self.events.lock().expect("one at a time").len()
    }

    /// Until [`open`](Self::open), attempts whose password is checked stay pending.
    pub(crate) async fn hold(&self) {
        self.directory
            .open
            .acquire_many(1_000)
            .await
            .expect("never closed")
            .forget();
    }

    pub(crate) fn open(&self) {
        self.directory.open.add_permits(1_000);
    }

    pub(crate) async fn until_checked(&self, count: usize) {
        while self.checked() < count {
            yield_now().await;
        }
    }
}

/// All that must hold while the store answers.
pub(crate) async fn replicas_count_together(replicas: &Replicas) {
    wrong_passwords_are_refused_at_the_same_count(replicas).await;
    no_more_concurrent_guesses_are_checked_than_the_limit(replicas).await;
    a_login_at_one_forgives_at_both(replicas).await;
    logins_that_arrive_together_are_all_accepted(replicas).await;
    an_attempt_whose_client_went_away_counts(replicas).await;
    assert_eq!(replicas.outages(), 0, "the store answered all the time");
}

async fn wrong_passwords_are_refused_at_the_same_count(replicas: &Replicas) {
    for (order, user) in [([0, 1], "spread"), ([0, 0], "first"), ([1, 1], "second")] {
        assert_eq!(replicas.heard(order, user).await, 5, "{user}");
        for replica in [0, 1] {
            let denial = replicas
                .attempt(replica, user, RIGHT)
                .await
                .expect_err("it must wait");
            assert_eq!(denial.reason(), Reason::RateLimited, "{user}");
            // A second, and as much as is left of the present one.
            assert_eq!(denial.retry_after(), Some(Duration::from_secs(2)), "{user}");
        }
        replicas.clock.advance(Duration::from_secs(2));
        assert_eq!(replicas.heard([1, 0], user).await, 1, "{user}, after the wait");
    }
}

async fn no_more_concurrent_guesses_are_checked_than_the_limit(replicas: &Replicas) {
    let before = replicas.checked();
    replicas.hold().await;
    let mut guesses = JoinSet::new();
    for replica in 0..40 {
        guesses.spawn(replicas.attempt(replica, "guessed", WRONG).into_future());
    }
    replicas.until_checked(before + 5).await;
    replicas.open();
    let answers = guesses.join_all().await;
    assert_eq!(
        replicas.checked() - before,
        5,
        "no more are checked than one after another"
    );
    let count = |expected| {
        let answers = answers.iter().filter_map(|answer| answer.as_ref().err());
        answers.filter(|denial| denial.reason() == expected).count()
    };
    assert_eq!(count(Reason::IncorrectPassword), 5);
    assert_eq!(count(Reason::RateLimited), 35);
}

async fn a_login_at_one_forgives_at_both(replicas: &Replicas) {
    for replica in [0, 1, 0, 1] {
        let reason = replicas.reason(replica, "forgiven", WRONG).await;
        assert_eq!(reason, Some(Reason::IncorrectPassword));
    }
    assert_eq!(replicas.reason(1, "forgiven", RIGHT).await, None);
    assert_eq!(
        replicas.heard([0, 1], "forgiven").await,
        5,
        "all is forgiven at both"
    );
}

async fn logins_that_arrive_together_are_all_accepted(replicas: &Replicas) {
    let mut class = JoinSet::new();
    for replica in 0..60 {
        class.spawn(replicas.attempt(replica, "class", RIGHT).into_future());
    }
    for answer in class.join_all().await {
        answer.expect("a right password waits, and is accepted");
    }
}

async fn an_attempt_whose_client_went_away_counts(replicas: &Replicas) {
    let before = replicas.checked();
    replicas.hold().await;
    let attempts = (0..2).map(|replica| tokio::spawn(replicas.attempt(replica, "gone", WRONG).into_future()));
    let attempts: Vec<_> = attempts.collect();
    replicas.until_checked(before + 2).await;
    for attempt in attempts {
        attempt.abort();
        assert!(attempt.await.is_err_and(|error| error.is_cancelled()));
    }
    replicas.open();
    assert_eq!(replicas.heard([0, 1], "gone").await, 3, "two of five went away");
}

/// What must hold while the store does not answer, and after. `cut` takes the store away, or brings it back.
pub(crate) async fn an_outage_denies_no_login(replicas: &Replicas, cut: impl AsyncFn(bool)) {
    for replica in [0, 1, 0] {
        let reason = replicas.reason(replica, "alice", WRONG).await;
        assert_eq!(reason, Some(Reason::IncorrectPassword));
    }
    for outage in 1..3 {
        cut(true).await;
        for replica in [0, 1] {
            assert_eq!(replicas.reason(replica, "bob", RIGHT).await, None, "a login");
            let heard = replicas
                .heard([replica, replica], &format!("mallory {outage}"))
                .await;
            assert_eq!(heard, 5, "replica {replica} counts in memory");
        }
        assert_eq!(
            replicas.reason(0, "alice", RIGHT).await,
            None,
            "she has two failures there"
        );
        assert_eq!(replicas.outages(), 2 * outage, "one event for each replica");
        replicas.clock.advance(Duration::from_secs(3_600));
        assert_eq!(
            replicas.reason(1, &format!("mallory {outage}"), RIGHT).await,
            None,
            "after the wait"
        );
        assert_eq!(replicas.reason(1, "bob", RIGHT).await, None, "a login");
        assert_eq!(replicas.outages(), 2 * outage, "the outage goes on");

        cut(false).await;
        replicas.clock.advance(Duration::from_secs(6));
        let heard = replicas.heard([0, 1], &format!("trudy {outage}")).await;
        assert_eq!(heard, 5, "both count together again");
        for replica in [0, 1] {
            assert_eq!(replicas.reason(replica, "alice", RIGHT).await, None, "a login");
        }
        assert_eq!(replicas.outages(), 2 * outage, "the store answers");
    }
}

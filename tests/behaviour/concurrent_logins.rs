//! Right passwords that arrive together are all accepted, and of wrong ones no more are checked than one after another.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use portcullis::{
    AuthLayer, Grant, Identity, MaybeFuture, Reason, RequestHead, Secret, Verification, clock::UnixTime,
    request::Peer, testing::TestClock, verify::PasswordVerifier,
};
use tokio::{
    sync::Semaphore,
    task::{JoinSet, yield_now},
};

use crate::common::request;

const RIGHT: &str = "right";

/// Knows every user, by one password.
#[derive(Clone)]
struct Directory {
    asked: Arc<AtomicUsize>,
    /// Answers wait for a permit of it.
    open: Arc<Semaphore>,
}

impl Directory {
    fn new(open: usize) -> Self {
        Self {
            asked: Arc::default(),
            open: Arc::new(Semaphore::new(open)),
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl PasswordVerifier for Directory {
    fn verify(&self, username: &str, password: &Secret) -> MaybeFuture<Verification> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let (open, name) = (Arc::clone(&self.open), username.to_owned());
        let is_right = password.expose() == RIGHT.as_bytes();
        MaybeFuture::from_future(async move {
            let _open = open.acquire().await.expect("never closed");
            for _ in 0..3 {
                yield_now().await;
            }
            if is_right {
                Verification::Valid(Grant::new(Identity::new(&name)))
            } else {
                Verification::Rejected(Reason::IncorrectPassword)
            }
        })
    }
}

fn layer(directory: &Directory, clock: &TestClock) -> AuthLayer {
    AuthLayer::builder()
        .password_verifier(directory.clone())
        .custom_login_page()
        .peer_extractor(|extensions| extensions.get::<SocketAddr>().copied().map(Peer::Ip))
        .clock(clock.clone())
        .build()
        .expect("a layer")
}

fn clock() -> TestClock {
    TestClock::new(UnixTime::from_secs(1_700_000_000))
}

/// One attempt: `None` if it is a login, else the reason.
fn attempt(layer: &AuthLayer, user: usize, address: u32, password: &str) -> MaybeFuture<Option<Reason>> {
    let mut request = request("POST /login");
    let address = Ipv4Addr::from_bits(0xc633_0000 + address);
    request.extensions_mut().insert(SocketAddr::from((address, 1)));
    let username = format!("user{user}");
    layer
        .verify_password(RequestHead::new(&request), &username, &password.into())
        .map(|answer| answer.err().map(|denial| denial.reason()))
}

/// What came of attempts that arrive together: how many are logins, wrong, and throttled.
async fn together(
    layer: &AuthLayer,
    attempts: impl Iterator<Item = (usize, u32, &'static str)>,
) -> (usize, usize, usize) {
    let mut set = JoinSet::new();
    for (user, address, password) in attempts {
        set.spawn(attempt(layer, user, address, password).into_future());
    }
    let answers = set.join_all().await;
    let count = |reason| answers.iter().filter(|answer| **answer == reason).count();
    let counts = (
        count(None),
        count(Some(Reason::IncorrectPassword)),
        count(Some(Reason::RateLimited)),
    );
    assert_eq!(counts.0 + counts.1 + counts.2, answers.len(), "{answers:?}");
    counts
}

#[tokio::test]
async fn a_class_that_logs_in_together_gets_in_though_some_mistype() {
    for (users, addresses, wrong_each) in [
        (300, 1, 0),
        (300, 200, 0),
        (1, 1, 0),
        (1, 200, 0),
        (300, 1, 33),
        (300, 200, 33),
        (1, 1, 33),
        (1, 200, 33),
        // 4 % of the class are more than an address has free.
        (300, 1, 25),
    ] {
        let directory = Directory::new(Semaphore::MAX_PERMITS);
        let layer = layer(&directory, &clock());
        let is_wrong = |number: usize| wrong_each != 0 && number % wrong_each == wrong_each - 1;
        let attempts = (0..300_usize).map(|number| {
            let address = u32::try_from(number % addresses).expect("small");
            let password = if is_wrong(number) { "wrong" } else { RIGHT };
            (number % users, address, password)
        });
        let wrong = (0..300).filter(|number| is_wrong(*number)).count();
        let case = format!("{users} users, {addresses} addresses, one of {wrong_each} wrong");
        assert_eq!(
            together(&layer, attempts).await,
            (300 - wrong, wrong, 0),
            "{case}"
        );
    }
}

#[tokio::test]
async fn of_guesses_that_arrive_together_no_more_are_checked_than_the_limits_allow() {
    for (users, addresses, limit) in [(1, 60, 5), (1, 1, 5), (60, 1, 10)] {
        let directory = Directory::new(Semaphore::MAX_PERMITS);
        let clock = clock();
        let layer = layer(&directory, &clock);
        let guesses = || {
            (0..60_usize).map(|number| {
                let address = u32::try_from(number % addresses).expect("small");
                (number % users, address, "wrong")
            })
        };
        let counts = together(&layer, guesses()).await;
        assert_eq!(
            counts,
            (0, limit, 60 - limit),
            "{users} users, {addresses} addresses"
        );
        assert_eq!(directory.asked(), limit);
        // After each wait one more is checked.
        for more in 1..4 {
            clock.advance(Duration::from_secs(1 << (more - 1)));
            assert_eq!(together(&layer, guesses()).await, (0, 1, 59));
            assert_eq!(directory.asked(), limit + more);
        }
    }
}

#[tokio::test]
async fn a_client_that_goes_away_keeps_its_place_if_its_password_was_being_checked() {
    let directory = Directory::new(0);
    let layer = layer(&directory, &clock());
    let mut set = JoinSet::new();
    for number in 0..20 {
        set.spawn(attempt(&layer, 0, number, RIGHT).into_future());
    }
    for _ in 0..10 {
        yield_now().await;
    }
    assert_eq!(directory.asked(), 5, "the others wait");
    set.shutdown().await;
    assert_eq!(attempt(&layer, 0, 30, RIGHT).await, Some(Reason::RateLimited));
    assert_eq!(directory.asked(), 5);

    // Of another account nothing was checked by those that waited only.
    let mut set = JoinSet::new();
    for number in 0..20 {
        set.spawn(attempt(&layer, 1, 100 + number, RIGHT).into_future());
    }
    for _ in 0..10 {
        yield_now().await;
    }
    assert_eq!(directory.asked(), 10);
    directory.open.add_permits(Semaphore::MAX_PERMITS >> 1);
    assert_eq!(set.join_all().await, [None; 20]);
}

#[tokio::test]
async fn one_attempt_more_than_can_wait_is_told_to_retry() {
    let directory = Directory::new(0);
    let layer = layer(&directory, &clock());
    let mut set = JoinSet::new();
    for number in 0..64 + 512 {
        set.spawn(attempt(&layer, number as usize, number, RIGHT).into_future());
    }
    for _ in 0..10 {
        yield_now().await;
    }
    assert_eq!(directory.asked(), 64);
    assert_eq!(attempt(&layer, 999, 999, RIGHT).await, Some(Reason::Unavailable));
    assert_eq!(directory.asked(), 64);
    directory.open.add_permits(Semaphore::MAX_PERMITS >> 1);
    assert!(set.join_all().await.iter().all(Option::is_none));
}

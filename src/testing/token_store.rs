//! What every store of tokens must be able to do.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
    time::{Duration, Instant},
};

use crate::{
    clock::UnixTime,
    session::{grant::Grant, identity::Identity},
    store::{RecordId, StoreErrorKind, TokenFilter, TokenRecord, TokenStore},
    token::{Token, TokenHash},
};

/// When everything happens.
pub(super) const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
/// How long a background write may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Holds a store against all that [`TokenStore`] promises: run it in a test, on a store that is new.
///
/// Whether acknowledged changes outlive the process is not tested; that takes a second process.
///
/// # Panics
///
/// If the store breaks a promise; the message says which.
///
/// # Example
///
/// ```
/// use portcullis::{store::MemoryTokenStore, testing::token_store_conformance};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// token_store_conformance(&MemoryTokenStore::new()).await;
/// # });
/// ```
pub async fn token_store_conformance(store: &dyn TokenStore) {
    what_was_inserted_is_found_as_it_was(store).await;
    texts_of_all_kinds_come_back(store).await;
    what_was_not_inserted_is_not_found(store).await;
    a_second_of_the_same_is_refused(store).await;
    an_issued_token_is_found_by_its_hash(store).await;
    lists_hold_what_was_meant_and_nothing_expired(store).await;
    what_was_meant_is_revoked_and_nothing_else(store).await;
    a_revoked_token_is_not_found_by_later_calls(store).await;
    of_many_at_once_one_is_kept(store).await;
    a_use_is_noted_and_never_goes_back(store).await;
}

async fn what_was_inserted_is_found_as_it_was(store: &dyn TokenStore) {
    let identity = Identity::new("Alice")
        .with_name("Alice Liddell")
        .with_initials("AL")
        .with_color("#fff");
    let grant = Grant::new(identity)
        .with_scopes(["read", "access:servers!server=alice/"])
        .with_expiry(NOW.saturating_add(Duration::from_secs(60)))
        .with_label("phone");
    let full = TokenRecord::new(grant, NOW)
        .with_session("5e55")
        .with_client("service-grader")
        .with_last_used(NOW);
    let bare = TokenRecord::new(Grant::new(Identity::new("Alice")), UnixTime::from_secs(0));
    for record in [full, bare] {
        let hash = new_hash();
        insert(store, hash, &record).await;
        let found = find(store, hash).await;
        assert_eq!(
            found,
            Some(record),
            "a token is found with all that it was inserted with"
        );
    }
}

async fn texts_of_all_kinds_come_back(store: &dyn TokenStore) {
    for text in [
        "",
        "'",
        "\"; DROP TABLE tokens; --",
        "%_*?",
        "é\u{202e}🔑",
        "a/b\\c\n\t",
        "NULL",
    ] {
        let grant = Grant::new(Identity::new(text))
            .with_scopes([text, "b"])
            .with_label(text);
        let record = TokenRecord::new(grant, NOW).with_session(text).with_client(text);
        let hash = new_hash();
        insert(store, hash, &record).await;
        assert_eq!(
            find(store, hash).await,
            Some(record.clone()),
            "{text:?} comes back as it was"
        );
        let meant = TokenFilter::owner(text)
            .and_id(record.id())
            .and_session(text)
            .and_client(text);
        assert_eq!(
            list(store, meant.clone()).await,
            [record],
            "{text:?} is found in a list"
        );
        assert_eq!(revoke(store, meant).await, 1, "{text:?} is revoked");
    }
}

async fn what_was_not_inserted_is_not_found(store: &dyn TokenStore) {
    let hash = new_hash();
    insert(store, hash, &record("one")).await;
    for byte in 0..32 {
        let mut other = *hash.as_bytes();
        other[byte] ^= 1;
        let found = find(store, TokenHash::from(other)).await;
        assert_eq!(found, None, "a hash that differs in byte {byte} is another one");
    }
    assert_eq!(
        find(store, TokenHash::from([0; 32])).await,
        None,
        "no token is under a hash of zeros"
    );
}

async fn a_second_of_the_same_is_refused(store: &dyn TokenStore) {
    let (hash, first) = (new_hash(), record("first"));
    insert(store, hash, &first).await;
    let same_id = record("second").with_id(first.id());
    for (hash, second) in [(hash, record("second")), (new_hash(), same_id)] {
        let refused = store.insert(hash, second).await.map_err(|error| error.kind());
        assert_eq!(
            refused,
            Err(StoreErrorKind::Duplicate),
            "a second of one hash or id is refused"
        );
    }
    assert_eq!(find(store, hash).await, Some(first), "the first stays as it was");
    assert_eq!(
        list(store, TokenFilter::owner("second")).await,
        [],
        "nothing is left of the second"
    );
}

async fn an_issued_token_is_found_by_its_hash(store: &dyn TokenStore) {
    let (one, two) = (record("issued"), record("issued"));
    let token = store.issue(one.clone()).await.expect("a token is issued");
    let other = store.issue(two.clone()).await.expect("a token is issued");
    assert_ne!(token.hash(), other.hash(), "each token is a new one");
    assert_eq!(find(store, token.hash()).await, Some(one));
    assert_eq!(find(store, other.hash()).await, Some(two));
}

async fn lists_hold_what_was_meant_and_nothing_expired(store: &dyn TokenStore) {
    let made = |second| NOW.saturating_add(Duration::from_secs(second));
    let grant = || Grant::new(Identity::new("lister"));
    let second = TokenRecord::new(grant(), made(2))
        .with_session("one")
        .with_client("c");
    let first = TokenRecord::new(grant(), made(1))
        .with_session("two")
        .with_client("c");
    let third = TokenRecord::new(grant().with_expiry(made(4)), made(3)).with_session("one");
    let expired = TokenRecord::new(grant().with_expiry(made(3)), made(3)).with_session("one");
    let foreign = record("Lister").with_session("one").with_client("c");
    for record in [&second, &first, &expired, &third, &foreign] {
        insert(store, new_hash(), record).await;
    }
    let all = [&first, &second, &third];
    let mine = || TokenFilter::owner("lister");
    for (which, expected) in [
        (mine(), &all[..]),
        (mine().and_session("one"), &[&second, &third]),
        (mine().and_client("c"), &[&first, &second]),
        (mine().and_client("c").and_session("two"), &[&first]),
        (mine().and_id(second.id()), &[&second]),
        (TokenFilter::id(foreign.id()), &[&foreign]),
        (mine().and_id(foreign.id()), &[]),
        (mine().and_id(RecordId::from(u64::MAX)), &[]),
        (mine().and_session("three"), &[]),
        (TokenFilter::owner("no-such-user"), &[]),
    ] {
        let found = store.list(which.clone(), made(3)).await.expect("a list");
        let expected: Vec<TokenRecord> = expected.iter().map(|&record| record.clone()).collect();
        assert_eq!(found, expected, "the list of {which:?}, oldest first");
    }
}

async fn what_was_meant_is_revoked_and_nothing_else(store: &dyn TokenStore) {
    let insert_all = async || {
        let records = [
            record("revoker").with_session("r1").with_client("c1"),
            record("revoker").with_session("r1").with_client("c2"),
            record("revoker").with_session("r2").with_client("c2"),
            record("revoker"),
            record("other").with_session("r1").with_client("c1"),
        ];
        let hashes = [(); 5].map(|()| new_hash());
        for (hash, record) in hashes.iter().zip(&records) {
            insert(store, *hash, record).await;
        }
        (hashes, records)
    };
    type Which = fn(&[TokenRecord; 5]) -> TokenFilter;
    let cases: [(Which, [bool; 5]); 7] = [
        (
            |_| TokenFilter::owner("revoker"),
            [false, false, false, false, true],
        ),
        (|_| TokenFilter::session("r1"), [false, false, true, true, false]),
        (
            |_| TokenFilter::owner("revoker").and_session("r1"),
            [false, false, true, true, true],
        ),
        (
            |_| TokenFilter::owner("revoker").and_client("c2"),
            [true, false, false, true, true],
        ),
        (
            |records| TokenFilter::id(records[3].id()),
            [true, true, true, false, true],
        ),
        (
            |records| TokenFilter::owner("other").and_id(records[0].id()),
            [true; 5],
        ),
        (|_| TokenFilter::owner("no-such-user"), [true; 5]),
    ];
    for (which, stays) in cases {
        let (hashes, records) = insert_all().await;
        let which = which(&records);
        let expected = stays.iter().filter(|stays| !**stays).count() as u64;
        assert_eq!(
            revoke(store, which.clone()).await,
            expected,
            "how many {which:?} are"
        );
        assert_eq!(revoke(store, which.clone()).await, 0, "none of {which:?} is left");
        for (hash, stays) in hashes.into_iter().zip(stays) {
            let found = find(store, hash).await.is_some();
            assert_eq!(found, stays, "after {which:?} were revoked");
        }
        for owner in ["revoker", "other"] {
            revoke(store, TokenFilter::owner(owner)).await;
        }
    }
}

async fn a_revoked_token_is_not_found_by_later_calls(store: &dyn TokenStore) {
    for _ in 0..100 {
        let (hash, record) = (new_hash(), record("fleeting"));
        insert(store, hash, &record).await;
        assert!(
            find(store, hash).await.is_some(),
            "an inserted token is found at once"
        );
        assert_eq!(revoke(store, TokenFilter::id(record.id())).await, 1);
        assert_eq!(
            find(store, hash).await,
            None,
            "a revoked token is not found from then on"
        );
    }
}

async fn of_many_at_once_one_is_kept(store: &dyn TokenStore) {
    for _ in 0..4 {
        let hash = new_hash();
        let inserted = all((0..32).map(|_| store.insert(hash, record("racer")))).await;
        let kept = inserted.iter().filter(|inserted| inserted.is_ok()).count();
        assert_eq!(kept, 1, "of many that insert one hash at once, one succeeds");
        assert_eq!(list(store, TokenFilter::owner("racer")).await.len(), 1);
        let revoked = all((0..32).map(|_| store.revoke(TokenFilter::owner("racer")))).await;
        let revoked: u64 = revoked.into_iter().map(|revoked| revoked.expect("revoked")).sum();
        assert_eq!(
            revoked, 1,
            "of many that revoke one token at once, one revokes it"
        );
    }
}

async fn a_use_is_noted_and_never_goes_back(store: &dyn TokenStore) {
    let (hash, record) = (new_hash(), record("user"));
    insert(store, hash, &record).await;
    let [early, late] = [60, 120].map(|seconds| NOW.saturating_add(Duration::from_secs(seconds)));
    store.record_use(record.id(), early);
    is_noted(store, hash, early).await;
    store.record_use(record.id(), late);
    is_noted(store, hash, late).await;
    store.record_use(record.id(), early);
    store.record_use(RecordId::random(), late);
    // Whatever the store makes of these two notes, it makes it before this one's.
    let (other, later) = (new_hash(), self::record("user"));
    insert(store, other, &later).await;
    store.record_use(later.id(), late);
    is_noted(store, other, late).await;
    is_noted(store, hash, late).await;
}

async fn is_noted(store: &dyn TokenStore, hash: TokenHash, time: UnixTime) {
    let deadline = Instant::now() + PATIENCE;
    while find(store, hash).await.and_then(|record| record.last_used()) != Some(time) {
        assert!(Instant::now() < deadline, "the use of a token is noted");
    }
}

/// A hash that no store has seen.
pub(super) fn new_hash() -> TokenHash {
    Token::generate().hash()
}

pub(super) fn record(owner: &str) -> TokenRecord {
    TokenRecord::new(Grant::new(Identity::new(owner)), NOW)
}

pub(super) async fn find<S: TokenStore + ?Sized>(store: &S, hash: TokenHash) -> Option<TokenRecord> {
    store.find(hash).await.expect("the store answers")
}

pub(super) async fn insert<S: TokenStore + ?Sized>(store: &S, hash: TokenHash, record: &TokenRecord) {
    store
        .insert(hash, record.clone())
        .await
        .expect("a new token is kept");
}

async fn list(store: &dyn TokenStore, which: TokenFilter) -> Vec<TokenRecord> {
    store.list(which, NOW).await.expect("the store answers")
}

async fn revoke(store: &dyn TokenStore, which: TokenFilter) -> u64 {
    store.revoke(which).await.expect("a store that can be written to")
}

/// The results of all futures, which run at the same time.
pub(super) async fn all<T>(
    futures: impl IntoIterator<Item = Pin<Box<dyn Future<Output = T> + Send>>>,
) -> Vec<T> {
    let mut waiting: Vec<_> = futures.into_iter().map(|future| (future, None)).collect();
    poll_fn(|context| {
        for (future, answer) in &mut waiting {
            if answer.is_none()
                && let Poll::Ready(ready) = future.as_mut().poll(context)
            {
                *answer = Some(ready);
            }
        }
        match waiting.iter().all(|(_, answer)| answer.is_some()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    waiting.into_iter().filter_map(|(_, answer)| answer).collect()
}

//! What every store of password attempts must be able to do.

use super::token_store::{NOW, all};
use crate::{
    clock::UnixTime,
    store::{AttemptKey, AttemptRecord, AttemptStore},
    token::Token,
};

/// Tests a store for all that [`AttemptStore`] promises, except for the bound on the number of its records.
///
/// # Panics
///
/// If the store breaks a promise; the message says which.
///
/// # Example
///
/// ```
/// use portcullis::{store::MemoryTokenStore, testing::attempt_store_conformance};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// attempt_store_conformance(&MemoryTokenStore::new()).await;
/// # });
/// ```
pub async fn attempt_store_conformance(store: &dyn AttemptStore) {
    a_record_is_found_as_it_was_written(store).await;
    a_record_is_replaced_only_by_who_knows_it(store).await;
    an_expired_record_is_as_none(store).await;
    of_many_that_replace_at_once_one_does(store).await;
}

async fn a_record_is_found_as_it_was_written(store: &dyn AttemptStore) {
    let full = (0..100).map(|number| (u64::MAX - number, at(60 + number)));
    for record in [
        AttemptRecord::new(at(60)),
        AttemptRecord::new(at(60)).with_failures(3, at(1)),
        AttemptRecord::new(at(60)).with_under_way([(7, at(60))]),
        AttemptRecord::new(at(1 << 40))
            .with_failures(u32::MAX, at(1 << 40))
            .with_under_way(full),
    ] {
        let key = new_key();
        assert!(
            replace(store, key, None, &record, 0).await,
            "a first record is written"
        );
        let found = find(store, key, 0).await;
        assert_eq!(found, Some(record), "a record is found as it was written");
    }
    assert_eq!(
        find(store, new_key(), 0).await,
        None,
        "no record is under another key"
    );
}

async fn a_record_is_replaced_only_by_who_knows_it(store: &dyn AttemptStore) {
    let key = new_key();
    let first = AttemptRecord::new(at(60))
        .with_failures(3, at(1))
        .with_under_way([(7, at(60)), (8, at(61))]);
    let next = AttemptRecord::new(at(90)).with_failures(4, at(2));
    let unwritten = replace(store, key, Some(&first), &next, 0).await;
    assert!(!unwritten, "a record that is not there is not replaced");
    assert!(
        replace(store, key, None, &first, 0).await,
        "a first record is written"
    );
    for other in [
        None,
        Some(first.clone().with_failures(4, at(1))),
        Some(first.clone().with_failures(3, at(2))),
        Some(first.clone().with_under_way([(7, at(60))])),
        Some(first.clone().with_under_way([(8, at(61)), (7, at(60))])),
        Some(first.clone().with_under_way([(7, at(60)), (8, at(62))])),
        Some(next.clone()),
    ] {
        let replaced = replace(store, key, other.as_ref(), &next, 0).await;
        assert!(!replaced, "who expects {other:?} replaces nothing");
        let found = find(store, key, 0).await;
        assert_eq!(found.as_ref(), Some(&first), "the record stays as it was");
    }
    assert!(
        replace(store, key, Some(&first), &next, 0).await,
        "who knows it replaces it"
    );
    assert_eq!(find(store, key, 0).await, Some(next), "the new record is found");
}

async fn an_expired_record_is_as_none(store: &dyn AttemptStore) {
    let key = new_key();
    let (first, next) = (
        AttemptRecord::new(at(10)).with_failures(1, at(1)),
        AttemptRecord::new(at(90)).with_failures(2, at(2)),
    );
    assert!(
        replace(store, key, None, &first, 0).await,
        "a first record is written"
    );
    assert_eq!(
        find(store, key, 9).await.as_ref(),
        Some(&first),
        "it is there before its end"
    );
    assert_eq!(find(store, key, 10).await, None, "it is not found at its end");
    let replaced = replace(store, key, Some(&first), &next, 10).await;
    assert!(!replaced, "who expects an expired record replaces nothing");
    assert!(
        replace(store, key, None, &next, 10).await,
        "who expects none replaces it"
    );
    assert_eq!(
        find(store, key, 10).await.as_ref(),
        Some(&next),
        "the new record is found"
    );
    let ended = AttemptRecord::new(at(10));
    assert!(
        replace(store, key, Some(&next), &ended, 10).await,
        "a record is ended"
    );
    assert_eq!(find(store, key, 10).await, None, "it is not found any more");
}

async fn of_many_that_replace_at_once_one_does(store: &dyn AttemptStore) {
    let (key, mut current) = (new_key(), None);
    for round in 0..4 {
        let next = (0..16).map(|number| AttemptRecord::new(at(60)).with_failures(number, at(round)));
        let next: Vec<_> = next.collect();
        let replaced = next
            .iter()
            .map(|next| store.replace_attempts(key, current.clone(), next.clone(), at(0)));
        let replaced = all(replaced).await;
        let won = replaced
            .iter()
            .zip(&next)
            .filter(|(won, _)| matches!(won, Ok(true)));
        let won: Vec<_> = won.map(|(_, next)| next.clone()).collect();
        assert_eq!(won.len(), 1, "of many that replace a record at once one does");
        assert!(
            replaced.iter().all(Result::is_ok),
            "the others get the result that they did not"
        );
        current = find(store, key, 0).await;
        assert_eq!(current, won.first().cloned(), "its record is there");
    }
}

const fn at(seconds: u64) -> UnixTime {
    UnixTime::from_secs(NOW.as_secs() + seconds)
}

fn new_key() -> AttemptKey {
    AttemptKey::from_bytes(*Token::generate().hash().as_bytes())
}

async fn find(store: &dyn AttemptStore, key: AttemptKey, seconds: u64) -> Option<AttemptRecord> {
    let found = store.find_attempts(key, at(seconds)).await;
    found.expect("a store that can be read")
}

async fn replace(
    store: &dyn AttemptStore,
    key: AttemptKey,
    current: Option<&AttemptRecord>,
    next: &AttemptRecord,
    seconds: u64,
) -> bool {
    let replaced = store.replace_attempts(key, current.cloned(), next.clone(), at(seconds));
    replaced.await.expect("a store that can be written to")
}

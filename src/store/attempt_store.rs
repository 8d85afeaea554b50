//! Where replicas count password attempts together.

use std::sync::Arc;

use crate::{
    clock::UnixTime,
    maybe_future::BoxFuture,
    store::{AttemptKey, AttemptRecord, StoreError},
};

/// A store in which replicas count the password attempts of each account together.
///
/// It keeps one [`AttemptRecord`] for each [`AttemptKey`] and decides nothing.
///
/// 1. [`replace_attempts`](Self::replace_attempts) compares and writes in one atomic step: of several replicas that replace
///    the same record at once, one does.
/// 2. A record that has expired is not found, and compares as none.
/// 3. Each write removes a few records that have expired. The store keeps at most about 100,000; beyond them it removes
///    those that expire first.
///
/// All times are arguments: a store reads no clock. `portcullis::testing::attempt_store_conformance` tests a store for this.
/// [`AuthLayerBuilder::shared_rate_limits`](crate::AuthLayerBuilder::shared_rate_limits) uses it.
///
/// # Example
///
/// ```
/// use portcullis::{clock::UnixTime, store::{AttemptKey, AttemptRecord, AttemptStore, MemoryTokenStore}};
///
/// # async fn example() -> Result<(), portcullis::store::StoreError> {
/// let (store, now) = (MemoryTokenStore::new(), UnixTime::from_secs(1_800_000_000));
/// let key = AttemptKey::from_bytes([7; 32]);
/// let one = AttemptRecord::new(UnixTime::from_secs(1_800_000_060)).with_failures(1, now);
/// assert!(store.replace_attempts(key, None, one.clone(), now).await?);
/// assert!(!store.replace_attempts(key, None, one.clone(), now).await?, "there is a record already");
/// assert_eq!(store.find_attempts(key, now).await?, Some(one));
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
pub trait AttemptStore: Send + Sync + 'static {
    /// Returns the record under `key`, unless it has expired at `now`.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    fn find_attempts(
        &self,
        key: AttemptKey,
        now: UnixTime,
    ) -> BoxFuture<Result<Option<AttemptRecord>, StoreError>>;

    /// Writes `next` under `key` if `current` is what is there at `now`, and returns whether it did.
    ///
    /// # Errors
    ///
    /// If the store could not write it. It may have written it if the future is dropped.
    fn replace_attempts(
        &self,
        key: AttemptKey,
        current: Option<AttemptRecord>,
        next: AttemptRecord,
        now: UnixTime,
    ) -> BoxFuture<Result<bool, StoreError>>;
}

impl<S: AttemptStore + ?Sized> AttemptStore for Arc<S> {
    fn find_attempts(
        &self,
        key: AttemptKey,
        now: UnixTime,
    ) -> BoxFuture<Result<Option<AttemptRecord>, StoreError>> {
        (**self).find_attempts(key, now)
    }

    fn replace_attempts(
        &self,
        key: AttemptKey,
        current: Option<AttemptRecord>,
        next: AttemptRecord,
        now: UnixTime,
    ) -> BoxFuture<Result<bool, StoreError>> {
        (**self).replace_attempts(key, current, next, now)
    }
}

/// The most records that a store keeps.
pub(super) const MAX_RECORDS: usize = 100_000;

/// Whether the insertion of `key` checks [`MAX_RECORDS`]: each 256th does, because keys are keyed hashes.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub(super) fn must_check_capacity(key: AttemptKey) -> bool {
    key.as_bytes()[0] == 0
}

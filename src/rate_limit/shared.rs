//! Attempts that are counted in a store, over all replicas, as long as the store answers.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    backoff::BackoffPolicy, limits::RateLimits, outcome::AttemptOutcome, rate_limited::RateLimited,
    shared_count,
};
use crate::{
    clock::{Clock, MonotonicTime, UnixTime},
    cookies::Keyring,
    deadline::within,
    digest::Hmac,
    error::ConfigError,
    event::{Event, Observer},
    random,
    store::{AttemptKey, AttemptRecord, AttemptStore, StoreError, StoreErrorKind},
};

/// How long an attempt waits for the store.
const DEADLINE: Duration = Duration::from_secs(1);
/// How long a store that did not answer is left alone.
const PAUSE: Duration = Duration::from_secs(5);
/// How many attempts that could not be settled are kept for later. The others count as failures when they expire.
const UNSETTLED: usize = 1_024;
/// How many of them an attempt settles: more than it adds.
const SETTLED_EACH: usize = 4;

/// The failures of each account and its pending attempts, counted in a store that replicas share.
pub(crate) struct SharedRateLimits {
    store: Arc<dyn AttemptStore>,
    keys: Hmac,
    /// What the keys of all accounts begin with.
    scope: Box<str>,
    policy: BackoffPolicy,
    clock: Arc<dyn Clock>,
    observer: Option<Arc<dyn Observer>>,
    /// When the store is tried again, if it did not answer.
    try_again_at: Mutex<Option<MonotonicTime>>,
    unsettled: Mutex<VecDeque<(AttemptKey, u64, AttemptOutcome)>>,
}

/// What comes of an attempt in the store.
pub(crate) enum SharedReservation {
    /// The attempt is reserved; the number is that of the account's failures that still count.
    Reserved(SharedAttempt, u32),
    Limited(RateLimited),
    /// The store does not answer, so attempts are counted in memory.
    Unavailable,
}

impl SharedRateLimits {
    /// The settings of a builder. Accounts of different `scope` are counted apart.
    ///
    /// # Errors
    ///
    /// If no keyring was configured, because replicas would count under different keys.
    pub(crate) fn new(
        store: Arc<dyn AttemptStore>,
        keyring: Option<&Keyring>,
        scope: String,
        limits: RateLimits,
        clock: Arc<dyn Clock>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<Arc<Self>, ConfigError> {
        let keyring = keyring.ok_or_else(|| {
            ConfigError::new(
                "shared_rate_limits",
                "expected the keyring that all replicas have, found none: call `.keyring(…)`",
            )
        })?;
        Ok(Arc::new(Self {
            store,
            keys: keyring.attempt_hmac(),
            scope: scope.into(),
            policy: limits.account,
            clock,
            observer,
            try_again_at: Mutex::default(),
            unsettled: Mutex::default(),
        }))
    }

    /// Whether the store judges the next attempt.
    pub(crate) fn is_available(&self) -> bool {
        let now = self.clock.monotonic_now();
        lock(&self.try_again_at).is_none_or(|again| again <= now)
    }

    /// Reserves an attempt of `account` in the store.
    pub(crate) async fn reserve(self: &Arc<Self>, account: &str) -> SharedReservation {
        if !self.should_try() {
            return SharedReservation::Unavailable;
        }
        let key = AttemptKey::from_bytes(self.keys.mac(format!("{}\0{account}", self.scope).as_bytes()));
        let id = u64::from_be_bytes(random::bytes());
        // The store may write it even if it does not answer in time.
        let mut attempt = self.attempt(key, id, AttemptOutcome::Cancelled);
        let reserved = within(DEADLINE, async {
            self.settle_some().await?;
            self.change(key, |record, now| {
                shared_count::reserve(self.policy, record, id, now)
            })
            .await
        });
        match self.answer(reserved.await) {
            Some(Ok(record)) => {
                attempt.outcome = AttemptOutcome::Failed;
                SharedReservation::Reserved(attempt, record.failures())
            }
            Some(Err(limited)) => {
                attempt.is_settled = true;
                SharedReservation::Limited(limited)
            }
            None => SharedReservation::Unavailable,
        }
    }

    /// Settles some of the attempts that could not be settled when they ended.
    async fn settle_some(self: &Arc<Self>) -> Result<(), StoreError> {
        for _ in 0..SETTLED_EACH {
            let Some((key, id, outcome)) = lock(&self.unsettled).pop_front() else {
                break;
            };
            let mut attempt = self.attempt(key, id, outcome);
            attempt.settle_in_store().await?;
            attempt.is_settled = true;
        }
        Ok(())
    }

    /// Replaces the record under `key` by the result of `change`, unless `change` returns an error.
    async fn change<E>(
        &self,
        key: AttemptKey,
        change: impl Fn(&AttemptRecord, UnixTime) -> Result<AttemptRecord, E>,
    ) -> Result<Result<AttemptRecord, E>, StoreError> {
        loop {
            let now = self.clock.now();
            let current = self.store.find_attempts(key, now).await?;
            let next = match change(&current.clone().unwrap_or_default(), now) {
                Ok(next) => next,
                refused => return Ok(refused),
            };
            // Of several replicas that change it at once, one does; the others look again.
            if self
                .store
                .replace_attempts(key, current, next.clone(), now)
                .await?
            {
                return Ok(Ok(next));
            }
        }
    }

    /// As [`is_available`](Self::is_available); after a pause, one attempt uses the store and the others do not wait for it.
    fn should_try(&self) -> bool {
        let now = self.clock.monotonic_now();
        match &mut *lock(&self.try_again_at) {
            Some(again) if *again > now => false,
            Some(again) => {
                *again = now.saturating_add(PAUSE);
                true
            }
            None => true,
        }
    }

    /// Notes whether the store answered in time, and reports the first time that it did not.
    fn answer<T>(&self, answer: Option<Result<T, StoreError>>) -> Option<T> {
        let again = self.clock.monotonic_now().saturating_add(PAUSE);
        let error = match answer {
            Some(Ok(answer)) => {
                *lock(&self.try_again_at) = None;
                return Some(answer);
            }
            Some(Err(error)) => error,
            None => StoreError::new(
                StoreErrorKind::Unavailable,
                format!("the store did not answer within {DEADLINE:?}"),
            ),
        };
        let is_first = lock(&self.try_again_at).replace(again).is_none();
        if is_first && let Some(observer) = &self.observer {
            observer.observe(&Event::SharedRateLimitsUnavailable { error: &error });
        }
        None
    }

    fn attempt(self: &Arc<Self>, key: AttemptKey, id: u64, outcome: AttemptOutcome) -> SharedAttempt {
        SharedAttempt {
            limits: Arc::clone(self),
            key,
            id,
            outcome,
            is_settled: false,
        }
    }
}

/// A reserved attempt in the store. If it is dropped, a later attempt settles it as a failure.
#[must_use = "an attempt that is dropped counts as a wrong password"]
pub(crate) struct SharedAttempt {
    limits: Arc<SharedRateLimits>,
    key: AttemptKey,
    id: u64,
    outcome: AttemptOutcome,
    is_settled: bool,
}

impl SharedAttempt {
    /// Settles the attempt, now or as soon as the store answers.
    pub(crate) async fn settle(mut self, outcome: AttemptOutcome) {
        self.outcome = outcome;
        if self.limits.should_try() {
            let settled = within(DEADLINE, self.settle_in_store()).await;
            self.is_settled = self.limits.answer(settled).is_some();
        }
    }

    async fn settle_in_store(&self) -> Result<(), StoreError> {
        let settle = |record: &AttemptRecord, now| {
            shared_count::settle(self.limits.policy, record, self.id, self.outcome, now).ok_or(())
        };
        self.limits.change(self.key, settle).await.map(drop)
    }
}

impl Drop for SharedAttempt {
    fn drop(&mut self) {
        let mut unsettled = lock(&self.limits.unsettled);
        if !self.is_settled && unsettled.len() < UNSETTLED {
            unsettled.push_back((self.key, self.id, self.outcome));
        }
    }
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds the lock.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

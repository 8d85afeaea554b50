//! Attempts that wait until others are settled.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
    time::Duration,
};

use crate::rate_limit::{LoginAttempt, RateLimited};

/// How long an attempt waits at most.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How many passwords are checked at the same time: as many as wait in a hashing pool by default.
const CHECKED: usize = 64;

/// Attempts that wait until others are settled.
///
/// The rate limits are checked under one lock, so two attempts never reserve the same place.
pub(super) struct AttemptQueue {
    state: Mutex<State>,
    /// How many attempts wait at the same time.
    limit: usize,
}

#[derive(Default)]
struct State {
    /// How many passwords are being checked.
    checked: usize,
    next: u64,
    /// In the order of their coming.
    waiting: BTreeMap<u64, Waker>,
}

impl AttemptQueue {
    pub(super) fn new(limit: usize) -> Self {
        let state = Mutex::default();
        Self { state, limit }
    }

    /// The result of `reserve` for an attempt now. A permit takes a place until [`AttemptQueue::settled`].
    pub(super) fn reserve(
        &self,
        reserve: impl FnOnce() -> Result<LoginAttempt, RateLimited>,
    ) -> Result<LoginAttempt, RateLimited> {
        self.lock().reserve(reserve)
    }

    /// A place in the queue; `None` if too many wait.
    pub(super) fn enter(&self) -> Option<Place<'_>> {
        let mut state = self.lock();
        if state.waiting.len() >= self.limit {
            return None;
        }
        let number = state.next;
        state.next += 1;
        state.waiting.insert(number, Waker::noop().clone());
        Some(Place { queue: self, number })
    }

    /// An attempt is settled: those that wait are looked at again.
    pub(super) fn settled(&self) {
        let mut state = self.lock();
        state.checked = state.checked.saturating_sub(1);
        let waiting: Vec<Waker> = state.waiting.values().cloned().collect();
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn reserve(
        &mut self,
        reserve: impl FnOnce() -> Result<LoginAttempt, RateLimited>,
    ) -> Result<LoginAttempt, RateLimited> {
        if self.checked >= CHECKED {
            return Err(RateLimited::UNTIL_SETTLED);
        }
        let permit = reserve()?;
        self.checked += 1;
        Ok(permit)
    }
}

/// A place in the queue, freed when it is dropped.
pub(super) struct Place<'a> {
    queue: &'a AttemptQueue,
    number: u64,
}

impl Place<'_> {
    /// The result of `reserve` for an attempt, once it need not wait for others.
    pub(super) async fn reserve(
        &self,
        reserve: impl Fn() -> Result<LoginAttempt, RateLimited>,
    ) -> Result<LoginAttempt, RateLimited> {
        poll_fn(|context| {
            let mut state = self.queue.lock();
            match state.reserve(&reserve) {
                Err(throttled) if throttled.is_until_settled() => {
                    let replaced = state.waiting.insert(self.number, context.waker().clone());
                    drop(state);
                    // A waker may drop the task of another attempt, which comes back to this lock.
                    drop(replaced);
                    Poll::Pending
                }
                reserved => Poll::Ready(reserved),
            }
        })
        .await
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let waker = self.queue.lock().waiting.remove(&self.number);
        // After the lock, as above.
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deadline::within;

    const WAITING: usize = 7;

    #[tokio::test]
    async fn attempt_that_waits_too_long_gives_its_place_in_the_queue_back() {
        let queue = AttemptQueue::new(WAITING);
        for _ in 0..=WAITING {
            let place = queue.enter().expect("the places before are given back");
            let reserved = place.reserve(|| Err(RateLimited::UNTIL_SETTLED));
            assert!(within(Duration::ZERO, reserved).await.is_none());
        }
        let places: Vec<_> = (0..WAITING).map_while(|_| queue.enter()).collect();
        assert_eq!(places.len(), WAITING);
        assert!(queue.enter().is_none());
    }
}

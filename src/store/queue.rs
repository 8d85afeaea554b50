//! What waits for a thread.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use crate::store::{StoreError, StoreErrorKind};

/// What waits for a thread, first come first served, within a bound.
pub(super) struct Queue<T> {
    capacity: usize,
    state: Mutex<State<T>>,
    work: Condvar,
}

struct State<T> {
    waiting: VecDeque<T>,
    closed: bool,
}

impl<T> Queue<T> {
    /// A queue in which at most `capacity` wait.
    pub(super) const fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                closed: false,
            }),
            work: Condvar::new(),
        }
    }

    /// Puts `work` behind what waits already. What is not taken in is dropped, and says so itself.
    pub(super) fn push(&self, work: T) -> Result<(), StoreError> {
        let mut state = self.lock();
        if state.closed {
            return Err(StoreError::ended());
        }
        if state.waiting.len() >= self.capacity {
            return Err(StoreError::new(
                StoreErrorKind::Busy,
                "too many wait for the database",
            ));
        }
        state.waiting.push_back(work);
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    /// What is next, waited for; `None` if the queue is closed and empty.
    pub(super) fn next(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            match state.waiting.pop_front() {
                None if !state.closed => {
                    state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                next => return next,
            }
        }
    }

    /// What is next, if it is there.
    #[cfg(feature = "sqlite")]
    pub(super) fn try_next(&self) -> Option<T> {
        self.lock().waiting.pop_front()
    }

    /// No more work is taken in; what waits is done still.
    #[cfg(feature = "sqlite")]
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
    }

    /// No more work is taken in or done.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.work.notify_all();
        drop(waiting);
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the queue when its thread ends, for any reason, so that no caller waits forever.
pub(super) struct Ends<'a, T>(pub(super) &'a Queue<T>);

impl<T> Drop for Ends<'_, T> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

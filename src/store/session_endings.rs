//! Waiting for the end of sessions that a store keeps.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::RecordId;

/// The futures that wait for news of sessions in a store. Nothing is kept of sessions that none waits for.
#[derive(Default)]
pub(crate) struct SessionEndings(Mutex<Waiters>);

#[derive(Default)]
struct Waiters {
    next: u64,
    waiting: BTreeMap<(RecordId, u64), Waiter>,
}

/// The state of a future that waits.
enum Waiter {
    Notified,
    Waiting(Option<Waker>),
}

impl SessionEndings {
    /// Wakes those who wait for one of these sessions; for none given, all.
    pub(crate) fn notify(&self, ids: &[RecordId]) {
        let mut waiters = self.lock();
        let waiting = waiters.waiting.iter_mut();
        let concerned = waiting.filter(|((id, _), _)| ids.is_empty() || ids.contains(id));
        let wakers: Vec<Waker> = concerned
            .filter_map(|(_, waiter)| match std::mem::replace(waiter, Waiter::Notified) {
                Waiter::Notified => None,
                Waiter::Waiting(waker) => waker,
            })
            .collect();
        drop(waiters);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Returns a future that completes at the next notification about this session.
    pub(crate) fn subscribe(self: &Arc<Self>, id: RecordId) -> Notified {
        let mut waiters = self.lock();
        waiters.next += 1;
        let key = (id, waiters.next);
        waiters.waiting.insert(key, Waiter::Waiting(None));
        drop(waiters);
        Notified {
            endings: Arc::clone(self),
            key,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Completes at the next notification about a session.
pub(crate) struct Notified {
    endings: Arc<SessionEndings>,
    key: (RecordId, u64),
}

impl Future for Notified {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match self.endings.lock().waiting.get_mut(&self.key) {
            Some(Waiter::Waiting(waker)) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }
}

impl Drop for Notified {
    fn drop(&mut self) {
        self.endings.lock().waiting.remove(&self.key);
    }
}

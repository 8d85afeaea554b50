//! What somebody waits with for a thread's answer.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::store::{StoreError, StoreErrorKind};

/// The two ends of one answer.
pub(super) fn reply<T>() -> (Sender<T>, Receiver<T>) {
    let slot = Arc::new(Slot(Mutex::new(Content::Empty)));
    (Sender(Some(Arc::clone(&slot))), Receiver(slot))
}

/// The side that answers. Dropped before, it answers that the store has ended.
pub(super) struct Sender<T>(Option<Arc<Slot<T>>>);

/// The side that waits.
pub(super) struct Receiver<T>(Arc<Slot<T>>);

struct Slot<T>(Mutex<Content<T>>);

enum Content<T> {
    Answer(Result<T, StoreError>),
    Empty,
    Taken,
    Wanted(Waker),
}

impl<T> Sender<T> {
    pub(super) fn send(mut self, answer: Result<T, StoreError>) {
        self.put(answer);
    }

    /// Whether somebody waits still.
    pub(super) fn is_awaited(&self) -> bool {
        self.0.as_ref().is_some_and(|slot| Arc::strong_count(slot) > 1)
    }

    fn put(&mut self, answer: Result<T, StoreError>) {
        let Some(slot) = self.0.take() else { return };
        let before = std::mem::replace(&mut *slot.lock(), Content::Answer(answer));
        if let Content::Wanted(waker) = before {
            waker.wake();
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.put(Err(ended()));
    }
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, Content<T>> {
        // Nothing panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, StoreError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut content = self.0.lock();
        match std::mem::replace(&mut *content, Content::Taken) {
            Content::Answer(answer) => Poll::Ready(answer),
            Content::Empty | Content::Wanted(_) => {
                *content = Content::Wanted(context.waker().clone());
                Poll::Pending
            }
            // Asked again after the answer: there is none any more.
            Content::Taken => Poll::Pending,
        }
    }
}

pub(super) fn ended() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "the store's thread has ended")
}

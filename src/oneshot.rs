//! One answer from a thread to a future, without an async runtime.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

/// The two ends of one answer.
pub(crate) fn channel<T, E: From<Closed>>() -> (Sender<T, E>, Receiver<T, E>) {
    let slot = Arc::new(Slot(Mutex::new(Content::Empty)));
    (Sender(Some(Arc::clone(&slot))), Receiver(slot))
}

/// Why there is no answer: the sender was dropped before it sent one.
pub(crate) struct Closed;

/// The side that answers. If it is dropped before, the answer is [`Closed`].
pub(crate) struct Sender<T, E: From<Closed>>(Option<Arc<Slot<T, E>>>);

/// The side that waits.
pub(crate) struct Receiver<T, E>(Arc<Slot<T, E>>);

struct Slot<T, E>(Mutex<Content<T, E>>);

enum Content<T, E> {
    Answer(Result<T, E>),
    Empty,
    Received,
    Waiting(Waker),
}

impl<T, E: From<Closed>> Sender<T, E> {
    pub(crate) fn send(mut self, answer: Result<T, E>) {
        self.put(answer);
    }

    /// Whether the receiver is still there.
    pub(crate) fn is_awaited(&self) -> bool {
        self.0.as_ref().is_some_and(|slot| Arc::strong_count(slot) > 1)
    }

    fn put(&mut self, answer: Result<T, E>) {
        let Some(slot) = self.0.take() else { return };
        let before = std::mem::replace(&mut *slot.lock(), Content::Answer(answer));
        if let Content::Waiting(waker) = before {
            waker.wake();
        }
    }
}

impl<T, E: From<Closed>> Drop for Sender<T, E> {
    fn drop(&mut self) {
        if self.0.is_some() {
            self.put(Err(Closed.into()));
        }
    }
}

impl<T, E> Slot<T, E> {
    fn lock(&self) -> MutexGuard<'_, Content<T, E>> {
        // Nothing panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, E> Future for Receiver<T, E> {
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut content = self.0.lock();
        match std::mem::replace(&mut *content, Content::Received) {
            Content::Answer(answer) => Poll::Ready(answer),
            Content::Empty | Content::Waiting(_) => {
                *content = Content::Waiting(context.waker().clone());
                Poll::Pending
            }
            // Polled again after the answer: there is none any more.
            Content::Received => Poll::Pending,
        }
    }
}

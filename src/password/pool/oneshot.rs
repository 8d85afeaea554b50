//! Where the answer to a task is put.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::error::HashingError;

/// Where the answer to one task is put, once.
pub(super) struct Slot<T>(Mutex<Content<T>>);

enum Content<T> {
    Answer(Result<T, HashingError>),
    Empty,
    Received,
    Waiting(Waker),
}

impl<T> Slot<T> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Content::Empty)))
    }

    /// The side that answers.
    pub(super) fn place(self: Arc<Self>) -> Place<T> {
        Place(Some(self))
    }

    /// The answer, once: asked again after it, there is none any more.
    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<Result<T, HashingError>> {
        let mut content = self.lock();
        match std::mem::replace(&mut *content, Content::Received) {
            Content::Answer(answer) => Poll::Ready(answer),
            Content::Empty | Content::Waiting(_) => {
                *content = Content::Waiting(context.waker().clone());
                Poll::Pending
            }
            Content::Received => Poll::Pending,
        }
    }

    fn put(&self, answer: Result<T, HashingError>) {
        let before = std::mem::replace(&mut *self.lock(), Content::Answer(answer));
        if let Content::Waiting(waker) = before {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Content<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The side that answers: if it is dropped before, that is the answer.
pub(super) struct Place<T>(Option<Arc<Slot<T>>>);

impl<T> Place<T> {
    pub(super) fn fill(mut self, answer: Result<T, HashingError>) {
        if let Some(slot) = self.0.take() {
            slot.put(answer);
        }
    }
}

impl<T> Drop for Place<T> {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            slot.put(Err(HashingError::failed("hashing a password was given up")));
        }
    }
}

//! What somebody waits with, and where the answer is put.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::{error::HashingError, queue::Queue};

/// Where the answer to one task is put, once.
pub(super) struct Slot<T>(Mutex<Content<T>>);

enum Content<T> {
    Answer(Result<T, HashingError>),
    Empty,
    Taken,
    Wanted(Waker),
}

impl<T> Slot<T> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Content::Empty)))
    }

    /// The side that answers.
    pub(super) fn place(self: Arc<Self>) -> Place<T> {
        Place(Some(self))
    }

    fn put(&self, answer: Result<T, HashingError>) {
        let before = std::mem::replace(&mut *self.lock(), Content::Answer(answer));
        if let Content::Wanted(waker) = before {
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

/// The side that waits. Dropping it takes the task out of the queue.
pub(super) struct Ticket<T> {
    slot: Arc<Slot<T>>,
    queue: Arc<Queue>,
    number: u64,
    answered: bool,
}

impl<T> Ticket<T> {
    pub(super) fn new(slot: Arc<Slot<T>>, queue: Arc<Queue>, number: u64) -> Self {
        Self {
            slot,
            queue,
            number,
            answered: false,
        }
    }
}

impl<T> Future for Ticket<T> {
    type Output = Result<T, HashingError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut content = self.slot.lock();
        match std::mem::replace(&mut *content, Content::Taken) {
            Content::Answer(answer) => {
                drop(content);
                self.answered = true;
                Poll::Ready(answer)
            }
            Content::Empty | Content::Wanted(_) => {
                *content = Content::Wanted(context.waker().clone());
                Poll::Pending
            }
            // Asked again after the answer: there is none any more.
            Content::Taken => Poll::Pending,
        }
    }
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        if !self.answered {
            self.queue.withdraw(self.number);
        }
    }
}

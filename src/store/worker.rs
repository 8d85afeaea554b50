//! A thread for work that would hold up an async runtime.

use std::{
    sync::{Mutex, PoisonError},
    thread,
};

use super::queue::{Ends, Queue};
use crate::{
    oneshot::{self, Receiver},
    store::{StoreError, StoreErrorKind},
};

/// The most work that waits. More is `Busy`.
const CAPACITY: usize = 64;

type Work = Box<dyn FnOnce() + Send>;

static QUEUE: Queue<Work> = Queue::new(CAPACITY);

/// Runs `work` on its one thread, which starts with the first. It does not run if the future was dropped before.
pub(super) fn run<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Receiver<T, StoreError>, StoreError> {
    start()?;
    let (sender, receiver) = oneshot::channel();
    QUEUE.push(Box::new(move || {
        if sender.is_awaited() {
            sender.send(Ok(work()));
        }
    }))?;
    Ok(receiver)
}

fn start() -> Result<(), StoreError> {
    static STARTED: Mutex<bool> = Mutex::new(false);

    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    if !*started {
        let thread = thread::Builder::new().name("portcullis-salted".to_owned());
        let spawned = thread.spawn(|| {
            let _ends = Ends(&QUEUE);
            while let Some(work) = QUEUE.next() {
                work();
            }
        });
        spawned.map_err(|error| {
            StoreError::new(StoreErrorKind::Unavailable, "no thread for the store").with_source(error)
        })?;
        *started = true;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_runs_on_a_thread_of_its_own_and_no_more_than_fits_waits() {
        let (held, hold) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = std::sync::mpsc::channel();
        let first = run(move || {
            begun.send(()).expect("awaited");
            let _ = hold.recv();
            thread::current().name().map(str::to_owned)
        });
        let first = first.expect("a place in the queue");
        begins.recv().expect("begun");
        let waiting: Vec<_> = (0..CAPACITY)
            .map(|number| run(move || number).expect("a place in the queue"))
            .collect();
        let error = run(|| ()).map(drop).expect_err("no place in the queue");
        assert_eq!(error.kind(), StoreErrorKind::Busy);
        drop(held);
        assert_eq!(first.await.expect("done").as_deref(), Some("portcullis-salted"));
        for (number, reply) in waiting.into_iter().enumerate() {
            assert_eq!(reply.await.expect("done"), number);
        }
    }
}

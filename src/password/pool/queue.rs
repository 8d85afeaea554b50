//! The threads, and what waits for them.

use std::{
    collections::VecDeque,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    thread,
    time::{Duration, Instant},
};

use super::error::HashingError;
use crate::{
    oneshot::{self, Receiver},
    password::{Argon2Memory, HashCost},
};

/// How long a password waits at most.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// How long a thread without work keeps running, with its memory.
const IDLE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy)]
pub(super) struct Settings {
    pub(super) threads: usize,
    pub(super) queue: usize,
    /// KiB.
    pub(super) memory: u32,
    pub(super) cost: HashCost,
}

/// What waits, and how many threads there are for it.
pub(super) struct Queue {
    settings: Settings,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Task>,
    /// The number of the next task.
    next: u64,
    threads: usize,
    /// Threads that wait for work.
    idle: usize,
    closed: bool,
}

struct Task {
    number: u64,
    since: Instant,
    run: Box<Run>,
}

/// With `None`, the task is not run, and reports that.
type Run = dyn FnOnce(Option<&mut Argon2Memory>) + Send;

impl Queue {
    pub(super) fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            settings,
            state: Mutex::default(),
            work: Condvar::new(),
        })
    }

    pub(super) fn settings(&self) -> Settings {
        self.settings
    }

    /// Puts `work` behind what waits already.
    pub(super) fn submit<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&mut Argon2Memory) -> T + Send + 'static,
    ) -> Result<Ticket<T>, HashingError> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        if state.waiting.len() >= self.settings.queue {
            return Err(HashingError::busy());
        }
        if state.waiting.len() >= state.idle && state.threads < self.settings.threads {
            match self.start() {
                Ok(()) => state.threads += 1,
                // Fewer threads than wished for are enough.
                Err(error) if state.threads == 0 => {
                    return Err(HashingError::failed(format!(
                        "no thread to hash passwords: {error}"
                    )));
                }
                Err(_) => {}
            }
        }
        let number = state.next;
        state.next += 1;
        state.waiting.push_back(Task {
            number,
            since: Instant::now(),
            run: Box::new(move |memory| {
                sender.send(memory.map(work).ok_or_else(HashingError::busy));
            }),
        });
        drop(state);
        self.work.notify_one();
        Ok(Ticket {
            receiver,
            queue: Arc::clone(self),
            number,
            answered: false,
        })
    }

    /// Takes a task out again if it still waits.
    fn cancel(&self, number: u64) {
        let mut state = self.lock();
        let place = state.waiting.iter().position(|task| task.number == number);
        let task = place.and_then(|place| state.waiting.remove(place));
        drop(state);
        // Its password is wiped after the lock is released.
        drop(task);
    }

    /// No more work will come.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
    }

    /// `(threads, waiting)`
    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        let state = self.lock();
        (state.threads, state.waiting.len())
    }

    fn start(self: &Arc<Self>) -> std::io::Result<()> {
        let queue = Arc::clone(self);
        let thread = thread::Builder::new().name("portcullis-hash".to_owned());
        thread.spawn(move || queue.run_worker()).map(drop)
    }

    /// One thread's life.
    fn run_worker(&self) {
        let mut memory = Argon2Memory::default();
        while let Some(task) = self.next() {
            let memory = (task.since.elapsed() < MAX_WAIT).then_some(&mut memory);
            // A panic is reported to the caller that waits for this task; the thread goes on with the others.
            let _ = catch_unwind(AssertUnwindSafe(|| (task.run)(memory)));
        }
    }

    /// The next task, or `None` if this thread is to end.
    fn next(&self) -> Option<Task> {
        let mut state = self.lock();
        loop {
            if let Some(task) = state.waiting.pop_front() {
                return Some(task);
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let (woken, wait) = self
                .work
                .wait_timeout(state, IDLE)
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if wait.timed_out() && state.waiting.is_empty() {
                break;
            }
        }
        state.threads -= 1;
        None
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The side that waits. Dropping it takes the task out of the queue.
pub(super) struct Ticket<T> {
    receiver: Receiver<T, HashingError>,
    queue: Arc<Queue>,
    number: u64,
    answered: bool,
}

impl<T> Future for Ticket<T> {
    type Output = Result<T, HashingError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = Pin::new(&mut self.receiver).poll(context);
        self.answered |= answer.is_ready();
        answer
    }
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        if !self.answered {
            self.queue.cancel(self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, sync::mpsc, task::Waker};

    use super::{super::HashingErrorKind, *};

    fn queue(threads: usize, queue: usize) -> Arc<Queue> {
        Queue::new(Settings {
            threads,
            queue,
            memory: HashCost::MAX_MEMORY,
            cost: HashCost::tiny(),
        })
    }

    /// The answer to `ticket`, on this thread.
    fn wait<T>(ticket: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(ticket)
    }

    /// A task that runs until `end` is dropped or sent to; it has started when this returns.
    fn block(queue: &Arc<Queue>) -> (mpsc::Sender<()>, Ticket<()>) {
        let (end, ended) = mpsc::channel::<()>();
        let (runs, running) = mpsc::channel();
        let ticket = queue
            .submit(move |_| {
                let _ = runs.send(());
                let _ = ended.recv();
            })
            .expect("a place in the queue");
        running.recv().expect("it runs");
        (end, ticket)
    }

    #[test]
    fn no_thread_is_started_before_there_is_work_and_no_more_than_were_allowed() {
        let queue = queue(2, 8);
        assert_eq!(queue.counts(), (0, 0));
        let first = block(&queue);
        assert_eq!(queue.counts(), (1, 0));
        let second = block(&queue);
        let third = queue.submit(|_| 3).expect("a place in the queue");
        assert_eq!(queue.counts(), (2, 1));
        drop((first.0, second.0));
        assert_eq!(wait(third).expect("run"), 3);
        // A thread that is free is used again.
        assert_eq!(
            wait(queue.submit(|_| 4).expect("a place in the queue")).expect("run"),
            4
        );
        assert_eq!(queue.counts(), (2, 0));
    }

    #[test]
    fn a_full_queue_says_so_at_once() {
        let queue = queue(1, 2);
        let (end, running) = block(&queue);
        let waiting: Vec<_> = (0..2)
            .map(|_| queue.submit(|_| ()).expect("a place in the queue"))
            .collect();
        let error = queue.submit(|_| ()).err().expect("no place in the queue");
        assert_eq!(error.kind(), HashingErrorKind::Busy);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
        drop(end);
        wait(running).expect("run");
        for ticket in waiting {
            wait(ticket).expect("run");
        }
        assert!(wait(queue.submit(|_| ()).expect("a place in the queue again")).is_ok());
    }

    #[test]
    fn a_dropped_task_is_never_run_and_frees_its_place() {
        let queue = queue(1, 2);
        let (end, running) = block(&queue);
        let (ran, runs) = mpsc::channel();
        for _ in 0..1_000 {
            let ran = ran.clone();
            let ticket = queue.submit(move |_| ran.send(())).expect("a place in the queue");
            let mut pinned = pin!(ticket);
            assert!(
                pinned
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()))
                    .is_pending()
            );
        }
        assert_eq!(queue.counts(), (1, 0));
        drop((end, ran));
        wait(running).expect("run");
        assert!(runs.recv().is_err(), "none was run, and all are gone");
    }

    #[test]
    fn a_panic_is_reported_only_to_the_caller_of_that_task() {
        let queue = queue(1, 2);
        let ticket = queue
            .submit(|_| panic!("on purpose"))
            .expect("a place in the queue");
        let error: Result<(), _> = wait(ticket);
        assert_eq!(error.expect_err("lost").kind(), HashingErrorKind::Failed);
        assert!(wait(queue.submit(|_| ()).expect("a place in the queue")).is_ok());
        assert_eq!(queue.counts(), (1, 0));
    }

    #[test]
    fn a_closed_queue_ends_its_threads() {
        let queue = queue(2, 2);
        wait(queue.submit(|_| ()).expect("a place in the queue")).expect("run");
        queue.close();
        let closed = Instant::now();
        // The queue itself is dropped a moment later.
        while queue.counts().0 > 0 || Arc::strong_count(&queue) > 1 {
            assert!(closed.elapsed() < IDLE / 2, "not only when it has been idle");
            thread::yield_now();
        }
    }
}

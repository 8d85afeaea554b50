//! The threads that use the database: one that writes, a few that read.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};

use rusqlite::Connection;

use super::error::store_error;
use crate::{
    oneshot::{self, Receiver, Sender},
    store::{
        StoreError, StoreErrorKind,
        queue::{Ends, Queue},
    },
};

/// So much waits at most, for each queue.
const CAPACITY: usize = 4_096;
/// How many writes share one transaction at most, and one wait for the disk.
const BATCH: usize = 256;

/// One thread that writes, and some that read. Dropping it waits until what was to be written is.
pub(super) struct Threads {
    reads: Arc<Queue<ReadJob>>,
    writes: Arc<Queue<Box<dyn WriteJob>>>,
    writer: Option<JoinHandle<()>>,
    readers: Vec<JoinHandle<()>>,
}

type ReadJob = Box<dyn FnOnce(&Connection) + Send>;

impl Threads {
    pub(super) fn start(writer: Connection, readers: Vec<Connection>) -> Result<Self, StoreError> {
        let mut threads = Self {
            reads: Arc::new(Queue::new(CAPACITY)),
            writes: Arc::new(Queue::new(CAPACITY)),
            writer: None,
            readers: Vec::with_capacity(readers.len()),
        };
        let writes = Arc::clone(&threads.writes);
        let writer = spawn("portcullis-write", move || {
            let _ends = Ends(&writes);
            while let Some(first) = writes.next() {
                write(&writer, first, &writes);
            }
        })?;
        threads.writer = Some(writer);
        for reader in readers {
            let reads = Arc::clone(&threads.reads);
            let reader = spawn("portcullis-read", move || {
                let _ends = Ends(&reads);
                while let Some(read) = reads.next() {
                    read(&reader);
                }
            })?;
            threads.readers.push(reader);
        }
        Ok(threads)
    }

    /// Runs `work` on a thread that reads. It does not run if the future was dropped before.
    pub(super) fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Receiver<T, StoreError>, StoreError> {
        let (sender, receiver) = oneshot::channel();
        self.reads.push(Box::new(move |connection| {
            if sender.is_awaited() {
                sender.send(work(connection));
            }
        }))?;
        Ok(receiver)
    }

    /// What `committed` makes of the result of `work`, once that is on the disk. If `work` fails nothing of it is.
    pub(super) fn write<T: Send + 'static, U: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
        committed: impl FnOnce(T) -> U + Send + 'static,
    ) -> Result<Receiver<U, StoreError>, StoreError> {
        let (sender, receiver) = oneshot::channel();
        self.writes.push(Box::new(Task {
            work: Some(work),
            result: None,
            committed,
            sender,
        }))?;
        Ok(receiver)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let join = |handle: JoinHandle<()>| {
            // The last handle on the store may go with a task that one of the threads wakes.
            if handle.thread().id() != thread::current().id() {
                let _ = handle.join();
            }
        };
        self.reads.close();
        self.readers.drain(..).for_each(join);
        // The writer goes last: who closes a database last tidies it up, and a reader may not.
        self.writes.close();
        self.writer.take().into_iter().for_each(join);
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(|error| {
        StoreError::new(StoreErrorKind::Unavailable, "no thread for the store").with_source(error)
    })
}

/// Something to be written.
trait WriteJob: Send {
    /// Runs the work; after an error it is rolled back.
    fn run(&mut self, connection: &Connection) -> Result<(), StoreError>;

    /// Reports the result to the caller that waits.
    fn answer(self: Box<Self>, committed: Result<(), &StoreError>);
}

struct Task<F, T, C, U> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    committed: C,
    sender: Sender<U, StoreError>,
}

impl<F, T, C, U> WriteJob for Task<F, T, C, U>
where
    F: FnOnce(&Connection) -> Result<T, StoreError> + Send,
    T: Send,
    C: FnOnce(T) -> U + Send,
    U: Send,
{
    fn run(&mut self, connection: &Connection) -> Result<(), StoreError> {
        match self.result.insert(
            self.work
                .take()
                .map_or_else(|| Err(StoreError::ended()), |work| work(connection)),
        ) {
            Ok(_) => Ok(()),
            Err(error) => Err(same(error)),
        }
    }

    fn answer(self: Box<Self>, committed: Result<(), &StoreError>) {
        self.sender.send(match (self.result, committed) {
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(same(error)),
            (Some(Ok(result)), Ok(())) => Ok((self.committed)(result)),
            (None, Ok(())) => Err(StoreError::ended()),
        });
    }
}

/// Writes `first` and what waits behind it in one transaction, and answers once that is on the disk.
fn write(connection: &Connection, first: Box<dyn WriteJob>, queue: &Queue<Box<dyn WriteJob>>) {
    let mut done = vec![first];
    let committed = in_one_transaction(connection, &mut done, queue);
    for task in done {
        task.answer(committed.as_ref().copied());
    }
}

fn in_one_transaction(
    connection: &Connection,
    done: &mut Vec<Box<dyn WriteJob>>,
    queue: &Queue<Box<dyn WriteJob>>,
) -> Result<(), StoreError> {
    let execute = |statement: &str| {
        let statement = connection.prepare_cached(statement);
        statement
            .and_then(|mut statement| statement.execute([]))
            .map(drop)
            .map_err(store_error)
    };
    let all = |done: &mut Vec<Box<dyn WriteJob>>| {
        execute("BEGIN IMMEDIATE")?;
        let mut next = done.len() - 1;
        while let Some(task) = done.get_mut(next) {
            execute("SAVEPOINT task")?;
            if let Err(error) = task.run(connection) {
                if connection.is_autocommit() {
                    // A full disk ends the whole transaction, and what was in it before.
                    return Err(error);
                }
                execute("ROLLBACK TO task")?;
            }
            execute("RELEASE task")?;
            next += 1;
            if next < BATCH {
                done.extend(queue.try_next());
            }
        }
        execute("COMMIT")
    };
    all(done).inspect_err(|_| {
        if !connection.is_autocommit() {
            // If even this fails, the next BEGIN does, and so on: nothing is acknowledged.
            let _ = execute("ROLLBACK");
        }
    })
}

/// The same error for another caller that waits; its source goes to the first.
fn same(error: &StoreError) -> StoreError {
    StoreError::new(error.kind(), error.to_string())
}

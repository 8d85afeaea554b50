//! How many connections there may be at once, and which of them is closed for a new one.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use clap::Args;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    time::sleep,
};

/// More connections than any of these servers needs at once.
const MOST: u64 = 1024;

/// How long a connection that is closed for a new one is waited for.
const RETRY: Duration = Duration::from_secs(1);

/// Files that a server opens in addition to its connections.
const OTHER_FILES: u64 = 64;

/// Files per connection: a proxy opens a second one to the server behind it.
const FILES: u64 = 2;

#[derive(Args, Clone, Copy)]
pub(crate) struct Limits {
    /// Most connections at once, for each address that is listened at; for one more the longest idle one is closed
    /// [default: as many as the limit of open files allows, at most 1024].
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    max_connections: Option<u64>,

    /// How long a connection may be open without a request, from its start on: a TLS handshake and the head of
    /// the first request must be complete by then.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    idle_timeout: u64,
}

impl Limits {
    /// The capacity for the connections of one of `listeners`.
    pub(crate) fn room(self, listeners: usize) -> Room {
        let places = self.max_connections.unwrap_or_else(|| {
            let files = open_files();
            let share = files.saturating_sub(OTHER_FILES) / FILES / listeners.max(1) as u64;
            share.clamp(1, MOST)
        });
        Room(Arc::new(Shared {
            places: Arc::new(Semaphore::new(usize::try_from(places).unwrap_or(1))),
            idle_timeout: Duration::from_secs(self.idle_timeout),
            idle: Mutex::default(),
            more_idle: Notify::new(),
        }))
    }
}

/// How many files this process may have open at once.
#[cfg(unix)]
fn open_files() -> u64 {
    use rustix::process::{Resource, getrlimit};

    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Windows sets no limit.
#[cfg(not(unix))]
fn open_files() -> u64 {
    u64::MAX
}

/// Places for the connections of a listener. Cloning makes another handle.
#[derive(Clone)]
pub(crate) struct Room(Arc<Shared>);

struct Shared {
    places: Arc<Semaphore>,
    idle_timeout: Duration,
    idle: Mutex<Idle>,
    more_idle: Notify,
}

/// The idle connections in the order in which they became idle, each with what closes it.
#[derive(Default)]
struct Idle {
    next: u64,
    order: BTreeMap<u64, Arc<Notify>>,
}

impl Room {
    /// A place for a new connection. If all are taken, idle connections are closed until one is free.
    pub(crate) async fn place(&self) -> OwnedSemaphorePermit {
        loop {
            let more_idle = self.0.more_idle.notified();
            if let Ok(place) = Arc::clone(&self.0.places).try_acquire_owned() {
                return place;
            }
            let closes = self.close_longest_idle();
            tokio::select! {
                biased;
                // The semaphore is never closed.
                Ok(place) = Arc::clone(&self.0.places).acquire_owned() => return place,
                // The connection that is closing may just have become a websocket, which goes on.
                () = sleep(RETRY), if closes => {}
                () = more_idle, if !closes => {}
            }
        }
    }

    /// Closes the connection that has been idle for longest; whether there was one.
    pub(crate) fn close_longest_idle(&self) -> bool {
        let longest = lock(&self.0.idle).order.pop_first();
        longest.map(|(_, close)| close.notify_one()).is_some()
    }

    /// A new connection, idle from now on.
    pub(crate) fn connection(&self) -> Arc<Connection> {
        let close = Arc::new(Notify::new());
        let number = self.0.add_idle(&close);
        Arc::new(Connection {
            room: self.clone(),
            close,
            requests: Mutex::new(Requests {
                under_way: 0,
                idle_number: number,
            }),
            is_idle: watch::Sender::new(true),
        })
    }
}

impl Shared {
    fn add_idle(&self, close: &Arc<Notify>) -> u64 {
        let mut idle = lock(&self.idle);
        let number = idle.next;
        idle.next += 1;
        idle.order.insert(number, Arc::clone(close));
        drop(idle);
        self.more_idle.notify_waiters();
        number
    }

    fn remove_idle(&self, number: u64) {
        lock(&self.idle).order.remove(&number);
    }
}

/// A connection: it is idle while it has no pending request.
pub(crate) struct Connection {
    room: Room,
    close: Arc<Notify>,
    requests: Mutex<Requests>,
    is_idle: watch::Sender<bool>,
}

struct Requests {
    under_way: usize,
    /// Its number among the idle connections when it was last idle.
    idle_number: u64,
}

impl Connection {
    /// A request begins; it is pending until the value is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> PendingRequest {
        let mut requests = lock(&self.requests);
        requests.under_way += 1;
        if requests.under_way == 1 {
            self.room.0.remove_idle(requests.idle_number);
            self.is_idle.send_replace(false);
        }
        drop(requests);
        PendingRequest(Arc::clone(self))
    }

    /// Waits until the connection is to be closed for a new one.
    pub(crate) async fn closed_for_another(&self) {
        self.close.notified().await;
    }

    /// Waits until the connection has been idle for too long.
    pub(crate) async fn idle_too_long(&self) {
        let mut changes = self.is_idle.subscribe();
        loop {
            let is_idle = *changes.borrow_and_update();
            tokio::select! {
                // `self` holds the sender.
                Ok(()) = changes.changed() => {}
                () = sleep(self.room.0.idle_timeout), if is_idle => return,
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let requests = self.requests.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.room.0.remove_idle(requests.idle_number);
    }
}

/// A pending request.
pub(crate) struct PendingRequest(Arc<Connection>);

impl Drop for PendingRequest {
    fn drop(&mut self) {
        let Connection {
            room,
            close,
            requests,
            is_idle,
        } = &*self.0;
        let mut requests = lock(requests);
        requests.under_way -= 1;
        if requests.under_way == 0 {
            requests.idle_number = room.0.add_idle(close);
            is_idle.send_replace(true);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use tokio::{runtime::Builder, time::timeout};

    use super::*;

    fn room(max_connections: u64) -> Room {
        let limits = Limits {
            max_connections: Some(max_connections),
            idle_timeout: 30,
        };
        limits.room(1)
    }

    /// Runs `test` with a clock that goes on only when everything waits.
    fn paused(test: impl Future<Output = ()>) {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        runtime.expect("a runtime").block_on(test);
    }

    async fn is_pending(future: impl Future) -> bool {
        timeout(Duration::from_secs(1), future).await.is_err()
    }

    #[test]
    fn a_new_connection_closes_the_longest_idle_one_and_none_with_a_request() {
        paused(async {
            let room = room(3);
            let [busy, first, second] = [room.connection(), room.connection(), room.connection()];
            let mut places = Vec::new();
            for _ in 0..3 {
                places.push(room.place().await);
            }
            let request = busy.begin();
            drop(first.begin());
            // Idle for longest is now `second`.
            let (_, place) = tokio::join!(
                async {
                    second.closed_for_another().await;
                    places.pop();
                },
                room.place(),
            );
            places.push(place);
            assert!(is_pending(busy.closed_for_another()).await);
            assert!(is_pending(first.closed_for_another()).await);

            drop((first, second));
            assert!(is_pending(room.place()).await, "every connection has a request");
            let next = async {
                busy.closed_for_another().await;
                places.pop();
            };
            drop(request);
            let _ = tokio::join!(next, room.place());
        });
    }

    #[test]
    fn a_connection_ends_when_it_was_idle_for_the_timeout() {
        paused(async {
            let room = room(1);
            let connection = room.connection();
            let begin = tokio::time::Instant::now();
            let requests = async {
                sleep(Duration::from_secs(20)).await;
                let one = connection.begin();
                let other = connection.begin();
                sleep(Duration::from_secs(100)).await;
                drop(one);
                sleep(Duration::from_secs(100)).await;
                drop(other);
            };
            tokio::join!(requests, connection.idle_too_long());
            assert_eq!(begin.elapsed().as_secs(), 250);
        });
    }
}

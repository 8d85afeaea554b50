//! Notifies other processes of sessions that have ended, and receives their notifications.

use std::{
    future::{Future as _, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    task::{Poll, ready},
    time::Duration,
};

use deadpool_postgres::Transaction;
use tokio::{
    runtime::Handle,
    task::AbortHandle,
    time::{sleep, timeout},
};
use tokio_postgres::{
    AsyncMessage, Config, Error, Socket,
    tls::{MakeTlsConnect, TlsConnect},
};

use super::error::PATIENCE;
use crate::{
    maybe_future::BoxFuture,
    store::{EndedSessions, RecordId, SessionListener, session::SessionListeners},
};

/// The pause before the next attempt to connect.
const PAUSE: Duration = Duration::from_millis(250);
/// How often the listening connection is checked: a connection that was cut off receives nothing, and no error.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// At 20 bytes for each id, they fit into a payload, which PostgreSQL limits to 8,000 bytes. More are not named.
const MOST_IDS: usize = 390;

/// Commits `transaction`, and with that sends the ids of the sessions that it ended to every process that listens.
pub(super) async fn commit(transaction: Transaction<'_>, ended: &[RecordId]) -> Result<(), Error> {
    if !ended.is_empty() {
        let notify = "SELECT pg_notify('portcullis_sessions_ended', $1)";
        let notify = transaction.prepare_cached(notify).await?;
        transaction.execute(&notify, &[&payload(ended)]).await?;
    }
    transaction.commit().await
}

fn payload(ended: &[RecordId]) -> String {
    if ended.len() > MOST_IDS {
        return "unknown".to_owned();
    }
    let ids: Vec<String> = ended.iter().map(RecordId::to_string).collect();
    ids.join(",")
}

/// Calls the listeners with what a payload names. One that cannot be read may name any session.
fn call(listeners: &SessionListeners, payload: &str) {
    let ids: Result<Vec<RecordId>, _> = payload.split(',').map(str::parse).collect();
    listeners.call(match &ids {
        Ok(ids) => EndedSessions::Ids(ids),
        Err(_) => EndedSessions::Unknown,
    });
}

/// The listeners of this process, and the task that hears from the others. It runs from the first listener on, until this is
/// dropped.
pub(super) struct Listening {
    listeners: Arc<SessionListeners>,
    runtime: Handle,
    waiting: Mutex<Option<BoxFuture<()>>>,
    running: OnceLock<AbortHandle>,
}

impl Listening {
    pub(super) fn new<T>(config: Config, tls: T, runtime: Handle) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let listeners = Arc::<SessionListeners>::default();
        let task = {
            let listeners = Arc::clone(&listeners);
            async move {
                loop {
                    // Whatever ended the connection, the next one begins with `Unknown`.
                    let _ = hear(&config, tls.clone(), &listeners).await;
                    sleep(PAUSE).await;
                }
            }
        };
        Self {
            listeners,
            runtime,
            waiting: Mutex::new(Some(Box::pin(task))),
            running: OnceLock::new(),
        }
    }

    pub(super) fn add(&self, listener: Weak<SessionListener>) {
        self.listeners.add(listener);
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = waiting {
            let _ = self.running.set(self.runtime.spawn(task).abort_handle());
        }
    }

    pub(super) fn call(&self, ended: &[RecordId]) {
        self.listeners.call(EndedSessions::Ids(ended));
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(task) = self.running.get() {
            task.abort();
        }
    }
}

/// Listens on one connection until it ends.
async fn hear<T>(config: &Config, tls: T, listeners: &SessionListeners) -> Result<(), Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send,
{
    let Ok(connected) = timeout(PATIENCE, config.connect(tls)).await else {
        return Ok(());
    };
    let (client, mut connection) = connected?;
    let mut received = pin!(poll_fn(|context| {
        while let Some(message) = ready!(connection.poll_message(context)?) {
            if let AsyncMessage::Notification(notification) = message {
                call(listeners, notification.payload());
            }
        }
        Poll::Ready(Ok(()))
    }));
    let mut ping = pin!(async {
        client.batch_execute("LISTEN portcullis_sessions_ended").await?;
        listeners.call(EndedSessions::Unknown);
        loop {
            sleep(PING_INTERVAL).await;
            match timeout(PATIENCE, client.batch_execute("SELECT 1")).await {
                Ok(answered) => answered?,
                Err(_) => return Ok(()),
            }
        }
    });
    poll_fn(|context| match received.as_mut().poll(context) {
        Poll::Pending => ping.as_mut().poll(context),
        ended => ended,
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_names_the_sessions_or_says_that_it_does_not() {
        let most = vec![RecordId::from(i64::MAX as u64); MOST_IDS];
        let more = vec![RecordId::from(1); MOST_IDS + 1];
        let one = [RecordId::from(7)];
        for (sent, expected) in [
            (payload(&one), EndedSessions::Ids(&one)),
            (payload(&most), EndedSessions::Ids(&most)),
            (payload(&more), EndedSessions::Unknown),
            (String::new(), EndedSessions::Unknown),
            ("7,x".to_owned(), EndedSessions::Unknown),
        ] {
            assert!(sent.len() < 8_000, "{}", sent.len());
            let listeners = SessionListeners::default();
            let called = Arc::new(Mutex::new(false));
            let listener: Arc<SessionListener> = {
                let (called, expected) = (Arc::clone(&called), format!("{expected:?}"));
                Arc::new(move |ended| *called.lock().expect("no panic") = format!("{ended:?}") == expected)
            };
            listeners.add(Arc::downgrade(&listener));
            call(&listeners, &sent);
            assert!(*called.lock().expect("no panic"), "{sent}");
        }
    }
}

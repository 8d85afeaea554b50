//! Work that is in progress once for each key, however many wait for it.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{runtime::Handle, sync::watch};

use crate::maybe_future::BoxFuture;

/// Work in progress, by its key.
pub(crate) struct SingleFlight<K, V>(Arc<Mutex<UnderWay<K, V>>>);

type UnderWay<K, V> = HashMap<K, watch::Receiver<Option<V>>>;

impl<K, V> SingleFlight<K, V>
where
    K: Copy + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// Waits for the work in progress for `key`, or spawns what `begin` returns. The result is `None` if the runtime has
    /// dropped the work.
    ///
    /// # Errors
    ///
    /// Those of `begin`, which runs under the lock and must not wait.
    pub(crate) fn join<F, E>(
        &self,
        key: K,
        runtime: &Handle,
        begin: impl FnOnce() -> Result<F, E>,
    ) -> Result<BoxFuture<Option<V>>, E>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut under_way = lock(&self.0);
        if let Some(result) = under_way.get(&key) {
            return Ok(wait(result.clone()));
        }
        let work = begin()?;
        let (sender, result) = watch::channel(None);
        under_way.insert(key, result.clone());
        drop(under_way);
        let ended = Ended(Arc::clone(&self.0), key);
        // A task of its own: the first request may go away, and others wait as well.
        runtime.spawn(async move {
            let value = work.await;
            drop(ended);
            let _ = sender.send(Some(value));
        });
        Ok(wait(result))
    }
}

/// Removes the work from the map, also when it panics or its runtime ends.
struct Ended<K: Eq + Hash, V>(Arc<Mutex<UnderWay<K, V>>>, K);

impl<K: Eq + Hash, V> Drop for Ended<K, V> {
    fn drop(&mut self) {
        lock(&self.0).remove(&self.1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait<V: Clone + Send + Sync + 'static>(mut result: watch::Receiver<Option<V>>) -> BoxFuture<Option<V>> {
    Box::pin(async move { result.wait_for(Option::is_some).await.ok()?.clone() })
}

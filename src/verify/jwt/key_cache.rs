//! The keys of an issuer as they were read last, and when they are read again.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, sync::watch};

use super::{key_set::KeySet, key_source::KeySource};
use crate::{
    clock::{Clock, MonotonicTime},
    error::BackendError,
    event::{Event, Observer},
    maybe_future::BoxFuture,
    swappable::Swappable,
};

/// Time between two attempts after one that failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// The age that keys must have before an unknown `kid` makes this server read them again.
const UNKNOWN_KEY_INTERVAL: Duration = Duration::from_secs(10);

/// How long keys are used while the issuer does not respond.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// The keys of an issuer, read again when they are old: by one task at a time, while requests use the ones before.
pub(super) struct KeyCache {
    current: Swappable<Option<Current>>,
    source: KeySource,
    refresh_interval: Duration,
    fetching: Mutex<Fetching>,
    clock: Arc<dyn Clock>,
    observer: Option<Arc<dyn Observer>>,
}

#[derive(Clone)]
struct Current {
    keys: Arc<KeySet>,
    read_at: MonotonicTime,
    refresh_at: MonotonicTime,
}

#[derive(Default)]
struct Fetching {
    under_way: Option<watch::Receiver<Option<FetchResult>>>,
    /// The last failure, unless keys have been read since, and when the next attempt may begin.
    failed: Option<(FetchError, MonotonicTime)>,
}

pub(super) type FetchResult = Result<Arc<KeySet>, FetchError>;

/// Why there are no keys.
#[derive(Clone, Debug)]
pub(super) struct FetchError(Arc<str>);

impl From<FetchError> for BackendError {
    fn from(error: FetchError) -> Self {
        Self::new(&*error.0).with_retry_after(RETRY_INTERVAL)
    }
}

impl KeyCache {
    pub(super) fn new(
        source: KeySource,
        first: Option<KeySet>,
        refresh_interval: Duration,
        clock: Arc<dyn Clock>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Self {
        let now = clock.monotonic_now();
        let first = first.map(|keys| Current {
            keys: Arc::new(keys),
            read_at: now,
            refresh_at: now.saturating_add(refresh_interval),
        });
        Self {
            current: Swappable::new(first),
            source,
            refresh_interval,
            fetching: Mutex::default(),
            clock,
            observer,
        }
    }

    /// The keys, unless they have not been read yet or are too old. Old ones are read again in the background.
    pub(super) fn current(self: &Arc<Self>, now: MonotonicTime) -> Option<Arc<KeySet>> {
        let current = self.current.read(Clone::clone)?;
        let is_fixed = matches!(self.source, KeySource::Fixed);
        if !is_fixed && current.refresh_at <= now {
            // Requests go on with these keys and do not wait for the task.
            drop(self.fetch(now));
        }
        let is_good = is_fixed || now.saturating_duration_since(current.read_at) < MAX_AGE;
        is_good.then_some(current.keys)
    }

    /// Reads the keys again because one is unknown. `None` if they were read just now.
    pub(super) fn fetch_unknown(
        self: &Arc<Self>,
        now: MonotonicTime,
    ) -> Option<Result<BoxFuture<FetchResult>, FetchError>> {
        let is_recent = self.current.read(|current| {
            let read_at = current.as_ref().map(|current| current.read_at);
            read_at.is_some_and(|read_at| now.saturating_duration_since(read_at) < UNKNOWN_KEY_INTERVAL)
        });
        let is_fixed = matches!(self.source, KeySource::Fixed);
        (!is_fixed && !is_recent).then(|| self.fetch(now))
    }

    /// Reads the keys, or waits for the task that reads them now.
    ///
    /// # Errors
    ///
    /// The last attempt failed a moment ago.
    pub(super) fn fetch(self: &Arc<Self>, now: MonotonicTime) -> Result<BoxFuture<FetchResult>, FetchError> {
        if let KeySource::Fixed = self.source
            && let Some(current) = self.current.read(Clone::clone)
        {
            return Ok(Box::pin(std::future::ready(Ok(current.keys))));
        }
        let mut fetching = self.fetching();
        // A task that went away with its runtime has closed the channel.
        if let Some(result) = &fetching.under_way
            && result.has_changed().is_ok()
        {
            return Ok(wait(result.clone()));
        }
        if let Some((error, retry_at)) = &fetching.failed
            && *retry_at > now
        {
            return Err(error.clone());
        }
        let Ok(runtime) = Handle::try_current() else {
            return Err(FetchError(
                "expected to run on tokio, which reads the keys".into(),
            ));
        };
        let (sender, result) = watch::channel(None);
        fetching.under_way = Some(result.clone());
        drop(fetching);
        let cache = Arc::clone(self);
        runtime.spawn(async move {
            let result = cache.source.read().await.and_then(|json| KeySet::parse(&json));
            let result = cache.store(result, now);
            let _ = sender.send(Some(result));
        });
        Ok(wait(result))
    }

    /// Keeps what was read. The keys before stay if there are none, or if they are the same: then the tokens that they
    /// verified are remembered.
    fn store(&self, result: Result<KeySet, String>, asked_at: MonotonicTime) -> FetchResult {
        let now = self.clock.monotonic_now();
        let before = self.current.read(Clone::clone);
        let mut fetching = self.fetching();
        fetching.under_way = None;
        match result {
            Ok(keys) => {
                fetching.failed = None;
                let same = before.filter(|before| before.keys.digest == keys.digest);
                let keys = same.map_or_else(|| Arc::new(keys), |before| before.keys);
                self.current.replace(Some(Current {
                    keys: Arc::clone(&keys),
                    read_at: asked_at,
                    refresh_at: asked_at.saturating_add(self.refresh_interval),
                }));
                Ok(keys)
            }
            Err(text) => {
                let retry_at = now.saturating_add(RETRY_INTERVAL);
                let error = FetchError(format!("cannot read the keys: {text}").into());
                let is_first = fetching.failed.replace((error.clone(), retry_at)).is_none();
                drop(fetching);
                if let Some(before) = before {
                    self.current.replace(Some(Current {
                        refresh_at: retry_at,
                        ..before
                    }));
                }
                if is_first && let Some(observer) = &self.observer {
                    let error = BackendError::from(error.clone());
                    observer.observe(&Event::KeySetUnavailable {
                        error: &**error.cause(),
                    });
                }
                Err(error)
            }
        }
    }

    fn fetching(&self) -> MutexGuard<'_, Fetching> {
        self.fetching.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait(mut result: watch::Receiver<Option<FetchResult>>) -> BoxFuture<FetchResult> {
    Box::pin(async move {
        let lost = || FetchError("the request for the keys was dropped".into());
        match result.wait_for(Option::is_some).await {
            Ok(result) => result.clone().unwrap_or_else(|| Err(lost())),
            Err(_) => Err(lost()),
        }
    })
}

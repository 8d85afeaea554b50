//! A store that ends with the process.

#[cfg(feature = "provider")]
mod hub;

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    future::ready,
    sync::{
        PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    answer::{Answer, BoxFuture},
    store::{RecordId, StoreError, StoreErrorKind, TokenRecord, TokenStore, Tokens},
    time::UnixTime,
    token::TokenHash,
};

/// A store that ends with the process: for tests, and for tokens that may be gone after a restart.
///
/// Every answer is there at once. Looking a token up costs the same however many there are; listing and revoking by
/// anything but the id looks at each.
#[derive(Default)]
pub struct MemoryTokenStore(RwLock<State>);

#[derive(Default)]
struct State {
    tokens: HashMap<TokenHash, Kept>,
    hashes: HashMap<RecordId, TokenHash>,
    /// So many tokens there may be before those that have expired are looked for.
    sweep_at: usize,
    #[cfg(feature = "provider")]
    hub: hub::State,
}

struct Kept {
    record: TokenRecord,
    /// Seconds since 1970, or 0 for never: a use is taken down while others read.
    last_used: AtomicU64,
}

impl MemoryTokenStore {
    /// A store with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        // Nothing panics while it holds the lock.
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenStore for MemoryTokenStore {
    fn find(&self, hash: TokenHash) -> Answer<Result<Option<TokenRecord>, StoreError>> {
        Answer::Now(Ok(self.read().tokens.get(&hash).map(Kept::record)))
    }

    fn insert(&self, hash: TokenHash, token: TokenRecord) -> BoxFuture<Result<(), StoreError>> {
        Box::pin(ready(self.write().insert(hash, token)))
    }

    fn list(&self, which: Tokens, now: UnixTime) -> BoxFuture<Result<Vec<TokenRecord>, StoreError>> {
        let state = self.read();
        let meant = |kept: &&Kept| which.include(&kept.record) && !kept.record.has_expired(now);
        let mut records: Vec<_> = match which.id {
            Some(id) => state
                .by_id(id)
                .into_iter()
                .filter(meant)
                .map(Kept::record)
                .collect(),
            None => state.tokens.values().filter(meant).map(Kept::record).collect(),
        };
        records.sort_by_key(|record| (record.created(), record.id()));
        Box::pin(ready(Ok(records)))
    }

    fn revoke(&self, which: Tokens) -> BoxFuture<Result<u64, StoreError>> {
        Box::pin(ready(Ok(self.write().revoke(&which))))
    }

    fn note_use(&self, id: RecordId, now: UnixTime) {
        if let Some(kept) = self.read().by_id(id) {
            kept.last_used.fetch_max(now.as_secs(), Ordering::Relaxed);
        }
    }
}

impl State {
    fn insert(&mut self, hash: TokenHash, record: TokenRecord) -> Result<(), StoreError> {
        self.sweep(record.created());
        if self.hashes.contains_key(&record.id()) {
            return Err(duplicate("token id"));
        }
        match self.tokens.entry(hash) {
            Entry::Occupied(_) => Err(duplicate("token")),
            Entry::Vacant(place) => {
                self.hashes.insert(record.id(), hash);
                place.insert(Kept {
                    last_used: AtomicU64::new(record.last_used().map_or(0, UnixTime::as_secs)),
                    record,
                });
                Ok(())
            }
        }
    }

    fn by_id(&self, id: RecordId) -> Option<&Kept> {
        self.tokens.get(self.hashes.get(&id)?)
    }

    fn revoke(&mut self, which: &Tokens) -> u64 {
        match which.id {
            Some(id) => {
                let meant = self.by_id(id).is_some_and(|kept| which.include(&kept.record));
                if meant && let Some(hash) = self.hashes.remove(&id) {
                    self.tokens.remove(&hash);
                }
                u64::from(meant)
            }
            None => self.forget(|record| which.include(record)),
        }
    }

    fn forget(&mut self, ends: impl Fn(&TokenRecord) -> bool) -> u64 {
        let (before, hashes) = (self.tokens.len(), &mut self.hashes);
        self.tokens.retain(|_, kept| {
            let stays = !ends(&kept.record);
            if !stays {
                hashes.remove(&kept.record.id());
            }
            stays
        });
        (before - self.tokens.len()) as u64
    }

    /// Looks at all tokens each time their number has doubled, so at each about once.
    fn sweep(&mut self, now: UnixTime) {
        if self.tokens.len() >= self.sweep_at {
            self.forget(|record| record.has_expired(now));
            self.sweep_at = (2 * self.tokens.len()).max(1_024);
        }
    }
}

impl Kept {
    fn record(&self) -> TokenRecord {
        match self.last_used.load(Ordering::Relaxed) {
            0 => self.record.clone(),
            time => self.record.clone().last_used_at(UnixTime::from_secs(time)),
        }
    }
}

impl fmt::Debug for MemoryTokenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryTokenStore")
            .field("len", &self.read().tokens.len())
            .finish_non_exhaustive()
    }
}

fn duplicate(what: &str) -> StoreError {
    StoreError::new(
        StoreErrorKind::Duplicate,
        format!("expected a new {what}, found it there already"),
    )
}

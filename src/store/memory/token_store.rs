//! The store, of tokens.

use std::{
    fmt,
    future::ready,
    mem,
    sync::{PoisonError, RwLock, RwLockReadGuard, atomic::Ordering},
};

use super::state::{Kept, State};
use crate::{
    clock::UnixTime,
    maybe_future::{BoxFuture, MaybeFuture},
    store::{
        EndedSessions, RecordId, StoreError, TokenFilter, TokenRecord, TokenStore, session::SessionListeners,
    },
    token::TokenHash,
};

/// A store that ends with the process: for tests, and for tokens and sessions that may be gone after a restart.
///
/// Every result is ready at once. Looking up a token or a session costs the same for any number of them; listing and revoking
/// by anything but an id looks at each.
#[derive(Default)]
pub struct MemoryTokenStore {
    state: RwLock<State>,
    pub(super) listeners: SessionListeners,
}

impl MemoryTokenStore {
    /// A store with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many sessions it holds at most, and at least one. Default: 100,000.
    ///
    /// When it is full, each new session takes the place of one that has expired, or else ends the one that was not used for
    /// the longest time, with the tokens made in it: a login is never rejected because the store is full.
    #[must_use]
    pub fn max_sessions(mut self, max: usize) -> Self {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.sessions.max = max.max(1);
        self
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, State> {
        // Nothing panics while it holds the lock.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, then notifies the listeners of the sessions that ended.
    pub(super) fn write<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut state);
        let ended = mem::take(&mut state.ended);
        drop(state);
        self.listeners.call(EndedSessions::Ids(&ended));
        result
    }
}

impl TokenStore for MemoryTokenStore {
    fn find(&self, hash: TokenHash) -> MaybeFuture<Result<Option<TokenRecord>, StoreError>> {
        MaybeFuture::Ready(Ok(self.read().tokens.get(&hash).map(Kept::record)))
    }

    fn insert(&self, hash: TokenHash, token: TokenRecord) -> BoxFuture<Result<(), StoreError>> {
        Box::pin(ready(self.write(|state| state.insert(hash, token))))
    }

    fn list(&self, which: TokenFilter, now: UnixTime) -> BoxFuture<Result<Vec<TokenRecord>, StoreError>> {
        let state = self.read();
        let meant = |kept: &&Kept| which.matches(&kept.record) && !kept.record.is_expired(now);
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

    fn revoke(&self, which: TokenFilter) -> BoxFuture<Result<u64, StoreError>> {
        Box::pin(ready(Ok(self.write(|state| state.revoke(&which)))))
    }

    fn record_use(&self, id: RecordId, now: UnixTime) {
        if let Some(kept) = self.read().by_id(id) {
            kept.last_used.fetch_max(now.as_secs(), Ordering::Relaxed);
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

//! Password attempts in memory.

use std::future::ready;

use super::token_store::MemoryTokenStore;
use crate::{
    clock::UnixTime,
    maybe_future::BoxFuture,
    store::{AttemptKey, AttemptRecord, AttemptStore, StoreError},
};

impl AttemptStore for MemoryTokenStore {
    fn find_attempts(
        &self,
        key: AttemptKey,
        now: UnixTime,
    ) -> BoxFuture<Result<Option<AttemptRecord>, StoreError>> {
        let found = self.read().attempts.0.get(&key, now.moment());
        Box::pin(ready(Ok(found)))
    }

    fn replace_attempts(
        &self,
        key: AttemptKey,
        current: Option<AttemptRecord>,
        next: AttemptRecord,
        now: UnixTime,
    ) -> BoxFuture<Result<bool, StoreError>> {
        let state = self.read();
        let replaced = state.attempts.0.update(key, now.moment(), |present| {
            if present.as_ref().map(|(record, _)| record) == current.as_ref() {
                let end = next.expires_at().moment();
                (Some((next, end)), true)
            } else {
                (present, false)
            }
        });
        Box::pin(ready(Ok(replaced)))
    }
}

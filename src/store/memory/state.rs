//! What the store holds.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::atomic::{AtomicU64, Ordering},
};

use super::{error::duplicate, sessions::Sessions};
use crate::{
    clock::UnixTime,
    store::{RecordId, StoreError, TokenFilter, TokenRecord},
    token::TokenHash,
};
#[cfg(feature = "hub-server")]
use {super::codes::Codes, crate::store::ActivityRecord, std::collections::BTreeMap};

#[derive(Default)]
pub(super) struct State {
    pub(super) tokens: HashMap<TokenHash, Kept>,
    hashes: HashMap<RecordId, TokenHash>,
    /// So many tokens there may be before those that have expired are looked for.
    sweep_at: usize,
    pub(super) sessions: Sessions,
    #[cfg(feature = "hub-server")]
    pub(super) codes: Codes,
    /// By user, and by server or for the user as a whole.
    #[cfg(feature = "hub-server")]
    pub(super) activity: BTreeMap<String, BTreeMap<Option<String>, ActivityRecord>>,
}

pub(super) struct Kept {
    pub(super) record: TokenRecord,
    /// Seconds since 1970, or 0 for never: a use is taken down while others read.
    pub(super) last_used: AtomicU64,
}

impl State {
    pub(super) fn insert(&mut self, hash: TokenHash, record: TokenRecord) -> Result<(), StoreError> {
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

    pub(super) fn by_id(&self, id: RecordId) -> Option<&Kept> {
        self.tokens.get(self.hashes.get(&id)?)
    }

    pub(super) fn revoke(&mut self, which: &TokenFilter) -> u64 {
        match which.id {
            Some(id) => {
                let meant = self.by_id(id).is_some_and(|kept| which.matches(&kept.record));
                if meant && let Some(hash) = self.hashes.remove(&id) {
                    self.tokens.remove(&hash);
                }
                u64::from(meant)
            }
            None => self.forget(|record| which.matches(record)),
        }
    }

    pub(super) fn forget(&mut self, ends: impl Fn(&TokenRecord) -> bool) -> u64 {
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
            self.forget(|record| record.is_expired(now));
            self.sweep_at = (2 * self.tokens.len()).max(1_024);
        }
    }
}

impl Kept {
    pub(super) fn record(&self) -> TokenRecord {
        match self.last_used.load(Ordering::Relaxed) {
            0 => self.record.clone(),
            time => self.record.clone().with_last_used(UnixTime::from_secs(time)),
        }
    }
}

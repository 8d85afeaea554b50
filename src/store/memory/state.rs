//! What the store holds.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::atomic::{AtomicU64, Ordering},
};

use super::{attempts::Attempts, error::duplicate, sessions::Sessions};
use crate::{
    clock::UnixTime,
    store::{RecordId, SessionCredential, StoreError, TokenFilter, TokenRecord},
    token::TokenHash,
};
#[cfg(feature = "hub-server")]
use {
    super::codes::Codes,
    crate::store::{ActivityRecord, ClientRecord},
    std::collections::BTreeMap,
};

#[derive(Default)]
pub(super) struct State {
    pub(super) tokens: HashMap<TokenHash, Kept>,
    hashes: HashMap<RecordId, TokenHash>,
    /// The number of tokens from which on expired ones are removed.
    sweep_at: usize,
    pub(super) sessions: Sessions,
    /// The sessions that the current change has ended.
    pub(super) ended: Vec<RecordId>,
    pub(super) attempts: Attempts,
    #[cfg(feature = "hub-server")]
    pub(super) codes: Codes,
    #[cfg(feature = "hub-server")]
    pub(super) clients: BTreeMap<String, ClientRecord>,
    /// By user, and by server or for the user as a whole.
    #[cfg(feature = "hub-server")]
    pub(super) activity: BTreeMap<String, BTreeMap<Option<String>, ActivityRecord>>,
}

pub(super) struct Kept {
    pub(super) record: TokenRecord,
    /// The secret of a refresh token.
    #[cfg(feature = "hub-server")]
    pub(super) refresh: Option<TokenHash>,
    /// Seconds since 1970, or 0 for never. Atomic, so that a use is recorded while others read.
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
                    #[cfg(feature = "hub-server")]
                    refresh: None,
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
        let mut revoked: Vec<TokenHash> = match which.id {
            Some(id) => {
                let meant = self.by_id(id).is_some_and(|kept| which.matches(&kept.record));
                let hash = self.hashes.get(&id).copied();
                hash.filter(|_| meant).into_iter().collect()
            }
            None => self.tokens_where(|record| which.matches(record)),
        };
        let families: HashSet<RecordId> = revoked
            .iter()
            .filter_map(|hash| self.tokens.get(hash)?.record.family())
            .collect();
        if !families.is_empty() {
            let related = |record: &TokenRecord| record.family().is_some_and(|id| families.contains(&id));
            revoked.extend(self.tokens_where(|record| related(record) && !which.matches(record)));
        }
        let count = revoked.len() as u64;
        self.end(revoked, Vec::new());
        count
    }

    pub(super) fn tokens_where(&self, meant: impl Fn(&TokenRecord) -> bool) -> Vec<TokenHash> {
        let meant = self.tokens.iter().filter(|(_, kept)| meant(&kept.record));
        meant.map(|(hash, _)| *hash).collect()
    }

    /// Ends tokens and sessions with all that depends on them: codes and tokens made in a session, sessions that came from a token.
    pub(super) fn end(&mut self, mut tokens: Vec<TokenHash>, mut sessions: Vec<TokenHash>) {
        while !(tokens.is_empty() && sessions.is_empty()) {
            let mut session_ids = HashSet::new();
            for session in sessions.drain(..).filter_map(|hash| self.sessions.remove(hash)) {
                self.ended.push(session.id());
                session_ids.insert(session.session_id);
            }
            if !session_ids.is_empty() {
                #[cfg(feature = "hub-server")]
                self.codes.end(&session_ids);
                let ends =
                    |token: &TokenRecord| token.session_id().is_some_and(|id| session_ids.contains(id));
                tokens.extend(self.tokens_where(ends));
            }
            for hash in tokens.drain(..) {
                if let Some(kept) = self.tokens.remove(&hash) {
                    self.hashes.remove(&kept.record.id());
                    sessions.extend(self.sessions.of_credential(SessionCredential::Token(hash)));
                }
            }
        }
    }

    /// Looks at all tokens each time their number has doubled, so at each about once.
    fn sweep(&mut self, now: UnixTime) {
        if self.tokens.len() >= self.sweep_at {
            self.end(self.tokens_where(|record| record.is_expired(now)), Vec::new());
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

//! What the store holds of sessions.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use crate::{
    clock::UnixTime,
    store::{RecordId, SessionCredential, SessionFilter, SessionRecord},
    token::TokenHash,
};

/// The sessions by hash, and what finds them by their ids, last use, expiry and credential.
pub(super) struct Sessions {
    by_hash: HashMap<TokenHash, SessionRecord>,
    ids: HashMap<RecordId, TokenHash>,
    session_ids: HashMap<Arc<str>, TokenHash>,
    by_use: BTreeSet<(UnixTime, RecordId)>,
    by_expiry: BTreeSet<(UnixTime, RecordId)>,
    by_credential: BTreeSet<([u8; 33], RecordId)>,
    pub(super) max: usize,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            by_hash: HashMap::new(),
            ids: HashMap::new(),
            session_ids: HashMap::new(),
            by_use: BTreeSet::new(),
            by_expiry: BTreeSet::new(),
            by_credential: BTreeSet::new(),
            max: 100_000,
        }
    }
}

impl Sessions {
    pub(super) fn get(&self, hash: TokenHash) -> Option<&SessionRecord> {
        self.by_hash.get(&hash)
    }

    /// Where the session with this session id is.
    pub(super) fn place(&self, session_id: &str) -> Option<TokenHash> {
        self.session_ids.get(session_id).copied()
    }

    /// Where sessions are of which `hash` and `record` would be a second one.
    pub(super) fn same(&self, hash: TokenHash, record: &SessionRecord) -> [Option<TokenHash>; 3] {
        let by_hash = self.by_hash.contains_key(&hash).then_some(hash);
        let by_id = self.ids.get(&record.id()).copied();
        [by_hash, by_id, self.place(record.session_id())]
    }

    /// Adds a session of which there is no second one.
    pub(super) fn insert(&mut self, hash: TokenHash, record: SessionRecord) {
        self.ids.insert(record.id(), hash);
        self.session_ids.insert(Arc::clone(&record.session_id), hash);
        self.by_use.insert((record.last_used(), record.id()));
        self.by_expiry.insert((record.expires_at(), record.id()));
        self.by_credential.extend(credential_key(&record));
        self.by_hash.insert(hash, record);
    }

    pub(super) fn remove(&mut self, hash: TokenHash) -> Option<SessionRecord> {
        let record = self.by_hash.remove(&hash)?;
        self.ids.remove(&record.id());
        self.session_ids.remove(&record.session_id);
        self.by_use.remove(&(record.last_used(), record.id()));
        self.by_expiry.remove(&(record.expires_at(), record.id()));
        if let Some(key) = credential_key(&record) {
            self.by_credential.remove(&key);
        }
        Some(record)
    }

    /// Where the sessions are that came from `credential`.
    pub(super) fn of_credential(&self, credential: SessionCredential) -> impl Iterator<Item = TokenHash> {
        let bytes = credential.to_bytes();
        let ids = (bytes, RecordId::from(0))..=(bytes, RecordId::from(u64::MAX));
        let found = self.by_credential.range(ids);
        found.filter_map(|(_, id)| self.ids.get(id).copied())
    }

    /// Finds the selected sessions: one by its id or session id, otherwise it looks at each.
    pub(super) fn selected(&self, which: &SessionFilter) -> Vec<(TokenHash, &SessionRecord)> {
        let one = match (which.id, &which.session_id) {
            (Some(id), _) => Some(self.ids.get(&id).copied()),
            (None, Some(session_id)) => Some(self.place(session_id)),
            (None, None) => None,
        };
        let meant = |(hash, record): (&TokenHash, _)| which.matches(record).then_some((*hash, record));
        match one {
            Some(hash) => hash
                .and_then(|hash| self.by_hash.get_key_value(&hash))
                .and_then(meant)
                .into_iter()
                .collect(),
            None => self.by_hash.iter().filter_map(meant).collect(),
        }
    }

    /// Removes at most `limit` that have expired at `now`, and returns how many.
    pub(super) fn remove_expired(&mut self, now: UnixTime, limit: usize) -> u64 {
        let expired = self
            .by_expiry
            .iter()
            .take_while(|(expires_at, _)| *expires_at <= now);
        let expired: Vec<_> = expired
            .take(limit)
            .filter_map(|(_, id)| self.ids.get(id).copied())
            .collect();
        expired.into_iter().filter_map(|hash| self.remove(hash)).count() as u64
    }

    /// The session that was not used for the longest time, if the limit is reached.
    pub(super) fn to_evict(&self) -> Option<TokenHash> {
        if self.by_hash.len() < self.max {
            return None;
        }
        self.by_use.first().and_then(|(_, id)| self.ids.get(id).copied())
    }
}

fn credential_key(record: &SessionRecord) -> Option<([u8; 33], RecordId)> {
    let credential = record.credential()?;
    Some((credential.to_bytes(), record.id()))
}

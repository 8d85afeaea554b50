//! What the store holds of codes.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::Arc,
};

use super::error::duplicate;
use crate::{
    clock::UnixTime,
    store::{CodeRecord, RecordId, StoreError},
    token::TokenHash,
};

#[derive(Default)]
pub(super) struct Codes {
    pub(super) by_hash: HashMap<TokenHash, Code>,
    /// The number of codes from which on expired ones are removed.
    sweep_at: usize,
}

pub(super) struct Code {
    pub(super) record: CodeRecord,
    /// The id of the token it was exchanged for.
    pub(super) redeemed: Option<RecordId>,
}

impl Codes {
    pub(super) fn insert(&mut self, hash: TokenHash, record: CodeRecord) -> Result<(), StoreError> {
        match self.by_hash.entry(hash) {
            Entry::Occupied(_) => Err(duplicate("code")),
            Entry::Vacant(place) => {
                place.insert(Code {
                    record,
                    redeemed: None,
                });
                Ok(())
            }
        }
    }

    /// Removes the codes of the sessions with these ids.
    pub(super) fn end(&mut self, ended: &HashSet<Arc<str>>) {
        self.by_hash.retain(|_, code| {
            let session_id = code.record.session_id();
            session_id.is_none_or(|session_id| !ended.contains(session_id))
        });
    }

    pub(super) fn sweep(&mut self, now: UnixTime) {
        if self.by_hash.len() >= self.sweep_at {
            self.by_hash.retain(|_, code| code.record.expires_at() > now);
            self.sweep_at = (2 * self.by_hash.len()).max(1_024);
        }
    }
}

//! What the store holds of logins and codes.

use std::collections::{HashMap, HashSet, hash_map::Entry};

use super::error::duplicate;
use crate::{
    clock::UnixTime,
    store::{CodeRecord, LoginRecord, RecordId, StoreError},
    token::TokenHash,
};

#[derive(Default)]
pub(super) struct HubState {
    pub(super) logins: HashMap<TokenHash, LoginRecord>,
    pub(super) codes: HashMap<TokenHash, Code>,
    /// So many logins and codes there may be before those that have expired are looked for.
    sweep_at: usize,
}

pub(super) struct Code {
    pub(super) record: CodeRecord,
    /// The id of the token it was exchanged for.
    pub(super) redeemed: Option<RecordId>,
}

impl HubState {
    /// Ends the logins and the codes of their sessions, and tells the sessions.
    pub(super) fn end_logins(&mut self, ends: impl Fn(&LoginRecord) -> bool) -> HashSet<String> {
        let ended = self.logins.extract_if(|_, login| ends(login));
        let ended: HashSet<_> = ended.map(|(_, login)| login.session_id().to_owned()).collect();
        self.codes.retain(|_, code| {
            let session_id = code.record.session_id();
            session_id.is_none_or(|session_id| !ended.contains(session_id))
        });
        ended
    }

    pub(super) fn insert_code(
        &mut self,
        hash: TokenHash,
        record: CodeRecord,
        now: UnixTime,
    ) -> Result<bool, StoreError> {
        self.sweep(now);
        let lives = |session_id: &str| {
            let mut logins = self.logins.values();
            logins.any(|login| login.session_id() == session_id && !login.has_expired(now))
        };
        if !record.session_id().is_none_or(lives) {
            return Ok(false);
        }
        match self.codes.entry(hash) {
            Entry::Occupied(_) => Err(duplicate("code")),
            Entry::Vacant(place) => {
                place.insert(Code {
                    record,
                    redeemed: None,
                });
                Ok(true)
            }
        }
    }

    pub(super) fn sweep(&mut self, now: UnixTime) {
        if self.logins.len() + self.codes.len() >= self.sweep_at {
            self.logins.retain(|_, login| !login.has_expired(now));
            self.codes.retain(|_, code| code.record.expires_at() > now);
            self.sweep_at = (2 * (self.logins.len() + self.codes.len())).max(1_024);
        }
    }
}

//! Logins and codes in memory.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    future::ready,
};

use super::{MemoryTokenStore, duplicate};
use crate::{
    answer::{Answer, BoxFuture},
    store::{CodeRecord, HubStore, LoginRecord, Logins, RecordId, Redeemed, StoreError, TokenRecord, Tokens},
    time::UnixTime,
    token::TokenHash,
};

#[derive(Default)]
pub(super) struct State {
    logins: HashMap<TokenHash, LoginRecord>,
    codes: HashMap<TokenHash, Code>,
    /// So many logins and codes there may be before those that have expired are looked for.
    sweep_at: usize,
}

struct Code {
    record: CodeRecord,
    /// The id of the token it was exchanged for.
    redeemed: Option<RecordId>,
}

impl HubStore for MemoryTokenStore {
    fn begin_login(
        &self,
        hash: TokenHash,
        login: LoginRecord,
        replaced: Option<String>,
    ) -> BoxFuture<Result<(), StoreError>> {
        Box::pin(ready(self.write().begin_login(hash, login, replaced.as_deref())))
    }

    fn find_login(&self, hash: TokenHash) -> Answer<Result<Option<LoginRecord>, StoreError>> {
        Answer::Now(Ok(self.read().hub.logins.get(&hash).cloned()))
    }

    fn list_logins(&self, which: Logins, now: UnixTime) -> BoxFuture<Result<Vec<LoginRecord>, StoreError>> {
        let state = self.read();
        let logins = state.hub.logins.values();
        let meant = logins.filter(|login| which.include(login) && !login.has_expired(now));
        let mut logins: Vec<_> = meant.cloned().collect();
        logins.sort_by_key(|login| (login.created(), login.id()));
        Box::pin(ready(Ok(logins)))
    }

    fn end_logins(&self, which: Logins) -> BoxFuture<Result<u64, StoreError>> {
        let mut state = self.write();
        let ended = state.hub.end_logins(|login| which.include(login));
        state.forget(|token| {
            token
                .session_id()
                .is_some_and(|session_id| ended.contains(session_id))
        });
        Box::pin(ready(Ok(ended.len() as u64)))
    }

    fn insert_code(
        &self,
        hash: TokenHash,
        code: CodeRecord,
        now: UnixTime,
    ) -> BoxFuture<Result<bool, StoreError>> {
        Box::pin(ready(self.write().hub.insert_code(hash, code, now)))
    }

    fn find_code(&self, hash: TokenHash) -> BoxFuture<Result<Option<CodeRecord>, StoreError>> {
        let state = self.read();
        let code = state.hub.codes.get(&hash);
        Box::pin(ready(Ok(code.map(|code| code.record.clone()))))
    }

    fn redeem(
        &self,
        code: TokenHash,
        token_hash: TokenHash,
        token: TokenRecord,
    ) -> BoxFuture<Result<Redeemed, StoreError>> {
        Box::pin(ready(self.write().redeem(code, token_hash, token)))
    }
}

impl super::State {
    fn begin_login(
        &mut self,
        hash: TokenHash,
        login: LoginRecord,
        replaced: Option<&str>,
    ) -> Result<(), StoreError> {
        self.hub.sweep(login.created());
        let replaced = replaced.filter(|replaced| {
            let mut logins = self.hub.logins.values();
            logins.any(|login| login.session_id() == *replaced)
        });
        let same = |other: &LoginRecord| {
            other.id() == login.id()
                || (other.session_id() == login.session_id() && Some(other.session_id()) != replaced)
        };
        if self.hub.logins.contains_key(&hash) || self.hub.logins.values().any(same) {
            return Err(duplicate("login"));
        }
        if let Some(replaced) = replaced {
            self.hub.end_logins(|login| login.session_id() == replaced);
            self.forget(|token| token.session_id() == Some(replaced) && token.owner() != login.owner());
            for kept in self.tokens.values_mut() {
                if kept.record.session_id() == Some(replaced) {
                    kept.record = kept.record.clone().in_session(login.session_id());
                }
            }
        }
        self.hub.logins.insert(hash, login);
        Ok(())
    }

    fn redeem(
        &mut self,
        code: TokenHash,
        token_hash: TokenHash,
        token: TokenRecord,
    ) -> Result<Redeemed, StoreError> {
        let now = token.created();
        let found = self.hub.codes.get(&code);
        let Some(found) = found.filter(|code| code.record.expires_at() > now) else {
            return Ok(Redeemed::Unknown);
        };
        if let Some(id) = found.redeemed {
            let revoked = self.revoke(&Tokens::with_id(id));
            return Ok(Redeemed::Again { revoked });
        }
        let (id, token) = (token.id(), token.made_in(found.record.session_id()));
        self.insert(token_hash, token)?;
        if let Some(code) = self.hub.codes.get_mut(&code) {
            code.redeemed = Some(id);
        }
        Ok(Redeemed::Issued)
    }
}

impl State {
    /// Ends the logins and the codes of their sessions, and tells the sessions.
    fn end_logins(&mut self, ends: impl Fn(&LoginRecord) -> bool) -> HashSet<String> {
        let ended = self.logins.extract_if(|_, login| ends(login));
        let ended: HashSet<_> = ended.map(|(_, login)| login.session_id().to_owned()).collect();
        self.codes.retain(|_, code| {
            let session_id = code.record.session_id();
            session_id.is_none_or(|session_id| !ended.contains(session_id))
        });
        ended
    }

    fn insert_code(
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

    fn sweep(&mut self, now: UnixTime) {
        if self.logins.len() + self.codes.len() >= self.sweep_at {
            self.logins.retain(|_, login| !login.has_expired(now));
            self.codes.retain(|_, code| code.record.expires_at() > now);
            self.sweep_at = (2 * (self.logins.len() + self.codes.len())).max(1_024);
        }
    }
}

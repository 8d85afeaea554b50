//! Logins and codes in memory.

use std::future::ready;

use super::{error::duplicate, state::State, token_store::MemoryTokenStore};
use crate::{
    clock::UnixTime,
    maybe_future::{BoxFuture, MaybeFuture},
    store::{
        CodeRecord, CodeRedemption, HubStore, LoginFilter, LoginRecord, StoreError, TokenFilter, TokenRecord,
    },
    token::TokenHash,
};

impl HubStore for MemoryTokenStore {
    fn insert_login(
        &self,
        hash: TokenHash,
        login: LoginRecord,
        replaced: Option<String>,
    ) -> BoxFuture<Result<(), StoreError>> {
        Box::pin(ready(self.write().begin_login(hash, login, replaced.as_deref())))
    }

    fn find_login(&self, hash: TokenHash) -> MaybeFuture<Result<Option<LoginRecord>, StoreError>> {
        MaybeFuture::Ready(Ok(self.read().hub.logins.get(&hash).cloned()))
    }

    fn list_logins(
        &self,
        which: LoginFilter,
        now: UnixTime,
    ) -> BoxFuture<Result<Vec<LoginRecord>, StoreError>> {
        let state = self.read();
        let logins = state.hub.logins.values();
        let meant = logins.filter(|login| which.matches(login) && !login.has_expired(now));
        let mut logins: Vec<_> = meant.cloned().collect();
        logins.sort_by_key(|login| (login.created(), login.id()));
        Box::pin(ready(Ok(logins)))
    }

    fn revoke_logins(&self, which: LoginFilter) -> BoxFuture<Result<u64, StoreError>> {
        let mut state = self.write();
        let ended = state.hub.end_logins(|login| which.matches(login));
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

    fn redeem_code(
        &self,
        code: TokenHash,
        token_hash: TokenHash,
        token: TokenRecord,
    ) -> BoxFuture<Result<CodeRedemption, StoreError>> {
        Box::pin(ready(self.write().redeem(code, token_hash, token)))
    }
}

impl State {
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
                    kept.record = kept.record.clone().with_session(login.session_id());
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
    ) -> Result<CodeRedemption, StoreError> {
        let now = token.created();
        let found = self.hub.codes.get(&code);
        let Some(found) = found.filter(|code| code.record.expires_at() > now) else {
            return Ok(CodeRedemption::Unknown);
        };
        if let Some(id) = found.redeemed {
            let revoked = self.revoke(&TokenFilter::id(id));
            return Ok(CodeRedemption::AlreadyUsed { revoked });
        }
        let (id, token) = (token.id(), token.with_optional_session(found.record.session_id()));
        self.insert(token_hash, token)?;
        if let Some(code) = self.hub.codes.get_mut(&code) {
            code.redeemed = Some(id);
        }
        Ok(CodeRedemption::Issued)
    }
}

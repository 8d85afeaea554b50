//! Codes and activity in memory.

use std::{collections::btree_map::Entry, future::ready, sync::atomic::Ordering};

use super::{error::duplicate, state::State, token_store::MemoryTokenStore};
use crate::{
    clock::UnixTime,
    maybe_future::BoxFuture,
    store::{
        ActivityRecord, ClientRecord, CodeRecord, CodeRedemption, HubStore, RefreshHashes, RefreshRotation,
        StoreError, TokenFilter, TokenRecord,
    },
    token::TokenHash,
};

impl HubStore for MemoryTokenStore {
    fn insert_code(
        &self,
        hash: TokenHash,
        code: CodeRecord,
        now: UnixTime,
    ) -> BoxFuture<Result<bool, StoreError>> {
        Box::pin(ready(self.write(|state| state.insert_code(hash, code, now))))
    }

    fn find_code(&self, hash: TokenHash) -> BoxFuture<Result<Option<CodeRecord>, StoreError>> {
        let state = self.read();
        let code = state.codes.by_hash.get(&hash);
        Box::pin(ready(Ok(code.map(|code| code.record.clone()))))
    }

    fn redeem_code(
        &self,
        code: TokenHash,
        token_hash: TokenHash,
        token: TokenRecord,
    ) -> BoxFuture<Result<CodeRedemption, StoreError>> {
        Box::pin(ready(self.write(|state| state.redeem(code, token_hash, token))))
    }

    fn insert_refresh(
        &self,
        hashes: RefreshHashes,
        record: TokenRecord,
    ) -> BoxFuture<Result<(), StoreError>> {
        Box::pin(ready(self.write(|state| {
            state.insert(hashes.family, record)?;
            if let Some(kept) = state.tokens.get_mut(&hashes.family) {
                kept.refresh = Some(hashes.secret);
            }
            Ok(())
        })))
    }

    fn rotate_refresh(
        &self,
        hashes: RefreshHashes,
        next: TokenHash,
        expires_at: UnixTime,
        token_hash: TokenHash,
        token: TokenRecord,
    ) -> BoxFuture<Result<RefreshRotation, StoreError>> {
        Box::pin(ready(self.write(|state| {
            state.rotate(hashes, next, expires_at, (token_hash, token))
        })))
    }

    fn insert_client(&self, client: ClientRecord, limit: u64) -> BoxFuture<Result<bool, StoreError>> {
        Box::pin(ready(self.write(|state| {
            state
                .clients
                .retain(|_, known| known.expires_at() > client.created());
            if state.clients.contains_key(client.id()) {
                return Err(duplicate("client"));
            }
            let has_room = (state.clients.len() as u64) < limit;
            if has_room {
                state.clients.insert(client.id().to_owned(), client);
            }
            Ok(has_room)
        })))
    }

    fn find_client(&self, id: &str) -> BoxFuture<Result<Option<ClientRecord>, StoreError>> {
        Box::pin(ready(Ok(self.read().clients.get(id).cloned())))
    }

    fn keep_client(&self, id: &str, expires_at: UnixTime) -> BoxFuture<Result<(), StoreError>> {
        self.write(|state| {
            if let Some(known) = state.clients.get_mut(id) {
                let end = known.expires_at().max(expires_at);
                *known = known.clone().with_expiry(end);
            }
        });
        Box::pin(ready(Ok(())))
    }

    fn record_activity(&self, records: Vec<ActivityRecord>) -> BoxFuture<Result<(), StoreError>> {
        self.write(|state| {
            for record in records {
                let of_user = state.activity.entry(record.owner().to_owned()).or_default();
                match of_user.entry(record.server().map(str::to_owned)) {
                    Entry::Occupied(mut known) => drop(known.insert(record.merged(known.get()))),
                    Entry::Vacant(place) => drop(place.insert(record)),
                }
            }
        });
        Box::pin(ready(Ok(())))
    }

    fn activity(&self, owners: Vec<String>) -> BoxFuture<Result<Vec<ActivityRecord>, StoreError>> {
        let state = self.read();
        let known = owners.iter().filter_map(|owner| state.activity.get(owner));
        let records = known.flat_map(|of_user| of_user.values().cloned()).collect();
        Box::pin(ready(Ok(records)))
    }

    fn list_users(&self, offset: u64, limit: u64) -> BoxFuture<Result<(Vec<String>, u64), StoreError>> {
        let (mut page, mut total) = (Vec::new(), 0);
        for (owner, of_user) in &self.read().activity {
            if of_user.contains_key(&None) {
                if (offset..offset.saturating_add(limit)).contains(&total) {
                    page.push(owner.clone());
                }
                total += 1;
            }
        }
        Box::pin(ready(Ok((page, total))))
    }
}

impl State {
    fn insert_code(&mut self, hash: TokenHash, code: CodeRecord, now: UnixTime) -> Result<bool, StoreError> {
        self.codes.sweep(now);
        let lives = |session_id: &str| {
            let place = self.sessions.place(session_id);
            let session = place.and_then(|place| self.sessions.get(place));
            session.is_some_and(|session| !session.has_expired(now))
        };
        if !code.session_id().is_none_or(lives) {
            return Ok(false);
        }
        self.codes.insert(hash, code).map(|()| true)
    }

    fn rotate(
        &mut self,
        hashes: RefreshHashes,
        next: TokenHash,
        expires_at: UnixTime,
        (token_hash, token): (TokenHash, TokenRecord),
    ) -> Result<RefreshRotation, StoreError> {
        let now = token.created();
        let found = self.tokens.get(&hashes.family);
        let found = found.filter(|kept| kept.refresh.is_some() && !kept.record.is_expired(now));
        let Some(found) = found else {
            return Ok(RefreshRotation::Unknown);
        };
        if found.refresh != Some(hashes.secret) {
            let revoked = self.revoke(&TokenFilter::id(found.record.id()));
            return Ok(RefreshRotation::Reused { revoked });
        }
        let session_id = found.record.session_id();
        self.insert(token_hash, token.with_optional_session(session_id))?;
        if let Some(kept) = self.tokens.get_mut(&hashes.family) {
            kept.refresh = Some(next);
            kept.last_used.fetch_max(now.as_secs(), Ordering::Relaxed);
            kept.record = kept.record.clone().with_expiry(expires_at);
        }
        Ok(RefreshRotation::Issued)
    }

    fn redeem(
        &mut self,
        code: TokenHash,
        token_hash: TokenHash,
        token: TokenRecord,
    ) -> Result<CodeRedemption, StoreError> {
        let now = token.created();
        let found = self.codes.by_hash.get(&code);
        let Some(found) = found.filter(|code| code.record.expires_at() > now) else {
            return Ok(CodeRedemption::Unknown);
        };
        if let Some(id) = found.redeemed {
            let revoked = self.revoke(&TokenFilter::id(id));
            return Ok(CodeRedemption::AlreadyUsed { revoked });
        }
        let (id, token) = (token.id(), token.with_optional_session(found.record.session_id()));
        self.insert(token_hash, token)?;
        if let Some(code) = self.codes.by_hash.get_mut(&code) {
            code.redeemed = Some(id);
        }
        Ok(CodeRedemption::Issued)
    }
}

//! Sessions in memory.

use std::{future::ready, sync::Weak};

use super::{error::duplicate, state::State, token_store::MemoryTokenStore};
use crate::{
    clock::UnixTime,
    maybe_future::{BoxFuture, MaybeFuture},
    store::{
        SessionFilter, SessionListener, SessionRecord, SessionStore, SessionTouch, StoreError, TokenRecord,
    },
    token::TokenHash,
};

/// How many expired sessions an insertion removes at most: more than it adds, so few are left for long.
const SWEPT: usize = 4;

impl SessionStore for MemoryTokenStore {
    fn insert_session(
        &self,
        hash: TokenHash,
        session: SessionRecord,
        replaced: Option<String>,
    ) -> BoxFuture<Result<(), StoreError>> {
        let inserted = self.write(|state| state.insert_session(hash, session, replaced.as_deref()));
        Box::pin(ready(inserted))
    }

    fn find_session(&self, hash: TokenHash) -> MaybeFuture<Result<Option<SessionRecord>, StoreError>> {
        MaybeFuture::Ready(Ok(self.read().sessions.get(hash).cloned()))
    }

    fn touch_session(&self, hash: TokenHash, touch: SessionTouch) -> BoxFuture<Result<bool, StoreError>> {
        let touched = self.write(|State { sessions, .. }| {
            let found = sessions.get(hash);
            let touched = found.is_some_and(|session| !session.has_expired(touch.last_used));
            if touched && let Some(session) = sessions.remove(hash) {
                sessions.insert(hash, session.touched(touch));
            }
            touched
        });
        Box::pin(ready(Ok(touched)))
    }

    fn list_sessions(
        &self,
        which: SessionFilter,
        now: UnixTime,
    ) -> BoxFuture<Result<Vec<SessionRecord>, StoreError>> {
        let state = self.read();
        let selected = state.sessions.selected(&which).into_iter();
        let mut sessions: Vec<_> = selected
            .filter(|(_, session)| !session.has_expired(now))
            .map(|(_, session)| session.clone())
            .collect();
        sessions.sort_by_key(|session| (session.created(), session.id()));
        Box::pin(ready(Ok(sessions)))
    }

    fn end_sessions(&self, which: SessionFilter) -> BoxFuture<Result<u64, StoreError>> {
        let ended = self.write(|state| {
            let selected = state.sessions.selected(&which).into_iter();
            let selected: Vec<_> = selected.map(|(hash, _)| hash).collect();
            let count = selected.len() as u64;
            state.end(Vec::new(), selected);
            count
        });
        Box::pin(ready(Ok(ended)))
    }

    fn remove_expired_sessions(&self, now: UnixTime, limit: usize) -> BoxFuture<Result<u64, StoreError>> {
        Box::pin(ready(Ok(
            self.write(|state| state.sessions.remove_expired(now, limit))
        )))
    }

    fn on_sessions_ended(&self, listener: Weak<SessionListener>) -> bool {
        self.listeners.add(listener);
        true
    }
}

impl State {
    fn insert_session(
        &mut self,
        hash: TokenHash,
        session: SessionRecord,
        replaced: Option<&str>,
    ) -> Result<(), StoreError> {
        self.sessions.remove_expired(session.created(), SWEPT);
        let replaced = replaced.and_then(|session_id| self.sessions.place(session_id));
        let mut same = self.sessions.same(hash, &session).into_iter().flatten();
        if same.any(|place| Some(place) != replaced) {
            return Err(duplicate("session"));
        }
        if let Some(replaced) = replaced.and_then(|place| self.sessions.remove(place)) {
            self.replace(&replaced, &session);
        }
        while let Some(longest_unused) = self.sessions.to_evict() {
            self.end(Vec::new(), vec![longest_unused]);
        }
        self.sessions.insert(hash, session);
        Ok(())
    }

    /// Moves the tokens of the owner from one session to the next; other tokens and codes of the first one end.
    fn replace(&mut self, replaced: &SessionRecord, session: &SessionRecord) {
        self.ended.push(replaced.id());
        #[cfg(feature = "hub-server")]
        self.codes.end(&[replaced.session_id.clone()].into());
        let of_replaced = Some(replaced.session_id());
        let foreign =
            |token: &TokenRecord| token.session_id() == of_replaced && token.owner() != session.owner();
        self.end(self.tokens_where(foreign), Vec::new());
        for kept in self.tokens.values_mut() {
            if kept.record.session_id() == of_replaced {
                kept.record = kept.record.clone().with_session(session.session_id());
            }
        }
    }
}

//! Steps that tests of sessions share.

use std::time::Duration;

use super::token_store::{NOW, new_hash};
use crate::{
    clock::UnixTime,
    session::{grant::Grant, identity::Identity},
    store::{SessionFilter, SessionRecord, SessionStore},
    token::TokenHash,
};

/// When codes and sessions of these tests expire, unless they say otherwise.
pub(super) const END: UnixTime = after(60);

pub(super) const fn after(seconds: u64) -> UnixTime {
    NOW.saturating_add(Duration::from_secs(seconds))
}

pub(super) fn grant(owner: &str) -> Grant {
    Grant::new(Identity::new(owner))
}

/// A session from now until the end.
pub(super) fn session(owner: &str, session_id: &str) -> SessionRecord {
    SessionRecord::new(grant(owner), session_id, NOW, END)
}

pub(super) async fn begin<S: SessionStore + ?Sized>(
    store: &S,
    session: &SessionRecord,
    replaced: Option<&str>,
) -> TokenHash {
    let hash = new_hash();
    let begun = store.insert_session(hash, session.clone(), replaced.map(str::to_owned));
    begun.await.expect("a new session is kept");
    hash
}

pub(super) async fn end<S: SessionStore + ?Sized>(store: &S, which: SessionFilter) -> u64 {
    let ended = store.end_sessions(which);
    ended.await.expect("a store that can be written to")
}

pub(super) async fn find_session<S: SessionStore + ?Sized>(
    store: &S,
    hash: TokenHash,
) -> Option<SessionRecord> {
    store.find_session(hash).await.expect("the store answers")
}

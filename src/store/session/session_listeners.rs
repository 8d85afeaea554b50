//! Who is called when sessions end.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError, Weak},
};

use crate::store::RecordId;

/// Which sessions have ended.
///
/// # Example
///
/// ```
/// use portcullis::store::{EndedSessions, RecordId};
///
/// let (one, other) = (RecordId::random(), RecordId::random());
/// assert!(EndedSessions::Ids(&[one]).may_include(one));
/// assert!(!EndedSessions::Ids(&[one]).may_include(other));
/// assert!(EndedSessions::Unknown.may_include(other));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a listener handles every case")]
pub enum EndedSessions<'a> {
    /// The sessions with these ids.
    Ids(&'a [RecordId]),
    /// Any sessions, or none: the store may have missed some, or they were too many to name. Look up each one.
    Unknown,
}

impl EndedSessions<'_> {
    /// Returns whether the session with this id may be one of them.
    pub fn may_include(&self, id: RecordId) -> bool {
        match self {
            Self::Ids(ids) => ids.contains(&id),
            Self::Unknown => true,
        }
    }
}

/// A function that a store calls when sessions end: see [`SessionStore::on_sessions_ended`].
///
/// [`SessionStore::on_sessions_ended`]: crate::store::SessionStore::on_sessions_ended
pub type SessionListener = dyn Fn(EndedSessions<'_>) + Send + Sync;

/// The listeners of one store.
#[derive(Default)]
pub(in crate::store) struct SessionListeners(Mutex<Vec<Weak<SessionListener>>>);

impl SessionListeners {
    pub(in crate::store) fn add(&self, listener: Weak<SessionListener>) {
        let mut listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(listener);
    }

    /// Calls each listener, unless there is nothing to say. No lock is held meanwhile, and one that panics stops no other.
    pub(in crate::store) fn call(&self, ended: EndedSessions<'_>) {
        if ended == EndedSessions::Ids(&[]) {
            return;
        }
        let listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for listener in listeners.iter().filter_map(Weak::upgrade) {
            let _ = catch_unwind(AssertUnwindSafe(|| listener(ended)));
        }
    }
}

//! Listeners that a store notifies of sessions that have ended.

use std::sync::{Arc, Mutex, PoisonError};

use super::session_steps::{begin, end, session};
use crate::store::{EndedSessions, RecordId, SessionFilter, SessionListener, SessionRecord, SessionStore};

/// A listener, and the ids that it was called with.
pub(super) struct Listener {
    pub(super) called: Arc<SessionListener>,
    ids: Arc<Mutex<Vec<RecordId>>>,
}

impl Listener {
    /// Returns `None` if the store calls no listeners.
    pub(super) fn of<S: SessionStore + ?Sized>(store: &S) -> Option<Self> {
        let ids = Arc::<Mutex<Vec<RecordId>>>::default();
        let called: Arc<SessionListener> = Arc::new({
            let ids = Arc::clone(&ids);
            move |ended| {
                if let EndedSessions::Ids(ended) = ended {
                    ids.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .extend_from_slice(ended);
                }
            }
        });
        let calls = store.on_sessions_ended(Arc::downgrade(&called));
        calls.then_some(Self { called, ids })
    }

    pub(super) fn was_called_with(&self, session: &SessionRecord) -> bool {
        let ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.contains(&session.id())
    }
}

pub(super) async fn listeners_are_called_with_the_sessions_that_ended<S: SessionStore + ?Sized>(store: &S) {
    let Some(listener) = Listener::of(store) else {
        return;
    };
    let Listener { called: gone, ids } = Listener::of(store).expect("a store that calls one calls each");
    drop(gone);
    let sessions @ [first, second, third] = &["h1", "h2", "h3"].map(|id| session("heard", id));
    for session in sessions {
        begin(store, session, None).await;
    }
    let next = session("heard", "h4");
    let names = |ended: &[&SessionRecord]| {
        for session in sessions.iter().chain([&next]) {
            let named = listener.was_called_with(session);
            let why = "a listener is called with each session that ended, and no other";
            assert_eq!(named, ended.contains(&session), "{why}: {}", session.session_id());
        }
    };
    end(store, SessionFilter::owner("unheard")).await;
    names(&[]);
    begin(store, &next, Some("h1")).await;
    names(&[first]);
    end(store, SessionFilter::id(second.id())).await;
    names(&[first, second]);
    end(store, SessionFilter::owner("heard")).await;
    names(&[first, second, third, &next]);
    let ids = ids.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(ids, [], "a listener that was dropped is not called");
}

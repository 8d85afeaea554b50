//! When somebody was last active.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::clock::UnixTime;

/// When members and their servers were last active, as far as it was reported since the hub began. It has one entry
/// for each at most.
#[derive(Default)]
pub(crate) struct ActivityLog(Mutex<Times>);

/// By user, and by server or for the user as a whole.
type Times = HashMap<(Box<str>, Option<Box<str>>), UnixTime>;

impl ActivityLog {
    /// The last time that was reported of a user, or of one of their servers.
    pub(crate) fn of(&self, user: &str, server: Option<&str>) -> Option<UnixTime> {
        self.lock().get(&(user.into(), server.map(Box::from))).copied()
    }

    pub(super) fn note(&self, user: &str, server: Option<&str>, time: UnixTime) {
        let mut all = self.lock();
        let last = all.entry((user.into(), server.map(Box::from))).or_default();
        *last = time.max(*last);
    }

    fn lock(&self) -> MutexGuard<'_, Times> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

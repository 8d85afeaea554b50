//! When users were last active, and which servers run.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::clock::UnixTime;

/// When members and their servers were last active, and which servers were stopped, as far as the hub was told since it
/// began. It has one entry for each at most.
pub(crate) struct ActivityLog {
    began: UnixTime,
    times: Mutex<Times>,
}

#[derive(Default)]
struct Times {
    /// By user, and by server or for the user as a whole.
    active: HashMap<(Box<str>, Option<Box<str>>), UnixTime>,
    /// By user and server. A server without an entry runs since the hub began.
    runs: HashMap<(Box<str>, Box<str>), Run>,
}

#[derive(Clone, Copy)]
enum Run {
    Since(UnixTime),
    StoppedAt(UnixTime),
}

impl ActivityLog {
    pub(crate) fn new(began: UnixTime) -> Self {
        Self {
            began,
            times: Mutex::default(),
        }
    }

    /// The last time that was reported of a user, or of one of their servers.
    pub(crate) fn of(&self, user: &str, server: Option<&str>) -> Option<UnixTime> {
        let key = (user.into(), server.map(Box::from));
        self.lock().active.get(&key).copied()
    }

    /// Records a report. A server that was active after it was stopped has been started again.
    pub(super) fn note(&self, user: &str, server: Option<&str>, time: UnixTime) {
        let mut all = self.lock();
        let last = all
            .active
            .entry((user.into(), server.map(Box::from)))
            .or_default();
        *last = time.max(*last);
        let run = server.and_then(|server| all.runs.get_mut(&(user.into(), server.into())));
        if let Some(run) = run
            && matches!(run, Run::StoppedAt(stopped) if *stopped < time)
        {
            *run = Run::Since(time);
        }
    }

    /// Since when a server runs, as far as the hub knows; `None` if it was stopped.
    pub(crate) fn running_since(&self, user: &str, server: &str) -> Option<UnixTime> {
        match self.lock().runs.get(&(user.into(), server.into())) {
            None => Some(self.began),
            Some(Run::Since(time)) => Some(*time),
            Some(Run::StoppedAt(_)) => None,
        }
    }

    pub(super) fn note_stop(&self, user: &str, server: &str, time: UnixTime) {
        let mut all = self.lock();
        all.runs
            .insert((user.into(), server.into()), Run::StoppedAt(time));
    }

    fn lock(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! When users and their servers were active, as the store knows it.

use crate::clock::UnixTime;

/// When a user or one of their servers was last active, and when the server was started and stopped.
///
/// A store keeps the latest time of each kind, so records may arrive in any order and from several hubs.
///
/// # Example
///
/// ```
/// use portcullis::{clock::UnixTime, store::ActivityRecord};
///
/// let stopped = ActivityRecord::new("alice", Some("gpu")).with_stopped(UnixTime::from_secs(100));
/// assert!(!stopped.is_running());
/// let again = stopped.merged(&ActivityRecord::new("alice", Some("gpu")).with_started(UnixTime::from_secs(160)));
/// assert!(again.is_running());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityRecord {
    owner: String,
    server: Option<String>,
    last_activity: Option<UnixTime>,
    started: Option<UnixTime>,
    stopped: Option<UnixTime>,
}

impl ActivityRecord {
    /// A record without times, of this user's server (empty for the default one), or of the user as a whole if `server` is
    /// `None`.
    pub fn new(owner: &str, server: Option<&str>) -> Self {
        Self {
            owner: owner.to_owned(),
            server: server.map(str::to_owned),
            last_activity: None,
            started: None,
            stopped: None,
        }
    }

    /// The same record, last active at this time. Default: never.
    #[must_use]
    pub fn with_last_activity(self, time: UnixTime) -> Self {
        Self {
            last_activity: Some(time),
            ..self
        }
    }

    /// The same record, started again at this time. Default: never.
    #[must_use]
    pub fn with_started(self, time: UnixTime) -> Self {
        Self {
            started: Some(time),
            ..self
        }
    }

    /// The same record, stopped at this time. Default: never.
    #[must_use]
    pub fn with_stopped(self, time: UnixTime) -> Self {
        Self {
            stopped: Some(time),
            ..self
        }
    }

    /// Returns this record with each time of `other` that is later.
    #[must_use]
    pub fn merged(self, other: &Self) -> Self {
        Self {
            last_activity: self.last_activity.max(other.last_activity),
            started: self.started.max(other.started),
            stopped: self.stopped.max(other.stopped),
            ..self
        }
    }

    /// The user.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The server, or `None` if the record is of the user as a whole.
    pub fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// When the user or the server was last active.
    pub fn last_activity(&self) -> Option<UnixTime> {
        self.last_activity
    }

    /// When the server was started again after it had been stopped.
    pub fn started(&self) -> Option<UnixTime> {
        self.started
    }

    /// When the server was stopped.
    pub fn stopped(&self) -> Option<UnixTime> {
        self.stopped
    }

    /// Whether the server was never stopped, or was started again since.
    pub fn is_running(&self) -> bool {
        self.stopped.is_none() || self.started > self.stopped
    }
}

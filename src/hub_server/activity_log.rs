//! When users were last active, and which servers run, as the store knows it.

use std::time::Duration;

use super::state::HubState;
use crate::{
    clock::UnixTime,
    store::{ActivityRecord, StoreError},
};

/// An activity is recorded if it is so much later than the recorded one.
const RESOLUTION: Duration = Duration::from_secs(60);

impl HubState {
    /// Returns the recorded activity of a user and of their servers.
    pub(super) async fn activity_of(&self, user: &str) -> Result<Vec<ActivityRecord>, StoreError> {
        self.store.activity(vec![user.to_owned()]).await
    }

    /// Records when a user, or one of their servers, was active. A server that was active after it was stopped has been
    /// started again.
    pub(super) async fn record_activity(
        &self,
        user: &str,
        reports: impl IntoIterator<Item = (Option<&str>, UnixTime)>,
    ) -> Result<(), StoreError> {
        let (known, mut records) = (self.activity_of(user).await?, Vec::new());
        for (server, time) in reports {
            let (record, known) = (ActivityRecord::new(user, server), find(&known, user, server));
            let is_later = |last: UnixTime| time >= last.saturating_add(RESOLUTION);
            if known.is_some_and(|known| !known.is_running() && known.stopped() < Some(time)) {
                records.push(record.with_last_activity(time).with_started(time));
            } else if known.and_then(ActivityRecord::last_activity).is_none_or(is_later) {
                records.push(record.with_last_activity(time));
            }
        }
        match records.is_empty() {
            true => Ok(()),
            false => self.store.record_activity(records).await,
        }
    }

    pub(super) async fn record_stop(
        &self,
        user: &str,
        server: &str,
        time: UnixTime,
    ) -> Result<(), StoreError> {
        let stopped = ActivityRecord::new(user, Some(server)).with_stopped(time);
        self.store.record_activity(vec![stopped]).await
    }

    /// Returns since when a server runs, as far as the hub knows; `None` if it was stopped.
    pub(super) fn running_since(
        &self,
        known: &[ActivityRecord],
        user: &str,
        server: &str,
    ) -> Option<UnixTime> {
        match find(known, user, Some(server)) {
            Some(known) if !known.is_running() => None,
            known => Some(known.and_then(ActivityRecord::started).unwrap_or(self.began)),
        }
    }
}

pub(super) fn find<'r>(
    known: &'r [ActivityRecord],
    user: &str,
    server: Option<&str>,
) -> Option<&'r ActivityRecord> {
    known
        .iter()
        .find(|record| record.owner() == user && record.server() == server)
}

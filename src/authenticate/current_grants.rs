//! The current grants of users, from a directory, for logins that no store keeps.

use std::{sync::Arc, time::Duration};

use crate::{
    digest::{DigestKey, sha256},
    error::BackendError,
    maybe_future::MaybeFuture,
    request::head::RequestHead,
    session::grant::Grant,
    store::ExpiringMap,
    verify::UserLookup,
};

/// A user directory, with a cache of its answers.
#[derive(Clone)]
pub(crate) struct CurrentGrants {
    users: Arc<dyn UserLookup>,
    refresh_interval: Duration,
    /// By the SHA-256 of the user's name; `None` for a user that is not there.
    known: Arc<ExpiringMap<DigestKey, Option<Grant>>>,
}

/// The most users whose answers are cached.
const USERS: usize = 32_768;

impl CurrentGrants {
    pub(crate) fn new(users: Arc<dyn UserLookup>, refresh_interval: Duration) -> Self {
        let known = Arc::new(ExpiringMap::new(USERS));
        Self {
            users,
            refresh_interval,
            known,
        }
    }

    /// What the user of a login may do now, until the login ends; `None` if the directory does not know the user.
    pub(crate) fn current(
        &self,
        login: Grant,
        head: RequestHead<'_>,
    ) -> MaybeFuture<Result<Option<Grant>, BackendError>> {
        let (key, now) = (
            DigestKey(sha256(login.identity().username().as_bytes())),
            head.monotonic_now(),
        );
        if let Some(known) = self.known.get(&key, now) {
            return Ok(limited(&login, known)).into();
        }
        let answer = self.users.current(login.identity().username());
        let (known, end) = (Arc::clone(&self.known), now.saturating_add(self.refresh_interval));
        answer.map(move |current| {
            let current = current?;
            known.insert(key, current.clone(), end, now);
            Ok(limited(&login, current))
        })
    }
}

/// The grant of a directory for the user of a login, which ends no later than the login.
pub(super) fn limited(login: &Grant, current: Option<Grant>) -> Option<Grant> {
    let current = current.filter(|current| current.identity().username() == login.identity().username())?;
    Some(match login.expires_at() {
        Some(end) if current.expires_at().is_none_or(|later| end < later) => current.with_expiry(end),
        _ => current,
    })
}

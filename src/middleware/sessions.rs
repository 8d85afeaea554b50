//! The sessions of a layer's users: listed and ended.

use std::{net::IpAddr, sync::Arc};

use crate::{
    authenticate::session_cookie::SessionCookie,
    clock::{Clock, UnixTime},
    error::BackendError,
    request::device::device_name,
    session::{RecordId, Session},
    store::{SessionFilter, SessionRecord},
};

/// Lists and ends the sessions of users: what [`AuthLayer::sessions`](crate::AuthLayer::sessions) gives.
///
/// What ends here ends in every process that shares the store. Cloning increments reference counts.
///
/// # Example
///
/// An endpoint of your own that lists the user's own sessions, as JSON (feature `serde`):
///
/// ```
/// use portcullis::{AuthLayer, BackendError, Session};
///
/// async fn my_sessions(auth: AuthLayer, session: Session) -> Result<String, BackendError> {
///     let Some(sessions) = auth.sessions() else { return Ok("[]".to_owned()) };
///     let mine = sessions.list(session.identity().username()).await?;
///     Ok(serde_json::to_string(&mine).unwrap_or_default())
/// }
/// ```
#[derive(Clone)]
pub struct Sessions {
    cookie: SessionCookie,
    clock: Arc<dyn Clock>,
}

/// One session of a user, as lists show it.
///
/// With the feature `serde` it is written as a JSON object with these fields, times in seconds since 1970, and `device` as
/// [`device`](Self::device) returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// By what the session is ended.
    pub id: RecordId,
    /// The `User-Agent` of the login, if it had one.
    pub user_agent: Option<String>,
    /// The address of the client that logged in.
    pub address: Option<IpAddr>,
    /// When the user logged in.
    pub created: UnixTime,
    /// When the session was last used, to the minute.
    pub last_used: UnixTime,
    /// When the session ends at the latest, exclusive.
    pub expires_at: UnixTime,
}

/// How many expired sessions are removed in one step.
const REMOVED_AT_ONCE: usize = 25;

impl Sessions {
    pub(crate) fn new(cookie: SessionCookie, clock: Arc<dyn Clock>) -> Self {
        Self { cookie, clock }
    }

    /// Returns the sessions of a user that have not expired, the last used first.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    pub async fn list(&self, username: &str) -> Result<Vec<SessionInfo>, BackendError> {
        let store = &self.cookie.settings().store;
        let found = store
            .list_sessions(SessionFilter::owner(username), self.clock.now())
            .await?;
        let mut list: Vec<SessionInfo> = found.into_iter().map(SessionInfo::from).collect();
        list.sort_by_key(|session| std::cmp::Reverse((session.last_used, session.created)));
        Ok(list)
    }

    /// Ends one session of a user. Returns whether the user had one with this id.
    ///
    /// # Errors
    ///
    /// If the store does not answer: then nothing has ended.
    pub async fn end(&self, username: &str, id: RecordId) -> Result<bool, BackendError> {
        let ended = self
            .end_selected(SessionFilter::owner(username).and_id(id), &[id])
            .await?;
        Ok(ended > 0)
    }

    /// Ends all sessions of a user, and returns how many there were: for a user that you delete or lock out.
    ///
    /// # Errors
    ///
    /// If the store does not answer: then nothing has ended.
    pub async fn end_all(&self, username: &str) -> Result<u64, BackendError> {
        self.end_selected(SessionFilter::owner(username), &[]).await
    }

    /// Ends all sessions of the session's user but this one, and returns how many there were.
    ///
    /// A session that came by something else than a cookie is in no store: all sessions of its user end.
    ///
    /// # Errors
    ///
    /// If the store does not answer: then nothing has ended.
    pub async fn end_others(&self, session: &Session) -> Result<u64, BackendError> {
        let mut others = SessionFilter::owner(session.identity().username());
        if let Some(id) = session.record_id() {
            let store = &self.cookie.settings().store;
            let this = store
                .list_sessions(SessionFilter::id(id), self.clock.now())
                .await?;
            if let Some(this) = this.first() {
                others = others.and_not_session(this.session_id());
            }
        }
        self.end_selected(others, &[]).await
    }

    /// Removes expired sessions from the store, and returns how many there were.
    ///
    /// Each login removes a few, which is enough for steady use. Call this now and then, such as once an hour, if many sessions
    /// expire at once. It removes 25 at a time: in SQLite, where one write waits for
    /// another, writes of other requests then waited 13 ms at p99 while a million sessions were removed, and less than 1 ms in
    /// PostgreSQL.
    ///
    /// # Errors
    ///
    /// If the store does not answer; what was removed until then stays removed.
    pub async fn remove_expired(&self) -> Result<u64, BackendError> {
        let (store, now) = (&self.cookie.settings().store, self.clock.now());
        let mut removed = 0;
        loop {
            let step = store.remove_expired_sessions(now, REMOVED_AT_ONCE).await?;
            removed += step;
            if step < REMOVED_AT_ONCE as u64 {
                return Ok(removed);
            }
        }
    }

    /// Ends these sessions; those of `ids` are known to be among them, or none if they are not known.
    /// Ends the sessions that came from this credential, and returns how many.
    #[cfg(feature = "openid")]
    pub(crate) async fn end_from(
        &self,
        credential: crate::store::SessionCredential,
    ) -> Result<u64, BackendError> {
        self.end_selected(SessionFilter::credential(credential), &[])
            .await
    }

    async fn end_selected(&self, which: SessionFilter, ids: &[RecordId]) -> Result<u64, BackendError> {
        let settings = self.cookie.settings();
        let ended = settings.store.end_sessions(which).await?;
        settings.endings.notify(ids);
        Ok(ended)
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

impl From<SessionRecord> for SessionInfo {
    fn from(record: SessionRecord) -> Self {
        Self {
            id: record.id(),
            user_agent: record.note().map(str::to_owned),
            address: record.address(),
            created: record.created(),
            last_used: record.last_used(),
            expires_at: record.expires_at(),
        }
    }
}

impl SessionInfo {
    /// Returns the browser and the system of the login, such as `Firefox on Linux`; else `Unknown device`.
    ///
    /// Taken from the `User-Agent` field, which a client writes as it likes.
    pub fn device(&self) -> String {
        device_name(self.user_agent.as_deref().unwrap_or_default())
    }
}

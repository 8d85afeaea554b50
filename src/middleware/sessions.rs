//! The sessions of a layer's users: listed and ended.

use std::{net::IpAddr, sync::Arc};

use crate::{
    authenticate::session_cookie::SessionCookie,
    clock::{Clock, UnixTime},
    error::BackendError,
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

/// The programs that `User-Agent` fields name, each before those that it claims to be.
const PROGRAMS: [(&str, &str); 9] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
];
/// The systems that they name.
const SYSTEMS: [(&str, &str); 7] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
];

impl SessionInfo {
    /// Returns the browser and the system of the login, such as `Firefox on Linux`; else `Unknown device`.
    ///
    /// Taken from the `User-Agent` field, which a client writes as it likes.
    pub fn device(&self) -> String {
        let agent = self.user_agent.as_deref().unwrap_or_default();
        let find = |names: &[(&str, &'static str)]| {
            let mut names = names.iter();
            names
                .find(|(part, _)| agent.contains(part))
                .map(|(_, name)| *name)
        };
        match (find(&PROGRAMS), find(&SYSTEMS)) {
            (Some(program), Some(system)) => format!("{program} on {system}"),
            (Some(name), None) | (None, Some(name)) => name.to_owned(),
            (None, None) => "Unknown device".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{grant::Grant, identity::Identity};

    #[test]
    fn devices_are_named_by_browser_and_system() {
        let now = UnixTime::from_secs(1);
        let record = SessionRecord::new(Grant::new(Identity::new("alice")), "s", now, now);
        for (agent, device) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            ("curl/8.14.1", "curl"),
            ("", "Unknown device"),
            ("<script>", "Unknown device"),
        ] {
            let session = SessionInfo::from(record.clone().with_note(agent));
            assert_eq!(session.device(), device, "{agent}");
        }
    }
}

//! A session, as the store knows it, and what a request changes in it.

use std::{net::IpAddr, sync::Arc};

use crate::{
    clock::UnixTime,
    session::grant::Grant,
    store::{RecordId, SessionCredential},
};

/// What a store keeps of a session: who is logged in, with which rights, from where and until when.
///
/// The session is found by the hash of what its cookie holds. The session id is another value, which tokens and OAuth codes
/// made in the session carry; the hub sends it in the cookie `jupyterhub-session-id`. Cloning increments reference counts.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use portcullis::{Grant, Identity, clock::UnixTime, store::SessionRecord};
///
/// let now = UnixTime::from_secs(1_700_000_000);
/// let grant = Grant::new(Identity::new("alice")).with_scopes(["read"]);
/// let session = SessionRecord::new(grant, "5e55", now, now.saturating_add(Duration::from_secs(3_600)))
///     .with_note("Firefox on Linux")
///     .with_address([192, 0, 2, 1]);
/// assert_eq!(session.owner(), "alice");
/// assert_eq!(session.last_used(), now);
/// assert!(!session.has_expired(now));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    id: RecordId,
    grant: Grant,
    pub(in crate::store) session_id: Arc<str>,
    created: UnixTime,
    last_used: UnixTime,
    checked_at: UnixTime,
    expires_at: UnixTime,
    note: Option<Arc<str>>,
    address: Option<IpAddr>,
    credential: Option<SessionCredential>,
}

impl SessionRecord {
    /// Creates the record of a session from `now` until `expires_at`, under a new id; last used and checked `now`, without
    /// note, address and credential.
    ///
    /// # Panics
    ///
    /// If the system's random generator fails.
    pub fn new(grant: Grant, session_id: &str, now: UnixTime, expires_at: UnixTime) -> Self {
        Self {
            id: RecordId::random(),
            grant,
            session_id: session_id.into(),
            created: now,
            last_used: now,
            checked_at: now,
            expires_at,
            note: None,
            address: None,
            credential: None,
        }
    }

    /// Sets the id: for a store that reads a record. Default: a new one.
    #[must_use]
    pub fn with_id(self, id: RecordId) -> Self {
        Self { id, ..self }
    }

    /// Sets when the session was last used. Default: when it was created.
    #[must_use]
    pub fn with_last_used(self, last_used: UnixTime) -> Self {
        Self { last_used, ..self }
    }

    /// Sets when a user directory last confirmed the grant. Default: when the session was created.
    #[must_use]
    pub fn with_checked_at(self, checked_at: UnixTime) -> Self {
        Self { checked_at, ..self }
    }

    /// Sets the description by which its owner knows the session in a list, such as the browser's name. Default: none.
    #[must_use]
    pub fn with_note(self, note: &str) -> Self {
        Self {
            note: Some(note.into()),
            ..self
        }
    }

    /// Sets the address of the client that logged in. Default: none.
    #[must_use]
    pub fn with_address(self, address: impl Into<IpAddr>) -> Self {
        Self {
            address: Some(address.into()),
            ..self
        }
    }

    /// Sets what the session came from, such as a token: [`SessionFilter::credential`](crate::store::SessionFilter::credential)
    /// ends the sessions of one that was changed. Default: none.
    #[must_use]
    pub fn with_credential(self, credential: SessionCredential) -> Self {
        Self {
            credential: Some(credential),
            ..self
        }
    }

    /// Returns the id by which it is known in lists.
    pub fn id(&self) -> RecordId {
        self.id
    }

    /// Returns the grant of the session. Check its expiry too: it may be earlier than the session's.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Returns who is logged in: the username of the grant.
    pub fn owner(&self) -> &str {
        self.grant.identity().username()
    }

    /// Returns the session id, which tokens and codes made in the session carry.
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// Returns when the session was created.
    pub fn created(&self) -> UnixTime {
        self.created
    }

    /// Returns when the session was last used, as precisely as it is written: see [`SessionStore::touch_session`].
    ///
    /// [`SessionStore::touch_session`]: crate::store::SessionStore::touch_session
    pub fn last_used(&self) -> UnixTime {
        self.last_used
    }

    /// Returns when a user directory last confirmed the grant.
    pub fn checked_at(&self) -> UnixTime {
        self.checked_at
    }

    /// Returns when the session expires, exclusive.
    pub fn expires_at(&self) -> UnixTime {
        self.expires_at
    }

    /// Returns the description of the client.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Returns the address of the client that logged in.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Returns what the session came from.
    pub fn credential(&self) -> Option<SessionCredential> {
        self.credential
    }

    /// Returns whether the session has expired at `now`.
    pub fn has_expired(&self, now: UnixTime) -> bool {
        self.expires_at <= now
    }

    /// Returns the record as `touch` leaves it: the last use does not go back, and an earlier check replaces no later one.
    #[must_use]
    pub fn touched(mut self, touch: SessionTouch) -> Self {
        self.last_used = self.last_used.max(touch.last_used);
        self.expires_at = touch.expires_at;
        if let Some((checked_at, grant)) = touch.checked
            && self.checked_at <= checked_at
        {
            (self.checked_at, self.grant) = (checked_at, grant);
        }
        self
    }
}

/// The change of a session by a request: when it was last used, when it expires and, after a check, its grant.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use portcullis::{Grant, Identity, clock::UnixTime, store::SessionTouch};
///
/// let now = UnixTime::from_secs(1_700_000_000);
/// let touch = SessionTouch::new(now, now.saturating_add(Duration::from_secs(3_600)));
/// let confirmed = touch.with_checked(now, Grant::new(Identity::new("alice")).with_scopes(["read"]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionTouch {
    pub(in crate::store) last_used: UnixTime,
    pub(in crate::store) expires_at: UnixTime,
    pub(in crate::store) checked: Option<(UnixTime, Grant)>,
}

impl SessionTouch {
    /// Creates the change that a request at `last_used` makes, after which the session expires at `expires_at`; the grant stays.
    pub fn new(last_used: UnixTime, expires_at: UnixTime) -> Self {
        Self {
            last_used,
            expires_at,
            checked: None,
        }
    }

    /// Sets what a user directory answered at `checked_at`. Default: the grant stays as it is.
    #[must_use]
    pub fn with_checked(self, checked_at: UnixTime, grant: Grant) -> Self {
        Self {
            checked: Some((checked_at, grant)),
            ..self
        }
    }

    /// Returns when the session was used.
    pub fn last_used(&self) -> UnixTime {
        self.last_used
    }

    /// Returns when the session expires from now on, exclusive.
    pub fn expires_at(&self) -> UnixTime {
        self.expires_at
    }

    /// Returns when a user directory was queried, and the grant it confirmed.
    pub fn checked(&self) -> Option<(UnixTime, &Grant)> {
        self.checked.as_ref().map(|(time, grant)| (*time, grant))
    }
}

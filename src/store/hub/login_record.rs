//! A login, as the store knows it, and which logins are meant.

use crate::{clock::UnixTime, store::RecordId};

/// What a store knows of a login: who, in which session, until when.
///
/// The session id is the one of the cookie `jupyterhub-session-id`, which tokens and codes made in the session carry.
/// The login itself is known by the hash of what its own cookie holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginRecord {
    id: RecordId,
    owner: String,
    session_id: String,
    created: UnixTime,
    expires_at: UnixTime,
    note: Option<String>,
}

impl LoginRecord {
    /// A login of `owner` in the session `session_id`, from `now` until `expires_at`, under a new id; without a note.
    pub fn new(owner: &str, session_id: &str, now: UnixTime, expires_at: UnixTime) -> Self {
        Self {
            id: RecordId::random(),
            owner: owner.to_owned(),
            session_id: session_id.to_owned(),
            created: now,
            expires_at,
            note: None,
        }
    }

    /// The same login under this id: what a store read. Default: a new one.
    #[must_use]
    pub fn with_id(self, id: RecordId) -> Self {
        Self { id, ..self }
    }

    /// The same login with words its owner knows it by in a list, such as the browser's name. Default: none.
    #[must_use]
    pub fn with_note(self, note: &str) -> Self {
        Self {
            note: Some(note.to_owned()),
            ..self
        }
    }

    /// By what it is known in lists.
    pub fn id(&self) -> RecordId {
        self.id
    }

    /// Who is logged in.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The session.
    pub fn session_id(&self) -> &str {
        &self.session_id
    }

    /// Since when.
    pub fn created(&self) -> UnixTime {
        self.created
    }

    /// Until when, exclusive.
    pub fn expires_at(&self) -> UnixTime {
        self.expires_at
    }

    /// By what its owner knows it.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Whether its time is over at `now`.
    pub fn has_expired(&self, now: UnixTime) -> bool {
        self.expires_at <= now
    }
}

/// Which logins are meant: those that every condition holds for.
///
/// # Example
///
/// ```
/// use portcullis::store::LoginFilter;
///
/// let everywhere = LoginFilter::owner("alice");
/// let this_one = LoginFilter::owner("alice").and_session("8ace623e786f454682aebac535bc5bf4");
/// # let id = portcullis::store::RecordId::random();
/// let one_of_her_list = LoginFilter::owner("alice").and_id(id);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginFilter {
    pub(in crate::store) owner: String,
    pub(in crate::store) id: Option<RecordId>,
    pub(in crate::store) session_id: Option<String>,
}

impl LoginFilter {
    /// Those of `owner`.
    pub fn owner(owner: &str) -> Self {
        Self {
            owner: owner.to_owned(),
            id: None,
            session_id: None,
        }
    }

    /// Of these, the one with this id.
    #[must_use]
    pub fn and_id(self, id: RecordId) -> Self {
        Self { id: Some(id), ..self }
    }

    /// Of these, the one in this session.
    #[must_use]
    pub fn and_session(self, session_id: &str) -> Self {
        Self {
            session_id: Some(session_id.to_owned()),
            ..self
        }
    }

    /// Whether the login of `record` is among them.
    pub fn matches(&self, record: &LoginRecord) -> bool {
        self.owner == record.owner
            && self.id.is_none_or(|id| id == record.id)
            && self
                .session_id
                .as_deref()
                .is_none_or(|session_id| session_id == record.session_id)
    }
}

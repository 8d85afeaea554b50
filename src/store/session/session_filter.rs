//! Which sessions are listed or ended.

use super::{SessionCredential, SessionRecord};
use crate::store::RecordId;

/// Selects sessions: those for which every condition holds.
///
/// There is always at least one condition, so a mistake does not end all sessions.
///
/// # Example
///
/// ```
/// use portcullis::store::SessionFilter;
///
/// let all_of_alice = SessionFilter::owner("alice");
/// let this_one = SessionFilter::owner("alice").and_session("8ace623e786f454682aebac535bc5bf4");
/// let all_others = SessionFilter::owner("alice").and_not_session("8ace623e786f454682aebac535bc5bf4");
/// # let id = portcullis::store::RecordId::random();
/// let one_of_her_list = SessionFilter::owner("alice").and_id(id);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionFilter {
    pub(in crate::store) id: Option<RecordId>,
    pub(in crate::store) owner: Option<String>,
    pub(in crate::store) credential: Option<SessionCredential>,
    pub(in crate::store) session_id: Option<String>,
    pub(in crate::store) other_than: Option<String>,
}

impl SessionFilter {
    /// Where the constructors begin; each adds a condition.
    const UNCONDITIONAL: Self = Self {
        id: None,
        owner: None,
        credential: None,
        session_id: None,
        other_than: None,
    };

    /// Selects the sessions of `owner`.
    pub fn owner(owner: &str) -> Self {
        Self {
            owner: Some(owner.to_owned()),
            ..Self::UNCONDITIONAL
        }
    }

    /// Selects the session with this id, of any owner.
    pub fn id(id: RecordId) -> Self {
        Self::UNCONDITIONAL.and_id(id)
    }

    /// Selects the sessions that came from this credential, of any owner.
    pub fn credential(credential: SessionCredential) -> Self {
        Self {
            credential: Some(credential),
            ..Self::UNCONDITIONAL
        }
    }

    /// Of these, selects the one with this id.
    #[must_use]
    pub fn and_id(self, id: RecordId) -> Self {
        Self { id: Some(id), ..self }
    }

    /// Of these, selects the one with this session id.
    #[must_use]
    pub fn and_session(self, session_id: &str) -> Self {
        Self {
            session_id: Some(session_id.to_owned()),
            ..self
        }
    }

    /// Of these, selects all but the one with this session id: to end all other sessions of a user in one step.
    #[must_use]
    pub fn and_not_session(self, session_id: &str) -> Self {
        Self {
            other_than: Some(session_id.to_owned()),
            ..self
        }
    }

    /// Returns the conditions: for a store that finds sessions by an index of its own.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::store::{SessionCondition, SessionFilter};
    ///
    /// let all_others = SessionFilter::owner("alice").and_not_session("5e55");
    /// let conditions: Vec<_> = all_others.conditions().collect();
    /// assert_eq!(conditions, [SessionCondition::Owner("alice"), SessionCondition::NotSession("5e55")]);
    /// ```
    pub fn conditions(&self) -> impl Iterator<Item = SessionCondition<'_>> {
        let conditions = [
            self.id.map(SessionCondition::Id),
            self.owner.as_deref().map(SessionCondition::Owner),
            self.credential.map(SessionCondition::Credential),
            self.session_id.as_deref().map(SessionCondition::Session),
            self.other_than.as_deref().map(SessionCondition::NotSession),
        ];
        conditions.into_iter().flatten()
    }

    /// Returns whether the session of `record` is selected.
    pub fn matches(&self, record: &SessionRecord) -> bool {
        self.conditions().all(|condition| match condition {
            SessionCondition::Id(id) => record.id() == id,
            SessionCondition::Owner(owner) => record.owner() == owner,
            SessionCondition::Credential(credential) => record.credential() == Some(credential),
            SessionCondition::Session(session_id) => record.session_id() == session_id,
            SessionCondition::NotSession(session_id) => record.session_id() != session_id,
        })
    }
}

/// One condition of a [`SessionFilter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a store that ignored one would end sessions that were not selected"
)]
pub enum SessionCondition<'a> {
    /// The session with this id.
    Id(RecordId),
    /// The sessions of this owner.
    Owner(&'a str),
    /// The sessions that came from this credential.
    Credential(SessionCredential),
    /// The session with this session id.
    Session(&'a str),
    /// All sessions but the one with this session id.
    NotSession(&'a str),
}

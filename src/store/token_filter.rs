//! Which tokens are meant.

use crate::store::{RecordId, TokenRecord};

/// Which tokens are meant: those that every condition holds for.
///
/// There is always at least one condition, so a filter never selects all tokens by mistake.
///
/// # Example
///
/// ```
/// use portcullis::store::TokenFilter;
///
/// let all_of_alice = TokenFilter::owner("alice");
/// let hers_for_the_grader = TokenFilter::owner("alice").and_client("service-grader");
/// let hers_of_a_login = TokenFilter::owner("alice").and_session("8ace623e786f454682aebac535bc5bf4");
/// # let id = portcullis::store::RecordId::random();
/// let one_if_it_is_hers = TokenFilter::owner("alice").and_id(id);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenFilter {
    pub(super) id: Option<RecordId>,
    pub(super) owner: Option<String>,
    pub(super) session_id: Option<String>,
    pub(super) client_id: Option<String>,
}

impl TokenFilter {
    /// Where the constructors begin; each adds a condition.
    const UNCONDITIONAL: Self = Self {
        id: None,
        owner: None,
        session_id: None,
        client_id: None,
    };

    /// Those of `owner`.
    pub fn owner(owner: &str) -> Self {
        Self {
            owner: Some(owner.to_owned()),
            ..Self::UNCONDITIONAL
        }
    }

    /// The one with this id, whosever it is.
    pub fn id(id: RecordId) -> Self {
        Self::UNCONDITIONAL.and_id(id)
    }

    /// Those made in the session with this id, whosever they are.
    pub fn session(session_id: &str) -> Self {
        Self::UNCONDITIONAL.and_session(session_id)
    }

    /// Of these, the one with this id.
    #[must_use]
    pub fn and_id(self, id: RecordId) -> Self {
        Self { id: Some(id), ..self }
    }

    /// Of these, those made for the OAuth client with this id.
    #[must_use]
    pub fn and_client(self, client_id: &str) -> Self {
        Self {
            client_id: Some(client_id.to_owned()),
            ..self
        }
    }

    /// Of these, those made in the session with this id.
    #[must_use]
    pub fn and_session(self, session_id: &str) -> Self {
        Self {
            session_id: Some(session_id.to_owned()),
            ..self
        }
    }

    /// Whether the token of `record` is among them.
    pub fn matches(&self, record: &TokenRecord) -> bool {
        let same = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        self.id.is_none_or(|id| id == record.id())
            && same(&self.owner, Some(record.owner()))
            && same(&self.session_id, record.session_id())
            && same(&self.client_id, record.client_id())
    }
}

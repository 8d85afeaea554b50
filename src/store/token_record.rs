//! The record of one token.

use std::sync::Arc;

use super::RecordId;
use crate::{clock::UnixTime, session::grant::Grant};

/// The record of one token: its grant, and its use so far. Never the token, nor its hash.
///
/// The owner is the username of the grant's identity, the note its label. Cloning counts references up.
///
/// # Example
///
/// ```
/// use portcullis::{clock::UnixTime, store::TokenRecord, Grant, Identity};
///
/// let grant = Grant::new(Identity::new("alice")).with_scopes(["read"]).with_label("phone");
/// let record = TokenRecord::new(grant, UnixTime::from_secs(1_700_000_000)).with_client("service-grader");
/// assert_eq!(record.owner(), "alice");
/// assert_eq!(record.client_id(), Some("service-grader"));
/// assert_eq!(record.last_used(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    id: RecordId,
    grant: Grant,
    created: UnixTime,
    last_used: Option<UnixTime>,
    session_id: Option<Arc<str>>,
    client_id: Option<Arc<str>>,
    family: Option<RecordId>,
    resource: Option<Arc<str>>,
}

impl TokenRecord {
    /// A token with `grant`, created `now`, under a new id; of no session, issued to no client, never used.
    pub fn new(grant: Grant, now: UnixTime) -> Self {
        Self {
            id: RecordId::random(),
            grant,
            created: now,
            last_used: None,
            session_id: None,
            client_id: None,
            family: None,
            resource: None,
        }
    }

    /// The same record under this id: what a store read. Default: a new one.
    #[must_use]
    pub fn with_id(self, id: RecordId) -> Self {
        Self { id, ..self }
    }

    /// The same record, last used at `time`. Default: never.
    #[must_use]
    pub fn with_last_used(self, time: UnixTime) -> Self {
        Self {
            last_used: Some(time),
            ..self
        }
    }

    /// The same record, made in the session with this id and ending with it. Default: none.
    #[must_use]
    pub fn with_session(self, session_id: &str) -> Self {
        Self {
            session_id: Some(session_id.into()),
            ..self
        }
    }

    /// The same record, made for the OAuth client with this id. Default: none.
    #[must_use]
    pub fn with_client(self, client_id: &str) -> Self {
        Self {
            client_id: Some(client_id.into()),
            ..self
        }
    }

    /// The same record, of the refresh token with this id: what ends one of them ends all. The record of a refresh token has
    /// its own id here. Default: none.
    #[must_use]
    pub fn with_family(self, id: RecordId) -> Self {
        Self {
            family: Some(id),
            ..self
        }
    }

    /// The same record, for the resource with this URI and no other (RFC 8707). Default: for any.
    #[must_use]
    pub fn with_resource(self, resource: &str) -> Self {
        Self {
            resource: Some(resource.into()),
            ..self
        }
    }

    /// Sets when it expires.
    #[cfg(feature = "hub-server")]
    pub(super) fn with_expiry(self, end: UnixTime) -> Self {
        Self {
            grant: self.grant.with_expiry(end),
            ..self
        }
    }

    /// Sets the id of the session in which the token was created, or none.
    #[cfg(feature = "hub-server")]
    pub(super) fn with_optional_session(self, session_id: Option<&str>) -> Self {
        Self {
            session_id: session_id.map(Arc::from),
            ..self
        }
    }

    /// By what it is known in lists.
    pub fn id(&self) -> RecordId {
        self.id
    }

    /// The grant of the token. Check its expiry before you accept the token.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Whose it is: the username of the grant.
    pub fn owner(&self) -> &str {
        self.grant.identity().username()
    }

    /// When it was made.
    pub fn created(&self) -> UnixTime {
        self.created
    }

    /// When it was last used, to the minute; `None` if never.
    pub fn last_used(&self) -> Option<UnixTime> {
        self.last_used
    }

    /// The session it was made in, and ends with.
    pub fn session_id(&self) -> Option<&str> {
        self.session_id.as_deref()
    }

    /// The OAuth client it was made for.
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// The id of the refresh token that it came with or from.
    pub fn family(&self) -> Option<RecordId> {
        self.family
    }

    /// The URI of the resource that it is for, if it is for one alone.
    pub fn resource(&self) -> Option<&str> {
        self.resource.as_deref()
    }

    /// Whether it is a refresh token, which is no credential of a request.
    pub fn is_refresh(&self) -> bool {
        self.family == Some(self.id)
    }

    /// Whether it has expired at `now`.
    pub fn is_expired(&self, now: UnixTime) -> bool {
        self.grant.has_expired(|| now)
    }
}

//! A client that registered itself, as the store knows it.

use crate::clock::UnixTime;

/// An OAuth client that registered itself: RFC 7591. It has no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRecord {
    id: String,
    name: String,
    redirect_uris: Vec<String>,
    created: UnixTime,
    expires_at: UnixTime,
}

impl ClientRecord {
    /// A client that registered `created`, and is forgotten at `expires_at`; without a name or redirect URIs.
    pub fn new(id: &str, created: UnixTime, expires_at: UnixTime) -> Self {
        Self {
            id: id.to_owned(),
            name: String::new(),
            redirect_uris: Vec::new(),
            created,
            expires_at,
        }
    }

    /// Sets the name that it gave itself. Default: empty.
    #[must_use]
    pub fn with_name(self, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..self
        }
    }

    /// Sets where users may be redirected. Default: nowhere.
    #[must_use]
    pub fn with_redirect_uris<T: Into<String>>(self, uris: impl IntoIterator<Item = T>) -> Self {
        Self {
            redirect_uris: uris.into_iter().map(Into::into).collect(),
            ..self
        }
    }

    /// Sets when it is forgotten.
    #[must_use]
    pub fn with_expiry(self, expires_at: UnixTime) -> Self {
        Self { expires_at, ..self }
    }

    /// The identifier.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The name that it gave itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where users may be redirected.
    pub fn redirect_uris(&self) -> &[String] {
        &self.redirect_uris
    }

    /// When it registered.
    pub fn created(&self) -> UnixTime {
        self.created
    }

    /// When it is forgotten.
    pub fn expires_at(&self) -> UnixTime {
        self.expires_at
    }
}

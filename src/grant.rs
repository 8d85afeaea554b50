//! What one credential is worth.

use std::sync::{Arc, LazyLock};

use crate::{identity::Identity, scopes::Scopes, time::UnixTime};

/// What one credential is worth: whose it is, what for, until when, and what it is called.
///
/// Cloning counts references up and copies nothing.
///
/// # Example
///
/// ```
/// use portcullis::{Grant, Identity};
///
/// let grant = Grant::new(Identity::new("alice")).with_scopes(["read"]).labelled("phone");
/// assert_eq!(grant.identity().username(), "alice");
/// assert!(grant.scopes().holds("read"));
/// assert_eq!(grant.label(), Some("phone"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    identity: Identity,
    terms: Option<Arc<Terms>>,
}

/// All that most grants have nothing of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Terms {
    scopes: Scopes,
    expires_at: Option<UnixTime>,
    label: Option<Box<str>>,
}

impl Grant {
    /// A grant for `identity`: no scopes, no end, no label.
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            terms: None,
        }
    }

    /// The same grant with these scopes in place of its own. Default: none.
    #[must_use]
    pub fn with_scopes(self, scopes: impl Into<Scopes>) -> Self {
        self.change(|terms| terms.scopes = scopes.into())
    }

    /// The same grant, worth nothing from `time` on. Default: no end.
    #[must_use]
    pub fn expires_at(self, time: UnixTime) -> Self {
        self.change(|terms| terms.expires_at = Some(time))
    }

    /// The same grant under a name for lists and logs, never a secret. Default: none.
    #[must_use]
    pub fn labelled(self, label: &str) -> Self {
        self.change(|terms| terms.label = Some(label.into()))
    }

    fn change(mut self, change: impl FnOnce(&mut Terms)) -> Self {
        change(Arc::make_mut(self.terms.get_or_insert_default()));
        self
    }

    /// Whose.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What for.
    pub fn scopes(&self) -> &Scopes {
        static NONE: LazyLock<Scopes> = LazyLock::new(Scopes::default);
        self.terms.as_ref().map_or(&NONE, |terms| &terms.scopes)
    }

    /// Until when, exclusive; `None` without end.
    pub fn expiry(&self) -> Option<UnixTime> {
        self.terms.as_ref().and_then(|terms| terms.expires_at)
    }

    /// What it is called in lists and logs.
    pub fn label(&self) -> Option<&str> {
        self.terms.as_ref().and_then(|terms| terms.label.as_deref())
    }
}

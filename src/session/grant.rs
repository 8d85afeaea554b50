//! What one credential is worth.

use std::{fmt, sync::Arc};

use crate::{
    clock::UnixTime,
    digest::sha256,
    session::{identity::Identity, scopes::Scopes},
};

/// What one credential is worth: whose it is, what for, until when, and what it is called.
///
/// Cloning counts references up and copies nothing.
///
/// # Example
///
/// ```
/// use portcullis::{Grant, Identity};
///
/// let grant = Grant::new(Identity::new("alice")).with_scopes(["read"]).with_label("phone");
/// assert_eq!(grant.identity().username(), "alice");
/// assert!(grant.scopes().contains("read"));
/// assert_eq!(grant.label(), Some("phone"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Grant(Arc<GrantData>);

#[derive(Clone, PartialEq, Eq)]
struct GrantData {
    identity: Identity,
    scopes: Scopes,
    expires_at: Option<UnixTime>,
    label: Option<Box<str>>,
    groups: Box<[Box<str>]>,
    admin: bool,
    security_stamp: Option<Box<[u8; 32]>>,
}

impl Grant {
    /// A grant for `identity`: no scopes, no end, no label.
    pub fn new(identity: Identity) -> Self {
        Self(Arc::new(GrantData {
            identity,
            scopes: Scopes::default(),
            expires_at: None,
            label: None,
            groups: Box::default(),
            admin: false,
            security_stamp: None,
        }))
    }

    /// The same grant with these scopes in place of its own. Default: none.
    #[must_use]
    pub fn with_scopes(self, scopes: impl Into<Scopes>) -> Self {
        self.change(|terms| terms.scopes = scopes.into())
    }

    /// The same grant, worth nothing from `time` on. Default: no end.
    #[must_use]
    pub fn with_expiry(self, time: UnixTime) -> Self {
        self.change(|terms| terms.expires_at = Some(time))
    }

    /// The same grant under a name for lists and logs, never a secret. Default: none.
    #[must_use]
    pub fn with_label(self, label: &str) -> Self {
        self.change(|terms| terms.label = Some(label.into()))
    }

    /// The same grant for a user who is in these groups. Default: none.
    ///
    /// [`AuthLayer::hub`](crate::AuthLayer::hub) sets them from the hub's answer. Token stores and login cookies do not keep
    /// them.
    #[must_use]
    pub fn with_groups<T: AsRef<str>>(self, groups: impl IntoIterator<Item = T>) -> Self {
        self.change(|terms| terms.groups = groups.into_iter().map(|group| group.as_ref().into()).collect())
    }

    /// The same grant for a user who is an administrator. Default: no. As with [`Grant::with_groups`], token stores and
    /// login cookies do not keep it.
    #[must_use]
    pub fn as_admin(self) -> Self {
        self.change(|terms| terms.admin = true)
    }

    /// The same grant with a value that changes when the user's password, or whatever else they log in by, is changed, such
    /// as the password hash. Default: none.
    ///
    /// A session that was made from a grant with a stamp ends when the user directory returns a grant with another one; see
    /// [`AuthLayerBuilder::user_lookup`](crate::AuthLayerBuilder::user_lookup). `StoredPasswords` sets it. Only its SHA-256
    /// is kept here, and of that only an HMAC in a session store.
    #[must_use]
    pub fn with_security_stamp(self, stamp: impl AsRef<[u8]>) -> Self {
        let stamp = Some(Box::new(sha256(stamp.as_ref())));
        self.change(|terms| terms.security_stamp = stamp)
    }

    /// The same grant without the stamp, which no store keeps.
    pub(crate) fn without_security_stamp(self) -> Self {
        match self.0.security_stamp {
            Some(_) => self.change(|terms| terms.security_stamp = None),
            None => self,
        }
    }

    /// The SHA-256 of the stamp.
    pub(crate) fn security_stamp(&self) -> Option<&[u8; 32]> {
        self.0.security_stamp.as_deref()
    }

    fn change(mut self, change: impl FnOnce(&mut GrantData)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Whose.
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// What for.
    pub fn scopes(&self) -> &Scopes {
        &self.0.scopes
    }

    /// Until when, exclusive; `None` without end.
    pub fn expires_at(&self) -> Option<UnixTime> {
        self.0.expires_at
    }

    /// The groups that the user is in.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::{Denial, Grant, Identity};
    ///
    /// fn require_staff(grant: &Grant) -> Result<(), Denial> {
    ///     match grant.groups().any(|group| group == "staff") {
    ///         true => Ok(()),
    ///         false => Err(Denial::insufficient_scope("staff")),
    ///     }
    /// }
    /// let bob = Grant::new(Identity::new("bob")).with_groups(["staff"]);
    /// assert!(require_staff(&bob).is_ok());
    /// ```
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.0.groups.iter().map(|group| &**group)
    }

    /// Whether the user is an administrator.
    ///
    /// # Security
    ///
    /// This is about the user, not about the credential: an administrator can make a token that may do little. Check
    /// [`Grant::scopes`] before you let a request do more.
    pub fn is_admin(&self) -> bool {
        self.0.admin
    }

    /// Whether it has neither scopes nor an end.
    pub(crate) fn is_unlimited(&self) -> bool {
        self.scopes().is_empty() && self.expires_at().is_none()
    }

    /// Whether it is worth nothing any more. The clock is read only if it has an end.
    pub(crate) fn has_expired(&self, now: impl FnOnce() -> UnixTime) -> bool {
        self.expires_at().is_some_and(|end| end <= now())
    }

    /// What it is called in lists and logs.
    pub fn label(&self) -> Option<&str> {
        self.0.label.as_deref()
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("identity", self.identity())
            .field("scopes", self.scopes())
            .field("expires_at", &self.expires_at())
            .field("label", &self.label())
            .field("groups", &self.0.groups)
            .field("admin", &self.is_admin())
            .finish()
    }
}

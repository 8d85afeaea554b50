//! What a credential grants.

use std::{any::Any, fmt, sync::Arc};

use serde_json::{Map, Value};

use crate::{
    clock::UnixTime,
    digest::sha256,
    session::{identity::Identity, scopes::Scopes},
};

/// What a credential grants: an identity, scopes, an expiry and a label.
///
/// Cloning increments a reference count and copies nothing.
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
    claims: Option<Arc<Map<String, Value>>>,
    data: Option<ApplicationData>,
}

/// A value of the application.
#[derive(Clone)]
struct ApplicationData(Arc<dyn Any + Send + Sync>);

impl PartialEq for ApplicationData {
    /// Compares the place: the type of the value may have no comparison.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ApplicationData {}

impl Grant {
    /// Creates a grant for `identity` without scopes, expiry or label.
    pub fn new(identity: Identity) -> Self {
        Self(Arc::new(GrantData {
            identity,
            scopes: Scopes::default(),
            expires_at: None,
            label: None,
            groups: Box::default(),
            admin: false,
            security_stamp: None,
            claims: None,
            data: None,
        }))
    }

    /// Sets the scopes: an array of texts, a `Vec` or a [`Scopes`], which other iterators are collected to. Defaults to none.
    #[must_use]
    pub fn with_scopes(self, scopes: impl Into<Scopes>) -> Self {
        self.change(|terms| terms.scopes = scopes.into())
    }

    /// Sets the time at which the grant expires. Defaults to no expiry.
    #[must_use]
    pub fn with_expiry(self, time: UnixTime) -> Self {
        self.change(|terms| terms.expires_at = Some(time))
    }

    /// Sets the label for lists and logs. It must not contain a secret. Defaults to none.
    #[must_use]
    pub fn with_label(self, label: &str) -> Self {
        self.change(|terms| terms.label = Some(label.into()))
    }

    /// Sets the groups of the user. Defaults to none.
    ///
    /// [`AuthLayer::hub`](crate::AuthLayer::hub) sets them from the response of the hub. Token stores and login
    /// cookies do not keep them, session stores do.
    #[must_use]
    pub fn with_groups<T: AsRef<str>>(self, groups: impl IntoIterator<Item = T>) -> Self {
        self.change(|terms| terms.groups = groups.into_iter().map(|group| group.as_ref().into()).collect())
    }

    /// Marks the user as an administrator of a JupyterHub or another directory. Off by default.
    ///
    /// For your information: no check of this crate reads it. To protect routes, use a scope and
    /// [`AuthLayer::require_scope`](crate::AuthLayer::require_scope).
    ///
    /// As with [`Grant::with_groups`], token stores and login cookies do not keep it, session stores do.
    #[must_use]
    pub fn as_admin(self) -> Self {
        self.change(|terms| terms.admin = true)
    }

    /// Sets a value that changes when the user's password, or another credential that they log in by, changes, such
    /// as the password hash. Defaults to none.
    ///
    /// A session made from a grant with a stamp ends when the user directory returns a grant with another one; see
    /// [`AuthLayerBuilder::user_lookup`](crate::AuthLayerBuilder::user_lookup). `StoredPasswords` sets it. The grant
    /// keeps only its SHA-256, and a session store only an HMAC of that.
    #[must_use]
    pub fn with_security_stamp(self, stamp: impl AsRef<[u8]>) -> Self {
        let stamp = Some(Box::new(sha256(stamp.as_ref())));
        self.change(|terms| terms.security_stamp = stamp)
    }

    /// Sets the claims of the token, as JSON. Defaults to none; `verify::JwtVerifier` sets them.
    ///
    /// Stores and cookies do not keep them, and `Debug` does not print them.
    #[must_use]
    pub fn with_claims(self, claims: Map<String, Value>) -> Self {
        self.change(|terms| terms.claims = Some(Arc::new(claims)))
    }

    /// Returns the claims of the token.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::{Grant, Identity};
    /// use serde_json::{Map, Value};
    ///
    /// let claims = Map::from_iter([("tenant".to_owned(), Value::from("blue"))]);
    /// let grant = Grant::new(Identity::new("alice")).with_claims(claims);
    /// assert_eq!(grant.claims().and_then(|claims| claims.get("tenant")?.as_str()), Some("blue"));
    /// ```
    pub fn claims(&self) -> Option<&Map<String, Value>> {
        self.0.claims.as_deref()
    }

    /// Sets a value of the application, such as a row of its user table, instead of the one before. Defaults to none.
    ///
    /// Stores and cookies do not keep it, and `Debug` does not print it. Two grants are equal if they share the value.
    #[must_use]
    pub fn with_data<T: Any + Send + Sync>(self, value: T) -> Self {
        self.change(|terms| terms.data = Some(ApplicationData(Arc::new(value))))
    }

    /// Returns the value of the application, if it is a `T`.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::{Grant, Identity};
    ///
    /// struct Tenant(u32);
    ///
    /// let grant = Grant::new(Identity::new("alice")).with_data(Tenant(7));
    /// assert_eq!(grant.data::<Tenant>().map(|tenant| tenant.0), Some(7));
    /// assert!(grant.data::<String>().is_none());
    /// ```
    pub fn data<T: Any>(&self) -> Option<&T> {
        self.0.data.as_ref()?.0.downcast_ref()
    }

    /// Removes what no session store keeps: the stamp, the claims, the value of the application.
    pub(crate) fn storable(self) -> Self {
        if self.0.security_stamp.is_none() && self.0.claims.is_none() && self.0.data.is_none() {
            return self;
        }
        self.change(|terms| (terms.security_stamp, terms.claims, terms.data) = (None, None, None))
    }

    /// Returns the SHA-256 of the stamp.
    pub(crate) fn security_stamp(&self) -> Option<&[u8; 32]> {
        self.0.security_stamp.as_deref()
    }

    fn change(mut self, change: impl FnOnce(&mut GrantData)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Returns the identity.
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// Returns the scopes.
    pub fn scopes(&self) -> &Scopes {
        &self.0.scopes
    }

    /// Returns the time from which the grant is no longer valid; `None` if it does not expire.
    pub fn expires_at(&self) -> Option<UnixTime> {
        self.0.expires_at
    }

    /// Returns the groups of the user.
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

    /// Returns `true` if the user is an administrator.
    ///
    /// # Security
    ///
    /// This is about the user, not about the credential: an administrator can create a token with few permissions.
    /// Check [`Grant::scopes`] before you allow a request to do more.
    pub fn is_admin(&self) -> bool {
        self.0.admin
    }

    /// Returns `true` if the grant has neither scopes nor an expiry.
    pub(crate) fn is_unlimited(&self) -> bool {
        self.scopes().is_empty() && self.expires_at().is_none()
    }

    /// Returns `true` if the grant has expired. The clock is read only if it has an expiry.
    pub(crate) fn has_expired(&self, now: impl FnOnce() -> UnixTime) -> bool {
        self.expires_at().is_some_and(|end| end <= now())
    }

    /// Returns the label for lists and logs.
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

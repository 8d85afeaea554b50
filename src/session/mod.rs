//! A grant, and how it was authenticated.

pub(crate) mod grant;
pub(crate) mod identity;
mod record_id;
pub(crate) mod scopes;

pub use self::{
    grant::Grant,
    identity::{Identity, IdentityError, IdentityErrorKind},
    record_id::RecordId,
    scopes::{Scope, Scopes},
};

use std::{num::NonZeroU64, sync::Arc};

use http::Extensions;

use crate::{clock::UnixTime, denial::Denial, token::TokenHash};

/// How a request was authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthMethod {
    /// Authentication is disabled by configuration.
    NotRequired,
    /// A cookie. Browsers attach it by themselves, so it is ambient.
    Cookie,
    /// A one-time launch link.
    LaunchLink,
    /// A credential of a custom authenticator.
    Other {
        /// Whether browsers attach it by themselves, as with `Basic` or a client certificate.
        ambient: bool,
    },
    /// A user's password.
    Password,
    /// A token that the client itself added to the request.
    Token,
}

impl AuthMethod {
    /// Returns `true` if browsers attach the credential by themselves, whichever site caused the request. Cross-site
    /// checks then apply.
    pub const fn is_ambient(self) -> bool {
        match self {
            Self::Cookie => true,
            Self::Other { ambient } => ambient,
            // No credential is required, so another site could send such a request as well: the checks apply.
            Self::NotRequired => true,
            Self::LaunchLink | Self::Password | Self::Token => false,
        }
    }
}

/// An authenticated request: its grant, and how it was authenticated.
///
/// [`AuthLayer`](crate::AuthLayer) inserts it into the extensions of the request. Cloning increments reference counts
/// and copies nothing.
///
/// Two sessions are equal if their grants and their authentication methods are equal. Which layer authenticated them,
/// and which login they belong to, is not compared.
///
/// # Example
///
/// ```
/// use portcullis::{AuthMethod, Grant, Identity, Session};
///
/// let grant = Grant::new(Identity::new("alice")).with_scopes(["read"]);
/// let session = Session::new(grant, AuthMethod::Token);
/// assert_eq!(session.identity().username(), "alice");
/// assert!(session.require_scope("write").is_err());
/// ```
#[derive(Clone, Debug)]
pub struct Session {
    grant: Grant,
    layer_id: Option<LayerId>,
    credential: AuthMethod,
    details: Details,
}

/// What a session has in addition to its grant, depending on its credential. Only one of these at a time, so that a
/// session is small: it is moved by value with its request.
#[derive(Clone, Debug)]
enum Details {
    /// No details.
    None,
    /// A login cookie.
    Login(LoginMark),
    /// A token in the query.
    Exchange(Exchange),
}

/// What a login is tied to if a session may be exchanged for one.
///
/// Set only by an authenticator that found its token in the query.
#[derive(Clone, Debug)]
pub(crate) enum Exchange {
    /// A shared token of the server: the keys of the login cookie depend on it.
    SharedToken,
    /// The token with this hash. Its verifier is called at each use of the login.
    Token(Arc<TokenHash>),
}

/// The login that a session by cookie belongs to, and whether the cookie is to be issued again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LoginMark {
    /// The last 32 bits of the second in which the login started; 0 for none.
    pub(crate) started: u32,
    /// How often the keys had changed.
    pub(crate) epoch: u16,
    /// Half of the idle time of the cookie has passed, or it was verified by an old key.
    pub(crate) is_due: bool,
    pub(crate) id: LoginId,
}

/// Identifies a login among those of all users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LoginId {
    /// Nothing: a cookie of a Jupyter Server.
    #[default]
    None,
    /// The random id in its cookie.
    Cookie([u8; 16]),
    /// Its record in a session store.
    Stored(RecordId),
}

/// Identifies the layer of this process that authenticated a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LayerId(NonZeroU64);

impl LayerId {
    /// Returns an id that no other layer of this process has.
    pub(crate) fn new() -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};

        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(NonZeroU64::new(id).expect("a process does not make 2^64 layers"))
    }
}

impl PartialEq for Session {
    fn eq(&self, other: &Self) -> bool {
        self.grant == other.grant && self.credential == other.credential
    }
}

impl Eq for Session {}

impl Session {
    /// Creates a session for `grant`: what an authenticator returns.
    pub fn new(grant: Grant, credential: AuthMethod) -> Self {
        Self {
            grant,
            layer_id: None,
            credential,
            details: Details::None,
        }
    }

    pub(crate) fn with_login_mark(self, login: LoginMark) -> Self {
        Self {
            details: Details::Login(login),
            ..self
        }
    }

    /// Returns this session, marked as exchangeable for a login.
    pub(crate) fn exchangeable(self, exchange: Exchange) -> Self {
        Self {
            details: Details::Exchange(exchange),
            ..self
        }
    }

    /// Returns what a login for this session is tied to, or `None` if it may not be exchanged for one.
    pub(crate) fn exchange(&self) -> Option<&Exchange> {
        match &self.details {
            Details::Exchange(exchange) => Some(exchange),
            Details::None | Details::Login(_) => None,
        }
    }

    /// Replaces the grant.
    pub(crate) fn set_grant(&mut self, grant: Grant) {
        self.grant = grant;
    }

    pub(crate) fn login_mark(&self) -> LoginMark {
        match self.details {
            Details::Login(login) => login,
            Details::None | Details::Exchange(_) => LoginMark::default(),
        }
    }

    /// Returns the id of the session in the store of the layer; `None` if the session is not kept there.
    ///
    /// See [`AuthLayerBuilder::sessions`](crate::AuthLayerBuilder::sessions).
    pub fn record_id(&self) -> Option<RecordId> {
        match self.login_mark().id {
            LoginId::Stored(id) => Some(id),
            LoginId::None | LoginId::Cookie(_) => None,
        }
    }

    /// Returns `true` if the login cookie is to be issued again.
    pub(crate) fn needs_renewal(&self) -> bool {
        self.login_mark().is_due
    }

    /// Returns the session of a request that the layer accepted.
    ///
    /// # Examples
    ///
    /// ```
    /// use portcullis::Session;
    ///
    /// fn username<B>(request: &http::Request<B>) -> Option<&str> {
    ///     Some(Session::from_extensions(request.extensions())?.identity().username())
    /// }
    /// ```
    pub fn from_extensions(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// Returns the identity of the user.
    pub fn identity(&self) -> &Identity {
        self.grant.identity()
    }

    /// Returns the grant of the credential.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Returns how the request was authenticated.
    pub fn auth_method(&self) -> AuthMethod {
        self.credential
    }

    /// Returns when the login started. The renewal of its cookie does not change it.
    ///
    /// `None` for a credential that is not a login cookie of this server: a token, a launch link, or a login at a
    /// JupyterHub, which does not report its start.
    ///
    /// # Example
    ///
    /// Require the password again 15 minutes after the login:
    ///
    /// ```
    /// use portcullis::{Session, clock::UnixTime};
    /// use std::time::Duration;
    ///
    /// fn is_recent(session: &Session, now: UnixTime) -> bool {
    ///     session.started_at().is_some_and(|start| now < start + Duration::from_secs(15 * 60))
    /// }
    /// ```
    pub fn started_at(&self) -> Option<UnixTime> {
        match self.login_mark().started {
            0 => None,
            seconds => Some(UnixTime::from_secs(u64::from(seconds))),
        }
    }

    /// Returns `true` if the grant has `scope`.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.grant.scopes().contains(scope)
    }

    /// Checks that the grant has `scope`.
    ///
    /// # Errors
    ///
    /// Returns the denial to respond with, `Reason::InsufficientScope` with the scope.
    pub fn require_scope(&self, scope: &str) -> Result<(), Denial> {
        if self.has_scope(scope) {
            Ok(())
        } else {
            Err(Denial::insufficient_scope(scope))
        }
    }

    pub(crate) fn authenticated_by(mut self, layer: LayerId) -> Self {
        self.layer_id = Some(layer);
        // The layer has exchanged it for a login if it may be exchanged.
        if self.exchange().is_some() {
            self.details = Details::None;
        }
        self
    }

    pub(crate) fn is_authenticated_by(&self, layer: LayerId) -> bool {
        self.layer_id == Some(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_equal_by_grant_and_authentication_method() {
        let grant = Grant::new(Identity::new("alice"));
        let session = Session::new(grant.clone(), AuthMethod::Cookie);
        let login = session.clone().with_login_mark(LoginMark {
            started: 9,
            ..LoginMark::default()
        });
        assert_eq!(session, login.authenticated_by(LayerId::new()));
        assert_ne!(session, Session::new(grant.clone(), AuthMethod::Token));
        let narrower = grant.with_scopes(["read"]);
        assert_ne!(session, Session::new(narrower, AuthMethod::Cookie));
    }

    #[test]
    fn only_a_login_has_a_start() {
        let session = Session::new(Grant::new(Identity::new("alice")), AuthMethod::Token);
        assert_eq!(session.started_at(), None);
        assert_eq!(
            session.clone().exchangeable(Exchange::SharedToken).started_at(),
            None
        );
        let undated = session.clone().with_login_mark(LoginMark::default());
        assert_eq!(undated.started_at(), None);
        let login = session.with_login_mark(LoginMark {
            started: 1_700_000_000,
            ..LoginMark::default()
        });
        assert_eq!(login.started_at(), Some(UnixTime::from_secs(1_700_000_000)));
    }

    #[test]
    fn cloning_a_session_allocates_nothing() {
        let grant = Grant::new(Identity::new("alice").with_name("Alice"))
            .with_scopes(["read", "write"])
            .with_label("phone");
        let session = Session::new(grant, AuthMethod::Cookie);
        let cloning = allocation_counter::measure(|| drop(session.clone()));
        assert_eq!(cloning.count_total, 0);
    }
}

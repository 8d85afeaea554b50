//! A grant, and how it was proved.

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

/// How somebody proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthMethod {
    /// Nothing was asked: the gate stands open by configuration.
    NotRequired,
    /// A cookie. Browsers send it by themselves, so it is ambient.
    Cookie,
    /// A one-time launch link.
    LaunchLink,
    /// A credential of an authenticator of one's own.
    Other {
        /// Whether browsers send it by themselves, as with `Basic` or a client certificate.
        ambient: bool,
    },
    /// A user's password.
    Password,
    /// A token that the client itself put into the request.
    Token,
}

impl AuthMethod {
    /// Whether a browser sends it by itself, whichever site caused the request. Cross-site rules apply then.
    pub const fn is_ambient(self) -> bool {
        match self {
            Self::Cookie => true,
            Self::Other { ambient } => ambient,
            // Asked of nobody, so a foreign site could use it as well as anybody: the rules apply.
            Self::NotRequired => true,
            Self::LaunchLink | Self::Password | Self::Token => false,
        }
    }
}

/// Somebody the gate let in: a grant, and how it was proved.
///
/// The gate puts it into the extensions of the request that it passes on. Cloning counts references up and
/// copies nothing.
///
/// Two sessions are equal if their grants and their authentication methods are equal. Which layer made them, and
/// to which login they belong, is not compared.
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

/// What a session has beside its grant, by its credential. One of these at a time, so that a session is small: it is
/// moved by value with its request.
#[derive(Clone, Debug)]
enum Details {
    /// Nothing.
    None,
    /// A login cookie.
    Login(LoginMark),
    /// A token in the query.
    Exchange(Exchange),
}

/// What the login is tied to for which a session may be exchanged.
///
/// Only an authenticator that found its token in the query says so.
#[derive(Clone, Debug)]
pub(crate) enum Exchange {
    /// A shared token of the server: the keys of the login cookie depend on it.
    SharedToken,
    /// The token with this hash, whose verifier is asked at each use of the login.
    Token(Arc<TokenHash>),
}

/// Which login of its user a session by cookie goes back to, and whether the cookie is to be written anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LoginMark {
    /// The last 32 bits of the second it began at; 0 for none.
    pub(crate) started: u32,
    /// How often the keys had changed.
    pub(crate) epoch: u16,
    /// Half of the cookie's idle time has passed, or a key opened it that only reads.
    pub(crate) is_due: bool,
    pub(crate) id: LoginId,
}

/// By what a login is known among those of all users.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LoginId {
    /// By nothing: a cookie that Jupyter wrote.
    #[default]
    None,
    /// By the random id in its cookie.
    Cookie([u8; 16]),
    /// By its record in a session store.
    Stored(RecordId),
}

/// Which gate of this process let a session in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LayerId(NonZeroU64);

impl LayerId {
    /// An id no other gate of this process has.
    pub(crate) fn new() -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};

        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(NonZeroU64::new(id).expect("a process does not make 2^64 gates"))
    }
}

impl PartialEq for Session {
    fn eq(&self, other: &Self) -> bool {
        self.grant == other.grant && self.credential == other.credential
    }
}

impl Eq for Session {}

impl Session {
    /// A session for `grant`, proved by `auth_method`: what an authenticator answers.
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

    /// The same session, which may be exchanged for a login.
    pub(crate) fn exchangeable(self, exchange: Exchange) -> Self {
        Self {
            details: Details::Exchange(exchange),
            ..self
        }
    }

    /// Whether it may be exchanged for a login, and what the login is then tied to.
    pub(crate) fn exchange(&self) -> Option<&Exchange> {
        match &self.details {
            Details::Exchange(exchange) => Some(exchange),
            Details::None | Details::Login(_) => None,
        }
    }

    /// Puts another grant in place of the session's.
    pub(crate) fn set_grant(&mut self, grant: Grant) {
        self.grant = grant;
    }

    pub(crate) fn login_mark(&self) -> LoginMark {
        match self.details {
            Details::Login(login) => login,
            Details::None | Details::Exchange(_) => LoginMark::default(),
        }
    }

    /// The record of the session in the store of the layer; `None` if the session is not kept there.
    ///
    /// See [`AuthLayerBuilder::sessions`](crate::AuthLayerBuilder::sessions).
    pub fn record_id(&self) -> Option<RecordId> {
        match self.login_mark().id {
            LoginId::Stored(id) => Some(id),
            LoginId::None | LoginId::Cookie(_) => None,
        }
    }

    /// Whether the cookie of its login is to be written anew.
    pub(crate) fn needs_renewal(&self) -> bool {
        self.login_mark().is_due
    }

    /// The session of a request that a gate let in.
    pub fn from_extensions(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// Who.
    pub fn identity(&self) -> &Identity {
        self.grant.identity()
    }

    /// What the credential is worth.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// How it was proved.
    pub fn auth_method(&self) -> AuthMethod {
        self.credential
    }

    /// When the login began; the renewal of its cookie does not change it.
    ///
    /// `None` for a credential that is not a login cookie of this server: a token, a launch link, or a login at a
    /// JupyterHub, which does not say when it began.
    ///
    /// # Example
    ///
    /// Ask for the password again, a quarter of an hour after the login:
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

    /// Whether the grant has `scope`.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.grant.scopes().contains(scope)
    }

    /// Nothing if the grant has `scope`, else the denial to answer with.
    ///
    /// # Errors
    ///
    /// `Reason::InsufficientScope`, naming the scope.
    pub fn require_scope(&self, scope: &str) -> Result<(), Denial> {
        if self.has_scope(scope) {
            Ok(())
        } else {
            Err(Denial::insufficient_scope(scope))
        }
    }

    pub(crate) fn authenticated_by(mut self, gate: LayerId) -> Self {
        self.layer_id = Some(gate);
        // Whatever it may become, this gate has seen to it.
        if self.exchange().is_some() {
            self.details = Details::None;
        }
        self
    }

    pub(crate) fn is_authenticated_by(&self, gate: LayerId) -> bool {
        self.layer_id == Some(gate)
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

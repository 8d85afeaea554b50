//! Somebody put on a request, in place of a login.

use http::{HeaderValue, Request, header::HOST};

use crate::{
    layer::AuthLayer,
    request::head::RequestHead,
    session::{AuthMethod, Session, grant::Grant, identity::Identity, scopes::Scopes},
};

/// Somebody that a test puts on a request, in place of a login.
///
/// # Security
///
/// For tests: nothing is proved. It works on requests that the process makes itself; no field of a request from the
/// network becomes one.
///
/// # Example
///
/// ```
/// use portcullis::{AuthMethod, Session, testing::TestIdentity};
///
/// let alice = TestIdentity::new("alice").with_scopes(["read"]).with_auth_method(AuthMethod::Cookie);
/// let request = alice.insert_into(http::Request::new(()));
/// let session = Session::from_extensions(request.extensions()).unwrap();
/// assert_eq!(session.identity().username(), "alice");
/// assert!(session.has_scope("read"));
/// ```
#[derive(Clone, Debug)]
pub struct TestIdentity {
    grant: Grant,
    credential: AuthMethod,
}

impl TestIdentity {
    /// A user of this name, without scopes, known by a token.
    pub fn new(username: &str) -> Self {
        Self::from_grant(Grant::new(Identity::new(username)))
    }

    /// The owner of `grant`, known by a token.
    pub fn from_grant(grant: Grant) -> Self {
        Self {
            grant,
            credential: AuthMethod::Token,
        }
    }

    /// Default: none. What they may do.
    #[must_use]
    pub fn with_scopes(mut self, scopes: impl Into<Scopes>) -> Self {
        self.grant = self.grant.with_scopes(scopes);
        self
    }

    /// Default: [`AuthMethod::Token`]. How they were known; with a cookie the gate's cross-site rules apply.
    #[must_use]
    pub fn with_auth_method(mut self, credential: AuthMethod) -> Self {
        self.credential = credential;
        self
    }

    /// The session that a handler finds.
    pub fn session(&self) -> Session {
        Session::new(self.grant.clone(), self.credential)
    }

    /// The request with their session in its extensions: for a handler without a gate in front of it.
    ///
    /// A gate does not believe it, and asks for a credential; see [`authenticated_by`](Self::authenticate).
    pub fn insert_into<B>(&self, mut request: Request<B>) -> Request<B> {
        request.extensions_mut().insert(self.session());
        request
    }

    /// The request as one whose sender the gate `auth` knows, so that it asks for no credential: for an application
    /// with its gate in front.
    ///
    /// All else holds: hosts, cross-site rules, scopes, authorizers, the end of the grant. All handles of one gate
    /// (`optional`, `require_scope`, clones) take them as known, other gates do not. A request without a host is given
    /// `Host: localhost`, as a gate answers none without.
    pub fn authenticate<B>(&self, auth: &AuthLayer, mut request: Request<B>) -> Request<B> {
        if RequestHead::new(&request).host().is_none() {
            let localhost = HeaderValue::from_static("localhost");
            request.headers_mut().insert(HOST, localhost);
        }
        request
            .extensions_mut()
            .insert(auth.authenticated_session(self.session()));
        request
    }
}

//! An identity on a request of a test, instead of a login.

use http::{HeaderValue, Request, header::HOST};

use crate::{
    layer::AuthLayer,
    request::head::RequestHead,
    session::{AuthMethod, Session, grant::Grant, identity::Identity, scopes::Scopes},
};

/// An identity that a test adds to a request, instead of a login.
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

    /// Default: [`AuthMethod::Token`]. The credential; with a cookie the layer's cross-site rules apply.
    #[must_use]
    pub fn with_auth_method(mut self, credential: AuthMethod) -> Self {
        self.credential = credential;
        self
    }

    /// The session that a handler finds.
    pub fn session(&self) -> Session {
        Session::new(self.grant.clone(), self.credential)
    }

    /// The request with a session of this identity in its extensions: for a handler without a layer in front of it.
    ///
    /// A layer does not trust it, and requires a credential; see [`authenticate`](Self::authenticate).
    pub fn insert_into<B>(&self, mut request: Request<B>) -> Request<B> {
        request.extensions_mut().insert(self.session());
        request
    }

    /// The request as one that the layer `auth` takes as authenticated, so that it requires no credential: for an
    /// application with its layer in front.
    ///
    /// All else holds: hosts, cross-site rules, scopes, authorizers, the expiry of the grant. All handles of one layer
    /// (`optional`, `require_scope`, clones) take the request as authenticated, other layers do not. A request without a
    /// host gets `Host: localhost`, because a layer rejects a request without one.
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

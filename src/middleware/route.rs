//! One set of routes behind the layer: what it requires, and what happens to its requests.
//!
//! | file | what it holds |
//! |---|---|
//! | `decide` | the whole decision about a request |
//! | `refuse` | how a denial becomes an answer |
//! | `own_paths` | the answer at one of the layer's own paths |
//! | `by_hand` | logins and logouts that a handler decided |

use std::{fmt, sync::Arc, time::Duration};

use http::Request;

use crate::{
    clock::Clock,
    middleware::{
        endpoint::Endpoints,
        state::AuthState,
        unauthenticated::{UnauthenticatedRequest, UncheckedForm},
    },
    request::{base_url::BaseUrl, head::RequestHead, page_request::is_urlencoded},
    request_policy::RequestKind,
    session::{AuthMethod, Session},
};

/// The layer for one set of routes: the shared state, and what these routes require.
#[derive(Clone)]
pub(crate) struct RouteAuth {
    pub(super) state: Arc<AuthState>,
    /// The layer's own paths.
    pub(super) endpoints: Arc<Endpoints>,
    pub(super) optional: bool,
    /// Shared with the denials that name them.
    pub(super) scopes: Arc<[Box<str>]>,
    pub(super) public_paths: Box<[Box<str>]>,
    /// Whether the handler reads the form that holds the `_xsrf` value.
    pub(super) csrf_in_form: bool,
}

impl RouteAuth {
    pub(crate) fn new(state: AuthState, endpoints: Endpoints) -> Self {
        Self {
            endpoints: Arc::new(endpoints),
            state: Arc::new(state),
            optional: false,
            scopes: Arc::default(),
            public_paths: Box::default(),
            csrf_in_form: false,
        }
    }

    #[cfg(feature = "axum")]
    pub(crate) fn csrf_in_form(&self) -> Self {
        Self {
            csrf_in_form: true,
            ..self.clone()
        }
    }

    /// The same rules for a caller that gets the session itself: no extractor comes after it, so nothing is checked later.
    pub(crate) fn checking_all(self: &Arc<Self>) -> Arc<Self> {
        if !self.csrf_in_form {
            return Arc::clone(self);
        }
        Arc::new(Self {
            csrf_in_form: false,
            ..(**self).clone()
        })
    }

    /// Whether the `_xsrf` value of a request in `session` is checked once the handler has read its form.
    pub(super) fn defers_csrf(&self, session: &Session, head: RequestHead<'_>) -> bool {
        self.csrf_in_form
            && !self.state.skip_session_extension
            && session.auth_method() == AuthMethod::Cookie
            && RequestKind::from_head(head) == RequestKind::Unsafe
            && is_urlencoded(head)
    }

    pub(crate) fn optional(&self) -> Self {
        Self {
            optional: true,
            ..self.clone()
        }
    }

    pub(crate) fn require_scope(&self, scope: &str) -> Self {
        let scopes = self.scopes.iter().cloned().chain([scope.into()]).collect();
        Self {
            scopes,
            ..self.clone()
        }
    }

    pub(crate) fn public_paths(&self, paths: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let open_paths: Box<[Box<str>]> = self
            .public_paths
            .iter()
            .cloned()
            .chain(paths.into_iter().map(|path| path.as_ref().into()))
            .collect();
        Self {
            public_paths: open_paths,
            ..self.clone()
        }
    }

    /// What all routes share.
    pub(crate) fn state(&self) -> &Arc<AuthState> {
        &self.state
    }

    /// Where the guarded service lives.
    pub(crate) fn base_url(&self) -> &BaseUrl {
        &self.state.error_responder.base_url
    }

    /// Whether a browser can log in here.
    pub(crate) fn supports_login(&self) -> bool {
        self.state.login_cookie.is_some()
    }

    /// Leaves the session for the service, or the mark of an anonymous request or of an unchecked form.
    #[inline]
    pub(crate) fn insert_session<B>(&self, session: Option<Session>, request: &mut Request<B>) {
        if self.state.skip_session_extension {
            return;
        }
        let unchecked = session
            .as_ref()
            .is_some_and(|session| self.defers_csrf(session, self.head(request)));
        let extensions = request.extensions_mut();
        match session {
            Some(session) if unchecked => {
                extensions.remove::<Session>();
                extensions.insert(UncheckedForm::new(&self.state, session));
            }
            Some(session) => {
                extensions.insert(session);
            }
            None => {
                // What another layer left does not speak for this one.
                extensions.remove::<Session>();
                extensions.insert(UnauthenticatedRequest::new(&self.state));
            }
        }
    }

    /// How long the body of a form may take to arrive.
    pub(crate) fn form_timeout(&self) -> Duration {
        self.state.form_timeout
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.state.clock
    }

    /// The head of a request, with the layer's clock and the URI that the browser requested.
    pub(crate) fn head<'a, B>(&'a self, request: &'a Request<B>) -> RequestHead<'a> {
        self.state
            .original_uri
            .of(RequestHead::with_clock(request, self.clock()))
    }

    /// The paths that the layer itself answers, as the service sees them.
    pub(crate) fn own_paths(&self) -> impl Iterator<Item = &str> {
        let original_uri = &self.state.original_uri;
        self.endpoints
            .paths()
            .map(|path| original_uri.without_prefix(path))
    }
}

impl fmt::Debug for RouteAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteAuth")
            .field("optional", &self.optional)
            .field("scopes", &self.scopes)
            .field("open_paths", &self.public_paths)
            .finish_non_exhaustive()
    }
}

//! Marks of requests that were admitted without a session: anonymous ones, and those whose form is not checked yet.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;

use crate::{
    denial::{Denial, Reason},
    middleware::state::AuthState,
    request::head::RequestHead,
    session::Session,
};

/// Marks a request that the layer admitted without a session: on an open path, or where a login is optional. A handler
/// that needs a session thereby distinguishes an unauthenticated request from a route without the layer.
#[derive(Clone)]
pub(crate) struct UnauthenticatedRequest(Arc<AuthState>);

impl UnauthenticatedRequest {
    pub(crate) fn new(auth_state: &Arc<AuthState>) -> Self {
        Self(Arc::clone(auth_state))
    }

    /// The response of the layer, had it required a session.
    #[cfg_attr(
        not(feature = "axum"),
        expect(dead_code, reason = "only the extractors reject unauthenticated requests")
    )]
    pub(crate) fn denial_response(&self, head: RequestHead<'_>) -> Response<Bytes> {
        let head = self.0.original_uri.of(head);
        let denial = Denial::new(Reason::MissingCredential);
        if let Ok(target) = self.0.guards.check_target(head) {
            self.0.log_denied(denial.reason(), head, &target);
        }
        self.0.error_responder.refuse(denial, head)
    }
}

/// The mark of a request that has a session, and whose `_xsrf` value is in a form that the handler reads. Until that is
/// checked, the session is not among the request's extensions.
#[derive(Clone)]
#[cfg_attr(
    not(feature = "axum"),
    expect(dead_code, reason = "it is an extractor that checks the form")
)]
pub(crate) struct UncheckedForm {
    auth_state: Arc<AuthState>,
    session: Session,
}

impl UncheckedForm {
    pub(crate) fn new(auth_state: &Arc<AuthState>, session: Session) -> Self {
        let auth_state = Arc::clone(auth_state);
        Self { auth_state, session }
    }
}

#[cfg(feature = "axum")]
impl UncheckedForm {
    /// How long the body may take to arrive.
    pub(crate) fn timeout(&self) -> std::time::Duration {
        self.auth_state.form_timeout
    }

    /// The session, if a page of this server sent the form with this `_xsrf` field; else the answer.
    pub(crate) fn check(self, head: RequestHead<'_>, field: &str) -> Result<Session, Box<Response<Bytes>>> {
        let Self { auth_state, session } = self;
        let head = auth_state.original_uri.of(head);
        let checked = auth_state.guards.check_target(head).and_then(|target| {
            auth_state
                .xsrf_cookie
                .check(&auth_state.guards, &target, head, &session, Some(field))
        });
        match checked {
            Ok(()) => Ok(session),
            Err(denial) => {
                let target = auth_state.guards.check_target(head).ok();
                auth_state.report_refusal(denial.reason(), Some(&session), head, target.as_ref());
                Err(Box::new(auth_state.error_responder.refuse(denial, head)))
            }
        }
    }
}

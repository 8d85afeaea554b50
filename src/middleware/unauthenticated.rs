//! Somebody who was let through without being known.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;

use crate::{
    denial::{Denial, Reason},
    middleware::state::AuthState,
    request::head::RequestHead,
};

/// The mark of a request that a gate let through without a session: on an open path, or where a login is
/// optional. By it a handler that needs a session tells a stranger from a route that has no gate.
#[derive(Clone)]
pub(crate) struct UnauthenticatedRequest(Arc<AuthState>);

impl UnauthenticatedRequest {
    pub(crate) fn new(gate: &Arc<AuthState>) -> Self {
        Self(Arc::clone(gate))
    }

    /// What the gate itself would answer, had it asked.
    #[cfg_attr(
        not(feature = "axum"),
        expect(dead_code, reason = "it is the extractors that turn strangers away")
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

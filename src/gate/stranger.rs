//! Somebody who was let through without being known.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;

use crate::{
    denial::{Denial, Reason},
    gate::gate::Gate,
    head::Head,
};

/// The mark of a request that a gate let through without a session: on an open path, or where a login is
/// optional. By it a handler that needs a session tells a stranger from a route that has no gate.
#[derive(Clone)]
pub(crate) struct Stranger(Arc<Gate>);

impl Stranger {
    pub(crate) fn at(gate: &Arc<Gate>) -> Self {
        Self(Arc::clone(gate))
    }

    /// What the gate itself would answer, had it asked.
    #[cfg_attr(
        not(feature = "axum"),
        expect(dead_code, reason = "it is the extractors that turn strangers away")
    )]
    pub(crate) fn turned_away(&self, head: Head<'_>) -> Response<Bytes> {
        let denial = Denial::new(Reason::NoCredential);
        if let Ok(surroundings) = self.0.guards.surroundings(head) {
            self.0.refused(denial.reason(), head, &surroundings);
        }
        self.0.telling.refuse(denial, head)
    }
}

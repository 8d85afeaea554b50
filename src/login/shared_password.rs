//! The one password that all users share, as the login page knows it.

use std::sync::Arc;

use crate::{error::BackendError, maybe_future::MaybeFuture, middleware::state::AuthState, secret::Secret};

/// The one password that everybody shares.
pub(crate) trait SharedPasswordControl: Send + Sync {
    fn is_set(&self) -> bool;

    fn may_change(&self) -> bool;

    /// How often it has been changed.
    fn changes(&self) -> u64;

    /// Puts `new` in its place if the policy takes it, which ends every login; not if it was changed since it had been
    /// changed `changes` times, when whoever asks proved to know it.
    fn change(
        &self,
        gate: &Arc<AuthState>,
        new: &Secret,
        changes: u64,
    ) -> MaybeFuture<Result<(), PasswordChangeError>>;
}

/// Why a password stays what it is.
#[cfg_attr(
    not(feature = "password"),
    allow(dead_code, reason = "only passwords are changed")
)]
pub(crate) enum PasswordChangeError {
    /// Another one is being set right now.
    Busy,
    NotAllowed,
    /// The new one will not do; the text is for the person.
    Rejected(String),
    Unavailable(BackendError),
}

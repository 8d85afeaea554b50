//! The one password that all users share, as the login page knows it.

use std::sync::Arc;

use crate::{error::BackendError, maybe_future::MaybeFuture, middleware::state::AuthState, secret::Secret};

/// The one password that all users share.
pub(crate) trait SharedPasswordControl: Send + Sync {
    fn is_set(&self) -> bool;

    fn may_change(&self) -> bool;

    /// How often it has been changed.
    fn changes(&self) -> u64;

    /// Replaces the password with `new` if the policy accepts it, which ends every login. Fails if the password has been
    /// changed more than `changes` times, which was its count when the client proved that it knows the password.
    fn change(
        &self,
        state: &Arc<AuthState>,
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
    /// The policy rejects the new password; the text is for the user.
    Rejected(String),
    Unavailable(BackendError),
}

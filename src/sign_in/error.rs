//! Why a login at a provider failed.

use crate::error::BoxError;

/// Why a login at a provider failed. The text is for the log; the user sees a fixed one.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignInError {
    /// The provider does not respond, or its response makes no sense.
    #[error("the identity provider did not respond: {0}")]
    Unavailable(BoxError),
    /// The provider rejected the code or this client, or its ID token is not valid.
    #[error("the login at the identity provider failed: {0}")]
    Rejected(BoxError),
}

impl SignInError {
    pub(super) fn unavailable(cause: impl Into<BoxError>) -> Self {
        Self::Unavailable(cause.into())
    }

    pub(super) fn rejected(cause: impl Into<BoxError>) -> Self {
        Self::Rejected(cause.into())
    }
}

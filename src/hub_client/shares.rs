//! Limits on the requests to the hub that are in progress at the same time.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// One limit for each kind of request, so that no kind uses up what another one needs.
pub(super) struct Shares {
    logins: Arc<Semaphore>,
    unknown_tokens: Arc<Semaphore>,
    callbacks: Arc<Semaphore>,
}

/// A kind of request to the hub.
#[derive(Clone, Copy, Debug)]
pub(super) enum Share {
    /// The question about a token that the hub allowed before, or that lies in a cookie of this server.
    Login,
    /// The question about any other token. Every client can cause it.
    UnknownToken,
    /// The end of a login: the code is redeemed, and the token looked up.
    Callback,
}

impl Shares {
    pub(super) fn new() -> Self {
        let of = |permits| Arc::new(Semaphore::new(permits));
        Self {
            logins: of(64),
            unknown_tokens: of(32),
            callbacks: of(16),
        }
    }

    /// Takes a place of this share, or returns `None` if all are taken.
    pub(super) fn take(&self, share: Share) -> Option<OwnedSemaphorePermit> {
        let semaphore = match share {
            Share::Login => &self.logins,
            Share::UnknownToken => &self.unknown_tokens,
            Share::Callback => &self.callbacks,
        };
        Arc::clone(semaphore).try_acquire_owned().ok()
    }
}

impl Share {
    /// Names the requests in an error.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Login => "tokens of logins",
            Self::UnknownToken => "unknown tokens",
            Self::Callback => "the end of logins",
        }
    }
}

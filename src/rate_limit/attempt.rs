//! One attempt at a password, and what it is charged.

use super::backoff::FailureCount;

/// Permission to try one password. It counts as a failure until [`LoginRateLimiter::record_success`] or
/// [`LoginRateLimiter::cancel`] takes it back.
///
/// [`LoginRateLimiter::record_success`]: super::LoginRateLimiter::record_success
/// [`LoginRateLimiter::cancel`]: super::LoginRateLimiter::cancel
#[derive(Debug)]
#[must_use = "a permit that is dropped is a failed attempt"]
pub struct LoginAttempt {
    pub(super) account: u64,
    pub(super) address: Option<u64>,
    pub(super) known: bool,
    /// Whether it is a place that was reserved, and not yet a failure.
    pub(super) reserved: bool,
}

/// How an attempt is counted when it is allowed.
#[derive(Clone, Copy)]
pub(super) enum Charge {
    Failure,
    Place {
        /// Whether a store judges the failures of the account.
        is_shared: bool,
    },
}

impl LoginAttempt {
    /// Whether the attempt came from an address that the account is known at.
    pub(crate) fn is_from_known_address(&self) -> bool {
        self.known
    }

    /// Takes back what the attempt was charged.
    pub(super) fn give_back(&self, count: &mut FailureCount) {
        if self.reserved {
            count.give_back();
        } else {
            count.decrement();
        }
    }
}

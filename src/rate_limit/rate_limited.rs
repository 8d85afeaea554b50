//! The refusal of an attempt.

use std::{fmt, time::Duration};

use crate::denial::{Denial, Reason};

/// Too many wrong attempts: the word when to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimited {
    pub(super) wait: Duration,
    /// Whether the attempts alone are in the way that are not settled yet.
    pub(super) until_settled: bool,
}

impl RateLimited {
    /// The limits do not allow one more attempt before another is settled.
    pub(crate) const UNTIL_SETTLED: Self = Self {
        wait: Duration::from_secs(1),
        until_settled: true,
    };

    /// Whether the attempts alone are in the way that are not settled yet.
    pub(crate) fn is_until_settled(self) -> bool {
        self.until_settled
    }

    /// When the next attempt is allowed, in whole seconds, rounded up.
    pub fn retry_after(self) -> Duration {
        let seconds = self.wait.as_secs();
        Duration::from_secs(if self.wait.subsec_nanos() > 0 {
            seconds + 1
        } else {
            seconds
        })
    }
}

impl fmt::Display for RateLimited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.retry_after().as_secs();
        write!(f, "too many attempts: try again in {seconds} s")
    }
}

impl std::error::Error for RateLimited {}

impl From<RateLimited> for Denial {
    fn from(throttled: RateLimited) -> Self {
        Self::new(Reason::RateLimited).with_retry_after(throttled.retry_after())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_limited_displays_the_whole_seconds_to_wait() {
        let limited = RateLimited {
            wait: Duration::from_millis(1_500),
            until_settled: false,
        };
        let error: Box<dyn std::error::Error + Send + Sync> = limited.into();
        assert_eq!(error.to_string(), "too many attempts: try again in 2 s");
        assert!(error.source().is_none());
    }
}

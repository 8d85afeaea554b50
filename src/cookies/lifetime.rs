//! How long a cookie is valid.

use std::time::Duration;

/// How long a cookie is valid: from the login on, and without being used.
///
/// Defaults to 30 days from the login on, as in Jupyter, without idle timeout. `Max-Age` is the same as the server's
/// own limit. Both limits are at most [`Lifetime::MAX`], which is how long browsers keep a cookie (RFC 6265bis §5.5);
/// longer ones are reduced to it.
///
/// # Example
///
/// ```
/// use portcullis::cookies::Lifetime;
/// use std::time::Duration;
///
/// let shift = Lifetime::absolute(Duration::from_secs(12 * 3600)).with_idle_timeout(Duration::from_secs(3600));
/// assert_eq!(shift.max_age(), Duration::from_secs(3600));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    absolute: Duration,
    idle: Option<Duration>,
}

impl Lifetime {
    /// Maximum lifetime: 400 days.
    pub const MAX: Duration = Duration::from_secs(400 * 24 * 3600);

    /// Creates a lifetime that ends `limit` after the login, in whole seconds.
    pub const fn absolute(limit: Duration) -> Self {
        Self {
            absolute: cut(limit),
            idle: None,
        }
    }

    /// Sets an idle timeout: the cookie also expires if it is not renewed for `limit`. Defaults to none.
    ///
    /// A cookie needs renewal when half of it has passed:
    /// [`DecodedCookie::needs_renewal`](super::DecodedCookie::needs_renewal). The layer renews its login cookie by
    /// itself, on the response to a request with it.
    #[must_use]
    pub const fn with_idle_timeout(self, limit: Duration) -> Self {
        Self {
            idle: Some(cut(limit)),
            ..self
        }
    }

    /// Returns the time from the login to the end.
    pub const fn absolute_timeout(self) -> Duration {
        self.absolute
    }

    /// Returns the idle timeout.
    pub const fn idle_timeout(self) -> Option<Duration> {
        self.idle
    }

    /// Returns how long a cookie issued at the login is valid: the `Max-Age` of the first one.
    pub fn max_age(self) -> Duration {
        self.idle.map_or(self.absolute, |idle| idle.min(self.absolute))
    }
}

const fn cut(limit: Duration) -> Duration {
    if limit.as_secs() > Lifetime::MAX.as_secs() {
        Lifetime::MAX
    } else {
        Duration::from_secs(limit.as_secs())
    }
}

impl Default for Lifetime {
    fn default() -> Self {
        Self::absolute(Duration::from_secs(30 * 24 * 3600))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_limit_counts_and_none_is_longer_than_400_days() {
        let days = |days: u64| Duration::from_secs(days * 24 * 3600);
        for (lifetime, max_age) in [
            (Lifetime::default(), days(30)),
            (Lifetime::absolute(days(401)), days(400)),
            (Lifetime::absolute(Duration::MAX), days(400)),
            (Lifetime::absolute(days(3)).with_idle_timeout(days(1)), days(1)),
            (Lifetime::absolute(days(3)).with_idle_timeout(days(5)), days(3)),
            (
                Lifetime::absolute(Duration::from_millis(1_999)),
                Duration::from_secs(1),
            ),
        ] {
            assert_eq!(lifetime.max_age(), max_age, "{lifetime:?}");
        }
    }
}

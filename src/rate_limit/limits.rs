//! The limits that can be set.

use std::time::Duration;

use super::backoff::BackoffPolicy;
use crate::error::ConfigError;

/// The limits on wrong passwords, for [`AuthLayerBuilder::login_rate_limits`](crate::AuthLayerBuilder::login_rate_limits).
///
/// [`LoginRateLimiter`](super::LoginRateLimiter) says what the limits mean. What cannot be set: the wait begins with one
/// second and doubles up to 15 minutes, and after 100 wrong passwords in a row an account gets one attempt a day.
///
/// # Examples
///
/// ```
/// use portcullis::{AuthLayer, Token, rate_limit::RateLimits};
/// use std::time::Duration;
///
/// let limits = RateLimits::new()
///     .with_account_attempts(3)?
///     .with_address_attempts(50)?
///     .with_address_window(Duration::from_secs(10))?;
/// let auth = AuthLayer::builder().token(Token::generate()).login_rate_limits(limits).build()?;
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RateLimits {
    pub(super) account: BackoffPolicy,
    pub(super) address: BackoffPolicy,
    pub(crate) queue: usize,
}

impl RateLimits {
    /// The default limits: 5 attempts of an account and 10 of an address, of which one is forgiven each day and each
    /// minute, and 512 attempts that wait.
    pub const fn new() -> Self {
        Self {
            account: BackoffPolicy::ACCOUNT,
            address: BackoffPolicy::ADDRESS,
            queue: 512,
        }
    }

    /// Default: 5. How many wrong passwords of an account cost no wait.
    ///
    /// # Errors
    ///
    /// Unless it is 1 to 100.
    pub fn with_account_attempts(mut self, attempts: u32) -> Result<Self, ConfigError> {
        self.account.free_attempts = within("account_attempts", attempts, 1, 100)?;
        Ok(self)
    }

    /// Default: 10. How many wrong passwords from an address cost no wait. An IPv6 address counts by its first 64 bits.
    ///
    /// # Errors
    ///
    /// Unless it is 1 to 10,000.
    pub fn with_address_attempts(mut self, attempts: u32) -> Result<Self, ConfigError> {
        self.address.free_attempts = within("address_attempts", attempts, 1, 10_000)?;
        Ok(self)
    }

    /// Default: a day. The time without attempts after which one wrong password of an account is forgiven.
    ///
    /// # Errors
    ///
    /// Unless it is one second to 30 days.
    pub fn with_account_window(mut self, window: Duration) -> Result<Self, ConfigError> {
        self.account.decay = window_within("account_window", window)?;
        Ok(self)
    }

    /// Default: a minute. The time without attempts after which one wrong password from an address is forgiven.
    ///
    /// # Errors
    ///
    /// Unless it is one second to 30 days.
    pub fn with_address_window(mut self, window: Duration) -> Result<Self, ConfigError> {
        self.address.decay = window_within("address_window", window)?;
        Ok(self)
    }

    /// Default: 512. How many attempts wait while others are checked. One more is answered 503 at once.
    ///
    /// # Errors
    ///
    /// If it is more than 65,536.
    pub fn with_queue(mut self, attempts: u32) -> Result<Self, ConfigError> {
        self.queue = within("queue", attempts, 0, 65_536)? as usize;
        Ok(self)
    }
}

impl Default for RateLimits {
    fn default() -> Self {
        Self::new()
    }
}

fn within(setting: &'static str, found: u32, min: u32, max: u32) -> Result<u32, ConfigError> {
    if (min..=max).contains(&found) {
        return Ok(found);
    }
    Err(ConfigError::new(
        setting,
        format!("expected {min} to {max} attempts, found {found}"),
    ))
}

fn window_within(setting: &'static str, found: Duration) -> Result<Duration, ConfigError> {
    let (min, max) = (Duration::from_secs(1), Duration::from_secs(30 * 24 * 3600));
    if (min..=max).contains(&found) {
        return Ok(found);
    }
    Err(ConfigError::new(
        setting,
        format!("expected one second to 30 days, found {found:?}"),
    ))
}

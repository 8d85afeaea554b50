//! What a store keeps of the password attempts of one account.

use std::fmt;

use crate::clock::UnixTime;

/// The key of an account's record: a keyed hash of its name.
///
/// The layer and the hub make it with their keyring, so a reader of the store cannot test names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptKey([u8; 32]);

impl AttemptKey {
    /// The key with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of the key.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for AttemptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AttemptKey")
    }
}

/// The failures of one account, and its pending attempts.
///
/// A store keeps these numbers and times as they are; what they mean, and what follows from them, is decided by
/// [`rate_limit`](crate::rate_limit).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttemptRecord {
    failures: u32,
    last_failure: UnixTime,
    under_way: Vec<(u64, UnixTime)>,
    expires_at: UnixTime,
}

impl AttemptRecord {
    /// A record without failures and attempts, which is kept until `expires_at`.
    pub const fn new(expires_at: UnixTime) -> Self {
        Self {
            failures: 0,
            last_failure: UnixTime::from_secs(0),
            under_way: Vec::new(),
            expires_at,
        }
    }

    /// Sets the number of failures, and the time of the last one.
    #[must_use]
    pub fn with_failures(self, failures: u32, last: UnixTime) -> Self {
        Self {
            failures,
            last_failure: last,
            ..self
        }
    }

    /// Sets the pending attempts: the random id of each, and when it expires. There are at most 100.
    #[must_use]
    pub fn with_under_way(self, attempts: impl IntoIterator<Item = (u64, UnixTime)>) -> Self {
        Self {
            under_way: attempts.into_iter().collect(),
            ..self
        }
    }

    /// The number of failures.
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// The time of the last failure.
    pub const fn last_failure(&self) -> UnixTime {
        self.last_failure
    }

    /// The pending attempts: the id of each, and when it expires.
    pub fn under_way(&self) -> &[(u64, UnixTime)] {
        &self.under_way
    }

    /// When the store may remove the record.
    pub const fn expires_at(&self) -> UnixTime {
        self.expires_at
    }

    /// Whether the record has expired at `now`: then it is as if it were not there.
    pub fn has_expired(&self, now: UnixTime) -> bool {
        self.expires_at <= now
    }
}

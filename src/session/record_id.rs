//! Ids of records in a store.

use std::{fmt, num::ParseIntError, str::FromStr};

use crate::random;

/// The public id of a token or a session in its store: for lists, and to revoke it by.
///
/// A random number, so it reveals nothing about the token or about how many there are. Its text is decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(u64);

impl RecordId {
    /// Generates an id with the system's random generator: 1 to 2^63 - 1.
    ///
    /// # Panics
    ///
    /// If the system's random generator fails.
    pub fn random() -> Self {
        Self((u64::from_ne_bytes(random::bytes()) >> 1).max(1))
    }

    /// Returns the number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl From<u64> for RecordId {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for RecordId {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Self)
    }
}

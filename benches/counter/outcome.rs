//! What counting one case came to.

use std::fmt;

/// The instructions of one request through a case, and through what it is compared with.
pub(super) struct Outcome {
    pub(super) instructions: u64,
    pub(super) base: Option<u64>,
}

impl Outcome {
    /// What the case costs above its base; less than nothing is possible.
    pub(super) fn above(&self) -> Option<i64> {
        i64::try_from(self.instructions)
            .ok()?
            .checked_sub_unsigned(self.base?)
    }
}

/// Why there is no count.
#[derive(Debug)]
pub(super) enum Failure {
    /// The case gave another answer than it should, or its process ended by itself.
    Failed(String),
    /// This machine does not allow this way to count.
    Forbidden(String),
    /// There is nothing to run yet.
    Missing,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(why) => write!(f, "FAILED: {why}"),
            Self::Forbidden(why) => write!(f, "not measured: {why}"),
            Self::Missing => f.write_str("nothing to run yet"),
        }
    }
}

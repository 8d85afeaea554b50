//! How an attempt ends.

/// How an attempt that was allowed ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttemptOutcome {
    /// The password was right.
    Succeeded,
    /// The password was wrong, or the client went away while it was checked.
    Failed,
    /// No password was checked: the attempt does not count.
    Cancelled,
}

//! How long a password may be.

use crate::secret::Secret;

/// The longest password that is hashed, in bytes. A longer one is wrong, without any hashing.
pub(crate) const MAX_LEN: usize = 1024;

/// The fewest characters that any policy takes.
pub(super) const MIN_LEN: usize = 8;

/// Whether anything is hashed for `password` at all.
pub(crate) fn is_hashable(password: &Secret) -> bool {
    (1..=MAX_LEN).contains(&password.len())
}

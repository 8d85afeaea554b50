//! The records of password attempts.

use crate::store::{AttemptKey, AttemptRecord, ExpiringMap, attempt_store::MAX_RECORDS};

/// The records, each until it expires. The map measures time from any beginning: here it is 1970.
pub(super) struct Attempts(pub(super) ExpiringMap<AttemptKey, AttemptRecord>);

impl Default for Attempts {
    fn default() -> Self {
        Self(ExpiringMap::new(MAX_RECORDS))
    }
}

//! What is refused.

use crate::store::{StoreError, StoreErrorKind};

pub(super) fn duplicate(what: &str) -> StoreError {
    StoreError::new(
        StoreErrorKind::Duplicate,
        format!("expected a new {what}, found it there already"),
    )
}

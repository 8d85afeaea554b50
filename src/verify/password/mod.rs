//! Verifiers that keep hashes of passwords.

mod memory_store;
mod shared;
mod stored;

use crate::{
    denial::Reason,
    password::pool::{HashingError, PasswordCheck},
    session::grant::Grant,
    verify::Verification,
};

pub use self::{
    memory_store::MemoryPasswordStore,
    shared::SharedPassword,
    stored::{PasswordLookup, PasswordStore, StoredPasswords},
};

/// Returns the one result for everything that is not correct.
fn wrong() -> Verification {
    Verification::Rejected(Reason::IncorrectPassword)
}

fn verification(verified: Result<PasswordCheck, HashingError>, grant: Option<Grant>) -> Verification {
    match (verified, grant) {
        (Ok(PasswordCheck::Correct { .. }), Some(grant)) => Verification::Valid(grant),
        (Ok(_), _) => wrong(),
        (Err(error), _) => Verification::Unavailable(error.into()),
    }
}

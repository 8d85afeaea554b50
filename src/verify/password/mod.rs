//! Verifiers that keep hashes of passwords.

mod memory_store;
mod shared;
mod stored;

use crate::{
    denial::Reason,
    grant::Grant,
    password::pool::{HashingError, PasswordCheck},
    verify::Verdict,
};

pub use self::{
    memory_store::MemoryPasswordStore,
    shared::SharedPassword,
    stored::{PasswordLookup, PasswordStore, StoredPasswords},
};

/// The one answer to everything that is not right.
fn wrong() -> Verdict {
    Verdict::Refused(Reason::WrongPassword)
}

fn verdict(verified: Result<PasswordCheck, HashingError>, grant: Option<Grant>) -> Verdict {
    match (verified, grant) {
        (Ok(PasswordCheck::Correct { .. }), Some(grant)) => Verdict::Known(grant),
        (Ok(_), _) => wrong(),
        (Err(error), _) => Verdict::Unavailable(error.into()),
    }
}

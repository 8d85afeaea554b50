//! Verifiers that keep hashes of passwords.

mod shared;
mod stored;
mod users;

use crate::{
    denial::Reason,
    grant::Grant,
    hashing::{HashingError, PasswordCheck},
    verify::Verdict,
};

pub use self::{
    shared::SharedPassword,
    stored::{PasswordLookup, PasswordStore, StoredPasswords},
    users::MemoryPasswordStore,
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

//! Passwords: the hash that a server keeps, and what a new one must be like.

mod argon2_memory;
mod cost;
mod error;
mod hash;
mod hash_writer;
mod legacy;
mod length;
mod phc;
mod pieces;
mod policy;
pub(crate) mod pool;

pub(crate) use self::{argon2_memory::Argon2Memory, length::is_hashable};
pub use self::{
    cost::HashCost,
    error::{PasswordError, PasswordErrorKind},
    hash::PasswordHash,
    hash_writer::PasswordHashWriter,
    policy::PasswordPolicy,
    pool::{HashingError, HashingErrorKind, HashingPool, PasswordCheck},
};

//! Passwords: the hash that a server keeps, and what a new one must be like.

mod cost;
mod error;
mod hash;
mod legacy;
mod length;
mod memory;
mod phc;
mod pieces;
mod policy;

pub use self::{
    cost::HashCost,
    error::{PasswordError, PasswordErrorKind},
    hash::PasswordHash,
    length::PASSWORD_LIMIT,
    policy::PasswordPolicy,
};
pub(crate) use self::{length::is_hashable, memory::Argon2Memory};

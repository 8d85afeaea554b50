//! A refresh token, as the store knows it.

use crate::token::TokenHash;

/// The hashes of a refresh token: of the part that stays the same, and of the part that each use replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "callers must have both")]
pub struct RefreshHashes {
    /// By what the record is found, for as long as it lives.
    pub family: TokenHash,
    /// What the current token has, and no earlier one.
    pub secret: TokenHash,
}

/// The result of an attempt to use a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshRotation {
    /// It was current, and is no more; the token is kept.
    Issued,
    /// It was used before, so one of its two holders has stolen it. All tokens of the family are revoked.
    Reused {
        /// How many tokens were revoked.
        revoked: u64,
    },
    /// It is not known, or has expired, or was revoked.
    Unknown,
}

//! Hashes of passwords that take no time.

use crate::{password::PasswordHash, secret::Secret};

/// Returns a hash of `password` that is made and checked in microseconds, for tests that log in by a password.
///
/// The password policy does not apply, so the password may be short. An unknown user still costs as much as in production.
///
/// # Security
///
/// An attacker who has the hash finds the password at once. The value alone is fast: its text, when it is stored and
/// parsed again, is an ordinary weak hash, which [`PasswordHash::is_weak`] reports and the next login replaces.
///
/// # Examples
///
/// ```
/// use portcullis::{AuthLayer, testing::fast_password_hash};
///
/// let auth = AuthLayer::password(fast_password_hash("secret"));
/// ```
pub fn fast_password_hash(password: &str) -> PasswordHash {
    PasswordHash::compute_for_tests(&Secret::from(password))
}

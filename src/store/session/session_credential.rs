//! What a session came from.

use crate::token::TokenHash;

/// What a session came from, where its end is the session's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a store keeps what it is given")]
pub enum SessionCredential {
    /// A token, by its hash: the session has the grant of the token. If the store of the session keeps the token too, the
    /// session ends with it.
    ///
    /// The databases of this crate keep the hash encrypted.
    Token(TokenHash),
    /// Something else that may change, such as a password, by a fingerprint of it.
    ///
    /// # Security
    ///
    /// The store keeps the fingerprint as it is. Compute it with a secret key, for example with HMAC, so that a copy of the
    /// database cannot be used to guess the credential.
    Fingerprint(TokenHash),
    /// A session at an identity provider that reports its end, by the hash of its issuer and id.
    ProviderSession(TokenHash),
}

impl SessionCredential {
    /// Returns the bytes by which a database knows it: one for the kind, then the hash.
    pub fn to_bytes(self) -> [u8; 33] {
        let (kind, hash) = match self {
            Self::Token(hash) => (1, hash),
            Self::Fingerprint(hash) => (2, hash),
            Self::ProviderSession(hash) => (3, hash),
        };
        let mut bytes = [kind; 33];
        bytes[1..].copy_from_slice(hash.as_bytes());
        bytes
    }

    /// Returns the credential that these bytes stand for, or `None` if they stand for none.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::{Token, store::SessionCredential};
    ///
    /// let credential = SessionCredential::Token(Token::generate().hash());
    /// assert_eq!(SessionCredential::from_bytes(&credential.to_bytes()), Some(credential));
    /// assert_eq!(SessionCredential::from_bytes(b"short"), None);
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, hash) = bytes.split_first()?;
        let hash = TokenHash::from(<[u8; 32]>::try_from(hash).ok()?);
        match kind {
            1 => Some(Self::Token(hash)),
            2 => Some(Self::Fingerprint(hash)),
            3 => Some(Self::ProviderSession(hash)),
            _ => None,
        }
    }
}

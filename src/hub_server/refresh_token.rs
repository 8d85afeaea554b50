//! Refresh tokens: RFC 6749 §6, replaced at each use.

use crate::{
    random::{self, BASE62},
    secret::Secret,
    store::RefreshHashes,
    token::TokenHash,
};

/// A refresh token: the key of its family, which stays, and a secret, which each use replaces.
///
/// So the store keeps one row for a family, and knows a token that was used before by its old secret.
pub(crate) struct RefreshToken {
    text: Secret,
}

impl RefreshToken {
    /// The length of each half.
    const LEN: usize = 43;

    /// The first of a family.
    pub(crate) fn generate() -> Self {
        Self::with_key(&random::text(BASE62, Self::LEN))
    }

    /// One to replace it.
    pub(crate) fn next(&self) -> Self {
        Self::with_key(self.key())
    }

    fn with_key(key: &str) -> Self {
        let secret = random::text(BASE62, Self::LEN);
        Self {
            text: Secret::from(&*format!("{key}.{}", &*secret)),
        }
    }

    /// The token that a client sent, if it has the form of one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_half =
            |half: &str| half.len() == Self::LEN && half.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let (key, secret) = text.split_once('.')?;
        (is_half(key) && is_half(secret)).then(|| Self {
            text: Secret::from(text),
        })
    }

    fn key(&self) -> &str {
        let text = self.text.expose_str().unwrap_or_default();
        text.split('.').next().unwrap_or_default()
    }

    pub(crate) fn text(&self) -> &Secret {
        &self.text
    }

    pub(crate) fn hashes(&self) -> RefreshHashes {
        // No token in a request has a space, so none has this hash.
        let family = format!("refresh token {}", self.key());
        RefreshHashes {
            family: TokenHash::new(family.as_bytes()),
            secret: TokenHash::new(self.text.expose()),
        }
    }
}

//! The keys that are derived from one secret, and the set of a current key and previous ones.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{clock::UnixTime, digest::Hmac, secret::Secret};

/// The keys derived from one secret, prepared once: a keyed HMAC saves two blocks of each message.
#[derive(Clone)]
pub(super) struct Key {
    signing: Hmac,
    pub(super) xsrf: Hmac,
    pub(super) session: Hmac,
    expander: Hkdf<Sha256>,
}

impl Key {
    pub(super) fn of(secret: &Secret) -> Self {
        let expander = Hkdf::new(None, secret.expose());
        Self {
            signing: Hmac::new(secret.expose()),
            xsrf: Hmac::new(&*expand(&expander, KeyPurpose::Xsrf)),
            session: Hmac::new(&*expand(&expander, KeyPurpose::Session)),
            expander,
        }
    }

    pub(super) fn signing(&self) -> &Hmac {
        &self.signing
    }

    pub(super) fn sub_key(&self, purpose: KeyPurpose) -> Zeroizing<[u8; 32]> {
        expand(&self.expander, purpose)
    }
}

/// The purpose of a derived key. A key is never used for two purposes.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(feature = "encrypted-cookies"),
    allow(dead_code, reason = "used by encrypted cookies")
)]
pub(super) enum KeyPurpose {
    EncryptedCookie,
    EncryptedCookieKeyId,
    PasswordAttempts,
    Xsrf,
    Session,
}

impl KeyPurpose {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::EncryptedCookie => "portcullis/v1/encrypted cookie",
            Self::EncryptedCookieKeyId => "portcullis/v1/encrypted cookie key id",
            Self::PasswordAttempts => "portcullis/v1/password attempts",
            Self::Xsrf => "portcullis/v1/xsrf",
            Self::Session => "portcullis/v1/session",
        }
    }
}

/// The current key, and previous ones, each with the time of its retirement.
#[derive(Clone)]
pub(super) struct KeySet<K> {
    pub(super) current: K,
    pub(super) previous: Box<[(K, UnixTime)]>,
}

impl<K> KeySet<K> {
    pub(super) fn of(writing: K) -> Self {
        Self {
            current: writing,
            previous: Box::new([]),
        }
    }

    pub(super) fn map<L>(&self, mut f: impl FnMut(&K) -> L) -> KeySet<L> {
        KeySet {
            current: f(&self.current),
            previous: self
                .previous
                .iter()
                .map(|(key, until)| (f(key), *until))
                .collect(),
        }
    }

    pub(super) fn writing(&self) -> &K {
        &self.current
    }

    /// Returns the first result of `read`, and whether it came from a previous key. The clock is read only for
    /// previous keys.
    pub(super) fn find<T>(
        &self,
        now: impl Fn() -> UnixTime,
        mut read: impl FnMut(&K) -> Option<T>,
    ) -> Option<(T, bool)> {
        if let Some(found) = read(&self.current) {
            return Some((found, false));
        }
        self.previous
            .iter()
            .filter(|(_, retires_at)| now() < *retires_at)
            .find_map(|(key, _)| Some((read(key)?, true)))
    }
}

fn expand(expander: &Hkdf<Sha256>, purpose: KeyPurpose) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    expander
        .expand(purpose.label().as_bytes(), &mut *key)
        .expect("one block of output is within the bound");
    key
}

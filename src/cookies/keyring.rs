//! The keys that cookies are signed and encrypted with.

use std::{fmt, sync::Arc};

use hmac::{KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::key_set::{Key, KeyPurpose, KeySet};
use crate::{
    clock::UnixTime,
    digest::Hmac,
    error::ConfigError,
    random,
    secret::{
        SecretSource,
        value::{Secret, SecretError, SecretErrorKind},
    },
};

/// The keys of one server or hub: a current key, and previous keys that are accepted until they are retired.
///
/// Cloning increments a reference count.
///
/// # Keys
///
/// | key | derived by | used for |
/// |---|---|---|
/// | signing | the secret itself, after binding | cookies that Jupyter reads: HMAC-SHA256, the signed values of Tornado |
/// | `portcullis/v1/encrypted cookie` | HKDF-SHA256 (RFC 5869) with this label as info | cookies that only the writer reads: AES-256-GCM-SIV |
/// | `portcullis/v1/encrypted cookie key id` | the same | one byte that identifies the key of a cookie |
/// | `portcullis/v1/password attempts` | the same | the names of accounts in `shared_rate_limits`: HMAC-SHA256 |
/// | `portcullis/v1/xsrf` | the same | the XSRF token: HMAC-SHA256 |
/// | `portcullis/v1/session` | the same | the ids of sessions in a store: HMAC-SHA256 |
///
/// The secret is bound to the password and the token first, so that a change of either ends every session:
/// HMAC-SHA256 with the secret as key over the text of the password hash, exactly as a Jupyter Server does;
/// then, if a token is configured, HMAC-SHA256 with the result as key over `token`, a NUL and the token.
///
/// # Security
///
/// The signing key and the derived keys come from the same secret in different ways. The first step of HKDF uses the
/// secret as a message under a fixed key, signing uses it as the key, so values of one reveal nothing about the
/// other as long as HMAC is a pseudo-random function.
///
/// # Example
///
/// ```
/// use portcullis::{clock::UnixTime, Keyring, Secret};
///
/// let old = Secret::from(&[7; 32][..]);
/// let new = Secret::from(&[8; 32][..]);
/// let keyring = Keyring::from_secret(new)?
///     .with_previous_key(old, UnixTime::from_secs(1_800_000_000))?
///     .bound_to_password("argon2:$argon2id$…");
/// assert_eq!(format!("{keyring:?}"), "Keyring");
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Keyring(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    writing: Secret,
    reading: Vec<(Secret, UnixTime)>,
    password: Option<Secret>,
    token: Option<Secret>,
    keys: KeySet<Key>,
}

impl Keyring {
    /// Minimum length of a secret, in bytes.
    pub const MIN_SECRET_LEN: usize = 32;

    /// Maximum number of previous keys. A forged cookie is checked with each of them.
    pub const MAX_PREVIOUS_KEYS: usize = 4;

    /// Creates a keyring with one key.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if the secret has fewer than [`Keyring::MIN_SECRET_LEN`] bytes.
    pub fn from_secret(secret: Secret) -> Result<Self, ConfigError> {
        Ok(Self::with_current(checked(secret)?))
    }

    /// Creates a keyring with the secret of `source`.
    ///
    /// # Errors
    ///
    /// Returns `SecretErrorKind::Missing` if the source has no secret, so logins never depend on a secret that is
    /// lost at a restart. Returns `SecretErrorKind::Malformed` if it has fewer than [`Keyring::MIN_SECRET_LEN`]
    /// bytes, and every error of the source. The message names the variable or the file.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::{FileSource, Keyring};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("cookie_secret");
    ///
    /// let keyring = Keyring::load(&FileSource::cookie_secret(&path).or_create())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load(source: &dyn SecretSource) -> Result<Self, SecretError> {
        match source.load_with_name()? {
            Some((name, secret)) => Self::from_secret(secret)
                .map_err(|error| SecretError::new(SecretErrorKind::Malformed, format!("{name}: {error}"))),
            None => Err(SecretError::new(
                SecretErrorKind::Missing,
                format!("expected a cookie secret in {}, found none", source.name()),
            )),
        }
    }

    /// Creates a keyring with a random secret, which is lost when the process ends.
    pub fn generate() -> Self {
        let bytes = Zeroizing::new(random::bytes::<{ Self::MIN_SECRET_LEN }>());
        Self::with_current(Secret::from(&bytes[..]))
    }

    fn with_current(writing: Secret) -> Self {
        Self(Arc::new(Inner {
            keys: KeySet::of(Key::of(&writing)),
            writing,
            reading: Vec::new(),
            password: None,
            token: None,
        }))
    }

    /// Adds a secret whose cookies are accepted until `retires_at`. Defaults to none.
    ///
    /// It is bound to the password and the token like the first, whatever the order of the calls.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if the secret has fewer than [`Keyring::MIN_SECRET_LEN`] bytes, or there are
    /// [`Keyring::MAX_PREVIOUS_KEYS`] previous keys already.
    pub fn with_previous_key(self, secret: Secret, retires_at: UnixTime) -> Result<Self, ConfigError> {
        let secret = checked(secret)?;
        if self.0.reading.len() >= Self::MAX_PREVIOUS_KEYS {
            return Err(ConfigError::new(
                "previous keys",
                format!("expected at most {}, found more", Self::MAX_PREVIOUS_KEYS),
            ));
        }
        Ok(self.rebuild(|parts| parts.reading.push((secret, retires_at))))
    }

    /// Binds the keys to the text of the server's password hash, empty if it has no password: changing it ends every
    /// session.
    ///
    /// Not bound by default, as at a hub. A Jupyter Server always does this, also with the empty text.
    #[must_use]
    pub fn bound_to_password(self, hashed: &str) -> Self {
        self.rebuild(|parts| parts.password = Some(Secret::from(hashed)))
    }

    /// Binds the keys to a configured token: changing it ends every session.
    ///
    /// Not bound by default. Cookies are then no longer exchangeable with a Jupyter Server that has the same secret.
    #[must_use]
    pub fn bound_to_token(self, token: &[u8]) -> Self {
        self.rebuild(|parts| parts.token = Some(Secret::from(token)))
    }

    fn rebuild(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut parts = Arc::unwrap_or_clone(self.0);
        change(&mut parts);
        let mix = |secret: &Secret| {
            let mut mixed = secret.clone();
            if let Some(password) = &parts.password {
                mixed = Secret::from(&mac(&mixed, &[password.expose()])[..]);
            }
            if let Some(token) = &parts.token {
                mixed = Secret::from(&mac(&mixed, &[b"token\0", token.expose()])[..]);
            }
            Key::of(&mixed)
        };
        parts.keys = KeySet {
            current: mix(&parts.writing),
            previous: parts
                .reading
                .iter()
                .map(|(secret, retires_at)| (mix(secret), *retires_at))
                .collect(),
        };
        Self(Arc::new(parts))
    }

    pub(super) fn keys(&self) -> &KeySet<Key> {
        &self.0.keys
    }

    /// Returns the authentication code of a session in a store, under the current key.
    pub(crate) fn session_mac(&self, message: &[u8]) -> [u8; 32] {
        self.0.keys.current.session.mac(message)
    }

    /// Returns the codes of the message under the previous keys that have not retired. The clock is read only if there are some.
    pub(crate) fn previous_session_macs(
        &self,
        message: &[u8],
        now: impl Fn() -> UnixTime,
    ) -> impl Iterator<Item = [u8; 32]> {
        let previous = self.0.keys.previous.iter();
        previous
            .filter(move |(_, retires_at)| now() < *retires_at)
            .map(move |(key, _)| key.session.mac(message))
    }

    /// The HMAC of account names whose password attempts are counted in a store.
    pub(crate) fn attempt_hmac(&self) -> Hmac {
        Hmac::new(&*self.0.keys.current.sub_key(KeyPurpose::PasswordAttempts))
    }

    /// Returns the authentication code of an XSRF token.
    pub(crate) fn xsrf_mac(&self, message: &[u8]) -> [u8; 32] {
        self.0.keys.current.xsrf.mac(message)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring")
    }
}

fn checked(secret: Secret) -> Result<Secret, ConfigError> {
    if secret.len() < Keyring::MIN_SECRET_LEN {
        return Err(ConfigError::new(
            "cookie secret",
            format!(
                "expected at least {} bytes, found {}",
                Keyring::MIN_SECRET_LEN,
                secret.len()
            ),
        ));
    }
    Ok(secret)
}

fn mac(key: &Secret, parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut mac = hmac::Hmac::<Sha256>::new_from_slice(key.expose()).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PURPOSES: [KeyPurpose; 5] = [
        KeyPurpose::EncryptedCookie,
        KeyPurpose::EncryptedCookieKeyId,
        KeyPurpose::Xsrf,
        KeyPurpose::Session,
        KeyPurpose::PasswordAttempts,
    ];

    fn secret(byte: u8) -> Secret {
        Secret::from(&[byte; 32][..])
    }

    fn sample(keyring: &Keyring) -> [u8; 32] {
        keyring.keys().writing().signing().mac(b"sample")
    }

    struct Fixed(Option<Secret>);

    impl SecretSource for Fixed {
        fn load(&self) -> Result<Option<Secret>, SecretError> {
            Ok(self.0.clone())
        }

        fn name(&self) -> String {
            "COOKIE_SECRET".to_owned()
        }
    }

    #[test]
    fn keyring_is_loaded_from_a_source() {
        let loaded = Keyring::load(&Fixed(Some(secret(1)))).expect("long enough");
        let expected = Keyring::from_secret(secret(1)).expect("long enough");
        assert_eq!(sample(&loaded), sample(&expected));
    }

    #[test]
    fn missing_or_short_secret_is_an_error_that_names_the_source() {
        for (source, kind, message) in [
            (
                Fixed(None),
                SecretErrorKind::Missing,
                "expected a cookie secret in COOKIE_SECRET, found none",
            ),
            (
                Fixed(Some(Secret::from("short"))),
                SecretErrorKind::Malformed,
                "COOKIE_SECRET: cookie secret: expected at least 32 bytes, found 5",
            ),
        ] {
            let error = Keyring::load(&source).expect_err("refused");
            assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
        }
    }

    #[test]
    fn every_label_stands_in_the_documentation_once_and_differs_from_the_others() {
        let page = include_str!("keyring.rs");
        for (place, purpose) in PURPOSES.into_iter().enumerate() {
            // Without a wildcard, so that a new purpose does not compile until it is listed above.
            let listed = match purpose {
                KeyPurpose::EncryptedCookie => 0,
                KeyPurpose::EncryptedCookieKeyId => 1,
                KeyPurpose::Xsrf => 2,
                KeyPurpose::Session => 3,
                KeyPurpose::PasswordAttempts => 4,
            };
            assert_eq!(listed, place);
            let row = format!("/// | `{}` |", purpose.label());
            assert_eq!(page.matches(&row).count(), 1, "{row}");
        }
    }

    #[test]
    fn no_two_purposes_and_no_two_secrets_share_a_key() {
        let rings = [
            Keyring::from_secret(secret(1)).expect("long enough"),
            Keyring::from_secret(secret(2)).expect("long enough"),
            Keyring::from_secret(secret(1))
                .expect("long enough")
                .bound_to_password(""),
            Keyring::from_secret(secret(1))
                .expect("long enough")
                .bound_to_token(b""),
        ];
        let mut keys: Vec<[u8; 32]> = rings
            .iter()
            .flat_map(|ring| PURPOSES.map(|purpose| *ring.keys().writing().sub_key(purpose)))
            .collect();
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all);
    }

    #[test]
    fn the_order_of_the_calls_makes_no_difference() {
        let late = UnixTime::from_secs(100);
        let one = Keyring::from_secret(secret(1)).expect("long enough");
        let first = one
            .clone()
            .bound_to_token(b"t")
            .bound_to_password("p")
            .with_previous_key(secret(2), late)
            .expect("long enough");
        let second = one
            .with_previous_key(secret(2), late)
            .expect("long enough")
            .bound_to_password("p")
            .bound_to_token(b"t");
        assert_eq!(sample(&first), sample(&second));
        let read = |ring: &Keyring| {
            ring.keys()
                .find(
                    || UnixTime::from_secs(99),
                    |key| {
                        let code = key.signing().mac(b"sample");
                        (code != sample(ring)).then_some(code)
                    },
                )
                .expect("a reading key")
        };
        assert_eq!(read(&first), read(&second));
    }

    #[test]
    fn a_reading_key_retires_at_its_time() {
        let ring = Keyring::generate()
            .with_previous_key(secret(2), UnixTime::from_secs(100))
            .expect("long enough");
        for (now, expected) in [(99, 2), (100, 1), (101, 1)] {
            let mut loaded = 0;
            let found = ring.keys().find(
                || UnixTime::from_secs(now),
                |_| {
                    loaded += 1;
                    None::<()>
                },
            );
            assert!(found.is_none());
            assert_eq!(loaded, expected, "at {now}");
        }
    }

    #[test]
    fn a_short_secret_and_a_fifth_reading_key_are_refused() {
        for length in [0, 1, 31] {
            let error = Keyring::from_secret(Secret::from(vec![1; length])).expect_err("too short");
            assert_eq!(
                error.to_string(),
                format!("cookie secret: expected at least 32 bytes, found {length}")
            );
        }
        let mut ring = Keyring::generate();
        for byte in 0..4 {
            ring = ring
                .with_previous_key(secret(byte), UnixTime::from_secs(1))
                .expect("a place");
        }
        assert!(ring.with_previous_key(secret(9), UnixTime::from_secs(1)).is_err());
    }

    #[test]
    fn debug_shows_the_name_only() {
        assert_eq!(format!("{:?}", Keyring::generate()), "Keyring");
    }
}

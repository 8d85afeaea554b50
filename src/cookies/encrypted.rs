//! Encrypted values, which only their writer can read.

use std::{fmt, sync::Arc, time::Duration};

use aes_gcm_siv::{AeadInOut, Aes256GcmSiv, KeyInit, Nonce, Tag, aead::inout::InOutBuf};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};

use super::{
    base64_engine,
    codec::{CookieCodec, CookieContext, CookieTimes},
    decoded::{CookieDecodeError, DecodedCookie, check_expiry, decoded, unquoted},
    jar::CookieJar,
    key_set::{Key, KeyPurpose, KeySet},
    keyring::Keyring,
    name::CookieName,
    scope::CookieScope,
};
use crate::{clock::UnixTime, random};

impl CookieJar {
    /// Creates a jar whose cookies only this server can read: AES-256-GCM-SIV (RFC 8452).
    ///
    /// ```text
    /// value   = unpadded base64url of (version key-id nonce ciphertext tag)
    /// version = 1 byte, 01                      key-id = 1 byte                 nonce = 12 bytes
    /// ciphertext = started-at issued-at life payload   (encrypted; 8, 8 and 4 bytes, big-endian; seconds)
    /// tag     = 16 bytes, over all of it and over the name and path of the cookie
    /// ```
    ///
    /// A value is valid only for the name and path that it was written for, and has one encoding.
    pub fn encrypted(keyring: &Keyring, scope: CookieScope) -> Self {
        Self::new(Arc::new(EncryptedCodec::new(keyring, &scope)), scope)
    }
}

/// The keyed cipher of each key.
///
/// The nonce is 96 random bits. With plain GCM that would allow 2^32 values per key, since one repeated nonce
/// gives the authentication key away. GCM-SIV derives fresh keys from every nonce and uses the tag as the
/// counter's start: a repeated nonce shows whether two values have the same content, name and path, and no
/// more, and the content holds the second of issue. Repeats become likely at 2^48 values; a thousand a second
/// get there in 9,000 years.
struct EncryptedCodec {
    keys: KeySet<EncryptionKey>,
    /// The name that the associated data of the keys is prepared for.
    name: CookieName,
}

struct EncryptionKey {
    cipher: Aes256GcmSiv,
    id: u8,
    /// The associated data of the cookie that nearly every request has.
    usual: Box<[u8]>,
}

const VERSION: u8 = 1;
const HEAD: usize = 2 + 12;
const TIMES: usize = 8 + 8 + 4;

impl EncryptedCodec {
    fn new(keyring: &Keyring, scope: &CookieScope) -> Self {
        let name = scope.name(b"").into_owned();
        Self {
            keys: keyring.keys().map(|key: &Key| {
                let id = key.sub_key(KeyPurpose::EncryptedCookieKeyId)[0];
                EncryptionKey {
                    cipher: Aes256GcmSiv::new((&*key.sub_key(KeyPurpose::EncryptedCookie)).into()),
                    usual: associated_data(id, &name, scope.path()).into(),
                    id,
                }
            }),
            name,
        }
    }

    /// Calls `then` with the associated data of a cookie under one key.
    fn with_data<T>(
        &self,
        key: &EncryptionKey,
        place: CookieContext<'_>,
        then: impl FnOnce(&[u8]) -> T,
    ) -> T {
        if *place.name == self.name {
            then(&key.usual)
        } else {
            then(&associated_data(key.id, place.name, place.scope.path()))
        }
    }

    /// The nonce is an argument for tests with known values; other callers draw it at random.
    fn encrypt_with_nonce(
        &self,
        place: CookieContext<'_>,
        payload: &[u8],
        times: CookieTimes,
        nonce: [u8; 12],
    ) -> String {
        let key = self.keys.writing();
        let mut value = vec![VERSION, key.id];
        value.extend_from_slice(&nonce);
        value.extend_from_slice(&times.started_at.as_secs().to_be_bytes());
        value.extend_from_slice(&times.issued_at.as_secs().to_be_bytes());
        let life = u32::try_from(times.max_age.as_secs()).unwrap_or(u32::MAX);
        value.extend_from_slice(&life.to_be_bytes());
        value.extend_from_slice(payload);
        let (_, ciphertext) = value.split_at_mut(HEAD);
        let tag = self.with_data(key, place, |data| {
            key.cipher
                .encrypt_inout_detached(&Nonce::from(nonce), data, InOutBuf::from(ciphertext))
                .expect("a cookie is shorter than 2^36 bytes")
        });
        value.extend_from_slice(&tag);
        BASE64_URL_SAFE_NO_PAD.encode(value)
    }

    /// Decrypts the ciphertext in place.
    fn decrypt<'b>(
        &self,
        place: CookieContext<'_>,
        value: &[u8],
        now: impl Fn() -> UnixTime,
        buffer: &'b mut [u8],
    ) -> Option<(&'b [u8], bool)> {
        if value.len() > CookieScope::MAX_LEN {
            return None;
        }
        let value = decoded(&*base64_engine::URL_SAFE, value, buffer)?;
        let (head, rest) = value.split_first_chunk_mut::<HEAD>()?;
        let (ciphertext, tag) = rest.split_last_chunk_mut::<16>()?;
        let [VERSION, id, nonce @ ..] = *head else {
            return None;
        };
        let (nonce, tag) = (Nonce::from(nonce), Tag::from(*tag));
        // A key that fails leaves the bytes unchanged, so that the next can be tried.
        let ((), stale) = self.keys.find(now, |key| {
            if key.id != id {
                return None;
            }
            let ciphertext = InOutBuf::from(&mut *ciphertext);
            self.with_data(key, place, |data| {
                key.cipher
                    .decrypt_inout_detached(&nonce, data, ciphertext, &tag)
                    .ok()
            })
        })?;
        Some((ciphertext, stale))
    }
}

impl CookieCodec for EncryptedCodec {
    fn supports_idle_timeout(&self) -> bool {
        true
    }

    fn encode(&self, place: CookieContext<'_>, payload: &[u8], times: CookieTimes) -> String {
        self.encrypt_with_nonce(place, payload, times, random::bytes())
    }

    fn decode<'b>(
        &self,
        place: CookieContext<'_>,
        value: &[u8],
        now: &dyn Fn() -> UnixTime,
        buffer: &'b mut [u8],
    ) -> Result<DecodedCookie<'b>, CookieDecodeError> {
        let (content, under_reading_key) = self
            .decrypt(place, unquoted(value), now, buffer)
            .ok_or(CookieDecodeError::Invalid)?;
        let (times, payload) = content
            .split_first_chunk::<TIMES>()
            .ok_or(CookieDecodeError::Invalid)?;
        let [started_at, issued_at] = [times.first_chunk::<8>(), times[8..].first_chunk::<8>()]
            .map(|time| UnixTime::from_secs(u64::from_be_bytes(*time.expect("two times of 8 bytes"))));
        let life = u32::from_be_bytes(*times.last_chunk::<4>().expect("a life of 4 bytes"));
        // The shorter of the lifetime in the value and the configured one.
        let now = now();
        let life = Duration::from_secs(life.into()).min(place.lifetime.max_age());
        check_expiry(issued_at, life, now)?;
        let limit = place.lifetime.absolute_timeout();
        check_expiry(started_at, limit, now)?;
        let idle = place.lifetime.idle_timeout();
        let half_idle = idle.is_some_and(|idle| now.saturating_duration_since(issued_at) >= idle / 2);
        Ok(DecodedCookie {
            payload,
            started_at,
            issued_at,
            ends_at: issued_at
                .saturating_add(life)
                .min(started_at.saturating_add(limit)),
            stale: under_reading_key || half_idle,
            mac: None,
        })
    }
}

impl fmt::Debug for EncryptedCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptedValues")
    }
}

/// Version, key id, length of the name, name, path.
#[cold]
fn associated_data(id: u8, name: &CookieName, path: &str) -> Vec<u8> {
    let name = name.as_str().as_bytes();
    let length = u16::try_from(name.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[VERSION, id], &length[..], name, path.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::{
        cookies::{lifetime::Lifetime, name::CookieName},
        secret::Secret,
    };

    const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

    /// Created by the `cryptography` package 48.0.0 for Python, with its HMAC for HKDF; this crate must always produce it.
    const GOLDEN: &str = "AR8JCQkJCQkJCQkJCQk0rwPLMQBUn3J9r5KNzEMo4BejZuCngQfJjjYIw35DLy8GMkWYIHDkjaeK";

    fn values() -> EncryptedCodec {
        let ring = Keyring::from_secret(Secret::from(&[7; 32][..])).expect("32 bytes");
        EncryptedCodec::new(&ring, &SCOPE)
    }

    static SCOPE: LazyLock<CookieScope> =
        LazyLock::new(|| CookieScope::custom(CookieName::user("alice"), "/user/alice/").expect("a scope"));
    static MINUTE: LazyLock<Lifetime> = LazyLock::new(|| Lifetime::absolute(Duration::from_secs(60)));

    fn place(name: &CookieName) -> CookieContext<'_> {
        CookieContext {
            name,
            scope: &SCOPE,
            lifetime: &MINUTE,
        }
    }

    #[test]
    fn a_value_of_an_older_release_still_opens() {
        let name = CookieName::user("alice");
        let mut buffer = [0; 128];
        let opened = values()
            .decode(place(&name), GOLDEN.as_bytes(), &|| NOW, &mut buffer)
            .expect("a valid value");
        assert_eq!(opened.payload(), b"payload");
        let times = CookieTimes {
            started_at: NOW,
            issued_at: NOW,
            max_age: Duration::from_secs(60),
        };
        assert_eq!(
            values().encrypt_with_nonce(place(&name), b"payload", times, [9; 12]),
            GOLDEN
        );
    }

    #[test]
    fn a_decrypted_cookie_reports_when_it_expires() {
        let name = CookieName::user("alice");
        let seconds = Duration::from_secs;
        // (Started this long ago, lifetime in the value, configured lifetime, expected remaining lifetime.)
        for (ago, promised, configured, expected) in [
            (0, 30, 60, 30),
            (0, 60, 30, 30),
            (20, 30, 45, 25),
            (20, 30, 60, 30),
        ] {
            let started_at = UnixTime::from_secs(NOW.as_secs() - ago);
            let times = CookieTimes {
                started_at,
                issued_at: NOW,
                max_age: seconds(promised),
            };
            let place = CookieContext {
                lifetime: &Lifetime::absolute(seconds(configured)),
                ..place(&name)
            };
            let value = values().encrypt_with_nonce(place, b"payload", times, [9; 12]);
            let open_at = |now: UnixTime| {
                let mut buffer = [0; 128];
                let opened = values().decode(place, value.as_bytes(), &|| now, &mut buffer);
                opened.map(|opened| opened.expires_at())
            };
            let end = NOW.saturating_add(seconds(expected));
            assert_eq!(open_at(NOW), Ok(end), "{ago} {promised} {configured}");
            assert_eq!(open_at(end), Ok(end), "{ago} {promised} {configured}");
            assert_eq!(
                open_at(end.saturating_add(seconds(1))),
                Err(CookieDecodeError::Expired),
                "{ago} {promised} {configured}"
            );
        }
    }

    #[test]
    fn a_jar_decrypts_and_encrypts_for_another_name_as_the_jar_of_that_name_does() {
        let ring = Keyring::from_secret(Secret::from(&[7; 32][..])).expect("32 bytes");
        let scope = CookieScope::custom(CookieName::user("bob"), "/user/alice/").expect("a scope");
        let of_bob = EncryptedCodec::new(&ring, &scope);
        let times = CookieTimes {
            started_at: NOW,
            issued_at: NOW,
            max_age: Duration::from_secs(60),
        };
        let alice = CookieName::user("alice");
        for values in [values(), of_bob] {
            let ciphertext = values.encrypt_with_nonce(place(&alice), b"payload", times, [9; 12]);
            assert_eq!(ciphertext, GOLDEN);
            for name in [&alice, &CookieName::user("bob")] {
                let mut buffer = [0; 128];
                let opened = values.decode(place(name), GOLDEN.as_bytes(), &|| NOW, &mut buffer);
                assert_eq!(opened.is_ok(), *name == alice, "{name}");
            }
        }
    }

    #[test]
    fn every_invalid_value_gives_the_same_error() {
        let name = CookieName::user("alice");
        let mut unknown_key = BASE64_URL_SAFE_NO_PAD.decode(GOLDEN).expect("base64");
        unknown_key[1] ^= 1;
        let mut version = unknown_key.clone();
        version[0] = 2;
        version[1] ^= 1;
        for (case, value) in [
            ("empty", String::new()),
            ("a character less", GOLDEN[1..].to_owned()),
            ("padded", format!("{GOLDEN}=")),
            ("not base64", format!("{}!", &GOLDEN[1..])),
            ("no times inside", "AQ".repeat(20)),
            ("an unknown key", BASE64_URL_SAFE_NO_PAD.encode(unknown_key)),
            ("another version", BASE64_URL_SAFE_NO_PAD.encode(version)),
            ("too long", "A".repeat(CookieScope::MAX_LEN + 1)),
        ] {
            let mut buffer = [0; CookieJar::BUFFER_LEN];
            let opened = values().decode(
                place(&name),
                value.as_bytes(),
                &|| unreachable!("not read"),
                &mut buffer,
            );
            assert_eq!(opened.map(|_| ()), Err(CookieDecodeError::Invalid), "{case}");
        }
    }

    #[test]
    fn a_value_opens_in_its_one_encoding_alone() {
        let name = CookieName::user("alice");
        for place_in_value in 0..GOLDEN.len() {
            for other in b"AQgw_-=+/. " {
                let mut value = GOLDEN.as_bytes().to_vec();
                if value[place_in_value] == *other {
                    continue;
                }
                value[place_in_value] = *other;
                let mut buffer = [0; 128];
                let opened = values().decode(place(&name), &value, &|| NOW, &mut buffer);
                assert_eq!(
                    opened.map(|_| ()),
                    Err(CookieDecodeError::Invalid),
                    "at {place_in_value}"
                );
            }
        }
    }

    #[test]
    fn a_promise_made_in_the_value_is_not_stretched_by_a_later_setting() {
        let name = CookieName::user("alice");
        let long = CookieContext {
            lifetime: &Lifetime::default(),
            ..place(&name)
        };
        for (passed, expected) in [(60, Ok(())), (61, Err(CookieDecodeError::Expired))] {
            let now = NOW.saturating_add(Duration::from_secs(passed));
            let mut buffer = [0; 128];
            let opened = values().decode(long, GOLDEN.as_bytes(), &|| now, &mut buffer);
            assert_eq!(opened.map(|_| ()), expected, "after {passed} s");
        }
    }

    #[test]
    fn a_long_name_and_path_are_bound_as_well() {
        let times = CookieTimes {
            started_at: NOW,
            issued_at: NOW,
            max_age: Duration::from_secs(60),
        };
        let [one, two] = ["x", "y"].map(|end| CookieName::user(&("a".repeat(300) + end)));
        let value = values().encrypt_with_nonce(place(&one), b"payload", times, [9; 12]);
        for (name, expected) in [(&one, Ok(())), (&two, Err(CookieDecodeError::Invalid))] {
            let mut buffer = [0; 128];
            let opened = values().decode(place(name), value.as_bytes(), &|| NOW, &mut buffer);
            assert_eq!(opened.map(|_| ()), expected);
        }
    }

    #[test]
    fn debug_shows_the_name_only() {
        assert_eq!(format!("{:?}", values()), "EncryptedValues");
    }
}

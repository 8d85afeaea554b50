//! Values that nobody but the writer reads.

use std::{fmt, sync::Arc, time::Duration};

use aes_gcm_siv::{AeadInOut, Aes256GcmSiv, KeyInit, Nonce, Tag, aead::inout::InOutBuf};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};

use super::{
    base64::URL_SAFE,
    jar::{CookieJar, Form, Place, Times},
    keyring::{Key, Keyring, Purpose, Ring},
    opened::{OpenError, Opened, in_time, unquoted},
    scope::CookieScope,
};
use crate::{random, time::UnixTime};

impl CookieJar {
    /// A jar whose cookies nobody but us can read: AES-256-GCM-SIV (RFC 8452).
    ///
    /// ```text
    /// value   = unpadded base64url of (version key-id nonce sealed tag)
    /// version = 1 octet, 01                     key-id = 1 octet                nonce = 12 octets
    /// sealed  = started-at issued-at life payload   (8, 8 and 4 octets, big-endian; seconds)
    /// tag     = 16 octets, over all of it and over the name and path of the cookie
    /// ```
    ///
    /// A value opens under the very name and path it was made for, and has one encoding.
    pub fn encrypted(keyring: &Keyring, scope: CookieScope) -> Self {
        Self::new(Arc::new(EncryptedValues::new(keyring)), scope)
    }
}

/// The keyed cipher of each key.
///
/// The nonce is 96 random bits. With plain GCM that would allow 2^32 values per key, since one repeated nonce
/// gives the authentication key away. GCM-SIV derives fresh keys from every nonce and uses the tag as the
/// counter's start: a repeated nonce shows whether two values have the same content, name and path, and no
/// more, and the content holds the second of issue. Repeats become likely at 2^48 values; a thousand a second
/// get there in 9,000 years.
struct EncryptedValues {
    keys: Ring<Sealer>,
}

struct Sealer {
    cipher: Aes256GcmSiv,
    id: u8,
}

const VERSION: u8 = 1;
const HEAD: usize = 2 + 12;
const TIMES: usize = 8 + 8 + 4;

impl EncryptedValues {
    fn new(keyring: &Keyring) -> Self {
        Self {
            keys: keyring.keys().map(|key: &Key| Sealer {
                cipher: Aes256GcmSiv::new((&*key.sub_key(Purpose::EncryptedCookie)).into()),
                id: key.sub_key(Purpose::EncryptedCookieKeyId)[0],
            }),
        }
    }

    /// The nonce is an argument so that golden values can be made; nobody else has a choice of it.
    fn seal_with(&self, place: Place<'_>, payload: &[u8], times: Times, nonce: [u8; 12]) -> String {
        let sealer = self.keys.writing();
        let mut value = vec![VERSION, sealer.id];
        value.extend_from_slice(&nonce);
        value.extend_from_slice(&times.started_at.as_secs().to_be_bytes());
        value.extend_from_slice(&times.issued_at.as_secs().to_be_bytes());
        let life = u32::try_from(times.life.as_secs()).unwrap_or(u32::MAX);
        value.extend_from_slice(&life.to_be_bytes());
        value.extend_from_slice(payload);
        let (_, sealed) = value.split_at_mut(HEAD);
        let tag = with_place(place, sealer.id, |place| {
            sealer
                .cipher
                .encrypt_inout_detached(&Nonce::from(nonce), place, InOutBuf::from(sealed))
                .expect("a cookie is shorter than 2^36 octets")
        });
        value.extend_from_slice(&tag);
        BASE64_URL_SAFE_NO_PAD.encode(value)
    }

    /// The sealed part, opened in place.
    fn unseal<'b>(
        &self,
        place: Place<'_>,
        value: &[u8],
        now: impl Fn() -> UnixTime,
        buffer: &'b mut [u8],
    ) -> Option<(&'b [u8], bool)> {
        if value.len() > CookieScope::LIMIT {
            return None;
        }
        let value = URL_SAFE.decode(value, buffer)?;
        let (head, rest) = value.split_first_chunk_mut::<HEAD>()?;
        let (sealed, tag) = rest.split_last_chunk_mut::<16>()?;
        let [VERSION, id, nonce @ ..] = *head else {
            return None;
        };
        let (nonce, tag) = (Nonce::from(nonce), Tag::from(*tag));
        // A key that fails leaves the octets as they were, so that the next can be tried.
        let ((), stale) = with_place(place, id, |place| {
            self.keys.find(now, |sealer| {
                if sealer.id != id {
                    return None;
                }
                let sealed = InOutBuf::from(&mut *sealed);
                sealer
                    .cipher
                    .decrypt_inout_detached(&nonce, place, sealed, &tag)
                    .ok()
            })
        })?;
        Some((sealed, stale))
    }
}

impl Form for EncryptedValues {
    fn slides(&self) -> bool {
        true
    }

    fn seal(&self, place: Place<'_>, payload: &[u8], times: Times) -> String {
        self.seal_with(place, payload, times, random::octets())
    }

    fn open<'b>(
        &self,
        place: Place<'_>,
        value: &[u8],
        now: &dyn Fn() -> UnixTime,
        buffer: &'b mut [u8],
    ) -> Result<Opened<'b>, OpenError> {
        let (content, under_reading_key) = self
            .unseal(place, unquoted(value), now, buffer)
            .ok_or(OpenError::Invalid)?;
        let (times, payload) = content.split_first_chunk::<TIMES>().ok_or(OpenError::Invalid)?;
        let [started_at, issued_at] = [times.first_chunk::<8>(), times[8..].first_chunk::<8>()]
            .map(|time| UnixTime::from_secs(u64::from_be_bytes(*time.expect("two times of 8 octets"))));
        let life = u32::from_be_bytes(*times.last_chunk::<4>().expect("a life of 4 octets"));
        // The shorter of what was promised then and what is configured now.
        let now = now();
        let life = Duration::from_secs(life.into()).min(place.lifetime.max_age());
        in_time(issued_at, life, now)?;
        in_time(started_at, place.lifetime.absolute_limit(), now)?;
        let idle = place.lifetime.idle_limit();
        let half_idle = idle.is_some_and(|idle| now.since(issued_at) >= idle / 2);
        Ok(Opened {
            payload,
            started_at,
            issued_at,
            stale: under_reading_key || half_idle,
        })
    }
}

impl fmt::Debug for EncryptedValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptedValues")
    }
}

/// Calls `f` with the associated data: version, key id, length of the name, name, path.
fn with_place<T>(place: Place<'_>, id: u8, f: impl FnOnce(&[u8]) -> T) -> T {
    let (name, path) = (place.name.as_str().as_bytes(), place.path.as_bytes());
    let length = u16::try_from(name.len()).unwrap_or(u16::MAX).to_be_bytes();
    let parts = [&[VERSION, id], &length[..], name, path];
    let size: usize = parts.iter().map(|part| part.len()).sum();
    let mut room = [0; 192];
    let Some(mut rest) = room.get_mut(..size) else {
        return f(&parts.concat());
    };
    for part in parts {
        let Some((here, behind)) = rest.split_at_mut_checked(part.len()) else {
            break;
        };
        here.copy_from_slice(part);
        rest = behind;
    }
    f(&room[..size])
}

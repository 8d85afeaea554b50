//! Signed values, which Jupyter Server and JupyterHub read and write.

use std::{fmt, time::Duration};

use base64::prelude::{BASE64_STANDARD, Engine};

use super::{
    base64_engine,
    codec::{CookieCodec, CookieContext, CookieTimes},
    decoded::{CookieDecodeError, DecodedCookie, check_expiry, decoded, unquoted},
    key_set::{Key, KeySet},
    keyring::Keyring,
    name::CookieName,
    scope::CookieScope,
    signed_fields::fields,
};
use crate::{
    clock::UnixTime,
    digest::{Hmac, hex},
    secret,
};

/// Signed values: Tornado's `create_signed_value`, format 2, byte for byte.
///
/// ```text
/// value  = "2|" field field field field signature
/// field  = length ":" bytes "|"            key version, seconds since 1970, cookie name, base64 of the payload
/// signature = 64 lowercase hex digits       HMAC-SHA256 over all before it
/// ```
///
/// For the name `session`, the payload `abc` and the second 1700000000:
/// `2|1:0|10:1700000000|7:session|4:YWJj|` and the signature.
///
/// Values are parsed strictly: format 1 is rejected, the key version is `0`, numbers are digits without leading
/// zeros, base64 is padded and canonical, nothing follows. The signature is verified before anything else is read.
/// One pair of double quotes around the value is removed.
///
/// # Security
///
/// Anyone who has the cookie can read the payload.
///
/// # Example
///
/// ```
/// use portcullis::{clock::UnixTime, cookies::{CookieName, SignedValueCodec}, Keyring};
/// use std::time::Duration;
///
/// let values = SignedValueCodec::new(&Keyring::generate());
/// let (name, now) = (CookieName::hub_login(), UnixTime::from_secs(1_700_000_000));
/// let value = values.sign(&name, b"alice", now);
/// let mut buffer = [0; 64];
/// let opened = values.verify(&name, value.as_bytes(), Duration::from_secs(60), || now, &mut buffer)?;
/// assert_eq!(opened.payload(), b"alice");
/// # Ok::<(), portcullis::cookies::CookieDecodeError>(())
/// ```
#[derive(Clone)]
pub struct SignedValueCodec {
    keys: KeySet<Hmac>,
}

impl SignedValueCodec {
    /// Creates a codec that signs with the current key of the keyring, and verifies with all of its keys.
    pub fn new(keyring: &Keyring) -> Self {
        Self {
            keys: keyring.keys().map(|key: &Key| key.signing().clone()),
        }
    }

    /// Signs `payload` for the cookie `name`.
    pub fn sign(&self, name: &CookieName, payload: &[u8], issued_at: UnixTime) -> String {
        use fmt::Write as _;

        let payload = BASE64_STANDARD.encode(payload);
        let mut value = String::from("2|1:0|");
        for field in [&issued_at.as_secs().to_string(), name.as_str(), &payload] {
            write!(value, "{}:{field}|", field.len()).expect("a String takes all text");
        }
        let signature = hex(self.keys.writing().mac(value.as_bytes()));
        value.extend(signature.as_flattened().iter().map(|digit| char::from(*digit)));
        value
    }

    /// Verifies a value of the cookie `name`, and writes its payload to `buffer`.
    ///
    /// `max_age` is the maximum age. The clock is read only if the signature is valid.
    ///
    /// # Errors
    ///
    /// Returns [`CookieDecodeError::Expired`], or [`CookieDecodeError::Invalid`] for everything else, such as a payload
    /// that is larger than the buffer.
    pub fn verify<'b>(
        &self,
        name: &CookieName,
        value: &[u8],
        max_age: Duration,
        now: impl Fn() -> UnixTime,
        buffer: &'b mut [u8],
    ) -> Result<DecodedCookie<'b>, CookieDecodeError> {
        let (body, mac, stale) = self
            .signed_part(unquoted(value), &now)
            .ok_or(CookieDecodeError::Invalid)?;
        let (issued_at, payload) = fields(body, name).ok_or(CookieDecodeError::Invalid)?;
        check_expiry(issued_at, max_age, now())?;
        let payload =
            decoded(&*base64_engine::STANDARD, payload, buffer).ok_or(CookieDecodeError::Invalid)?;
        Ok(DecodedCookie {
            payload,
            started_at: issued_at,
            issued_at,
            ends_at: issued_at.saturating_add(max_age),
            stale,
            mac: Some(mac),
        })
    }

    /// Returns the part before a valid signature, its code, and whether a previous key was needed for it.
    fn signed_part<'v>(
        &self,
        value: &'v [u8],
        now: impl Fn() -> UnixTime,
    ) -> Option<(&'v [u8], [u8; 32], bool)> {
        if value.len() > CookieScope::MAX_LEN || !value.starts_with(b"2|") {
            return None;
        }
        let (body, signature) = value.split_last_chunk::<64>()?;
        let (mac, stale) = self.keys.find(now, |key| {
            let mac = key.mac(body);
            secret::constant_time_eq(hex(mac).as_flattened(), signature).then_some(mac)
        })?;
        Some((body, mac, stale))
    }
}

impl CookieCodec for SignedValueCodec {
    fn supports_idle_timeout(&self) -> bool {
        false
    }

    /// The one time of a signed value is that of the login, so that signing it with another key does not extend it.
    fn encode(&self, place: CookieContext<'_>, payload: &[u8], times: CookieTimes) -> String {
        self.sign(place.name, payload, times.started_at)
    }

    fn decode<'b>(
        &self,
        place: CookieContext<'_>,
        value: &[u8],
        now: &dyn Fn() -> UnixTime,
        buffer: &'b mut [u8],
    ) -> Result<DecodedCookie<'b>, CookieDecodeError> {
        Self::verify(self, place.name, value, place.lifetime.max_age(), now, buffer)
    }
}

impl fmt::Debug for SignedValueCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedValues")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn a_signature_is_in_small_hexadecimal_digits() {
        for byte in 0..=u8::MAX {
            assert_eq!(hex([byte]).as_flattened(), format!("{byte:02x}").as_bytes());
        }
        let values = SignedValueCodec::new(&Keyring::generate());
        let (name, now) = (CookieName::session_id(), UnixTime::from_secs(1));
        let mut value = values.sign(&name, b"x", now).into_bytes();
        let place = value.len() - 64;
        value[place..].make_ascii_uppercase();
        let mut buffer = [0; 9];
        let opened = values.verify(&name, &value, Duration::from_secs(1), || now, &mut buffer);
        assert_eq!(opened.map(|_| ()), Err(CookieDecodeError::Invalid));
    }

    #[test]
    fn a_value_is_what_the_peer_writes() {
        // Made by tornado 6.6.1 with the key "solo"; HMAC fills a short key up with zeros.
        let mut key = b"solo".to_vec();
        key.resize(32, 0);
        let values = SignedValueCodec::new(&Keyring::from_secret(Secret::from(key)).expect("long enough"));
        let name = CookieName::custom("k").expect("a token");
        let now = UnixTime::from_secs(1_700_000_000);
        assert_eq!(
            values.sign(&name, b"payload", now),
            "2|1:0|10:1700000000|1:k|12:cGF5bG9hZA==|\
             25f2b0fbe543461ed03d7c80e6a620e9ca475e97be14da8bb84bf62a2cf2ba2a"
        );
    }

    #[test]
    fn a_payload_larger_than_the_buffer_is_invalid() {
        let values = SignedValueCodec::new(&Keyring::generate());
        let (name, now) = (CookieName::session_id(), UnixTime::from_secs(1));
        let value = values.sign(&name, &[7; 33], now);
        let open = |buffer: &mut [u8]| {
            let life = Duration::from_secs(1);
            values
                .verify(&name, value.as_bytes(), life, || now, buffer)
                .map(|_| ())
        };
        assert_eq!(open(&mut [0; 33]), Ok(()));
        assert_eq!(open(&mut [0; 32]), Err(CookieDecodeError::Invalid));
    }

    #[test]
    fn the_clock_is_read_for_good_signatures_alone() {
        let values = SignedValueCodec::new(&Keyring::generate());
        let name = CookieName::session_id();
        let foreign = SignedValueCodec::new(&Keyring::generate()).sign(&name, b"x", UnixTime::from_secs(1));
        let life = Duration::from_secs(1);
        let mut buffer = [0; 9];
        let opened = values.verify(
            &name,
            foreign.as_bytes(),
            life,
            || unreachable!("not read"),
            &mut buffer,
        );
        assert_eq!(opened.map(|_| ()), Err(CookieDecodeError::Invalid));
    }
}

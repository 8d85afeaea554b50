//! Values that are signed, not hidden: what a Jupyter Server and a hub read and write.

use std::{fmt, time::Duration};

use base64::prelude::{BASE64_STANDARD, Engine};
use subtle::ConstantTimeEq;

use super::{
    base64::STANDARD,
    jar::{Form, Place, Times},
    keyring::{Key, Keyring, Ring},
    name::CookieName,
    opened::{OpenError, Opened, in_time, unquoted},
    scope::CookieScope,
};
use crate::{digest::Hmac, time::UnixTime};

/// Signed values: Tornado's `create_signed_value`, format 2, byte for byte.
///
/// ```text
/// value  = "2|" field field field field signature
/// field  = length ":" octets "|"            key version, seconds since 1970, cookie name, base64 of the payload
/// signature = 64 lower-case hex digits      HMAC-SHA256 over all before it
/// ```
///
/// For the name `session`, the payload `abc` and the second 1700000000:
/// `2|1:0|10:1700000000|7:session|4:YWJj|` and the signature.
///
/// Read strictly: format 1 is refused, the key version is `0`, numbers are plain digits without leading
/// zeros, base64 is padded and the only encoding of its octets, nothing follows. The signature is checked
/// before anything else is read. One pair of double quotes around the value is taken off.
///
/// # Security
///
/// Whoever has the cookie reads the payload.
///
/// # Example
///
/// ```
/// use portcullis::{CookieName, Keyring, UnixTime, cookie::SignedValues};
/// use std::time::Duration;
///
/// let values = SignedValues::new(&Keyring::generate());
/// let (name, now) = (CookieName::hub_login(), UnixTime::from_secs(1_700_000_000));
/// let value = values.sign(&name, b"alice", now);
/// let mut buffer = [0; 64];
/// let opened = values.open(&name, value.as_bytes(), Duration::from_secs(60), || now, &mut buffer)?;
/// assert_eq!(opened.payload(), b"alice");
/// # Ok::<(), portcullis::cookie::OpenError>(())
/// ```
#[derive(Clone)]
pub struct SignedValues {
    keys: Ring<Hmac>,
}

impl SignedValues {
    /// Values signed with the ring's writing key, read with all of its keys.
    pub fn new(keyring: &Keyring) -> Self {
        Self {
            keys: keyring.keys().map(|key: &Key| key.signing().clone()),
        }
    }

    /// `payload`, signed for the cookie `name`.
    pub fn sign(&self, name: &CookieName, payload: &[u8], issued_at: UnixTime) -> String {
        use fmt::Write as _;

        let payload = BASE64_STANDARD.encode(payload);
        let mut value = String::from("2|1:0|");
        for field in [&issued_at.as_secs().to_string(), name.as_str(), &payload] {
            write!(value, "{}:{field}|", field.len()).expect("a String takes all text");
        }
        let signature = signature(self.keys.writing(), value.as_bytes());
        value.extend(signature.map(char::from));
        value
    }

    /// The payload of a value of the cookie `name`, written to `buffer`.
    ///
    /// `max_age` is how old it may be. The clock is read when the signature is good.
    ///
    /// # Errors
    ///
    /// [`OpenError::Expired`], and [`OpenError::Invalid`] for all else, a payload larger than the buffer
    /// included.
    pub fn open<'b>(
        &self,
        name: &CookieName,
        value: &[u8],
        max_age: Duration,
        now: impl Fn() -> UnixTime,
        buffer: &'b mut [u8],
    ) -> Result<Opened<'b>, OpenError> {
        let (body, stale) = self
            .signed_part(unquoted(value), &now)
            .ok_or(OpenError::Invalid)?;
        let (issued_at, payload) = fields(body, name).ok_or(OpenError::Invalid)?;
        in_time(issued_at, max_age, now())?;
        let payload = STANDARD.decode(payload, buffer).ok_or(OpenError::Invalid)?;
        Ok(Opened {
            payload,
            started_at: issued_at,
            issued_at,
            ends_at: issued_at.after(max_age),
            stale,
        })
    }

    /// What stands before a good signature, and whether a reading key was needed for it.
    fn signed_part<'v>(&self, value: &'v [u8], now: impl Fn() -> UnixTime) -> Option<(&'v [u8], bool)> {
        if value.len() > CookieScope::LIMIT || !value.starts_with(b"2|") {
            return None;
        }
        let (body, sent) = value.split_last_chunk::<64>()?;
        let is_good = |key: &Hmac| is_in_digits(&key.code(body), sent);
        let (_, stale) = self.keys.find(now, |key| is_good(key).then_some(()))?;
        Some((body, stale))
    }
}

impl Form for SignedValues {
    fn slides(&self) -> bool {
        false
    }

    /// The one time of a signed value is that of the login, so that rewriting it under another key does not
    /// make it live longer.
    fn seal(&self, place: Place<'_>, payload: &[u8], times: Times) -> String {
        self.sign(place.name, payload, times.started_at)
    }

    fn open<'b>(
        &self,
        place: Place<'_>,
        value: &[u8],
        now: &dyn Fn() -> UnixTime,
        buffer: &'b mut [u8],
    ) -> Result<Opened<'b>, OpenError> {
        Self::open(self, place.name, value, place.lifetime.max_age(), now, buffer)
    }
}

impl fmt::Debug for SignedValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedValues")
    }
}

/// Time and payload of a body whose signature was good, if it is one of the cookie `name`.
fn fields<'v>(body: &'v [u8], name: &CookieName) -> Option<(UnixTime, &'v [u8])> {
    let (seconds, rest) = match body.strip_prefix(b"2|1:0|10:").and_then(ten_digits) {
        Some(found) => found,
        None => seconds(body)?,
    };
    let payload = only_field(rest.strip_prefix(name.as_field())?)?;
    Some((UnixTime::from_secs(seconds), payload))
}

/// The ten digits of a field, as the seconds of this age have them, and what stands behind its bar.
#[inline(always)]
fn ten_digits(octets: &[u8]) -> Option<(u64, &[u8])> {
    let (eight, rest) = octets.split_first_chunk::<8>()?;
    let &[a, b, b'|', ref rest @ ..] = rest else {
        return None;
    };
    let two = digits([b'0', b'0', a, b])? as u64;
    (eight[0] != b'0').then_some((eight_digits(*eight)? * 100 + two, rest))
}

/// The seconds of a body of any age, and what stands behind their field.
#[inline(never)]
fn seconds(body: &[u8]) -> Option<(u64, &[u8])> {
    let mut rest = body.strip_prefix(b"2|1:0|")?;
    let seconds = number(field(&mut rest)?)?;
    Some((seconds, rest))
}

/// The one field that these octets are.
#[inline(always)]
fn only_field(octets: &[u8]) -> Option<&[u8]> {
    // A payload of three digits is the usual one: its length is known, and only has to stand there.
    if let &[a, b, c, b':', ref field @ .., b'|'] = octets
        && let length @ 100..=999 = field.len()
        && [a, b, c] == [length / 100, length / 10 % 10, length % 10].map(|digit| b'0' + digit as u8)
    {
        return Some(field);
    }
    only_field_of_any_length(octets)
}

#[inline(never)]
fn only_field_of_any_length(mut octets: &[u8]) -> Option<&[u8]> {
    let field = field(&mut octets)?;
    octets.is_empty().then_some(field)
}

/// The next field, taken off the front of `rest`.
fn field<'v>(rest: &mut &'v [u8]) -> Option<&'v [u8]> {
    let (length, behind) = length(rest)?;
    let (field, behind) = behind.split_at_checked(length)?;
    *rest = behind.strip_prefix(b"|")?;
    Some(field)
}

/// A length without zeros before it, and what stands behind its colon.
fn length(octets: &[u8]) -> Option<(usize, &[u8])> {
    // A value has at most 4096 octets, so a length has at most four digits.
    match octets {
        [a, b':', behind @ ..] => Some((digits([b'0', b'0', b'0', *a])?, behind)),
        [a @ b'1'..=b'9', b, b':', behind @ ..] => Some((digits([b'0', b'0', *a, *b])?, behind)),
        [a @ b'1'..=b'9', b, c, b':', behind @ ..] => Some((digits([b'0', *a, *b, *c])?, behind)),
        [a @ b'1'..=b'9', b, c, d, b':', behind @ ..] => Some((digits([*a, *b, *c, *d])?, behind)),
        _ => None,
    }
}

/// The number of four digits.
#[inline(always)]
fn digits(digits: [u8; 4]) -> Option<usize> {
    let ones = digits.map(|digit| digit.wrapping_sub(b'0'));
    let number = ones.iter().fold(0, |number, one| 10 * number + usize::from(*one));
    ones.iter().all(|one| *one <= 9).then_some(number)
}

/// Digits alone, no zero before others, at most 19 of them: these fit without a check for each.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.len() > 19 || matches!(digits, [] | [b'0', _, ..]) {
        return None;
    }
    let (groups, rest) = digits.as_chunks();
    let mut number = 0;
    for group in groups {
        number = number * 100_000_000 + eight_digits(*group)?;
    }
    for digit in rest {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + u64::from(digit);
    }
    Some(number)
}

/// The number of eight digits, read all at once: of neighbours first, then of pairs, then of fours.
fn eight_digits(digits: [u8; 8]) -> Option<u64> {
    let ones = u64::from_le_bytes(digits).wrapping_sub(0x3030_3030_3030_3030);
    // Below a digit the subtraction sets the highest bit, above one the addition.
    let foreign = ones | ones.wrapping_add(0x7676_7676_7676_7676);
    if foreign & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let pairs = (ones * 10 + (ones >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) & 0xffff_ffff)
}

/// Two lower-case hexadecimal digits, the first in the low octet: both at once, without a branch.
#[inline(always)]
fn in_digits(octet: u8) -> u16 {
    let nibbles = u16::from(octet >> 4) | u16::from(octet & 0xf) << 8;
    let letters = ((nibbles + 0x0606) >> 4) & 0x0101;
    nibbles + 0x3030 + letters * u16::from(b'a' - b'9' - 1)
}

/// The code of `body` in lower-case hexadecimal digits.
fn signature(key: &Hmac, body: &[u8]) -> [u8; 64] {
    let mut digits = [0; 64];
    let (pairs, _) = digits.as_chunks_mut();
    for (pair, octet) in pairs.iter_mut().zip(key.code(body)) {
        *pair = in_digits(octet).to_le_bytes();
    }
    digits
}

/// Whether `sent` is `code` in lower-case hexadecimal digits, in constant time: the differences are gathered, and judged
/// once at the end.
#[inline(always)]
fn is_in_digits(code: &[u8; 32], sent: &[u8; 64]) -> bool {
    let (sent, _) = sent.as_chunks();
    let pairs = code.iter().zip(sent);
    let differences = pairs.fold(0, |differences, (octet, sent)| {
        differences | (in_digits(*octet) ^ u16::from_le_bytes(*sent))
    });
    differences.ct_eq(&0).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secret::Secret;

    #[test]
    fn numbers_are_plain_digits() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1700000000", Some(1_700_000_000)),
            ("9999999999999999999", Some(9_999_999_999_999_999_999)),
            ("10000000000000000000", None),
            ("99999999999999999999999", None),
            ("", None),
            ("00", None),
            ("01", None),
            ("+1", None),
            ("-1", None),
            (" 1", None),
            ("1_0", None),
            ("1a", None),
        ] {
            assert_eq!(number(text.as_bytes()), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_number_is_what_the_standard_library_reads(number in any::<u64>(), digits in 1_u32..20, place in 0_usize..20, other: u8) {
            let text = (number % 10_u64.pow(digits)).to_string();
            prop_assert_eq!(super::number(text.as_bytes()), text.parse().ok());
            let mut text = text.into_bytes();
            let place = place % text.len();
            text[place] = other;
            if !other.is_ascii_digit() {
                prop_assert_eq!(super::number(&text), None);
            }
        }
    }

    #[test]
    fn a_field_has_the_length_it_says() {
        for (text, expected) in [
            ("0:|", Some(("", ""))),
            ("1:a|b", Some(("a", "b"))),
            ("3:a|b|1:c|", Some(("a|b", "1:c|"))),
            ("0010:aaaaaaaaaa|", None),
            ("00:|", None),
            ("01:a|", None),
            (":|", None),
            ("", None),
            ("1", None),
            ("1:", None),
            ("1:a", None),
            ("2:a|", None),
            ("-1:a|", None),
            ("12345:a|", None),
            ("99999999999999999999:a|", None),
        ] {
            let mut rest = text.as_bytes();
            let found = field(&mut rest).map(|field| (field, rest));
            let expected = expected.map(|(field, rest): (&str, &str)| (field.as_bytes(), rest.as_bytes()));
            assert_eq!(found, expected, "{text:?}");
        }
        let long = format!("4000:{}|", "a".repeat(4000));
        assert!(field(&mut long.as_bytes()).is_some());
    }

    #[test]
    fn the_usual_lengths_are_read_as_any_other() {
        for length in 0..1_100 {
            let good = format!("{length}:{}|", "a".repeat(length)).into_bytes();
            let told = length.to_string();
            let payload = good.get(told.len() + 1..good.len() - 1);
            assert_eq!(only_field(&good), payload, "{length}");
            // Each octet of the frame changed, and one more or one less behind it.
            let mut near = vec![[&good[..], b"|"].concat(), [b"0", &good[..]].concat()];
            near.push(good[..good.len() - 1].to_vec());
            for place in (0..=told.len()).chain([good.len() - 1]) {
                for other in *b"0159:|a\0\xff" {
                    let mut changed = good.clone();
                    changed[place] = other;
                    near.push(changed);
                }
            }
            for octets in near {
                assert_eq!(
                    only_field(&octets),
                    only_field_of_any_length(&octets),
                    "{octets:?}"
                );
            }
        }
    }

    #[test]
    fn the_seconds_of_this_age_are_read_as_those_of_any() {
        let of_this_age = |body: &[u8]| {
            body.strip_prefix(b"2|1:0|10:")
                .and_then(ten_digits)
                .map(|(seconds, _)| seconds)
        };
        let of_any = |body: &[u8]| seconds(body).map(|(seconds, _)| seconds);
        for number in [
            0,
            1,
            999_999_999,
            1_000_000_000,
            1_700_000_000,
            4_294_967_295,
            9_999_999_999,
        ] {
            let good = format!("2|1:0|10:{number:010}|1:a|").into_bytes();
            let expected = (number >= 1_000_000_000).then_some(number);
            assert_eq!(of_this_age(&good), expected, "{number}");
            assert_eq!(of_any(&good), expected, "{number}");
            for place in 0..good.len() {
                for other in *b"0129:|a/ \0\xff" {
                    let mut changed = good.clone();
                    changed[place] = other;
                    // What the short way does not read is left to the long one.
                    if let Some(seconds) = of_this_age(&changed) {
                        assert_eq!(of_any(&changed), Some(seconds), "{changed:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_signature_is_in_small_hexadecimal_digits() {
        let key = Hmac::new(b"key");
        for octet in 0..=u8::MAX {
            let expected: String = key
                .code(&[octet])
                .iter()
                .map(|octet| format!("{octet:02x}"))
                .collect();
            assert_eq!(signature(&key, &[octet]), expected.as_bytes());
        }
        let values = SignedValues::new(&Keyring::generate());
        let (name, now) = (CookieName::session_id(), UnixTime::from_secs(1));
        let mut value = values.sign(&name, b"x", now).into_bytes();
        let place = value.len() - 64;
        value[place..].make_ascii_uppercase();
        let mut buffer = [0; 9];
        let opened = values.open(&name, &value, Duration::from_secs(1), || now, &mut buffer);
        assert_eq!(opened.map(|_| ()), Err(OpenError::Invalid));
    }

    #[test]
    fn a_value_is_what_the_peer_writes() {
        // Made by tornado 6.6.1 with the key "solo"; HMAC fills a short key up with zeros.
        let mut key = b"solo".to_vec();
        key.resize(32, 0);
        let values = SignedValues::new(&Keyring::from_secret(Secret::from(key)).expect("long enough"));
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
        let values = SignedValues::new(&Keyring::generate());
        let (name, now) = (CookieName::session_id(), UnixTime::from_secs(1));
        let value = values.sign(&name, &[7; 33], now);
        let open = |buffer: &mut [u8]| {
            let life = Duration::from_secs(1);
            values
                .open(&name, value.as_bytes(), life, || now, buffer)
                .map(|_| ())
        };
        assert_eq!(open(&mut [0; 33]), Ok(()));
        assert_eq!(open(&mut [0; 32]), Err(OpenError::Invalid));
    }

    #[test]
    fn the_clock_is_read_for_good_signatures_alone() {
        let values = SignedValues::new(&Keyring::generate());
        let name = CookieName::session_id();
        let foreign = SignedValues::new(&Keyring::generate()).sign(&name, b"x", UnixTime::from_secs(1));
        let life = Duration::from_secs(1);
        let mut buffer = [0; 9];
        let opened = values.open(
            &name,
            foreign.as_bytes(),
            life,
            || unreachable!("not read"),
            &mut buffer,
        );
        assert_eq!(opened.map(|_| ()), Err(OpenError::Invalid));
    }
}

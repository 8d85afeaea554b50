//! The `_xsrf` value: signed for a session, carried by a cookie, given back as an argument.

use std::fmt;

use crate::{
    cookie::{CookieName, Keyring, RequestCookies},
    random, secret,
};

/// A key that `_xsrf` values are signed with.
pub trait XsrfKey: Send + Sync {
    /// HMAC-SHA256 of `message`, under a key of this purpose alone.
    fn mac(&self, message: &[u8]) -> [u8; 32];
}

impl<K: XsrfKey + ?Sized> XsrfKey for std::sync::Arc<K> {
    fn mac(&self, message: &[u8]) -> [u8; 32] {
        (**self).mac(message)
    }
}

impl<K: XsrfKey + ?Sized> XsrfKey for &K {
    fn mac(&self, message: &[u8]) -> [u8; 32] {
        (**self).mac(message)
    }
}

impl XsrfKey for Keyring {
    fn mac(&self, message: &[u8]) -> [u8; 32] {
        self.xsrf_mac(message)
    }
}

/// What an `_xsrf` value is good for.
#[derive(Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "before the login or after it")]
pub enum Binding<'a> {
    /// Any client before its login.
    Anonymous,
    /// The session that these octets name: the same at each of its requests, of no other session.
    ///
    /// The value shows a short hash of them to scripts of the page, so they must be no secret that could be
    /// guessed.
    Session(&'a [u8]),
}

impl Binding<'_> {
    const fn parts(&self) -> (&[u8; 1], &[u8]) {
        match self {
            Self::Anonymous => (b"a", b""),
            Self::Session(name) => (b"s", name),
        }
    }
}

impl fmt::Debug for Binding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Binding::Anonymous",
            Self::Session(_) => "Binding::Session",
        })
    }
}

/// The maker and checker of `_xsrf` values.
///
/// ```text
/// value  = "x" random fit mac
/// random = 32HEXDIG   ; 16 octets of the system's generator
/// fit    = 8HEXDIG    ; a quick hash of the binding
/// mac    = 32HEXDIG   ; the first 16 octets of HMAC-SHA256(key, kind random binding)
/// kind   = "a" / "s"  ; before the login, or for a session
/// ```
///
/// It begins with a letter, so that nobody takes it for the masked form that begins with `2|`; it holds
/// letters and digits alone, so that it is never quoted and survives clients which cut a cookie at the last
/// word character. Digits above nine are small letters.
///
/// `fit` is no security check. It tells in a few instructions whether a cookie is worth keeping, on every
/// answer, where the MAC is worked out on unsafe requests only.
///
/// # Security
///
/// This is a signed double submit without the comparison of the two: the value alone is bound to the session,
/// so that a cookie planted by a sibling site is worth nothing. The MAC is cut to 128 bits, which cannot be
/// guessed online, and its input has one reading: kind and random part have fixed lengths.
#[derive(Clone)]
pub struct XsrfGuard<K> {
    key: K,
    seed: u64,
}

impl<K: XsrfKey> XsrfGuard<K> {
    /// A guard with this key.
    pub fn new(key: K) -> Self {
        // "f" is no kind of a value, so the seed tells nothing of any MAC.
        let [a, b, c, d, e, f, g, h, ..] = key.mac(b"f");
        let seed = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        Self { key, seed }
    }

    /// A fresh value.
    pub fn issue(&self, binding: Binding<'_>) -> String {
        let mut value = String::with_capacity(LENGTH);
        value.push('x');
        value.push_str(&random::hex::<16>());
        let random = value.as_bytes().last_chunk().expect("16 octets are 32 digits");
        let mac = self.mac(random, binding);
        let digits = |digits: &[u8]| digits.iter().map(|digit| char::from(*digit)).collect::<String>();
        value.push_str(&digits(&self.fit(binding)));
        value.push_str(&digits(&mac));
        value
    }

    /// Whether a value seems to be made by this server for this binding; cheap, and no proof.
    ///
    /// Where it is not, the answer sets a fresh one: two servers on one host share the cookie's name and
    /// overwrite each other's.
    pub fn fits(&self, value: &[u8], binding: Binding<'_>) -> bool {
        let fit = self.fit(binding);
        Parts::of(value).is_some_and(|parts| *parts.fit == fit)
    }

    /// The same of the `_xsrf` cookies of a request: whether one of them does.
    #[inline(always)]
    pub(crate) fn one_fits(&self, sent: RequestCookies<'_>, name: &CookieName, binding: Binding<'_>) -> bool {
        let fit = self.fit(binding);
        sent.seem_to_hold(name, LENGTH, |value| {
            Parts::of(value).is_some_and(|parts| *parts.fit == fit)
        })
    }

    /// Whether a value was made by this server for this binding.
    pub fn is_signed_for(&self, value: &[u8], binding: Binding<'_>) -> bool {
        Parts::of(value).is_some_and(|parts| {
            *parts.fit == self.fit(binding) && secret::equal(parts.mac, &self.mac(parts.random, binding))
        })
    }

    /// Whether a value has the form of ours at all.
    pub(super) fn is_well_formed(value: &[u8]) -> bool {
        matches!(value, [b'x', digits @ ..] if value.len() == LENGTH
            && digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')))
    }

    #[inline(always)]
    fn fit(&self, binding: Binding<'_>) -> [u8; 8] {
        let (kind, name) = binding.parts();
        let mixed = mix(self.seed ^ u64::from(kind[0]), name);
        hex((mixed ^ (mixed >> 32)) as u32)
    }

    fn mac(&self, random: &[u8; 32], binding: Binding<'_>) -> [u8; 32] {
        let (kind, name) = binding.parts();
        // Names are short: so many octets are one block of the hash.
        let mut short = [0; 55];
        let mac = match short.get_mut(..kind.len() + random.len() + name.len()) {
            Some(message) => {
                let (head, tail) = message.split_at_mut(kind.len() + random.len());
                head[0] = kind[0];
                head[1..].copy_from_slice(random);
                tail.copy_from_slice(name);
                self.key.mac(message)
            }
            None => self.key.mac(&[kind, &random[..], name].concat()),
        };
        let (words, _) = mac.as_chunks::<4>();
        let mut digits = [0; 32];
        let (eights, _) = digits.as_chunks_mut::<8>();
        for (eight, word) in eights.iter_mut().zip(words) {
            *eight = hex(u32::from_be_bytes(*word));
        }
        digits
    }
}

impl<K> fmt::Debug for XsrfGuard<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("XsrfGuard")
    }
}

const LENGTH: usize = 1 + 32 + 8 + 32;

struct Parts<'a> {
    random: &'a [u8; 32],
    fit: &'a [u8; 8],
    mac: &'a [u8; 32],
}

impl<'a> Parts<'a> {
    fn of(value: &'a [u8]) -> Option<Self> {
        let rest = value.strip_prefix(b"x")?;
        let (random, rest) = rest.split_first_chunk()?;
        let (fit, rest) = rest.split_first_chunk()?;
        let mac = rest.try_into().ok()?;
        Some(Self { random, fit, mac })
    }
}

/// A multiply-and-fold hash: eight octets a round, by FNV's 64-bit prime.
#[inline(always)]
fn mix(seed: u64, octets: &[u8]) -> u64 {
    let (words, rest) = octets.as_chunks::<8>();
    let round = |state: u64, word: u64| {
        let state = (state ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        state ^ (state >> 32)
    };
    let state = words
        .iter()
        .fold(seed, |state, word| round(state, u64::from_le_bytes(*word)));
    let last = rest.iter().fold(0, |word, octet| (word << 8) | u64::from(*octet));
    round(round(state, last), octets.len() as u64)
}

/// Eight hexadecimal digits, all at once: the nibbles are spread over eight octets and made digits there, without a
/// loop.
#[inline(always)]
fn hex(number: u32) -> [u8; 8] {
    let spread = u64::from(number);
    let spread = (spread | (spread << 16)) & 0x0000_ffff_0000_ffff;
    let spread = (spread | (spread << 8)) & 0x00ff_00ff_00ff_00ff;
    let spread = (spread | (spread << 4)) & 0x0f0f_0f0f_0f0f_0f0f;
    let letters = ((spread + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    (spread + 0x3030_3030_3030_3030 + letters * u64::from(b'a' - b'9' - 1)).to_be_bytes()
}

#[cfg(test)]
pub(super) mod tests {
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;
    use sha2::Sha256;

    use super::*;

    /// A key for tests.
    pub(crate) struct TestKey(pub(crate) &'static [u8]);

    impl XsrfKey for TestKey {
        fn mac(&self, message: &[u8]) -> [u8; 32] {
            let mut mac = Hmac::<Sha256>::new_from_slice(self.0).expect("a key of any length");
            mac.update(message);
            mac.finalize().into_bytes().into()
        }
    }

    const BINDINGS: [Binding<'static>; 8] = [
        Binding::Anonymous,
        Binding::Session(b""),
        Binding::Session(b"a"),
        Binding::Session(b"alice-1"),
        Binding::Session(b"alice-2"),
        Binding::Session(b"0123456789abcdef0123456789abcdef"),
        Binding::Session(b"0123456789abcdef012345"),
        Binding::Session(b"0123456789abcdef0123456"),
    ];

    #[test]
    fn a_value_is_good_for_its_own_binding_and_no_other() {
        let guard = XsrfGuard::new(TestKey(b"ours"));
        for made in BINDINGS {
            let value = guard.issue(made);
            for asked in BINDINGS {
                let expected = made == asked;
                assert_eq!(
                    guard.is_signed_for(value.as_bytes(), asked),
                    expected,
                    "{made:?} {asked:?}"
                );
                assert_eq!(
                    guard.fits(value.as_bytes(), asked),
                    expected,
                    "{made:?} {asked:?}"
                );
            }
        }
    }

    #[test]
    fn a_value_of_another_server_is_not_good_and_does_not_fit() {
        let ours = XsrfGuard::new(TestKey(b"ours"));
        let theirs = XsrfGuard::new(TestKey(b"theirs"));
        for binding in BINDINGS {
            let value = theirs.issue(binding);
            assert!(!ours.is_signed_for(value.as_bytes(), binding), "{binding:?}");
            assert!(!ours.fits(value.as_bytes(), binding), "{binding:?}");
        }
    }

    #[test]
    fn a_value_changed_anywhere_is_not_signed() {
        let guard = XsrfGuard::new(TestKey(b"ours"));
        let binding = Binding::Session(b"alice");
        let value = guard.issue(binding).into_bytes();
        for place in 0..value.len() {
            let mut changed = value.clone();
            changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
            assert!(!guard.is_signed_for(&changed, binding), "place {place}");
        }
        for length in 0..value.len() {
            assert!(!guard.is_signed_for(&value[..length], binding), "cut to {length}");
        }
        let longer = [value.as_slice(), b"0"].concat();
        assert!(!guard.is_signed_for(&longer, binding));
        let capitals = String::from_utf8(value).expect("ASCII").to_ascii_uppercase();
        assert!(!guard.is_signed_for(capitals.as_bytes(), binding));
    }

    #[test]
    fn a_fit_alone_proves_nothing() {
        let guard = XsrfGuard::new(TestKey(b"ours"));
        let binding = Binding::Session(b"alice");
        let mut value = guard.issue(binding);
        value.replace_range(41.., &"0".repeat(32));
        assert!(guard.fits(value.as_bytes(), binding));
        assert!(!guard.is_signed_for(value.as_bytes(), binding));
    }

    #[test]
    fn a_value_begins_with_a_letter_and_needs_no_quotes() {
        let guard = XsrfGuard::new(TestKey(b"ours"));
        let values: Vec<String> = (0..200).map(|_| guard.issue(Binding::Anonymous)).collect();
        for value in &values {
            assert!(value.starts_with('x'), "{value}");
            assert!(XsrfGuard::<TestKey>::is_well_formed(value.as_bytes()), "{value}");
            assert!(
                value.bytes().all(|octet| octet.is_ascii_alphanumeric()),
                "{value}"
            );
            assert_eq!(value.len(), LENGTH);
        }
        let distinct: std::collections::HashSet<_> = values.iter().collect();
        assert_eq!(distinct.len(), values.len());
    }

    #[test]
    fn the_format_stays() {
        let guard = XsrfGuard::new(TestKey(b"ours"));
        for (binding, value) in [
            (Binding::Anonymous, ANONYMOUS),
            (Binding::Session(b"alice's session"), ALICE),
        ] {
            assert!(guard.is_signed_for(value.as_bytes(), binding), "{binding:?}");
        }
    }

    const ANONYMOUS: &str = "x000102030405060708090a0b0c0d0e0f64b7107b73edeab199fb4c6fde69d4a232edc03f";
    const ALICE: &str = "x000102030405060708090a0b0c0d0e0f032c39dbbd7eaaf0f16d479b31e175658616a611";

    #[test]
    fn debug_shows_the_name_only() {
        assert_eq!(format!("{:?}", XsrfGuard::new(TestKey(b"canary"))), "XsrfGuard");
        assert_eq!(format!("{:?}", Binding::Session(b"canary")), "Binding::Session");
    }

    proptest! {
        #[test]
        fn digits_are_those_of_the_standard_library(number: u32) {
            prop_assert_eq!(hex(number).to_vec(), format!("{number:08x}").into_bytes());
        }

        #[test]
        fn no_input_panics_and_none_is_good(value: Vec<u8>, name: Vec<u8>) {
            let guard = XsrfGuard::new(TestKey(b"ours"));
            prop_assert!(!guard.is_signed_for(&value, Binding::Session(&name)));
            prop_assert!(!guard.fits(&value, Binding::Anonymous));
        }
    }
}

//! The `_xsrf` value: signed for a session, carried by a cookie, given back as an argument.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::{
    cookies::{CookieName, Keyring, RequestCookies},
    digest::{hex, sha256},
    random, secret,
};

/// A key that `_xsrf` values are signed with.
pub trait CsrfKey: Send + Sync {
    /// HMAC-SHA256 of `message`, under a key of this purpose alone.
    fn mac(&self, message: &[u8]) -> [u8; 32];
}

impl<K: CsrfKey + ?Sized> CsrfKey for std::sync::Arc<K> {
    fn mac(&self, message: &[u8]) -> [u8; 32] {
        (**self).mac(message)
    }
}

impl<K: CsrfKey + ?Sized> CsrfKey for &K {
    fn mac(&self, message: &[u8]) -> [u8; 32] {
        (**self).mac(message)
    }
}

impl CsrfKey for Keyring {
    fn mac(&self, message: &[u8]) -> [u8; 32] {
        self.xsrf_mac(message)
    }
}

/// What an `_xsrf` value is valid for.
#[derive(Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "before the login or after it")]
pub enum CsrfBinding {
    /// Any client before its login.
    Anonymous,
    /// One session, by an id that no other session has.
    ///
    /// Scripts of the page can read the id in the value, so it must not be a secret.
    Session([u8; 16]),
}

impl CsrfBinding {
    /// The session with this name: its id is the first half of the name's SHA-256.
    pub fn of_session(name: &[u8]) -> Self {
        let digest = sha256(name);
        Self::Session(*digest.first_chunk().expect("32 bytes have a first half"))
    }

    /// The session of a login cookie without an id: by the user's name, and the time of the login.
    pub(crate) fn of_login(username: &[u8], started: u32) -> Self {
        let hash = Sha256::new().chain_update(username).chain_update(b"\0");
        let digest: [u8; 32] = hash.chain_update(started.to_be_bytes()).finalize().into();
        Self::Session(*digest.first_chunk().expect("32 bytes have a first half"))
    }

    /// The id in hexadecimal digits; zeros before the login.
    fn digits(self) -> [[u8; 2]; 16] {
        match self {
            Self::Anonymous => [[b'0'; 2]; 16],
            Self::Session(id) => hex(id),
        }
    }
}

impl fmt::Debug for CsrfBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "CsrfBinding::Anonymous",
            Self::Session(_) => "CsrfBinding::Session",
        })
    }
}

/// The maker and checker of `_xsrf` values.
///
/// ```text
/// value   = "x" random session mac
/// random  = 32HEXDIG   ; 16 bytes of the system's generator
/// session = 32HEXDIG   ; the id of the session, zeros before the login
/// mac     = 32HEXDIG   ; the first 16 bytes of HMAC-SHA256(key, random session)
/// ```
///
/// It begins with a letter, so that no peer takes it for the masked form that begins with `2|`. It holds only
/// letters and digits, so it is never quoted and survives clients that cut a cookie at the last word character.
/// Digits above nine are lower case.
///
/// # Security
///
/// This is a signed double submit without the comparison of the two: the value alone is bound to the session,
/// so a cookie planted by a sibling site is useless, and a value of a session that has ended is not
/// accepted by the next one. The MAC is cut to 128 bits, which cannot be guessed online, and its input has a
/// fixed length.
#[derive(Clone)]
pub struct CsrfTokens<K> {
    key: K,
}

impl<K: CsrfKey> CsrfTokens<K> {
    /// A guard with this key.
    pub fn new(key: K) -> Self {
        Self { key }
    }

    /// A fresh value.
    pub fn issue(&self, binding: CsrfBinding) -> String {
        let mut signed = [0; 64];
        let (random, session) = signed.split_at_mut(32);
        random.copy_from_slice(random::hex::<16>().as_bytes());
        session.copy_from_slice(binding.digits().as_flattened());
        let mac = self.mac(&signed);
        let digits = signed
            .iter()
            .chain(mac.as_flattened())
            .map(|digit| char::from(*digit));
        std::iter::once('x').chain(digits).collect()
    }

    /// Whether a value names this session; cheap, and no proof.
    ///
    /// Where it does not, the answer sets a fresh one: two servers on one host share the cookie's name and
    /// overwrite each other's.
    pub fn probably_matches(&self, value: &[u8], binding: CsrfBinding) -> bool {
        Parts::of(value).is_some_and(|parts| *parts.session() == *binding.digits().as_flattened())
    }

    /// As `probably_matches`, for the `_xsrf` cookies of a request: whether one of them does.
    pub(crate) fn any_probably_matches(
        &self,
        sent: RequestCookies<'_>,
        name: &CookieName,
        binding: CsrfBinding,
    ) -> bool {
        sent.all_values(name)
            .any(|value| self.probably_matches(value, binding))
    }

    /// Whether this server made a value, for whichever session.
    pub fn is_signed(&self, value: &[u8]) -> bool {
        Parts::of(value)
            .is_some_and(|parts| secret::constant_time_eq(parts.mac, self.mac(parts.signed).as_flattened()))
    }

    /// Whether this server made a value for this session.
    pub fn verify(&self, value: &[u8], binding: CsrfBinding) -> bool {
        self.probably_matches(value, binding) && self.is_signed(value)
    }

    /// Whether a value has the format of this crate.
    pub(super) fn is_well_formed(value: &[u8]) -> bool {
        matches!(value, [b'x', digits @ ..] if value.len() == LENGTH
            && digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')))
    }

    fn mac(&self, signed: &[u8; 64]) -> [[u8; 2]; 16] {
        let mac = self.key.mac(signed);
        hex(*mac.first_chunk().expect("32 bytes have a first half"))
    }
}

impl<K> fmt::Debug for CsrfTokens<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("XsrfGuard")
    }
}

const LENGTH: usize = 1 + 64 + 32;

struct Parts<'a> {
    /// The random part and the session.
    signed: &'a [u8; 64],
    mac: &'a [u8; 32],
}

impl<'a> Parts<'a> {
    fn of(value: &'a [u8]) -> Option<Self> {
        let (signed, mac) = value.strip_prefix(b"x")?.split_first_chunk()?;
        let mac = mac.try_into().ok()?;
        Some(Self { signed, mac })
    }

    fn session(&self) -> &'a [u8; 32] {
        self.signed.last_chunk().expect("64 digits have 32 at the end")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;

    use super::*;

    /// A key for tests.
    pub(crate) struct TestKey(pub(crate) &'static [u8]);

    impl CsrfKey for TestKey {
        fn mac(&self, message: &[u8]) -> [u8; 32] {
            let mut mac = Hmac::<Sha256>::new_from_slice(self.0).expect("a key of any length");
            mac.update(message);
            mac.finalize().into_bytes().into()
        }
    }

    fn bindings() -> [CsrfBinding; 5] {
        [
            CsrfBinding::Anonymous,
            CsrfBinding::of_session(b""),
            CsrfBinding::of_session(b"alice-1"),
            CsrfBinding::of_session(b"alice-2"),
            CsrfBinding::Session([0x5a; 16]),
        ]
    }

    #[test]
    fn a_value_is_good_for_its_own_binding_and_no_other() {
        let guard = CsrfTokens::new(TestKey(b"own"));
        for made in bindings() {
            let value = guard.issue(made);
            for binding in bindings() {
                let expected = made == binding;
                assert_eq!(
                    guard.verify(value.as_bytes(), binding),
                    expected,
                    "{made:?} {binding:?}"
                );
                assert_eq!(
                    guard.probably_matches(value.as_bytes(), binding),
                    expected,
                    "{made:?} {binding:?}"
                );
            }
        }
    }

    #[test]
    fn value_of_another_server_is_not_accepted() {
        let own = CsrfTokens::new(TestKey(b"own"));
        let other = CsrfTokens::new(TestKey(b"other"));
        for binding in bindings() {
            let value = other.issue(binding);
            assert!(!own.verify(value.as_bytes(), binding), "{binding:?}");
            assert!(!own.is_signed(value.as_bytes()), "{binding:?}");
        }
    }

    #[test]
    fn a_value_changed_anywhere_is_not_signed() {
        let guard = CsrfTokens::new(TestKey(b"own"));
        let binding = CsrfBinding::of_session(b"alice");
        let value = guard.issue(binding).into_bytes();
        for place in 0..value.len() {
            let mut changed = value.clone();
            changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
            assert!(!guard.verify(&changed, binding), "place {place}");
        }
        for length in 0..value.len() {
            assert!(!guard.verify(&value[..length], binding), "cut to {length}");
        }
        let longer = [value.as_slice(), b"0"].concat();
        assert!(!guard.verify(&longer, binding));
        let capitals = String::from_utf8(value).expect("ASCII").to_ascii_uppercase();
        assert!(!guard.verify(capitals.as_bytes(), binding));
    }

    #[test]
    fn a_fit_alone_proves_nothing() {
        let guard = CsrfTokens::new(TestKey(b"own"));
        let binding = CsrfBinding::of_session(b"alice");
        let mut value = guard.issue(binding);
        value.replace_range(65.., &"0".repeat(32));
        assert!(guard.probably_matches(value.as_bytes(), binding));
        assert!(!guard.verify(value.as_bytes(), binding));
    }

    #[test]
    fn a_cookie_fits_if_it_has_exactly_the_name_regardless_of_spaces_around_it() {
        let guard = CsrfTokens::new(TestKey(b"own"));
        let binding = CsrfBinding::of_session(b"alice");
        let (value, other) = (guard.issue(binding), guard.issue(CsrfBinding::Anonymous));
        for (line, expected) in [
            (format!("_xsrf={value}"), true),
            (format!("_xsrf={value} ;"), true),
            (format!("_xsrf={value}\t; a=1"), true),
            (format!("a=1;\t_xsrf = {value}"), true),
            (format!("_xsrf={other}; _xsrf={value}"), true),
            (format!("x_xsrf={value}"), false),
            (format!("x_xsrf={value}; _xsrf={other}"), false),
            (format!("x-_xsrf={value}"), false),
            (format!("a=_xsrf={value}"), false),
            (format!("_xsrf={value}0"), false),
            (format!("_xsrf=\"{value}\""), false),
            (format!("_xsrf={other}"), false),
            ("_xsrf=".to_owned(), false),
            (String::new(), false),
        ] {
            let lines = [line.as_bytes()];
            let sent = RequestCookies::from_lines(&lines).expect("a short line");
            assert_eq!(
                guard.any_probably_matches(sent, &CookieName::xsrf(), binding),
                expected,
                "{line}"
            );
        }
    }

    #[test]
    fn a_value_begins_with_a_letter_and_needs_no_quotes() {
        let guard = CsrfTokens::new(TestKey(b"own"));
        let values: Vec<String> = (0..200).map(|_| guard.issue(CsrfBinding::Anonymous)).collect();
        for value in &values {
            assert!(value.starts_with('x'), "{value}");
            assert!(CsrfTokens::<TestKey>::is_well_formed(value.as_bytes()), "{value}");
            assert!(value.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{value}");
            assert_eq!(value.len(), LENGTH);
        }
        let distinct: std::collections::HashSet<_> = values.iter().collect();
        assert_eq!(distinct.len(), values.len());
    }

    #[test]
    fn the_format_stays() {
        let guard = CsrfTokens::new(TestKey(b"ours"));
        for (binding, value) in [
            (CsrfBinding::Anonymous, ANONYMOUS),
            (CsrfBinding::of_session(b"alice's session"), ALICE),
        ] {
            assert!(guard.verify(value.as_bytes(), binding), "{binding:?}");
        }
    }

    const ANONYMOUS: &str =
        "x000102030405060708090a0b0c0d0e0f000000000000000000000000000000009c13487af21069c48f150c41f8f286c8";
    const ALICE: &str =
        "x000102030405060708090a0b0c0d0e0fa62ba409cc8a52b8b8d5d1b7721c053e343c889b5fae0c51589e5d1a4de5c4b7";

    #[test]
    fn debug_shows_the_name_only() {
        assert_eq!(format!("{:?}", CsrfTokens::new(TestKey(b"canary"))), "XsrfGuard");
        assert_eq!(
            format!("{:?}", CsrfBinding::of_session(b"canary")),
            "CsrfBinding::Session"
        );
    }

    proptest! {
        #[test]
        fn no_input_panics_and_none_is_good(value: Vec<u8>, name: Vec<u8>) {
            let guard = CsrfTokens::new(TestKey(b"own"));
            prop_assert!(!guard.verify(&value, CsrfBinding::of_session(&name)));
            prop_assert!(!guard.probably_matches(&value, CsrfBinding::Anonymous));
        }
    }
}

//! A password's hash.

use std::{fmt, str::FromStr};

use zeroize::Zeroizing;

use super::{
    argon2_memory::Argon2Memory,
    cost::HashCost,
    error::PasswordError,
    legacy::LegacyHash,
    length::{self, is_hashable},
    phc::Argon2Hash,
    policy::PasswordPolicy,
};
use crate::{
    random,
    secret::{self, Secret},
};

/// The longest text that is read as a hash, in bytes.
const TEXT_LIMIT: usize = 1024;

/// The length of a new salt, in bytes.
const SALT: usize = 16;

/// A password's hash, in the text form that Jupyter Server keeps in its configuration.
///
/// ```text
/// hash    = "argon2:" phc / legacy
/// phc     = "$argon2" ("id" / "i" / "d") ["$v=" ("16" / "19")] "$m=" KiB ",t=" passes ",p=" lanes "$" salt "$" tag
/// legacy  = ("sha1" / "sha256" / "sha512") ":" salt ":" hexdigest       ; of the password, then the salt
/// ```
///
/// Salt and tag are base64 without padding; the order and the spelling are those of the argon2 reference. New
/// ones are argon2id, version 19, at a [`HashCost`], with a salt of 16 bytes and a tag of 32. All others are
/// read alone, and [`is_weak`](Self::is_weak) reports those below OWASP's minimum, to be rehashed at the next
/// login. Passwords are hashed as they were sent: nothing is trimmed, cut off or normalized, so the composed
/// and the decomposed spelling of an accented letter are two passwords.
///
/// # Errors
///
/// Parsing fails, at once and without using any memory, for text of another form (`PasswordErrorKind::Malformed`), and
/// for parameters that no honest server uses (`PasswordErrorKind::ExcessiveCost`): more than 256 MiB, more than 1 GiB over all
/// passes, more than 64 lanes. The error never holds the text.
///
/// # Security
///
/// An attacker who has the hash can try passwords on it. `Debug` prints the type's name only, and there is no
/// `Display`: to store it, write [`PasswordHash::expose`].
///
/// # Example
///
/// ```
/// use portcullis::{PasswordHash, Secret};
///
/// let password = Secret::from("correct horse battery staple");
/// let hash = PasswordHash::hash(&password)?;
/// assert!(hash.expose().starts_with("argon2:$argon2id$v=19$m=19456,t=2,p=1$"));
///
/// let stored: PasswordHash = hash.expose().parse()?;
/// assert!(stored.verify(&password));
/// assert!(!stored.verify(&Secret::from("correct horse")));
/// # Ok::<(), portcullis::password::PasswordError>(())
/// ```
#[derive(Clone)]
pub struct PasswordHash {
    text: Zeroizing<String>,
    form: HashFormat,
}

#[derive(Clone)]
enum HashFormat {
    Argon2(Argon2Hash),
    /// Created by `compute_for_tests` in this process, never parsed: counts as expensive enough.
    #[cfg(feature = "testing")]
    Test(Argon2Hash),
    Legacy(LegacyHash),
}

impl PasswordHash {
    /// The longest password that is hashed, in bytes. A longer one is no password, and costs nothing.
    pub const MAX_PASSWORD_LEN: usize = length::MAX_LEN;

    /// The hash of a new password that the default [`PasswordPolicy`] takes, at the default [`HashCost`].
    ///
    /// Takes tens of milliseconds and 19 MiB: for tools. A server uses [`HashingPool`](crate::password::HashingPool).
    ///
    /// # Errors
    ///
    /// As [`PasswordPolicy::check`].
    pub fn hash(password: &Secret) -> Result<Self, PasswordError> {
        Self::hash_with_policy(&PasswordPolicy::new(), password)
    }

    /// The hash of a new password that `policy` takes; see [`PasswordHash::hash`].
    ///
    /// # Errors
    ///
    /// As [`PasswordPolicy::check`].
    pub fn hash_with_policy(policy: &PasswordPolicy, password: &Secret) -> Result<Self, PasswordError> {
        policy.check(password)?;
        Ok(Self::compute(
            password,
            HashCost::default(),
            &mut Argon2Memory::default(),
        ))
    }

    /// Reads a standard argon2 hash, as other software keeps it: `$argon2id$v=19$m=19456,t=2,p=1$…`.
    ///
    /// It may have Jupyter's prefix `argon2:`, as new hashes of this crate do. [`str::parse`] requires the prefix, and also reads
    /// the older hashes of Jupyter.
    ///
    /// # Errors
    ///
    /// `Malformed` if it is no such hash, `ExcessiveCost` if it would take more memory or time than is allowed.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::{PasswordHash, Secret};
    ///
    /// let stored = "$argon2id$v=19$m=64,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$dz6xo0jGCCKH1RJWvbXI8iVuEUpSqoGoZQzNFtTFGlA";
    /// let hash = PasswordHash::from_phc(stored)?;
    /// assert!(!hash.verify(&Secret::from("wrong")));
    /// # Ok::<(), portcullis::password::PasswordError>(())
    /// ```
    pub fn from_phc(phc: &str) -> Result<Self, PasswordError> {
        let phc = phc.strip_prefix("argon2:").unwrap_or(phc);
        format!("argon2:{phc}").parse()
    }

    /// Whether this is the hash of `password`. An empty password never is, nor one over 1024 bytes.
    ///
    /// Takes as much time and memory as the hash requires: for tools. A server uses
    /// [`HashingPool`](crate::password::HashingPool).
    pub fn verify(&self, password: &Secret) -> bool {
        self.matches(password, &mut Argon2Memory::default())
    }

    /// The text, to store it. Every call is a place to review.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Whether it is below OWASP's minimum or of an older form, so that the password should be rehashed
    /// while it is known, and the operator be warned.
    ///
    /// The minimum is argon2id, version 19, with at least 46 MiB in one pass, 19 MiB in two, 12 MiB in three,
    /// 9 MiB in four or 7 MiB in five; a salt and a tag of 16 bytes.
    pub fn is_weak(&self) -> bool {
        match &self.form {
            HashFormat::Argon2(phc) => phc.is_weak(),
            #[cfg(feature = "testing")]
            HashFormat::Test(_) => false,
            HashFormat::Legacy(_) => true,
        }
    }

    /// Whether it is weak, or cheaper than a new one of this cost would be.
    pub fn needs_rehash(&self, cost: HashCost) -> bool {
        self.is_weak() || self.work() < cost.work()
    }

    /// KiB of memory that one check takes.
    pub(crate) fn memory(&self) -> u32 {
        match &self.form {
            HashFormat::Argon2(phc) => phc.memory(),
            #[cfg(feature = "testing")]
            HashFormat::Test(phc) => phc.memory(),
            HashFormat::Legacy(_) => 0,
        }
    }

    /// KiB written over all passes: what a check costs, to which its time is about proportional.
    pub(crate) fn work(&self) -> u64 {
        match &self.form {
            HashFormat::Argon2(phc) => phc.work(),
            #[cfg(feature = "testing")]
            HashFormat::Test(_) => u64::MAX,
            HashFormat::Legacy(_) => 0,
        }
    }

    /// See [`PasswordHash::verify`]; `memory` is used, and kept for the next one.
    pub(crate) fn matches(&self, password: &Secret, memory: &mut Argon2Memory) -> bool {
        if !is_hashable(password) {
            return false;
        }
        match &self.form {
            HashFormat::Argon2(phc) => phc.matches(password.expose(), memory),
            #[cfg(feature = "testing")]
            HashFormat::Test(phc) => phc.matches(password.expose(), memory),
            HashFormat::Legacy(legacy) => legacy.matches(password.expose()),
        }
    }

    /// The hash of `password`, whatever it is, with a new salt.
    pub(crate) fn compute(password: &Secret, cost: HashCost, memory: &mut Argon2Memory) -> Self {
        let phc = Argon2Hash::compute(password.expose(), cost, random::bytes::<SALT>(), memory);
        Self {
            text: Zeroizing::new(format!("argon2:{phc}")),
            form: HashFormat::Argon2(phc),
        }
    }
}

#[cfg(feature = "testing")]
impl PasswordHash {
    /// A hash that is made and checked in no time.
    pub(crate) fn compute_for_tests(password: &Secret) -> Self {
        let hash = Self::compute(password, HashCost::tiny(), &mut Argon2Memory::default());
        let form = match hash.form {
            HashFormat::Argon2(phc) => HashFormat::Test(phc),
            form => form,
        };
        Self { form, ..hash }
    }
}

impl FromStr for PasswordHash {
    type Err = PasswordError;

    fn from_str(text: &str) -> Result<Self, PasswordError> {
        let form = if text.len() > TEXT_LIMIT {
            Err(PasswordError::malformed(format!(
                "expected at most {TEXT_LIMIT} bytes, found {}",
                text.len()
            )))
        } else if let Some(phc) = text.strip_prefix("argon2:") {
            Argon2Hash::parse(phc).map(HashFormat::Argon2)
        } else {
            LegacyHash::parse(text).map(HashFormat::Legacy)
        }?;
        Ok(Self {
            text: Zeroizing::new(text.to_owned()),
            form,
        })
    }
}

impl PartialEq for PasswordHash {
    /// Whether both have the same text, in constant time.
    fn eq(&self, other: &Self) -> bool {
        secret::constant_time_eq(self.text.as_bytes(), other.text.as_bytes())
    }
}

impl Eq for PasswordHash {}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hash_of(password: &Secret) -> PasswordHash {
        PasswordHash::compute(password, HashCost::tiny(), &mut Argon2Memory::default())
    }

    #[cfg(feature = "testing")]
    #[test]
    fn nothing_is_added_to_the_cost_of_a_fast_hash() {
        let fast = PasswordHash::compute_for_tests(&Secret::from("x"));
        assert_eq!(HashCost::default().remaining(fast.work()), None);
        let read: PasswordHash = fast.expose().parse().expect("its own text");
        assert!(HashCost::default().remaining(read.work()).is_some());
    }

    #[test]
    fn a_standard_argon2_hash_is_read_without_jupyters_prefix() {
        let (password, other) = (Secret::from("mypassword"), Secret::from("another"));
        let hash = hash_of(&password);
        let phc = hash.expose().strip_prefix("argon2:").expect("the prefix");
        let read = PasswordHash::from_phc(phc).expect("a PHC string");
        assert!(read == hash && read.verify(&password) && !read.verify(&other));
        assert!(PasswordHash::from_phc(hash.expose()).is_ok_and(|read| read == hash));
        for other in [
            "$2b$12$abcdefghijklmnopqrstuv",
            "$argon2",
            "",
            "argon2:",
            "sha1:a:b",
        ] {
            assert!(PasswordHash::from_phc(other).is_err(), "{other}");
        }
    }

    #[test]
    fn what_is_written_is_read_again_and_is_new_each_time() {
        let password = Secret::from("mypassword");
        let (one, other) = (hash_of(&password), hash_of(&password));
        assert!(one != other, "two salts are never the same");
        let read: PasswordHash = one.expose().parse().expect("its own text");
        assert!(read == one && read.verify(&password) && !read.verify(&Secret::from("mypassword ")));
    }

    #[test]
    fn composed_and_decomposed_letters_are_two_passwords() {
        let hash = hash_of(&Secret::from("p\u{e4}ssword"));
        assert!(hash.verify(&Secret::from("p\u{e4}ssword")));
        assert!(!hash.verify(&Secret::from("pa\u{308}ssword")));
    }

    #[test]
    fn empty_and_endless_passwords_match_nothing_not_even_their_own_hash() {
        for (password, hashable) in [
            (String::new(), false),
            ("x".repeat(PasswordHash::MAX_PASSWORD_LEN), true),
            ("x".repeat(PasswordHash::MAX_PASSWORD_LEN + 1), false),
        ] {
            let length = password.len();
            let password = Secret::from(password);
            assert_eq!(hash_of(&password).verify(&password), hashable, "{length} bytes");
        }
    }

    #[test]
    fn hashes_below_the_minimum_are_weak() {
        let argon2 = |kind: &str, parameters: &str, salt: usize| {
            let salt = "A".repeat(salt);
            format!("argon2:$argon2{kind}${parameters}${salt}$AAAAAAAAAAAAAAAAAAAAAA")
        };
        for (text, weak) in [
            (argon2("id", "v=19$m=19456,t=2,p=1", 22), false),
            (argon2("id", "v=19$m=47104,t=1,p=1", 22), false),
            (argon2("id", "v=19$m=7168,t=5,p=1", 22), false),
            (argon2("id", "v=19$m=10240,t=10,p=8", 22), false),
            (argon2("id", "v=19$m=19455,t=2,p=1", 22), true),
            (argon2("id", "v=19$m=47103,t=1,p=1", 22), true),
            (argon2("id", "v=19$m=4096,t=100,p=1", 22), true),
            (argon2("id", "v=16$m=47104,t=4,p=1", 22), true),
            (argon2("i", "v=19$m=47104,t=4,p=1", 22), true),
            (argon2("d", "v=19$m=47104,t=4,p=1", 22), true),
            (argon2("id", "v=19$m=47104,t=4,p=1", 11), true),
            (
                "sha256:ab:152b38c1711d7c158cec3116a0bd4a88385065f6f6e77e05b0d525e4a5f7982b".to_owned(),
                true,
            ),
        ] {
            let hash: PasswordHash = text.parse().expect(&text);
            assert_eq!(hash.is_weak(), weak, "{text}");
        }
        let jupyter: PasswordHash = argon2("id", "v=19$m=10240,t=10,p=8", 22).parse().expect("a hash");
        assert!(!jupyter.needs_rehash(HashCost::default()));
        let stronger = HashCost::new(65_536, 3).expect("a cost");
        assert!(jupyter.needs_rehash(stronger), "parameters rose");
    }

    #[test]
    fn no_output_and_no_error_holds_the_hash() {
        assert_eq!(format!("{:?}", hash_of(&Secret::from("canary"))), "PasswordHash");
        for text in [
            "canary",
            "canary:canary:canary",
            "sha1:canary:canary",
            "argon2:canary",
            "argon2:$canary",
            "argon2:$argon2id$v=canary",
            "argon2:$argon2id$v=19$m=canary,t=2,p=1$Y2FuYXJ5Y2FuYXJ5$Y2FuYXJ5",
            "argon2:$argon2id$v=19$m=4294967296,t=2,p=1$Y2FuYXJ5Y2FuYXJ5$Y2FuYXJ5",
            "argon2:$argon2id$v=19$m=64,t=2,p=1$canary!$canary",
        ] {
            let error = text.parse::<PasswordHash>().expect_err(text);
            for shown in [format!("{error:?}"), error.to_string()] {
                assert!(!shown.contains("canary") && !shown.contains("Y2Fu"), "{shown}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_password_is_known_by_its_hash_and_a_changed_one_is_not(
            password in proptest::collection::vec(any::<u8>(), 1..200), place: usize, bit in 0_u32..8,
        ) {
            let hash: PasswordHash = hash_of(&password.clone().into()).expose().parse().expect("its own text");
            prop_assert!(hash.verify(&password.clone().into()));
            let mut changed = password.clone();
            let place = place % changed.len();
            changed[place] ^= 1_u8 << bit;
            prop_assert!(!hash.verify(&changed.into()));
            prop_assert!(!hash.verify(&[password, vec![0]].concat().into()));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in any::<String>()) {
            let _ = text.parse::<PasswordHash>();
            let _ = format!("argon2:{text}").parse::<PasswordHash>();
        }

        #[test]
        fn no_numbers_make_the_reader_panic_or_pass_the_bounds(
            memory: u64, passes: u64, lanes: u64, shift in 0_u32..64,
        ) {
            let [memory, passes, lanes] = [memory, passes, lanes].map(|number| number >> shift);
            let text = format!("argon2:$argon2id$v=19$m={memory},t={passes},p={lanes}$AAAAAAAAAAA$AAAAAAAAAAA");
            if let Ok(hash) = text.parse::<PasswordHash>() {
                prop_assert!(hash.memory() <= HashCost::MAX_MEMORY && hash.work() <= 1 << 20);
            }
        }
    }
}

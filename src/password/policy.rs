//! What a new password must be like.

use zeroize::Zeroizing;

use super::{
    error::{PasswordError, PasswordErrorKind},
    length::{self, MAX_LEN},
    pieces::{PIECE_MINIMUM, is_separator, well_known},
};
use crate::{error::ConfigError, secret::Secret};

/// The rules for new passwords: long enough, and not among those that attackers try first.
///
/// 1. At least [`with_min_length`](Self::with_min_length) characters (Unicode code points), at most 1024 bytes.
/// 2. Not among the 5,000 commonest of 8 characters and more, nor one of the names given to
///    [`with_forbidden_words`](Self::with_forbidden_words), whatever the case of the letters.
/// 3. Not made, from end to end, of up to three such passwords, names and walks over the keyboard; nor of one
///    piece of fewer than 8 characters that is repeated. A longer piece that is repeated is checked once, by itself.
/// 4. The same when separators are left out: everything but letters and digits, unless it is most of the password.
///
/// There are no rules on kinds of characters, and all characters are allowed, spaces and NUL too. The sources are
/// NIST SP 800-63B-4 section 3.1.1.2 and ASVS 6.2. Only new passwords are checked: a user who has an older one may log
/// in with it.
///
/// # Example
///
/// ```
/// use portcullis::{password::{PasswordErrorKind, PasswordPolicy}, Secret};
///
/// let policy = PasswordPolicy::new().with_forbidden_words(["alice", "hub.example.org"]);
/// assert!(policy.check(&Secret::from("correct horse battery staple")).is_ok());
/// for (password, kind) in [
///     ("short", PasswordErrorKind::TooShort),
///     ("Password12345678", PasswordErrorKind::Common),
///     ("alice hub.example.org", PasswordErrorKind::ContainsName),
/// ] {
///     let error = policy.check(&Secret::from(password)).unwrap_err();
///     assert_eq!(error.kind(), kind);
/// }
/// ```
#[derive(Clone, Debug)]
pub struct PasswordPolicy {
    minimum: usize,
    names: Vec<String>,
}

impl PasswordPolicy {
    /// The fewest characters that any policy takes.
    pub const MIN_ALLOWED: usize = length::MIN_LEN;

    /// At least 15 characters, and no names.
    pub fn new() -> Self {
        Self {
            minimum: 15,
            names: Vec::new(),
        }
    }

    /// Default: 15 characters, for a password that is the only factor.
    ///
    /// # Errors
    ///
    /// As `minimum`: fewer than 8, or more than 1024, which is the longest password in bytes that is hashed.
    pub fn with_min_length(mut self, minimum: usize) -> Result<Self, ConfigError> {
        if !(Self::MIN_ALLOWED..=MAX_LEN).contains(&minimum) {
            return Err(ConfigError::new(
                "min_length",
                format!(
                    "expected {} to {MAX_LEN} characters, found {minimum}",
                    Self::MIN_ALLOWED
                ),
            ));
        }
        self.minimum = minimum;
        Ok(self)
    }

    /// Default: none. Names that attackers know: of the user, the host, the product, the company.
    ///
    /// A host's labels count each, and so do the words of a name. Those of fewer than 3 characters are
    /// passed over.
    #[must_use]
    pub fn with_forbidden_words<N: AsRef<str>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        for name in names {
            let name = name.as_ref().to_lowercase();
            let joined: String = name
                .chars()
                .filter(|&character| !is_separator(character))
                .collect();
            let words = name.split(is_separator);
            let pieces = words
                .chain([name.as_str(), joined.as_str()])
                .filter(|piece| piece.chars().count() >= PIECE_MINIMUM);
            self.names.extend(pieces.map(str::to_owned));
        }
        self
    }

    /// Whether `password` may be a new one.
    ///
    /// The time is bounded, but it can be milliseconds. A server checks the new password after the client has proved
    /// that it may change it, and off the async threads: [`HashingPool::hash_by`](crate::password::HashingPool::hash_by).
    ///
    /// # Errors
    ///
    /// `TooShort`, `TooLong`, `Common` or `Name`; the message is fit for the user.
    pub fn check(&self, password: &Secret) -> Result<(), PasswordError> {
        let (bytes, minimum) = (password.len(), self.minimum);
        if bytes > MAX_LEN {
            return Err(PasswordError::new(
                PasswordErrorKind::TooLong,
                format!("the password is too long: expected at most {MAX_LEN} bytes, found {bytes}"),
            ));
        }
        // What is not UTF-8 has no code points to count.
        let count = password.expose_str().map_or(bytes, |text| text.chars().count());
        if count < minimum {
            return Err(PasswordError::new(
                PasswordErrorKind::TooShort,
                format!("the password is too short: expected at least {minimum} characters, found {count}"),
            ));
        }
        match password
            .expose_str()
            .map(|text| well_known(&Zeroizing::new(text.to_lowercase()), &self.names))
        {
            Some(Some(PasswordErrorKind::ContainsName)) => Err(PasswordError::new(
                PasswordErrorKind::ContainsName,
                "the password is too easy to guess: it consists of the name of the user, the host or the product",
            )),
            Some(Some(kind)) => Err(PasswordError::new(
                kind,
                "the password is too easy to guess: it consists of common passwords, keyboard patterns or repetitions",
            )),
            Some(None) | None => Ok(()),
        }
    }
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::pieces::common, *};

    fn lenient() -> PasswordPolicy {
        PasswordPolicy::new().with_min_length(8).expect("the minimum")
    }

    #[track_caller]
    fn kind(policy: &PasswordPolicy, password: &str) -> Option<PasswordErrorKind> {
        let error = policy.check(&Secret::from(password)).err()?;
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(!shown.contains("canary"), "{shown}");
        }
        Some(error.kind())
    }

    #[test]
    fn length_is_counted_in_code_points_from_the_minimum_to_1024_bytes() {
        use PasswordErrorKind::{TooLong, TooShort};
        let strict = PasswordPolicy::new();
        let text = "vq7-mZ\0\u{e9}x \u{1f511}kW2p";
        let of = |length: usize| text.chars().cycle().take(length).collect::<String>();
        for (password, by_default, by_floor) in [
            (String::new(), Some(TooShort), Some(TooShort)),
            (of(7), Some(TooShort), Some(TooShort)),
            (of(8), Some(TooShort), None),
            (of(14), Some(TooShort), None),
            (of(15), None, None),
            (of(64), None, None),
            (
                "\u{1f511}\u{e9}\u{df}\u{142}".to_owned(),
                Some(TooShort),
                Some(TooShort),
            ),
            (
                format!("7vq-{}", "0123456789abc\u{7f}".repeat(80))
                    .chars()
                    .take(1024)
                    .collect(),
                None,
                None,
            ),
            ("q".repeat(1025), Some(TooLong), Some(TooLong)),
        ] {
            assert_eq!(kind(&strict, &password), by_default, "{password:?}");
            assert_eq!(kind(&lenient(), &password), by_floor, "{password:?}");
        }
        let bytes = Secret::from(vec![0xff; 15]);
        assert!(
            strict.check(&bytes).is_ok(),
            "bytes that are not UTF-8 are counted one by one"
        );
        let error = strict.check(&Secret::from("short")).expect_err("too short");
        assert_eq!(
            error.to_string(),
            "the password is too short: expected at least 15 characters, found 5"
        );
    }

    #[test]
    fn no_minimum_is_below_8_or_above_what_is_hashed() {
        for (minimum, taken) in [(0, false), (7, false), (8, true), (1024, true), (1025, false)] {
            assert_eq!(
                PasswordPolicy::new().with_min_length(minimum).is_ok(),
                taken,
                "{minimum}"
            );
        }
    }

    #[test]
    fn every_one_of_the_commonest_is_refused_in_any_case() {
        let mut count = 0;
        for entry in common() {
            for password in [entry.to_owned(), entry.to_uppercase()] {
                assert_eq!(
                    kind(&lenient(), &password),
                    Some(PasswordErrorKind::Common),
                    "{password}"
                );
            }
            count += 1;
        }
        assert!(count >= 5_000, "{count}");
    }

    #[test]
    fn what_is_made_of_well_known_pieces_alone_is_refused_and_what_holds_more_is_taken() {
        use PasswordErrorKind::{Common, ContainsName};
        let policy = lenient().with_forbidden_words(["alice", "hub.example.org", "Acme Labs", "canary", "x"]);
        for (password, expected) in [
            ("aaaaaaaaaaaaaaaaaaaa", Some(Common)),
            ("abcabcabcabcabcab", Some(Common)),
            ("x7!x7!x7!x7!x7!", Some(Common)),
            ("passwordpassword", Some(Common)),
            ("Password12345678", Some(Common)),
            ("password-1234-sunshine", Some(Common)),
            ("123456789012345678", Some(Common)),
            ("987654321098765", Some(Common)),
            ("abcdefootball", Some(Common)),
            ("abcdefghijklmnop", Some(Common)),
            ("zyxwvutsrqponml", Some(Common)),
            ("qwertyuiopasdfgh", Some(Common)),
            ("1qaz2wsx3edc4rfv", Some(Common)),
            ("!@#$%^&*()123456", Some(Common)),
            ("alicealice", Some(Common)),
            ("Alice12345678", Some(ContainsName)),
            ("1234alice", Some(ContainsName)),
            ("hub.example.org", Some(ContainsName)),
            ("example acme 2345", Some(ContainsName)),
            ("AcmeLabsAlice", Some(ContainsName)),
            ("canary12345678", Some(ContainsName)),
            ("password!password", Some(Common)),
            ("password!!!!!!!!password", Some(Common)),
            ("p.a.s.s.w.o.r.d.1.2.3", Some(Common)),
            ("pass-word pass-word", Some(Common)),
            ("1234!@#$%^&*()-password", Some(Common)),
            ("passwordpasswordpasswordpassword", Some(Common)),
            ("password!password!password!password!", Some(Common)),
            ("  password  sunshine  ", Some(Common)),
            ("alice@canary", Some(ContainsName)),
            ("a-l-i-c-e_c-a-n-a-r-y", Some(ContainsName)),
            ("alice@hub.example.org", Some(ContainsName)),
            ("hubexampleorg!1234", Some(ContainsName)),
            ("hub/example/org-password", Some(ContainsName)),
            ("Acme-Labs:password", Some(ContainsName)),
            ("alice!canary!alice!canary!", Some(ContainsName)),
            ("alicealicehubexample", None),
            ("}{~|;:abc><?}{~", None),
            ("$k;{~^_<:}?+)=|", None),
            ("Q7vk!password!Zm", None),
            ("alice and her cat", None),
            ("password of my own", None),
            ("Sunshine!Q7vk", None),
            ("correct horse battery staple", None),
            ("xqkzpvwmlrt", None),
            ("ünïcödé-wörter", None),
        ] {
            assert_eq!(kind(&policy, password), expected, "{password}");
        }
        assert_eq!(
            kind(&lenient(), "hub.example.org"),
            None,
            "the name was not configured"
        );
    }
}

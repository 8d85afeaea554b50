//! Tokens: the text that a client sends, and the hash that a server keeps.

mod load;

use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use http::HeaderValue;

use crate::{
    digest::{DigestKey, sha256},
    random,
    secret::{self, Secret, SecretError, SecretErrorKind},
};

/// Prefix of generated tokens, by which a leaked one is recognized.
const PREFIX: &str = "pcl_";
/// 43 characters in base 62 hold 256 bits.
const RANDOM: usize = 43;
/// 6 characters in base 62 hold the 32 bits of the checksum.
const CHECKSUM: usize = 6;

/// A token whose text this process knows: a configured or a generated one.
///
/// It has 1 to 512 visible ASCII bytes, so that it can be sent in `Authorization: Bearer`. A generated token is
///
/// ```text
/// "pcl_" 43 random characters, 6 characters of checksum     (0-9 A-Z a-z)
/// ```
///
/// 256 bits from the system's random generator; the checksum is the first 32 bits of the SHA-256 of all before it, in
/// base 62. By prefix and checksum a scanner finds a leaked token, and the layer distinguishes a mistyped token from
/// an unknown one without a lookup. Other tokens are accepted as they are.
///
/// # Security
///
/// `Debug` prints the name of the type only, and there is no `Display`. [`Token::expose`] returns the text. A token
/// of your own should have at least 128 random bits: it is not stretched like a password.
///
/// # Example
///
/// ```
/// use portcullis::Token;
///
/// let generated = Token::generate();
/// assert!(generated.expose().starts_with("pcl_"));
///
/// let configured: Token = "0123456789abcdef0123456789abcdef".parse()?;
/// assert!("two words".parse::<Token>().is_err());
/// # Ok::<(), portcullis::secret::SecretError>(())
/// ```
#[derive(Clone)]
pub struct Token {
    text: Secret,
    generated: bool,
}

impl Token {
    /// Maximum length of a token, in bytes. Clients may send longer ones: see [`PresentedToken::MAX_LEN`].
    pub const MAX_LEN: usize = 512;

    /// Generates a token with the system's random generator.
    ///
    /// # Panics
    ///
    /// If the system's random generator fails.
    pub fn generate() -> Self {
        let mut text = String::with_capacity(PREFIX.len() + RANDOM + CHECKSUM);
        text.push_str(PREFIX);
        text.push_str(&random::text(random::BASE62, RANDOM));
        let checksum = checksum(text.as_bytes());
        text.extend(checksum.map(char::from));
        Self {
            text: text.into(),
            generated: true,
        }
    }

    /// Creates a token from a secret.
    ///
    /// # Errors
    ///
    /// Returns `SecretErrorKind::Malformed` if it is not 1 to 512 visible ASCII bytes, or has the prefix of a
    /// generated token and a wrong checksum.
    pub fn from_secret(secret: Secret) -> Result<Self, SecretError> {
        let malformed = |message: String| SecretError::new(SecretErrorKind::Malformed, message);
        match PresentedToken::new(secret.expose()) {
            Some(token) if token.has_checksum_error() => Err(malformed(format!(
                "token begins with {PREFIX} and its checksum is wrong: mistyped or cut short"
            ))),
            Some(token) if !token.is_oversized() => Ok(Self {
                text: secret,
                generated: false,
            }),
            _ => Err(malformed(format!(
                "expected a token of 1 to {} visible ASCII characters, found {}",
                Self::MAX_LEN,
                describe(secret.expose())
            ))),
        }
    }

    /// Exposes the text; review each use.
    pub fn expose(&self) -> &str {
        self.text.expose_str().expect("a token is visible ASCII")
    }

    /// Returns the value of an `Authorization` header with this token, marked as sensitive.
    pub fn to_authorization_header(&self) -> HeaderValue {
        let mut value =
            HeaderValue::try_from(format!("Bearer {}", self.expose())).expect("a token is visible ASCII");
        value.set_sensitive(true);
        value
    }

    /// Returns the hash, by which sets and stores find the token.
    pub fn hash(&self) -> TokenHash {
        TokenHash::new(self.text.expose())
    }

    /// Returns `true` if this process generated the token, so that it is not valid after a restart.
    pub(crate) fn is_generated(&self) -> bool {
        self.generated
    }

    /// Compares tokens in constant time. The length is not hidden.
    pub(crate) fn matches(&self, presented: PresentedToken<'_>) -> bool {
        self.matches_bytes(presented.0)
    }

    /// Compares the token with bytes that may not have the form of a token, in constant time.
    pub(crate) fn matches_bytes(&self, bytes: &[u8]) -> bool {
        secret::constant_time_eq(self.text.expose(), bytes)
    }
}

impl FromStr for Token {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        Self::from_secret(text.into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// A token in a request: it has the form of a token, and is not verified.
///
/// # Security
///
/// `Debug` prints the name of the type only.
#[derive(Clone, Copy)]
pub struct PresentedToken<'a>(&'a [u8]);

impl<'a> PresentedToken<'a> {
    /// Maximum length of a token in a request, in bytes. Tokens of other systems, such as JWTs, are longer than a
    /// [`Token`].
    pub const MAX_LEN: usize = 8_000;

    /// Parses `bytes` as a token. Returns `None` unless they are 1 to 8,000 visible ASCII characters (21 to 7E).
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let formed = (1..=Self::MAX_LEN).contains(&bytes.len()) && is_visible_ascii(bytes);
        formed.then_some(Self(bytes))
    }

    /// Returns `true` if it is longer than any [`Token`], so that another system issued it.
    pub(crate) fn is_oversized(self) -> bool {
        self.0.len() > Token::MAX_LEN
    }

    /// Exposes the text; review each use.
    pub fn expose(self) -> &'a str {
        std::str::from_utf8(self.0).expect("a presented token is visible ASCII")
    }

    pub(crate) fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Returns the hash, by which sets and stores find the token.
    pub fn hash(self) -> TokenHash {
        TokenHash::new(self.0)
    }

    /// Returns `true` if it has the form of a generated token and a wrong checksum, so that no lookup is needed.
    pub fn has_checksum_error(self) -> bool {
        self.0.starts_with(PREFIX.as_bytes())
            && self.0.split_last_chunk::<CHECKSUM>().is_none_or(|(body, sum)| {
                body.len() != PREFIX.len() + RANDOM || !secret::constant_time_eq(&checksum(body), sum)
            })
    }
}

/// Returns `true` if all bytes are visible ASCII. Without an early return the compiler vectorizes the loop.
fn is_visible_ascii(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |all, byte| all & byte.is_ascii_graphic())
}

impl fmt::Debug for PresentedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresentedToken")
    }
}

/// The SHA-256 of a token: all that a server needs to keep.
///
/// # Security
///
/// One round of a fast hash is enough for a token of 128 or more random bits, which cannot be guessed. It is not
/// enough for a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(sha256(bytes))
    }

    /// Returns the 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Hash for TokenHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        DigestKey(self.0).hash(state);
    }
}

impl From<[u8; 32]> for TokenHash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl FromStr for TokenHash {
    type Err = SecretError;

    /// Parses 64 hexadecimal digits of either case.
    fn from_str(text: &str) -> Result<Self, SecretError> {
        let malformed = || {
            let found = describe(text.as_bytes());
            SecretError::new(
                SecretErrorKind::Malformed,
                format!("expected a token hash of 64 hexadecimal digits, found {found}"),
            )
        };
        let mut bytes = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return Err(malformed());
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let digit = |byte: u8| char::from(byte).to_digit(16).ok_or_else(malformed);
            *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).map_err(|_| malformed())?;
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    /// Prints the first four bytes: enough to distinguish two hashes, and useless to an attacker.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second, third, fourth, ..] = self.0;
        write!(f, "TokenHash({first:02x}{second:02x}{third:02x}{fourth:02x}...)")
    }
}

/// Returns the first 32 bits of the SHA-256 of `text`, in base 62, most significant digit first.
fn checksum(text: &[u8]) -> [u8; CHECKSUM] {
    let [first, second, third, fourth, ..] = TokenHash::new(text).0;
    let mut rest = u32::from_be_bytes([first, second, third, fourth]);
    let mut digits = [0; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = random::BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

/// Describes what is wrong with a text, without revealing it.
fn describe(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "nothing".to_owned();
    }
    match bytes.iter().position(|byte| !byte.is_ascii_graphic()) {
        Some(place) => format!(
            "{} bytes with a space, control or non-ASCII byte at place {}",
            bytes.len(),
            place + 1
        ),
        None => format!("{} characters", bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_generated_token_has_prefix_length_and_a_right_checksum() {
        let token = Token::generate();
        assert_eq!(token.expose().len(), 53);
        assert!(token.expose().starts_with("pcl_"));
        assert!(
            !PresentedToken::new(token.expose().as_bytes())
                .expect("well-formed")
                .has_checksum_error()
        );
        assert!(token.is_generated());
    }

    #[test]
    fn any_one_character_changed_or_lost_is_seen_by_the_checksum() {
        let token = Token::generate();
        let text = token.expose().as_bytes();
        for place in PREFIX.len()..text.len() {
            let mut changed = text.to_vec();
            changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
            assert!(
                PresentedToken::new(&changed)
                    .expect("well-formed")
                    .has_checksum_error(),
                "changed at {place}"
            );
            let mut cut = text.to_vec();
            cut.remove(place);
            assert!(
                PresentedToken::new(&cut)
                    .expect("well-formed")
                    .has_checksum_error(),
                "lost at {place}"
            );
        }
        assert!(
            PresentedToken::new(b"pcl_")
                .expect("well-formed")
                .has_checksum_error()
        );
    }

    #[test]
    fn a_million_tokens_are_a_million_tokens() {
        // 100,000 in the ordinary run: the generator's evenness is shown in `random`.
        let tokens: HashSet<String> = (0..100_000)
            .map(|_| Token::generate().expose().to_owned())
            .collect();
        assert_eq!(tokens.len(), 100_000);
    }

    #[test]
    fn tokens_of_other_origin_are_taken_as_they_are_if_a_header_can_carry_them() {
        let longest = "x".repeat(Token::MAX_LEN);
        for text in ["a", "0123456789abcdef", "a,b;c=d\"e\\f", longest.as_str()] {
            assert_eq!(text.parse::<Token>().expect("a token").expose(), text, "{text}");
        }
        let too_long = "x".repeat(Token::MAX_LEN + 1);
        for (text, found) in [
            ("", "found nothing"),
            (
                "two words",
                "found 9 bytes with a space, control or non-ASCII byte at place 4",
            ),
            (
                "line\n",
                "found 5 bytes with a space, control or non-ASCII byte at place 5",
            ),
            (
                "\u{e9}",
                "found 2 bytes with a space, control or non-ASCII byte at place 1",
            ),
            (too_long.as_str(), "found 513 characters"),
            ("pcl_typo", "its checksum is wrong"),
        ] {
            let error = text.parse::<Token>().expect_err("no token").to_string();
            assert!(error.contains(found), "{text:?}: {error}");
        }
    }

    #[test]
    fn one_odd_byte_is_seen_at_every_place_among_any_neighbours() {
        for length in 1..34 {
            for neighbour in [b'!', b'a', b'~'] {
                let mut bytes = vec![neighbour; length];
                assert!(is_visible_ascii(&bytes));
                for place in 0..length {
                    for byte in 0..=255 {
                        bytes[place] = byte;
                        let expected = byte.is_ascii_graphic();
                        assert_eq!(
                            is_visible_ascii(&bytes),
                            expected,
                            "{byte} at {place} of {length}"
                        );
                    }
                    bytes[place] = neighbour;
                }
            }
        }
    }

    #[test]
    fn a_hash_reads_what_it_prints_and_shows_little() {
        let hash = Token::generate().hash();
        let text = hash.to_string();
        assert_eq!(text.parse::<TokenHash>().expect("its own text"), hash);
        assert_eq!(
            text.to_uppercase().parse::<TokenHash>().expect("either case"),
            hash
        );
        assert!(!format!("{hash:?}").contains(&text[8..]));
        for wrong in [
            "",
            "ab",
            &text[1..],
            &format!("{text}0"),
            &text.replace(&text[..1], "g"),
        ] {
            assert!(wrong.parse::<TokenHash>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn neither_side_can_be_printed() {
        let token = Token::generate();
        let presented = PresentedToken::new(token.expose().as_bytes()).expect("well-formed");
        assert_eq!(format!("{token:?} {presented:?}"), "Token PresentedToken");
        assert!(token.to_authorization_header().is_sensitive());
    }
}

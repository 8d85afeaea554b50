//! PKCE: a code is exchanged only by the client that requested it.

use std::fmt;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use zeroize::Zeroizing;

use crate::{
    digest::sha256,
    random,
    secret::{self, Secret},
};

/// The secret of one authorization request: 43 to 128 unreserved characters, RFC 7636 §4.1.
///
/// # Security
///
/// `Debug` prints the type's name only.
///
/// # Example
///
/// ```
/// use portcullis::oauth::CodeVerifier;
///
/// let verifier = CodeVerifier::generate();
/// let challenge = verifier.challenge();
/// assert!(challenge.matches(&verifier));
/// assert!(!challenge.matches(&CodeVerifier::generate()));
/// ```
#[derive(Clone)]
pub struct CodeVerifier(Secret);

impl CodeVerifier {
    /// A new verifier of 256 random bits: 43 characters.
    ///
    /// # Panics
    ///
    /// If the system's random generator fails.
    pub fn generate() -> Self {
        let bytes = Zeroizing::new(random::bytes::<32>());
        Self(Secret::from(BASE64_URL_SAFE_NO_PAD.encode(*bytes)))
    }

    /// The verifier that `text` is, or `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let formed = (43..=128).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
        formed.then(|| Self(Secret::from(text)))
    }

    /// The text, to send it to the token endpoint. Every call is a place to review.
    pub fn expose(&self) -> &str {
        self.0.expose_str().unwrap_or_default()
    }

    /// The challenge of this verifier, by `S256`.
    pub fn challenge(&self) -> CodeChallenge {
        CodeChallenge(sha256(self.0.expose()))
    }
}

impl fmt::Debug for CodeVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeVerifier")
    }
}

/// The challenge of an authorization request, by `S256`: RFC 7636 §4.2. Public; `Display` writes it.
///
/// The method `plain` is not supported: RFC 9700 §2.1.1 requires one that does not show the verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeChallenge([u8; 32]);

impl CodeChallenge {
    /// What [`CodeChallenge::parse`] reads is made by this method.
    pub const METHOD: &'static str = "S256";

    /// The challenge that `text` is, in its one encoding: 43 characters.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// Whether `verifier` is the one this challenge was made of. Takes constant time.
    pub fn matches(&self, verifier: &CodeVerifier) -> bool {
        secret::constant_time_eq(&verifier.challenge().0, &self.0)
    }
}

impl fmt::Display for CodeChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_challenge_is_that_of_the_standards_example() {
        let verifier = CodeVerifier::parse(VERIFIER).expect("a verifier");
        assert_eq!(verifier.challenge().to_string(), CHALLENGE);
        let challenge = CodeChallenge::parse(CHALLENGE).expect("a challenge");
        assert!(challenge.matches(&verifier));
        assert!(!challenge.matches(&CodeVerifier::parse(CHALLENGE).expect("a verifier")));
    }

    #[test]
    fn what_has_another_form_is_neither() {
        let long = "a".repeat(129);
        for text in [
            "",
            &VERIFIER[1..],
            &long,
            &format!("{VERIFIER}+"),
            &format!("{} {}", &VERIFIER[..20], &VERIFIER[20..]),
        ] {
            assert!(CodeVerifier::parse(text).is_none(), "{text:?}");
        }
        // The last character of the last text has bits that no byte holds.
        for text in [
            "",
            &CHALLENGE[1..],
            &format!("{CHALLENGE}="),
            &format!("{}+", &CHALLENGE[1..]),
            &CHALLENGE.replace("-cM", "-cN"),
        ] {
            assert!(CodeChallenge::parse(text).is_none(), "{text:?}");
        }
        assert_eq!(CodeVerifier::generate().expose().len(), 43);
        assert_eq!(format!("{:?}", CodeVerifier::generate()), "CodeVerifier");
    }
}

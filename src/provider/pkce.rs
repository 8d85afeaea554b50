//! The proof that whoever exchanges a code is who asked for it: RFC 7636, by `S256` alone.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};

use crate::{digest::sha256, secret};

/// Whether `challenge` is one that `S256` makes: 43 characters of base64url (§4.2).
pub(crate) fn is_challenge(challenge: &str) -> bool {
    BASE64_URL_SAFE_NO_PAD
        .decode(challenge)
        .is_ok_and(|digest| digest.len() == 32)
}

/// Whether `verifier` is the one that `challenge` was made from (§4.6); 43 to 128 unreserved characters (§4.1).
pub(crate) fn matches(challenge: &str, verifier: &str) -> bool {
    let unreserved = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~".contains(&octet);
    let made = BASE64_URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()));
    (43..=128).contains(&verifier.len())
        && verifier.bytes().all(unreserved)
        && secret::equal(made.as_bytes(), challenge.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pair_of_the_standard_matches_and_no_other() {
        // RFC 7636, appendix B.
        let (verifier, challenge) = (
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        );
        assert!(is_challenge(challenge) && matches(challenge, verifier));
        let short = &verifier[1..];
        let made = BASE64_URL_SAFE_NO_PAD.encode(sha256(short.as_bytes()));
        for (challenge, verifier) in [
            (challenge, challenge),
            (verifier, verifier),
            (challenge, ""),
            ("", verifier),
            (made.as_str(), short),
        ] {
            assert!(!matches(challenge, verifier), "{challenge} {verifier}");
        }
        for none in [
            "",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM=",
            "+9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        ] {
            assert!(!is_challenge(none), "{none}");
        }
    }
}

//! The older text form: one round of a fast hash.

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use zeroize::Zeroizing;

use super::error::PasswordError;
use crate::secret;

/// `algorithm:salt:hexdigest`, the digest of the password and then the salt. Read, never written.
#[derive(Clone)]
pub(super) struct LegacyHash {
    algorithm: Algorithm,
    salt: String,
    digest: Zeroizing<Vec<u8>>,
}

#[derive(Clone, Copy)]
enum Algorithm {
    Sha1,
    Sha256,
    Sha512,
}

impl LegacyHash {
    /// Reads three fields: the algorithm in any case, a salt in ASCII, a digest in small hexadecimal digits.
    pub(super) fn parse(text: &str) -> Result<Self, PasswordError> {
        let malformed = |expected| PasswordError::malformed(format!("expected {expected}"));
        let mut fields = text.split(':');
        let (Some(name), Some(salt), Some(digits), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(malformed("argon2:… or algorithm:salt:digest"));
        };
        let (algorithm, length) = match name.to_ascii_lowercase().as_str() {
            "sha1" => (Algorithm::Sha1, 20),
            "sha256" => (Algorithm::Sha256, 32),
            "sha512" => (Algorithm::Sha512, 64),
            _ => return Err(malformed("argon2, sha1, sha256 or sha512 as the algorithm")),
        };
        if !salt.is_ascii() {
            return Err(malformed("a salt in ASCII"));
        }
        let digest = unhex(digits).filter(|digest| digest.len() == length);
        Ok(Self {
            algorithm,
            salt: salt.to_owned(),
            digest: Zeroizing::new(
                digest.ok_or_else(|| malformed("a digest of the algorithm's length in 0-9a-f"))?,
            ),
        })
    }

    pub(super) fn matches(&self, bytes: &[u8]) -> bool {
        match self.algorithm {
            Algorithm::Sha1 => self.digest_is::<Sha1>(bytes),
            Algorithm::Sha256 => self.digest_is::<Sha256>(bytes),
            Algorithm::Sha512 => self.digest_is::<Sha512>(bytes),
        }
    }

    fn digest_is<D: Digest>(&self, bytes: &[u8]) -> bool {
        let digest = D::new().chain_update(bytes).chain_update(&self.salt).finalize();
        secret::constant_time_eq(&digest, &self.digest)
    }
}

/// The bytes of lowercase hexadecimal digits.
fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let bytes = pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    rest.is_empty().then(|| bytes.collect())?
}

#[cfg(test)]
mod tests {
    use super::super::{PasswordErrorKind, PasswordHash};
    use crate::secret::Secret;

    /// SHA-1 of `mypassword` and then `0e112c3ddfce`, from the documentation of the notebook server.
    const DIGEST: &str = "a68df677475c2b47b6e86d0467eec97ac5f4b85a";

    #[test]
    fn older_hashes_are_read_in_their_one_form() {
        for name in ["sha1", "SHA1", "Sha1"] {
            let hash: PasswordHash = format!("{name}:0e112c3ddfce:{DIGEST}").parse().expect(name);
            assert!(hash.verify(&Secret::from("mypassword")), "{name}");
            assert!(!hash.verify(&Secret::from("mypassword!")), "{name}");
        }
        for text in [
            format!("sha-1:0e112c3ddfce:{DIGEST}"),
            format!("md5:0e112c3ddfce:{}", &DIGEST[..32]),
            format!("sha3_256:ab:{}", "0".repeat(64)),
            format!(":0e112c3ddfce:{DIGEST}"),
            format!("sha1:{DIGEST}"),
            format!("sha1:0e112c3ddfce:{}", DIGEST.to_uppercase()),
            format!("sha1:0e112c3ddfce:{}", &DIGEST[1..]),
            format!("sha1:0e112c3ddfce:{}", &DIGEST[2..]),
            format!("sha256:0e112c3ddfce:{DIGEST}"),
            format!("sha1:0e112c3ddfce:{DIGEST}:x"),
            format!("sha1:0e112c3ddfce:{DIGEST}\n"),
            format!(" sha1:0e112c3ddfce:{DIGEST}"),
            format!("sha1:\u{e9}:{DIGEST}"),
            "sha1:0e112c3ddfce:".to_owned(),
            "mypassword".to_owned(),
            "::".to_owned(),
            ":".to_owned(),
            String::new(),
            "$2b$12$KIXQwQxqXQxqXQxqXQxqXOabcdefghijklmnopqrstuvwxyz01234".to_owned(),
        ] {
            let error = text.parse::<PasswordHash>().expect_err(&text);
            assert_eq!(error.kind(), PasswordErrorKind::Malformed, "{text}: {error}");
        }
    }
}

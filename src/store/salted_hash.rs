//! Tokens as a JupyterHub keeps them: a prefix in clear, and a salted hash.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256, Sha512};

use super::worker;
use crate::{
    maybe_future::MaybeFuture,
    secret::{self, Secret, SecretError, SecretErrorKind},
    store::{RecordId, StoreError, TokenRecord},
    token::{PresentedToken, TokenHash},
};

/// The tokens of a store that came from a JupyterHub, until each has been used once.
///
/// A salted hash cannot be looked up. So a token that is not found by its hash is looked for among those with its
/// prefix, and the one that it is is [adopted](Self::migrate): from then on it is found like all others.
pub trait SaltedHashStore: Send + Sync {
    /// All whose token begins with `prefix`, the first four characters of one.
    ///
    /// No more than the first 64 are looked at, and no more than 1,048,576 rounds are run for one token.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    fn find_by_prefix(
        &self,
        prefix: &str,
    ) -> MaybeFuture<Result<Vec<(SaltedTokenHash, TokenRecord)>, StoreError>>;

    /// Replaces prefix and salted hash of the token by `hash`, if it is still there and the store can: in the background,
    /// without reporting errors.
    fn migrate(&self, id: RecordId, hash: TokenHash);
}

/// A salted hash of a token in the text form of JupyterHub's column `api_tokens.hashed`.
///
/// ```text
/// algorithm ":" rounds ":" salt ":" digest        sha512:1:bb540dc95dd20d6d:49a920c7…
/// ```
///
/// The digest, in lower-case hexadecimal, is that of the salt's text followed by the token `rounds` times. Read are
/// `sha512` and `sha256`, and at most 65,536 rounds: four times what JupyterHub writes.
///
/// # Security
///
/// Read only. One round is enough for a token that cannot be guessed; so is the plain [`TokenHash`] that replaces it when
/// the token is used.
///
/// # Example
///
/// ```
/// use portcullis::{store::SaltedTokenHash, token::PresentedToken};
///
/// let hash: SaltedTokenHash = "sha256:1:aa:838cea57b387cf041241951fb13aba7a02def79ef0b66649dd06ca40eb450f97".parse()?;
/// assert!(hash.matches(PresentedToken::new(b"0123456789abcdef0123456789abcdef").unwrap()));
/// assert!(!hash.matches(PresentedToken::new(b"another").unwrap()));
/// # Ok::<(), portcullis::secret::SecretError>(())
/// ```
#[derive(Clone)]
pub struct SaltedTokenHash {
    algorithm: Algorithm,
    rounds: u32,
    salt: Box<str>,
    digest: Box<[u8]>,
}

#[derive(Clone, Copy)]
enum Algorithm {
    Sha256,
    Sha512,
}

impl SaltedTokenHash {
    /// The longest token that is looked for, in bytes: JupyterHub makes no longer one.
    pub const MAX_TOKEN_LEN: usize = 64;
    /// The most tokens of one prefix that are looked at.
    pub(crate) const CANDIDATES: usize = 64;
    /// The length of the prefix of a token.
    pub(crate) const PREFIX: usize = 4;

    /// The most rounds that are run.
    const ROUNDS: u32 = 65_536;
    /// The most rounds that are run for one token, over all candidates: for 64 as JupyterHub writes them.
    const ROUNDS_OF_ALL: u32 = 1_048_576;
    /// The longest salt.
    const SALT: usize = 64;

    /// Whether `token` is the one, compared in constant time.
    pub fn matches(&self, token: PresentedToken<'_>) -> bool {
        let token = token.as_bytes();
        token.len() <= Self::MAX_TOKEN_LEN
            && match self.algorithm {
                Algorithm::Sha256 => self.is_digest_of::<Sha256>(token),
                Algorithm::Sha512 => self.is_digest_of::<Sha512>(token),
            }
    }

    fn is_digest_of<D: Digest>(&self, token: &[u8]) -> bool {
        let mut digest = D::new();
        digest.update(self.salt.as_bytes());
        (0..self.rounds).for_each(|_| digest.update(token));
        secret::constant_time_eq(&digest.finalize(), &self.digest)
    }
}

/// Returns the record of the candidate that `token` is. The hashing, which a client without a valid token can cause, is
/// bounded and runs on a thread of its own.
pub(crate) async fn find_among(
    candidates: Vec<(SaltedTokenHash, TokenRecord)>,
    token: Secret,
) -> Result<Option<TokenRecord>, StoreError> {
    if candidates.is_empty() {
        return Ok(None);
    }
    worker::run(move || matching(candidates, &token, SaltedTokenHash::ROUNDS_OF_ALL))?.await
}

fn matching(
    candidates: Vec<(SaltedTokenHash, TokenRecord)>,
    token: &Secret,
    mut rounds: u32,
) -> Option<TokenRecord> {
    let token = PresentedToken::new(token.expose())?;
    let mut candidates = candidates.into_iter().take(SaltedTokenHash::CANDIDATES);
    candidates.find_map(|(hash, record)| {
        rounds = rounds.checked_sub(hash.rounds)?;
        hash.matches(token).then_some(record)
    })
}

impl FromStr for SaltedTokenHash {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        let malformed = |expected: &str| {
            let message = format!("salted token hash: expected {expected}");
            SecretError::new(SecretErrorKind::Malformed, message)
        };
        let mut fields = text.split(':');
        let mut field = || {
            fields
                .next()
                .ok_or_else(|| malformed("algorithm:rounds:salt:digest"))
        };
        let (algorithm, rounds, salt, digest) = (field()?, field()?, field()?, field()?);
        if fields.next().is_some() {
            return Err(malformed("four fields, found more"));
        }
        let (algorithm, length) = match algorithm {
            "sha256" => (Algorithm::Sha256, 32),
            "sha512" => (Algorithm::Sha512, 64),
            _ => return Err(malformed("sha256 or sha512")),
        };
        let rounds = Some(rounds)
            .filter(|rounds| rounds.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|rounds| rounds.parse().ok())
            .filter(|rounds| (1..=Self::ROUNDS).contains(rounds))
            .ok_or_else(|| malformed("1 to 65536 rounds"))?;
        if salt.len() > Self::SALT {
            return Err(malformed("a salt of at most 64 bytes"));
        }
        let digest = lower_hex(digest)
            .filter(|digest| digest.len() == length)
            .ok_or_else(|| malformed("a digest of the algorithm's length in lower-case hexadecimal"))?;
        Ok(Self {
            algorithm,
            rounds,
            salt: salt.into(),
            digest: digest.into(),
        })
    }
}

impl fmt::Debug for SaltedTokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SaltedTokenHash")
    }
}

fn lower_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? * 16 + digit(*low)?));
    bytes.collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::UnixTime,
        session::{grant::Grant, identity::Identity},
    };

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    /// This many other tokens of the same prefix, with this many rounds, and then `TOKEN`.
    fn candidates(others: usize, rounds: u32) -> Vec<(SaltedTokenHash, TokenRecord)> {
        let of = |token: &str| {
            let mut digest = Sha256::new();
            (0..rounds).for_each(|_| digest.update(token));
            SaltedTokenHash {
                algorithm: Algorithm::Sha256,
                rounds,
                salt: "".into(),
                digest: digest.finalize().as_slice().into(),
            }
        };
        let record = || TokenRecord::new(Grant::new(Identity::new("alice")), UnixTime::from_secs(0));
        let mut all: Vec<_> = (0..others).map(|_| (of("0123another"), record())).collect();
        all.push((of(TOKEN), record()));
        all
    }

    #[test]
    fn no_more_candidates_and_rounds_than_the_bounds_allow_are_tried() {
        let token = Secret::from(TOKEN);
        for (others, rounds, bound, found) in [
            (63, 1, 1_000, true),
            (64, 1, 1_000, false),
            (9, 100, 1_000, true),
            (10, 100, 1_000, false),
            (0, 1_001, 1_000, false),
        ] {
            let matching = matching(candidates(others, rounds), &token, bound);
            assert_eq!(matching.is_some(), found, "{others} others, {rounds} rounds");
        }
    }

    #[tokio::test]
    async fn the_token_is_found_among_others_of_its_prefix() {
        let found = find_among(candidates(3, 2), Secret::from(TOKEN)).await;
        assert!(found.expect("an answer").is_some());
        let found = find_among(candidates(3, 2), Secret::from("0123unknown")).await;
        assert!(found.expect("an answer").is_none());
    }
}

//! The text form of argon2 hashes.

use std::fmt;

use argon2::{Algorithm, Params, Version};
use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine as _};
use zeroize::Zeroizing;

use super::{
    argon2_memory::Argon2Memory,
    cost::{HashCost, meets_minimum},
    error::PasswordError,
};
use crate::secret;

/// The length of a new tag, in bytes.
const TAG: usize = 32;
/// Below these lengths argon2 itself refuses (RFC 9106 section 3.1).
const SALT_MINIMUM: usize = 8;
const TAG_MINIMUM: usize = 4;
/// Below these lengths a hash is weak (RFC 9106 section 4).
const STRONG: usize = 16;

/// An argon2 hash: parameters within the limits, salt and tag.
#[derive(Clone)]
pub(super) struct Argon2Hash {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Vec<u8>,
    tag: Zeroizing<Vec<u8>>,
}

impl Argon2Hash {
    /// Reads the one spelling that the reference writes; the version may be missing, which means 16.
    pub(super) fn parse(text: &str) -> Result<Self, PasswordError> {
        let malformed = |expected| PasswordError::malformed(format!("expected {expected}"));
        let mut fields = text.split('$');
        let mut next = |expected| fields.next().ok_or_else(|| malformed(expected));
        if !next("a dollar behind argon2:")?.is_empty() {
            return Err(malformed("a dollar behind argon2:"));
        }
        let algorithm = match next("a kind of argon2")? {
            "argon2d" => Algorithm::Argon2d,
            "argon2i" => Algorithm::Argon2i,
            "argon2id" => Algorithm::Argon2id,
            _ => return Err(malformed("argon2id, argon2i or argon2d")),
        };
        let mut parameters = next("parameters")?;
        let version = match parameters.strip_prefix("v=") {
            None => Version::V0x10,
            Some(number) => {
                parameters = next("parameters")?;
                match number {
                    "16" => Version::V0x10,
                    "19" => Version::V0x13,
                    _ => return Err(malformed("version 16 or 19")),
                }
            }
        };
        let (memory, passes, lanes) = numbers(parameters)?;
        HashCost::check_limits(memory, passes, lanes)?;
        let salt =
            decode(next("a salt")?, SALT_MINIMUM).ok_or_else(|| malformed("a salt of at least 8 bytes"))?;
        let tag =
            decode(next("a tag")?, TAG_MINIMUM).ok_or_else(|| malformed("a tag of at least 4 bytes"))?;
        if fields.next().is_some() {
            return Err(malformed("nothing behind the tag"));
        }
        let params = Params::new(memory, passes, lanes, Some(tag.len()))
            .map_err(|_| malformed("at least 1 pass, 1 lane and 8 KiB for each lane"))?;
        Ok(Self {
            algorithm,
            version,
            params,
            salt,
            tag: Zeroizing::new(tag),
        })
    }

    /// The hash of `bytes` at `cost`.
    pub(super) fn compute(bytes: &[u8], cost: HashCost, salt: [u8; 16], memory: &mut Argon2Memory) -> Self {
        let mut tag = Zeroizing::new(vec![0; TAG]);
        let (algorithm, version) = (Algorithm::Argon2id, Version::V0x13);
        let params = Params::new(cost.memory_kib(), cost.iterations(), 1, Some(TAG))
            .expect("a cost is within argon2's range");
        memory
            .hash(algorithm, version, &params, (bytes, &salt), &mut tag)
            .expect("a cost and a salt of 16 bytes are within argon2's range");
        Self {
            algorithm,
            version,
            params,
            salt: salt.to_vec(),
            tag,
        }
    }

    pub(super) fn matches(&self, bytes: &[u8], memory: &mut Argon2Memory) -> bool {
        let mut tag = Zeroizing::new(vec![0; self.tag.len()]);
        memory
            .hash(
                self.algorithm,
                self.version,
                &self.params,
                (bytes, &self.salt),
                &mut tag,
            )
            .is_some_and(|()| secret::constant_time_eq(&tag, &self.tag))
    }

    pub(super) fn is_weak(&self) -> bool {
        self.algorithm != Algorithm::Argon2id
            || self.version != Version::V0x13
            || !meets_minimum(self.params.m_cost(), self.params.t_cost())
            || self.salt.len().min(self.tag.len()) < STRONG
    }

    pub(super) fn memory(&self) -> u32 {
        self.params.m_cost()
    }

    pub(super) fn work(&self) -> u64 {
        u64::from(self.params.m_cost()) * u64::from(self.params.t_cost())
    }
}

impl fmt::Display for Argon2Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "${}$v={}$m={},t={},p={}${}${}",
            self.algorithm.as_str(),
            u32::from(self.version),
            self.params.m_cost(),
            self.params.t_cost(),
            self.params.p_cost(),
            BASE64_STANDARD_NO_PAD.encode(&self.salt),
            BASE64_STANDARD_NO_PAD.encode(&*self.tag),
        )
    }
}

/// The three numbers of `m=…,t=…,p=…`, in that order.
fn numbers(text: &str) -> Result<(u32, u32, u32), PasswordError> {
    let mut fields = text.split(',');
    let mut next = |name: &str| {
        let text = fields.next().and_then(|field| field.strip_prefix(name))?;
        let canonical =
            text.bytes().all(|byte| byte.is_ascii_digit()) && !(text.len() > 1 && text.starts_with('0'));
        canonical.then_some(text)
    };
    let (Some(memory), Some(passes), Some(lanes), None) = (next("m="), next("t="), next("p="), fields.next())
    else {
        return Err(PasswordError::malformed(
            "expected parameters m=KiB,t=passes,p=lanes",
        ));
    };
    match (memory.parse(), passes.parse(), lanes.parse()) {
        (Ok(memory), Ok(passes), Ok(lanes)) => Ok((memory, passes, lanes)),
        _ if [memory, passes, lanes].contains(&"") => Err(PasswordError::malformed(
            "expected parameters m=KiB,t=passes,p=lanes",
        )),
        _ => Err(PasswordError::absurd("expected parameters below 2^32")),
    }
}

fn decode(text: &str, minimum: usize) -> Option<Vec<u8>> {
    let bytes = BASE64_STANDARD_NO_PAD.decode(text).ok()?;
    (bytes.len() >= minimum).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::{PasswordErrorKind, PasswordHash};

    const TAIL: &str = "$MDEyMzQ1Njc4OWFiY2RlZg$UcTfEIGPgMQ5XcfnGtRqzQjADy7IVrkboUMZv4Cyb3Y";

    #[track_caller]
    fn refused(text: &str, kind: PasswordErrorKind) {
        let started = Instant::now();
        let error = text.parse::<PasswordHash>().expect_err(text);
        assert_eq!(error.kind(), kind, "{text}: {error}");
        // The goal is a millisecond; ten allow for a machine with other work.
        assert!(started.elapsed() < Duration::from_millis(10), "{text}");
    }

    #[test]
    fn one_spelling_is_read() {
        for head in [
            "argon2:$argon2id$v=19$m=10240,t=10,p=8",
            "argon2:$argon2id$v=16$m=10240,t=10,p=8",
            "argon2:$argon2id$m=10240,t=10,p=8",
            "argon2:$argon2i$v=19$m=8,t=1,p=1",
            "argon2:$argon2d$v=19$m=262144,t=4,p=64",
        ] {
            let text = format!("{head}{TAIL}");
            let hash: PasswordHash = text.parse().expect(head);
            assert_eq!(hash.expose(), text);
        }
        for head in [
            "$argon2id$v=19$m=10240,t=10,p=8",
            "ARGON2:$argon2id$v=19$m=10240,t=10,p=8",
            " argon2:$argon2id$v=19$m=10240,t=10,p=8",
            "argon2:argon2id$v=19$m=10240,t=10,p=8",
            "argon2:argon2:$argon2id$v=19$m=10240,t=10,p=8",
            "argon2:$argon2x$v=19$m=10240,t=10,p=8",
            "argon2:$Argon2id$v=19$m=10240,t=10,p=8",
            "argon2:$argon2id$v=18$m=10240,t=10,p=8",
            "argon2:$argon2id$v=019$m=10240,t=10,p=8",
            "argon2:$argon2id$v=19",
            "argon2:$argon2id$v=19$m=010240,t=10,p=8",
            "argon2:$argon2id$v=19$m=+10240,t=10,p=8",
            "argon2:$argon2id$v=19$m= 10240,t=10,p=8",
            "argon2:$argon2id$v=19$m=,t=10,p=8",
            "argon2:$argon2id$v=19$t=10,m=10240,p=8",
            "argon2:$argon2id$v=19$m=10240,t=10",
            "argon2:$argon2id$v=19$m=10240,t=10,p=8,keyid=AA",
            "argon2:$argon2id$v=19$m=0,t=10,p=8",
            "argon2:$argon2id$v=19$m=63,t=10,p=8",
            "argon2:$argon2id$v=19$m=64,t=0,p=8",
            "argon2:$argon2id$v=19$m=64,t=1,p=0",
        ] {
            refused(&format!("{head}{TAIL}"), PasswordErrorKind::Malformed);
        }
        for tail in [
            "",
            "$",
            "$$",
            "$MDEyMzQ1Njc4OWFiY2RlZg",
            "$MDEyMzQ1Njc4OWFiY2RlZg$",
            "$MDEyMzQ1Njc4OWFiY2RlZg$UcTf",
            "$MDEyMzQ$UcTfEIGPgMQ5XcfnGtRqzQjADy7IVrkboUMZv4Cyb3Y",
            "$MDEyMzQ1Njc4OWFiY2RlZg==$UcTfEIGPgMQ5XcfnGtRqzQjADy7IVrkboUMZv4Cyb3Y",
            "$MDEyMzQ1Njc4OWFiY2RlZg$UcTfEIGPgMQ5XcfnGtRqzQjADy7IVrkboUMZv4Cyb3Y=",
            "$MDEyMzQ1Njc4OWFiY2RlZg$UcTfEIGPgMQ5XcfnGtRqzQjADy7IVrkboUMZv4Cyb3Z",
            "$MDEyMzQ1Njc4OWFiY2RlZg$UcTfEIGPgMQ5XcfnGtRqzQjADy7IVrkboUMZv4Cyb3Y ",
            "$MDEyMzQ1Njc4OWFiY2RlZg$UcTfEIGPgMQ5XcfnGtRqzQjADy7IVrkboUMZv4Cyb3Y\n",
            "$MDEyMzQ1Njc4OWFiY2RlZg$UcTfEIGPgMQ5XcfnGtRqzQjADy7IVrkboUMZv4Cyb3Y$",
        ] {
            let text = format!("argon2:$argon2id$v=19$m=10240,t=10,p=8{tail}");
            refused(&text, PasswordErrorKind::Malformed);
        }
        refused(
            &format!("argon2:{}", "$".repeat(1018)),
            PasswordErrorKind::Malformed,
        );
    }

    #[test]
    fn absurd_parameters_are_refused_and_never_run() {
        for parameters in [
            "m=4194304,t=1,p=1",
            "m=262145,t=1,p=1",
            "m=8,t=2147483648,p=1",
            "m=19456,t=54,p=1",
            "m=19456,t=2,p=65",
            "m=19456,t=2,p=255",
            "m=4194304,t=2147483648,p=255",
            "m=4294967295,t=4294967295,p=4294967295",
            "m=4294967296,t=1,p=1",
            "m=64,t=1,p=99999999999999999999999999",
        ] {
            refused(
                &format!("argon2:$argon2id$v=19${parameters}{TAIL}"),
                PasswordErrorKind::ExcessiveCost,
            );
        }
    }
}

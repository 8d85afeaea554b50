//! How keys are spread that need no hash that withstands everything.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
};

/// Hashes eight octets by one multiplication with a secret factor, whose two halves are folded into one.
///
/// Whoever knows neither factor nor seed cannot choose keys that meet in one place of a table, though they may choose
/// the octets of a digest. SipHash, which withstands more, is some 160 instructions a look-up, and this is a dozen.
#[derive(Clone, Copy)]
pub(crate) struct Folding {
    state: u64,
    factor: u64,
}

impl Folding {
    pub(crate) fn new() -> Self {
        let random = RandomState::new();
        Self {
            state: random.hash_one(0),
            // An odd one has no octets that it makes nothing of.
            factor: random.hash_one(1) | 1,
        }
    }
}

impl BuildHasher for Folding {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        *self
    }
}

impl Hasher for Folding {
    fn finish(&self) -> u64 {
        self.state
    }

    #[inline]
    fn write(&mut self, octets: &[u8]) {
        let (words, rest) = octets.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        for octet in rest {
            self.write_u64((*octet).into());
        }
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.factor);
        self.state = product as u64 ^ (product >> 64) as u64;
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }
}

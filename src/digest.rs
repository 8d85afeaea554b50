//! SHA-256, and HMAC by it, of what lies in one piece: the hashes on the way of a request.
//!
//! The compression function is that of the `sha2` crate. Its streaming front, and `hmac` upon it, copy their
//! state four times a message, which is a quarter of the work for a cookie; so the padding is done here.

use sha2::block_api::compress256;
use zeroize::Zeroizing;

/// Octets in a block.
const BLOCK: usize = 64;

type State = [u32; 8];

/// FIPS 180-4 section 5.3.3.
const INITIAL: State = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The SHA-256 of `octets`.
///
/// Source: FIPS 180-4 section 6.2.
pub(crate) fn sha256(octets: &[u8]) -> [u8; 32] {
    if octets.len() <= BLOCK - PADDING {
        let mut state = INITIAL;
        pad_and_compress::<1>(&mut state, octets, 8 * octets.len() as u64);
        return in_octets(state);
    }
    sha256_of_more(octets)
}

/// Not in line, so that what fits into one block, as a token does, pays for none of it.
#[inline(never)]
fn sha256_of_more(octets: &[u8]) -> [u8; 32] {
    finish(INITIAL, 0, octets)
}

/// HMAC-SHA256 under one key.
///
/// What is kept are the two states behind the key's blocks, so that a message costs its own blocks and one.
///
/// Source: RFC 2104 section 2.
#[derive(Clone)]
pub(crate) struct Hmac {
    inner: State,
    outer: State,
}

impl Hmac {
    /// The function of the key `key`, of any length.
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut block = Zeroizing::new([0; BLOCK]);
        let hashed = Zeroizing::new(sha256(key));
        let key = if key.len() > BLOCK { &hashed[..] } else { key };
        block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
        let padded_with = |octet: u8| {
            let block = Zeroizing::new([block.map(|key| key ^ octet)]);
            let mut state = INITIAL;
            compress256(&mut state, &*block);
            state
        };
        Self {
            inner: padded_with(0x36),
            outer: padded_with(0x5c),
        }
    }

    /// The code of `message`.
    pub(crate) fn code(&self, message: &[u8]) -> [u8; 32] {
        finish(self.outer, 1, &finish(self.inner, 1, message))
    }
}

/// The hash of a message of which `blocks` blocks led to `state` and `octets` are the rest.
///
/// What fits is padded in one piece, so that the compression function is called once.
#[inline(always)]
fn finish(mut state: State, blocks: usize, octets: &[u8]) -> [u8; 32] {
    let bits = 8 * (blocks * BLOCK + octets.len()) as u64;
    if octets.len() <= BLOCK - PADDING {
        pad_and_compress::<1>(&mut state, octets, bits);
    } else if octets.len() <= USUAL * BLOCK - PADDING {
        pad_and_compress::<USUAL>(&mut state, octets, bits);
    } else {
        let (whole, rest) = octets.as_chunks::<BLOCK>();
        compress256(&mut state, whole);
        pad_and_compress::<2>(&mut state, rest, bits);
    }
    in_octets(state)
}

/// Two words at a time, which a processor turns around at once.
#[inline(always)]
fn in_octets(state: State) -> [u8; 32] {
    let mut hash = [0; 32];
    let (octets, _) = hash.as_chunks_mut::<8>();
    let (words, _) = state.as_chunks::<2>();
    for (octets, [first, second]) in octets.iter_mut().zip(words) {
        *octets = (u64::from(*second) << 32 | u64::from(*first))
            .rotate_left(32)
            .to_be_bytes();
    }
    hash
}

/// Enough blocks for a cookie that is signed.
const USUAL: usize = 5;
/// The shortest padding: a bit in an octet of its own, and the length.
const PADDING: usize = 1 + 8;

/// Compresses `octets`, which with their padding fill `ROOM` blocks at most: one bit, zeros, and the length in
/// bits at the end of a block.
#[inline(always)]
fn pad_and_compress<const ROOM: usize>(state: &mut State, octets: &[u8], bits: u64) {
    let mut padded = [[0; BLOCK]; ROOM];
    let (message, padding) = padded.as_flattened_mut().split_at_mut(octets.len());
    message.copy_from_slice(octets);
    padding[0] = 0x80;
    let filled = &mut padded[..(octets.len() + PADDING).div_ceil(BLOCK)];
    let last = filled.last_mut().expect("padding fills a block");
    *last.last_chunk_mut().expect("a block is longer than a length") = bits.to_be_bytes();
    compress256(state, filled);
}

#[cfg(test)]
mod tests {
    use hmac::{KeyInit, Mac};
    use proptest::{collection::vec, prelude::*};
    use sha2::{Digest, Sha256};

    use super::*;

    #[track_caller]
    fn check(key: &[u8], message: &[u8]) {
        assert_eq!(sha256(message)[..], Sha256::digest(message)[..]);
        let mut mac = hmac::Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
        mac.update(message);
        assert_eq!(Hmac::new(key).code(message)[..], mac.finalize().into_bytes()[..]);
    }

    #[test]
    fn every_length_around_a_blocks_end_is_padded_right() {
        let octets: Vec<u8> = (0..=255).collect();
        for length in 0..octets.len() {
            check(&octets[..length], &octets[length..]);
            check(b"key", &octets[..length]);
        }
    }

    proptest! {
        #[test]
        fn both_agree_with_the_crates(key in vec(any::<u8>(), 0..200), message in vec(any::<u8>(), 0..5000)) {
            check(&key, &message);
        }
    }
}

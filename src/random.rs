//! The only call of the system's random generator.

use rand::{TryRng, rngs::SysRng};

/// `N` bytes from the system's generator.
///
/// # Panics
///
/// If the system has no generator or it fails. No safe answer exists then: every caller would make a
/// credential that can be guessed.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

/// Fills `bytes` from the system's generator; see [`bytes`].
pub(crate) fn fill(bytes: &mut [u8]) {
    SysRng
        .try_fill_bytes(bytes)
        .expect("the system's random generator answers");
}

/// `length` characters, each drawn evenly from `alphabet`.
///
/// `rand::distr::Alphanumeric` would make a system call for each character.
pub(crate) fn text(alphabet: &[u8; 62], length: usize) -> String {
    // The 248 lowest of 256 values map evenly to 62 characters; the others are drawn again.
    const EVEN: u8 = 248;
    let mut text = String::with_capacity(length);
    while text.len() < length {
        for byte in bytes::<64>() {
            if byte < EVEN && text.len() < length {
                text.push(char::from(alphabet[usize::from(byte % 62)]));
            }
        }
    }
    text
}

/// Digits and letters: what can be copied by a double click and needs no escape anywhere.
pub(crate) const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `N` random bytes as lower-case hexadecimal digits.
pub(crate) fn hex<const N: usize>() -> String {
    use std::fmt::Write as _;

    bytes::<N>()
        .iter()
        .fold(String::with_capacity(2 * N), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a String takes all text");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_drawn_about_equally_often() {
        let mut counts = [0_u32; 128];
        let text = text(BASE62, 620_000);
        for byte in text.bytes() {
            counts[usize::from(byte)] += 1;
        }
        // Chi-square with 61 degrees of freedom: 124 is passed by chance once in 300,000 runs.
        let chi_square: f64 = BASE62
            .iter()
            .map(|&byte| f64::from(counts[usize::from(byte)]) - 10_000.0)
            .map(|difference| difference * difference / 10_000.0)
            .sum();
        assert!(chi_square < 124.0, "chi-square {chi_square}");
    }
}

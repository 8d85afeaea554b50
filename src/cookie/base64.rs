//! Base64 read strictly, in the two forms that cookies use.
//!
//! The `base64` crate decodes 120 characters in about 1,100 instructions, a third of what a whole request may
//! cost. Tables, sixteen characters a step, need a third of that. Writing is not on the path of every
//! request and stays with the crate.

/// An alphabet, and whether groups are filled up with `=`.
///
/// For each of the four characters of a group there is a table with the six bits already in their place: the
/// first octet is the lowest of the word.
pub(super) struct Base64 {
    places: [[u32; 256]; 4],
    padded: bool,
}

/// RFC 4648 §4, with padding: the payload of signed values.
pub(super) static STANDARD: Base64 = Base64::new(b"+/", true);

/// RFC 4648 §5, without padding: encrypted values.
#[cfg_attr(not(feature = "encrypted"), allow(dead_code, reason = "sealing asks for it"))]
pub(super) static URL_SAFE: Base64 = Base64::new(b"-_", false);

/// Marks what is no character of the alphabet; the 24 bits of a group never set it.
const FOREIGN: u32 = 1 << 24;

impl Base64 {
    const fn new(last: &[u8; 2], padded: bool) -> Self {
        let mut places = [[FOREIGN; 256]; 4];
        let mut value = 0;
        while value < 64_u8 {
            let character = match value {
                0..26 => b'A' + value,
                26..52 => b'a' + (value - 26),
                52..62 => b'0' + (value - 52),
                62 => last[0],
                _ => last[1],
            };
            let mut place = 0;
            while place < 4 {
                let bits = (value as u32) << (18 - 6 * place);
                places[place][character as usize] = bits.swap_bytes() >> 8;
                place += 1;
            }
            value += 1;
        }
        Self { places, padded }
    }

    /// The octets that `text` stands for, at the start of `buffer`.
    ///
    /// `None` if it is not their one encoding (a foreign character, padding missing, spare or not wanted,
    /// bits behind the last octet that are not zero), or the buffer is too short.
    pub(super) fn decode<'b>(&self, text: &[u8], buffer: &'b mut [u8]) -> Option<&'b mut [u8]> {
        let text = if self.padded { unpadded(text)? } else { text };
        let buffer = buffer.get_mut(..text.len() * 3 / 4)?;
        // What a foreign character leaves in the wrong place is never given out.
        let (mut text, mut octets, mut seen) = (text, &mut *buffer, 0);
        // Four groups at once, each written with an octet too many that the next one writes over.
        while let Some((&[a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p], left)) = text.split_first_chunk()
            && let Some(thirteen) = octets.first_chunk_mut::<13>()
        {
            let (first, second) = (self.group([a, b, c, d]), self.group([e, f, g, h]));
            let (third, fourth) = (self.group([i, j, k, l]), self.group([m, n, o, p]));
            seen |= first | second | third | fourth;
            thirteen[0..4].copy_from_slice(&first.to_le_bytes());
            thirteen[3..7].copy_from_slice(&second.to_le_bytes());
            thirteen[6..10].copy_from_slice(&third.to_le_bytes());
            thirteen[9..13].copy_from_slice(&fourth.to_le_bytes());
            (text, octets) = (left, octets.split_at_mut(12).1);
        }
        while let Some((group, left)) = text.split_first_chunk() {
            let (three, behind) = octets.split_first_chunk_mut::<3>()?;
            let bits = self.group(*group);
            seen |= bits;
            let [first @ .., _] = bits.to_le_bytes();
            *three = first;
            (text, octets) = (left, behind);
        }
        // `A` stands for six zeros, so the missing characters add nothing, and nothing may be left behind the octets.
        let behind = match (text, octets) {
            ([], []) => 0,
            (&[a, b], [octet]) => {
                let bits = self.group([a, b, b'A', b'A']);
                seen |= bits;
                [*octet, ..] = bits.to_le_bytes();
                bits >> 8
            }
            (&[a, b, c], [octet, next]) => {
                let bits = self.group([a, b, c, b'A']);
                seen |= bits;
                [*octet, *next, ..] = bits.to_le_bytes();
                bits >> 16
            }
            _ => return None,
        };
        (seen & FOREIGN == 0 && behind == 0).then_some(buffer)
    }

    /// The 24 bits of four characters, the first octet lowest, and the mark of those that are foreign.
    #[inline(always)]
    fn group(&self, [a, b, c, d]: [u8; 4]) -> u32 {
        let [first, second, third, fourth] = &self.places;
        first[usize::from(a)] | second[usize::from(b)] | third[usize::from(c)] | fourth[usize::from(d)]
    }
}

fn unpadded(text: &[u8]) -> Option<&[u8]> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    Some(match text {
        [text @ .., b'=', b'='] | [text @ .., b'='] => text,
        text => text,
    })
}

#[cfg(test)]
mod tests {
    use base64::{
        Engine,
        prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
    };
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn ours(form: &Base64, text: &[u8]) -> Option<Vec<u8>> {
        form.decode(text, &mut [0; 256]).map(|octets| octets.to_vec())
    }

    proptest! {
        #[test]
        fn it_reads_what_the_crate_reads(text in "[A-Za-z0-9+/=_-]{0,24}|[ab]{0,8}={0,3}|\\PC{0,8}", octets in vec(any::<u8>(), 0..100)) {
            for text in [text.clone(), BASE64_STANDARD.encode(&octets), BASE64_URL_SAFE_NO_PAD.encode(&octets)] {
                prop_assert_eq!(ours(&STANDARD, text.as_bytes()), BASE64_STANDARD.decode(&text).ok());
                prop_assert_eq!(ours(&URL_SAFE, text.as_bytes()), BASE64_URL_SAFE_NO_PAD.decode(&text).ok());
            }
        }
    }

    #[test]
    fn an_encoding_is_the_only_one_of_its_octets() {
        for (text, expected) in [
            ("", Some(&b""[..])),
            ("YQ==", Some(b"a")),
            ("YWI=", Some(b"ab")),
            ("YWJj", Some(b"abc")),
            ("+/+/", Some(b"\xfb\xff\xbf")),
            ("YQ", None),
            ("YQ=", None),
            ("YR==", None),
            ("YWJ=", None),
            ("YQ==YQ==", None),
            ("=", None),
            ("====", None),
            ("Y===", None),
            ("YWJj ", None),
            (" YWJj", None),
            ("YW\nJ", None),
            ("-_-_", None),
        ] {
            assert_eq!(ours(&STANDARD, text.as_bytes()).as_deref(), expected, "{text:?}");
        }
        for (text, expected) in [
            ("YQ", Some(&b"a"[..])),
            ("-_-_", Some(b"\xfb\xff\xbf")),
            ("YQ==", None),
            ("YR", None),
            ("Y", None),
        ] {
            assert_eq!(ours(&URL_SAFE, text.as_bytes()).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_buffer_too_short_is_no_panic() {
        assert_eq!(STANDARD.decode(b"YWJj", &mut [0; 2]), None);
        assert!(STANDARD.decode(b"YWJj", &mut [0; 3]).is_some());
    }
}

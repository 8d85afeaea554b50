//! Base64 read strictly, in the two forms that cookies use.
//!
//! The `base64` crate decodes 120 characters in about 1,100 instructions, a third of what a whole request may
//! cost. Tables, eight characters a step, need a third of that. Writing is not on the path of every
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
        let buffer = buffer.get_mut(..text.len() / 4 * 3 + text.len() % 4 * 3 / 4)?;
        let (groups, rest) = text.as_chunks::<8>();
        let (sextets, last) = buffer.as_chunks_mut::<6>();
        let mut seen = 0;
        for (octets, group) in sextets.iter_mut().zip(groups) {
            // What a foreign character leaves in the wrong place is never given out.
            let [first @ .., _, _] = self.bits(group, &mut seen).to_le_bytes();
            *octets = first;
        }
        // `A` stands for six zeros, so the missing characters add nothing.
        let mut group = [b'A'; 8];
        group.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        let mut bits = self.bits(&group, &mut seen);
        for octet in last {
            [*octet, ..] = bits.to_le_bytes();
            bits >>= 8;
        }
        (seen & FOREIGN == 0 && bits == 0 && rest.len() % 4 != 1).then_some(buffer)
    }

    /// The 48 bits of eight characters; `seen` gathers what was looked up for them.
    #[inline(always)]
    fn bits(&self, &[a, b, c, d, e, f, g, h]: &[u8; 8], seen: &mut u32) -> u64 {
        let [first, second, third, fourth] = &self.places;
        let half = |a: u8, b: u8, c: u8, d: u8| {
            first[usize::from(a)] | second[usize::from(b)] | third[usize::from(c)] | fourth[usize::from(d)]
        };
        let (one, two) = (half(a, b, c, d), half(e, f, g, h));
        *seen |= one | two;
        u64::from(one) | u64::from(two) << 24
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

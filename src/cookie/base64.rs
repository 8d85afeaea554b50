//! Base64 read strictly, in the two forms that cookies use.
//!
//! The `base64` crate decodes 120 characters in about 1,100 instructions, a third of what a whole request may
//! cost. One table, four characters a step, needs a third of that. Writing is not on the path of every
//! request and stays with the crate.

/// An alphabet, and whether groups are filled up with `=`.
pub(super) struct Base64 {
    values: [u8; 256],
    padded: bool,
}

/// RFC 4648 §4, with padding: the payload of signed values.
pub(super) static STANDARD: Base64 = Base64::new(b"+/", true);

/// RFC 4648 §5, without padding: encrypted values.
#[cfg_attr(not(feature = "encrypted"), allow(dead_code, reason = "sealing asks for it"))]
pub(super) static URL_SAFE: Base64 = Base64::new(b"-_", false);

/// Marks what is no character of the alphabet; the six bits of one never set it.
const FOREIGN: u8 = 0x80;

impl Base64 {
    const fn new(last: &[u8; 2], padded: bool) -> Self {
        let mut values = [FOREIGN; 256];
        let mut value = 0;
        while value < 64 {
            let character = match value {
                0..26 => b'A' + value,
                26..52 => b'a' + (value - 26),
                52..62 => b'0' + (value - 52),
                62 => last[0],
                _ => last[1],
            };
            values[character as usize] = value;
            value += 1;
        }
        Self { values, padded }
    }

    /// The octets that `text` stands for, at the start of `buffer`.
    ///
    /// `None` if it is not their one encoding (a foreign character, padding missing, spare or not wanted,
    /// bits behind the last octet that are not zero), or the buffer is too short.
    pub(super) fn decode<'b>(&self, text: &[u8], buffer: &'b mut [u8]) -> Option<&'b mut [u8]> {
        let text = if self.padded { unpadded(text)? } else { text };
        let (groups, rest) = text.as_chunks::<4>();
        let length = groups.len() * 3 + (rest.len() * 3) / 4;
        let buffer = buffer.get_mut(..length)?;
        let (chunks, last) = buffer.as_chunks_mut::<3>();
        let mut foreign = 0;
        for (chunk, group) in chunks.iter_mut().zip(groups) {
            let [a, b, c, d] = group.map(|character| self.values[usize::from(character)]);
            foreign |= a | b | c | d;
            *chunk = [a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d];
        }
        let value = |character: u8| self.values[usize::from(character)];
        let spare = match (rest, last) {
            ([], []) => 0,
            (&[a, b], [first]) => {
                let (a, b) = (value(a), value(b));
                foreign |= a | b;
                *first = a << 2 | b >> 4;
                b << 4
            }
            (&[a, b, c], [first, second]) => {
                let (a, b, c) = (value(a), value(b), value(c));
                foreign |= a | b | c;
                *first = a << 2 | b >> 4;
                *second = b << 4 | c >> 2;
                c << 6
            }
            _ => return None,
        };
        (foreign & FOREIGN == 0 && spare == 0).then_some(buffer)
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

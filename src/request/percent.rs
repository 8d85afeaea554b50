//! Percent-encoding, RFC 3986 section 2.1: read strictly and once, written where a URI needs it.
//!
//! The crate `percent-encoding` keeps malformed escapes when it reads; here they make a value malformed.

/// The bytes that `text` encodes, each escape decoded once; `None` for a malformed escape.
pub(crate) fn decoded(text: &[u8]) -> Decoded<'_> {
    Decoded {
        rest: text,
        plus: b'+',
    }
}

/// The same for a name or a value of `application/x-www-form-urlencoded`, where `+` is a space.
pub(crate) fn form_decoded(text: &[u8]) -> Decoded<'_> {
    Decoded {
        rest: text,
        plus: b' ',
    }
}

/// The bytes that the escapes of `text` stand for, all else left out; `None` for a malformed escape.
pub(crate) fn escaped_bytes(text: &[u8]) -> impl Iterator<Item = Option<u8>> {
    memchr::memchr_iter(b'%', text).map(|place| escape(text.get(place + 1..).unwrap_or_default()))
}

/// Appends `bytes` to `uri`, those that no URI may hold (RFC 3986 section 2) as escapes. A `%` is taken for
/// the begin of an escape and kept.
pub(crate) fn encode(bytes: &[u8], uri: &mut String) {
    static KEPT: Kept = Kept::and(b"-._~:/?#[]@!$&'()*+,;=%");
    encode_except(&KEPT, bytes, uri);
}

/// Appends `bytes` to `query` as a name or a value of `application/x-www-form-urlencoded`, a space as `+`.
pub(crate) fn form_encode(bytes: &[u8], query: &mut String) {
    static KEPT: Kept = Kept::and(b"-._*");
    for (place, word) in bytes.split(|byte| *byte == b' ').enumerate() {
        if place > 0 {
            query.push('+');
        }
        encode_except(&KEPT, word, query);
    }
}

/// Appends `path`, of a file, to `uri`: all but slashes and what is unreserved (RFC 3986 section 2.3) as escapes.
pub(crate) fn encode_path(path: &[u8], uri: &mut String) {
    static KEPT: Kept = Kept::and(b"-._~/");
    encode_except(&KEPT, path, uri);
}

/// The bytes that stand for themselves: one load each, for a client may send many of them before its login.
struct Kept([bool; 256]);

impl Kept {
    /// Letters, digits and `others`.
    const fn and(others: &[u8]) -> Self {
        let mut kept = [false; 256];
        let mut byte = 0_u8;
        while byte < 128 {
            kept[byte as usize] = byte.is_ascii_alphanumeric();
            byte += 1;
        }
        let mut place = 0;
        while place < others.len() {
            kept[others[place] as usize] = true;
            place += 1;
        }
        Self(kept)
    }
}

fn encode_except(kept: &Kept, bytes: &[u8], uri: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

    for &byte in bytes {
        if kept.0[usize::from(byte)] {
            uri.push(char::from(byte));
        } else {
            uri.push('%');
            uri.push(char::from(DIGITS[usize::from(byte >> 4)]));
            uri.push(char::from(DIGITS[usize::from(byte & 0xf)]));
        }
    }
}

/// See [`decoded`].
pub(crate) struct Decoded<'a> {
    rest: &'a [u8],
    plus: u8,
}

impl Iterator for Decoded<'_> {
    type Item = Option<u8>;

    fn next(&mut self) -> Option<Option<u8>> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(match first {
            b'%' => {
                let byte = escape(rest);
                if byte.is_some() {
                    self.rest = rest.get(2..).unwrap_or_default();
                }
                byte
            }
            b'+' => Some(self.plus),
            byte => Some(byte),
        })
    }
}

/// The byte of an escape, from what follows its `%`.
fn escape(after: &[u8]) -> Option<u8> {
    let &[high, low, ..] = after else { return None };
    Some(digit(high)? << 4 | digit(low)?)
}

fn digit(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_once_and_strictly() {
        for (text, expected) in [
            (&b"abc"[..], Some(&b"abc"[..])),
            (b"%61%2b+", Some(b"a++")),
            (b"%2561", Some(b"%61")),
            (b"%fF%00", Some(b"\xff\x00")),
            (b"%", None),
            (b"%6", None),
            (b"%%61", None),
            (b"%6g", None),
            (b"%+1", None),
            (b"%u0061", None),
        ] {
            assert_eq!(
                decoded(text).collect::<Option<Vec<_>>>().as_deref(),
                expected,
                "{text:?}"
            );
        }
        let form: Option<Vec<_>> = form_decoded(b"a+b%2B").collect();
        assert_eq!(form.as_deref(), Some(&b"a b+"[..]));
    }

    #[test]
    fn what_no_uri_holds_is_escaped_and_nothing_else() {
        let mut uri = String::new();
        encode("/a b\u{e9}%20\"<>\\^`{|}?x=[1]&y#z\u{7f}\n".as_bytes(), &mut uri);
        assert_eq!(uri, "/a%20b%C3%A9%20%22%3C%3E%5C%5E%60%7B%7C%7D?x=[1]&y#z%7F%0A");
    }
}

//! The form of a secret: hexadecimal digits, bytes, or a text.

use crate::secret::Secret;

/// Maximum number of bytes that are read of a file, and examined in a key.
pub(super) const LIMIT: usize = 4096;
/// Minimum and maximum length of a key, in bytes.
const KEY: std::ops::RangeInclusive<usize> = 32..=1024;
/// Minimum number of different bytes in a key: a random key always has more, a key of one repeated value has
/// fewer.
const DIFFERENT: usize = 8;

/// The form of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SecretFormat {
    /// A key of 32 to 1024 bytes as hexadecimal digits, with spaces and line ends around them removed.
    Hex,
    /// A key of 32 to 1024 bytes, exactly as they are.
    Raw,
    /// UTF-8 text, not empty, with spaces and line ends around it removed.
    Text,
}

impl SecretFormat {
    /// Reads the secret, or returns what was expected and what was found.
    pub(super) fn read(self, bytes: &[u8]) -> Result<Secret, String> {
        match self {
            Self::Hex => hex(bytes),
            Self::Raw => raw(bytes),
            Self::Text => text(bytes),
        }
    }
}

/// Removes spaces, tabs and line ends at both ends.
///
/// Not `trim_ascii`, which also removes a form feed: that is not a typing error.
fn trimmed(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] | [rest @ .., b' ' | b'\t' | b'\r' | b'\n'] = bytes {
        bytes = rest;
    }
    bytes
}

fn hex(bytes: &[u8]) -> Result<Secret, String> {
    let digits = trimmed(bytes);
    let wrong = |found: String| {
        let (least, most) = (2 * KEY.start(), 2 * KEY.end());
        Err(format!(
            "expected {least} to {most} hexadecimal digits, found {found}"
        ))
    };
    if bytes.len() > LIMIT {
        return wrong(format!("more than {LIMIT} bytes"));
    }
    if digits.is_empty() {
        return wrong(nothing_in(bytes));
    }
    if let Some(place) = digits.iter().position(|byte| !byte.is_ascii_hexdigit()) {
        return wrong(format!(
            "{} bytes, and the one at place {} is no such digit",
            digits.len(),
            place + 1
        ));
    }
    let (pairs, odd) = digits.as_chunks::<2>();
    if !odd.is_empty() {
        return wrong(format!("an odd number of them, {}", digits.len()));
    }
    if !KEY.contains(&pairs.len()) {
        return wrong(digits.len().to_string());
    }
    let value = |digit: u8| match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    };
    let key: Vec<u8> = pairs
        .iter()
        .map(|&[high, low]| value(high) << 4 | value(low))
        .collect();
    check_entropy(key.into())
}

fn raw(bytes: &[u8]) -> Result<Secret, String> {
    if !KEY.contains(&bytes.len()) {
        let found = match bytes.len() {
            0 => nothing_in(bytes),
            length => length.to_string(),
        };
        return Err(format!(
            "expected {} to {} bytes, found {found}",
            KEY.start(),
            KEY.end()
        ));
    }
    check_entropy(bytes.into())
}

fn text(bytes: &[u8]) -> Result<Secret, String> {
    let text = trimmed(bytes);
    if text.is_empty() {
        return Err(format!("expected a text, found {}", nothing_in(bytes)));
    }
    if std::str::from_utf8(text).is_err() {
        return Err("expected a text, found bytes that are not UTF-8".to_owned());
    }
    Ok(text.into())
}

/// Returns `key` if it has enough different bytes to be random.
fn check_entropy(key: Secret) -> Result<Secret, String> {
    let mut seen = [false; 256];
    for &byte in key.expose() {
        seen[usize::from(byte)] = true;
    }
    let different = seen.iter().filter(|&&seen| seen).count();
    if different < DIFFERENT {
        return Err(format!(
            "expected random bytes, found fewer than {DIFFERENT} values among {}",
            key.len()
        ));
    }
    Ok(key)
}

fn nothing_in(bytes: &[u8]) -> String {
    let found = if bytes.is_empty() {
        "nothing"
    } else {
        "only whitespace"
    };
    found.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[track_caller]
    fn refused(content: SecretFormat, bytes: &[u8], message: &str) {
        assert_eq!(content.read(bytes).expect_err("refused"), message);
    }

    #[test]
    fn digits_of_either_case_are_bytes() {
        let expected = [
            0x9f, 0x86, 0xd0, 0x81, 0x88, 0x4c, 0x7d, 0x65, 0x9a, 0x2f, 0xea, 0xa0, 0xc5, 0x5a, 0xd0, 0x15,
            0xa3, 0xbf, 0x4f, 0x1b, 0x2b, 0x0b, 0x82, 0x2c, 0xd1, 0x5d, 0x6c, 0x15, 0xb0, 0xf0, 0x0a, 0x08,
        ];
        for text in [
            DIGITS.to_owned(),
            DIGITS.to_uppercase(),
            format!(" \t{DIGITS}\r\n"),
        ] {
            let secret = SecretFormat::Hex.read(text.as_bytes()).expect("a key");
            assert_eq!(secret.expose(), expected, "{text:?}");
        }
    }

    #[test]
    fn every_byte_is_read_back_from_its_digits() {
        let digits: String = (0..=255).map(|byte: u8| format!("{byte:02x}")).collect();
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(
            SecretFormat::Hex.read(digits.as_bytes()).expect("a key").expose(),
            bytes
        );
    }

    #[test]
    fn an_error_about_a_key_describes_its_form_alone() {
        let expected = |found: &str| format!("expected 64 to 2048 hexadecimal digits, found {found}");
        for (text, found) in [
            (String::new(), "nothing"),
            ("\n\n".to_owned(), "only whitespace"),
            (DIGITS[2..].to_owned(), "62"),
            (format!("{DIGITS}0"), "an odd number of them, 65"),
            (DIGITS.repeat(33), "2112"),
            (
                format!("0x{DIGITS}"),
                "66 bytes, and the one at place 2 is no such digit",
            ),
            (
                "changeme".to_owned(),
                "8 bytes, and the one at place 2 is no such digit",
            ),
            (
                format!("{DIGITS}\u{c}"),
                "65 bytes, and the one at place 65 is no such digit",
            ),
            (format!("{DIGITS}{}", " ".repeat(4033)), "more than 4096 bytes"),
        ] {
            refused(SecretFormat::Hex, text.as_bytes(), &expected(found));
        }
        let seven = "00010203040506".repeat(5);
        refused(
            SecretFormat::Hex,
            seven.as_bytes(),
            "expected random bytes, found fewer than 8 values among 35",
        );
    }

    #[test]
    fn the_shortest_and_the_longest_key_are_taken() {
        let long: Vec<u8> = (0..=255).cycle().take(1024).collect();
        for length in [32, 1024] {
            assert_eq!(
                SecretFormat::Raw.read(&long[..length]).expect("a key").expose(),
                &long[..length]
            );
            let digits: String = long[..length].iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(
                SecretFormat::Hex.read(digits.as_bytes()).expect("a key").len(),
                length
            );
        }
        refused(
            SecretFormat::Raw,
            &long[..31],
            "expected 32 to 1024 bytes, found 31",
        );
        refused(SecretFormat::Raw, b"", "expected 32 to 1024 bytes, found nothing");
        let longer = [long.as_slice(), b"!"].concat();
        refused(
            SecretFormat::Raw,
            &longer,
            "expected 32 to 1024 bytes, found 1025",
        );
        refused(
            SecretFormat::Raw,
            &[7; 32],
            "expected random bytes, found fewer than 8 values among 32",
        );
    }

    #[test]
    fn bytes_as_they_are_keep_their_line_end() {
        let file = b"dGhpcyBpcyBub3QgYSByZWFsIHNlY3JldCwgMzIgYnl0ZXM=\n";
        assert_eq!(SecretFormat::Raw.read(file).expect("a key").expose(), file);
    }

    #[test]
    fn a_text_is_trimmed() {
        for (bytes, text) in [
            ("one", "one"),
            (" \tone two\r\n\n", "one two"),
            ("p\u{e4}ss", "p\u{e4}ss"),
        ] {
            assert_eq!(
                SecretFormat::Text
                    .read(bytes.as_bytes())
                    .expect("a text")
                    .expose(),
                text.as_bytes(),
                "{bytes:?}"
            );
        }
        refused(SecretFormat::Text, b"", "expected a text, found nothing");
        refused(
            SecretFormat::Text,
            b" \r\n",
            "expected a text, found only whitespace",
        );
        refused(
            SecretFormat::Text,
            b"\xff\xfea\0",
            "expected a text, found bytes that are not UTF-8",
        );
    }
}

//! The token in an `Authorization` header.

use crate::{
    denial::{Denial, Reason},
    token::PresentedToken,
};

/// Parses the value of an `Authorization` header. Returns `None` for another scheme.
///
/// ```text
/// value  = *ws scheme 1*ws token *ws
/// scheme = "token" / "bearer"       in any case, equivalent
/// token  = 1*8000 %x21-7E
/// ws     = SP / HTAB
/// ```
///
/// There is no list syntax and there are no parameters. A value that begins with another word (RFC 9110 section
/// 5.6.2), or is empty, is of another scheme.
///
/// Source: RFC 9110 section 11.4, RFC 6750 section 2.1, and Jupyter Server and JupyterHub.
///
/// # Errors
///
/// Returns a denial with status 401 if the scheme is one of the two, and a token does not follow.
///
/// # Example
///
/// ```
/// use portcullis::authenticate::token_in_authorization;
///
/// let token = token_in_authorization(b"Bearer abc")?.expect("a token");
/// assert_eq!(token.expose(), "abc");
/// assert!(token_in_authorization(b"Basic YTpi")?.is_none());
/// assert!(token_in_authorization(b"token two words").is_err());
/// # Ok::<(), portcullis::Denial>(())
/// ```
pub fn token_in_authorization(value: &[u8]) -> Result<Option<PresentedToken<'_>>, Denial> {
    let value = trim(value);
    let Some(rest) = strip_scheme(value, b"Bearer").or_else(|| strip_scheme(value, b"token")) else {
        return Ok(None);
    };
    match rest {
        [b' ' | b'\t', token @ ..] => PresentedToken::new(trim(token)).map(Some).ok_or_else(malformed),
        // The word goes on: another scheme that begins with the name of one of these.
        [byte, ..] if is_word(*byte) => Ok(None),
        _ => Err(malformed()),
    }
}

/// The text after `word`, ignoring case, at the beginning of `value`.
fn strip_scheme<'v, const N: usize>(value: &'v [u8], word: &[u8; N]) -> Option<&'v [u8]> {
    let (front, rest) = value.split_first_chunk::<N>()?;
    // Most clients write the word as it stands here, and a comparison regardless of case costs more.
    (front == word || front.eq_ignore_ascii_case(word)).then_some(rest)
}

#[cold]
fn malformed() -> Denial {
    Denial::new(Reason::Malformed)
        .with_status(http::StatusCode::UNAUTHORIZED)
        .with_detail("expected one token of 1 to 8,000 visible ASCII characters behind the scheme")
}

/// `tchar` of RFC 9110 section 5.6.2.
fn is_word(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// Without spaces and tabs at both ends. Not `trim_ascii`, which removes line ends as well.
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_read_as_the_grammar_says() {
        for (value, expected) in [
            (&b"token abc"[..], Ok(Some("abc"))),
            (b"BeaREr\t abc \t", Ok(Some("abc"))),
            (b" \ttoken abc", Ok(Some("abc"))),
            (b"token Bearer", Ok(Some("Bearer"))),
            (b"token", Err(401)),
            (b"Bearer  ", Err(401)),
            (b"token\x0babc", Err(401)),
            (b"token\x00abc", Err(401)),
            (b"token=abc", Err(401)),
            (b"token a b", Err(401)),
            (b"token abc\n", Err(401)),
            (b"token \nabc", Err(401)),
            (b"token \xff", Err(401)),
            (b"tokens abc", Ok(None)),
            (b"toKEN_abc", Ok(None)),
            (b"bear abc", Ok(None)),
            (b"Basic abc", Ok(None)),
            (b"T\x0fKEN abc", Ok(None)),
            (b"", Ok(None)),
            (b" \t ", Ok(None)),
        ] {
            let found = token_in_authorization(value)
                .map(|token| token.map(PresentedToken::expose))
                .map_err(|denial| denial.status().as_u16());
            assert_eq!(found, expected, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn no_byte_becomes_a_letter_of_a_scheme() {
        for scheme in [&b"token"[..], b"bearer"] {
            for place in 0..scheme.len() {
                for byte in 0..=u8::MAX {
                    let mut value = [scheme, b" abc"].concat();
                    value[place] = byte;
                    let in_either_case = byte.eq_ignore_ascii_case(&scheme[place]);
                    let found = token_in_authorization(&value).is_ok_and(|token| token.is_some());
                    assert_eq!(found, in_either_case, "{}", value.escape_ascii());
                }
            }
        }
    }
}

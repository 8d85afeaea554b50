//! The cookies of a request.

use std::{collections::HashSet, fmt, iter};

use http::{HeaderMap, HeaderValue};
use memchr::{memchr, memchr_iter, memmem::Finder, memrchr};

use super::{
    distinct_values::{DistinctValues, MAX_VALUES},
    error::CookiesTooLarge,
    name::{CookieName, is_token},
};
use crate::request::{
    head::RequestHead,
    header_names::{self, DuplicateHeader, single_value},
};

/// The cookies of a request, within limits.
///
/// # Rules
///
/// 1. Several `Cookie` headers are read as if joined by `; ` (HTTP/2 splits them).
/// 2. More than [`RequestCookies::MAX_BYTES`] bytes, or more than [`RequestCookies::MAX_COOKIES`] pieces between
///    semicolons that are not empty, are too large, and none is read. The first 512 login cookies, `username-…`, do
///    not count: browsers send those of all ports of a host to each port, and one server cannot remove another's.
///    With them, more than 128 KiB are too large.
/// 3. Every `;` separates: no quoting, no comma, no legacy mode of RFC 2109.
/// 4. The name is before the first `=`, the value after it. Spaces and tabs at both ends of each are removed, nothing
///    else is. A piece without `=`, or with an empty name, is ignored.
/// 5. A name that is not an RFC 9110 token, or a value with a control byte other than the tab, removes only that
///    pair. Bytes above 7F are kept; quotes and escapes stay in the value.
/// 6. Names are compared byte for byte.
///
/// The order has no meaning: RFC 6265bis §4.2.2. Only [`RequestCookies::values`] allocates.
///
/// # Example
///
/// ```
/// use portcullis::cookies::{CookieName, RequestCookies};
///
/// let mut headers = http::HeaderMap::new();
/// headers.insert("cookie", "a=1; _xsrf=x; a=2; a=1".parse()?);
/// let cookies = RequestCookies::from_headers(&headers)?;
/// let name = CookieName::custom("a")?;
/// assert_eq!(cookies.values(&name).collect::<Vec<_>>(), [b"1", b"2"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct RequestCookies<'a> {
    lines: Lines<'a>,
}

#[derive(Clone, Copy)]
enum Lines<'a> {
    /// The only `Cookie` field, if there is one.
    Single(Option<&'a [u8]>),
    /// Several `Cookie` fields.
    Fields(&'a HeaderMap),
    /// Lines that did not come as header fields.
    Bytes(&'a [&'a [u8]]),
}

impl<'a> RequestCookies<'a> {
    /// Maximum number of bytes in all headers, without login cookies.
    pub const MAX_BYTES: usize = 16_384;

    /// Maximum number of pieces between semicolons, without empty ones and login cookies.
    pub const MAX_COOKIES: usize = 512;

    /// Maximum number of bytes in all headers, with login cookies. A browser keeps about 180 cookies for a host.
    const MAX_TOTAL: usize = 128 * 1024;

    /// Maximum number of distinct values of one name for [`RequestCookies::distinct_values`].
    pub const MAX_VALUES_PER_NAME: usize = MAX_VALUES;

    /// Reads the cookies of a request, like [`RequestCookies::from_headers`].
    ///
    /// # Errors
    ///
    /// Returns [`CookiesTooLarge`] by rule 2.
    pub fn from_head(head: RequestHead<'a>) -> Result<Self, CookiesTooLarge> {
        Self::from_headers(head.headers())
    }

    /// Reads the cookies in the `Cookie` headers.
    ///
    /// # Errors
    ///
    /// Returns [`CookiesTooLarge`] by rule 2; respond 431.
    pub fn from_headers(headers: &'a HeaderMap) -> Result<Self, CookiesTooLarge> {
        Self::bounded(match single_value(headers, &header_names::COOKIE) {
            Ok(field) => Lines::Single(field.map(HeaderValue::as_bytes)),
            Err(DuplicateHeader) => Lines::Fields(headers),
        })
    }

    /// Reads the cookies in lines of bytes, which need not be valid header values.
    ///
    /// # Errors
    ///
    /// Returns [`CookiesTooLarge`] by rule 2.
    pub fn from_lines(lines: &'a [&'a [u8]]) -> Result<Self, CookiesTooLarge> {
        Self::bounded(Lines::Bytes(lines))
    }

    fn bounded(lines: Lines<'a>) -> Result<Self, CookiesTooLarge> {
        let (count, bytes) = lines
            .iter()
            .fold((0, 0), |(count, bytes), line| (count + 1, bytes + line.len()));
        // A piece takes two bytes, with what separates it from the next: there is no need to count those of short lines.
        // A line has one piece more than semicolons, empty ones included: few of these are few pieces.
        if bytes > Self::MAX_BYTES
            || bytes + count > 2 * Self::MAX_COOKIES && count + lines.semicolons() > Self::MAX_COOKIES
        {
            Self::check_without_logins(lines, bytes)?;
        }
        Ok(Self { lines })
    }

    /// Checks the bounds of what is no login cookie of any server on this host.
    #[cold]
    fn check_without_logins(lines: Lines<'a>, bytes: usize) -> Result<(), CookiesTooLarge> {
        if bytes > Self::MAX_TOTAL {
            return Err(CookiesTooLarge::Bytes);
        }
        let login = Finder::new(CookieName::LOGIN_PREFIX);
        let logins = lines.iter().flat_map(|line| pieces_with(line, &login));
        let (count, in_logins) = logins
            .filter(|piece| trim(piece).starts_with(CookieName::LOGIN_PREFIX.as_bytes()))
            .take(Self::MAX_COOKIES)
            .fold((0, 0), |(count, bytes), piece| (count + 1, bytes + piece.len()));
        if bytes - in_logins > Self::MAX_BYTES {
            return Err(CookiesTooLarge::Bytes);
        }
        match lines.pieces().nth(Self::MAX_COOKIES + count) {
            Some(_) => Err(CookiesTooLarge::Count),
            None => Ok(()),
        }
    }

    /// Returns `true` if there is nothing that could be a cookie.
    pub fn is_empty(&self) -> bool {
        self.lines.iter().all(<[u8]>::is_empty)
    }

    /// Returns every accepted pair of name and value, in the order of arrival.
    pub fn pairs(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let lines = self.lines;
        lines
            .pairs()
            .filter(move |(name, value)| is_token(name) && !lines.hold_control(value))
    }

    /// Returns the values of `name` in the order of arrival, without duplicates. Seen values are kept in a set, so
    /// that each byte is read once.
    ///
    /// There may be up to [`RequestCookies::MAX_COOKIES`] of them. If each value costs something, use
    /// [`RequestCookies::distinct_values`].
    pub fn values<'n>(&self, name: &'n CookieName) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        let mut seen = HashSet::new();
        self.all_values(name).filter(move |value| seen.insert(*value))
    }

    /// Returns the distinct values of `name`, or `None` if there are more than
    /// [`RequestCookies::MAX_VALUES_PER_NAME`]: then none of them can be trusted.
    pub fn distinct_values(&self, name: &CookieName) -> Option<DistinctValues<'a>> {
        let mut candidates = DistinctValues::default();
        self.all_values(name)
            .try_for_each(|value| candidates.add(value))?;
        Some(candidates)
    }

    /// Returns the values of `name`, with duplicates.
    pub(crate) fn all_values<'n>(
        &self,
        name: &'n CookieName,
    ) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        let lines = self.lines;
        // What equals the name is a token.
        lines
            .iter()
            .flat_map(|line| pieces_with(line, name.finder()))
            .filter_map(pair)
            .filter(move |(found, value)| *found == name.as_str().as_bytes() && !lines.hold_control(value))
            .map(|(_, value)| value)
    }
}

impl fmt::Debug for RequestCookies<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestCookies").finish_non_exhaustive()
    }
}

// Hand-written because the parser of the `cookie` crate allocates, reads text only, and takes names that are no tokens.
impl<'a> Lines<'a> {
    fn iter(self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (single, fields, lines) = match self {
            Self::Single(line) => (line, None, &[][..]),
            Self::Fields(headers) => (None, Some(headers.get_all(&header_names::COOKIE)), &[][..]),
            Self::Bytes(lines) => (None, None, lines),
        };
        let fields = fields.into_iter().flatten().map(HeaderValue::as_bytes);
        single.into_iter().chain(fields).chain(lines.iter().copied())
    }

    fn semicolons(self) -> usize {
        self.iter().map(|line| memchr_iter(b';', line).count()).sum()
    }

    /// The pieces between semicolons, without the empty ones.
    fn pieces(self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.iter()
            .flat_map(split)
            .map(trim)
            .filter(|piece| !piece.is_empty())
    }

    fn pairs(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.pieces().filter_map(pair)
    }

    /// Whether there is a control character other than the tab in a value of these lines. `http` lets none into a
    /// header field.
    fn hold_control(self, value: &[u8]) -> bool {
        let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
        matches!(self, Self::Bytes(_)) && value.iter().any(is_control)
    }
}

/// What stands before and behind the first `=` of a piece, by rule 4.
fn pair(piece: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = piece.split_at_checked(memchr(b'=', piece)?)?;
    Some((trim(name), trim(value.get(1..)?)))
}

/// The pieces of a line that contain `text`. One search over the line finds them, whatever cookies come
/// before.
fn pieces_with<'a>(line: &'a [u8], text: &Finder<'_>) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = line;
    iter::from_fn(move || {
        let (before, found) = rest.split_at_checked(text.find(rest)?)?;
        let start = memrchr(b';', before).map_or(0, |separator| separator + 1);
        let end = memchr(b';', found).map_or(rest.len(), |separator| before.len() + separator);
        let piece = rest.get(start..end);
        rest = rest.get(end..).unwrap_or_default();
        piece
    })
}

/// A line split at its semicolons.
fn split(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    iter::from_fn(move || {
        let line = rest?;
        let end = memchr(b';', line);
        rest = end.and_then(|end| line.get(end + 1..));
        line.get(..end.unwrap_or(line.len()))
    })
}

/// Without the spaces and tabs at both ends.
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;
    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn the_bounds_are_the_same_for_one_line_as_for_many(pieces in vec("|a|a=| ", 506..518)) {
            let joined = pieces.join(";");
            let lines: Vec<&[u8]> = pieces.iter().map(String::as_bytes).collect();
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, joined.parse().expect("visible"));
            let filled = pieces.iter().filter(|piece| !piece.trim().is_empty()).count();
            let expected = if filled > RequestCookies::MAX_COOKIES { Err(CookiesTooLarge::Count) } else { Ok(()) };
            prop_assert_eq!(RequestCookies::from_lines(&lines).map(|_| ()), expected);
            prop_assert_eq!(RequestCookies::from_lines(&[joined.as_bytes()]).map(|_| ()), expected);
            prop_assert_eq!(RequestCookies::from_headers(&headers).map(|_| ()), expected);
        }
    }

    #[test]
    fn the_513th_cookie_is_one_too_many() {
        for (count, expected) in [(512, Ok(())), (513, Err(CookiesTooLarge::Count))] {
            let line = iter::repeat_n("a", count).collect::<Vec<_>>().join(";");
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, line.parse().expect("visible"));
            assert_eq!(
                RequestCookies::from_headers(&headers).map(|_| ()),
                expected,
                "{count}"
            );
            let lines = vec![&b"a"[..]; count];
            assert_eq!(
                RequestCookies::from_lines(&lines).map(|_| ()),
                expected,
                "{count} lines"
            );
        }
    }

    #[test]
    fn login_cookies_of_other_ports_do_not_count_towards_the_bounds() {
        const LOGINS: usize = RequestCookies::MAX_COOKIES;
        let login = |size: usize| format!("; username-localhost-8888={}", "x".repeat(size));
        let others = |count: usize| vec!["a"; count].join(";");
        let padding = |size: usize| format!("a={}", "y".repeat(size - 2));
        let (bytes, count) = (Err(CookiesTooLarge::Bytes), Err(CookiesTooLarge::Count));
        for (what, line, expected) in [
            ("180 logins", others(1) + &login(400).repeat(180), Ok(())),
            (
                "other cookies up to their bound",
                padding(16_384 - 180) + &login(400).repeat(180),
                Ok(()),
            ),
            (
                "one byte more",
                padding(16_385 - 180) + &login(400).repeat(180),
                bytes,
            ),
            (
                "512 others and 512 logins",
                others(512) + &login(1).repeat(LOGINS),
                Ok(()),
            ),
            ("513 logins", others(512) + &login(1).repeat(LOGINS + 1), count),
            ("513 others", others(513) + &login(1).repeat(LOGINS), count),
            ("more than 128 KiB", others(1) + &login(1000).repeat(130), bytes),
            (
                "a name that only contains it",
                login(400).replace("; ", "; x-").repeat(180),
                bytes,
            ),
            (
                "a value that contains it",
                format!("a=username-{}", "x".repeat(16_384)),
                bytes,
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, line.parse().expect("visible"));
            let found = RequestCookies::from_headers(&headers).map(|_| ());
            assert_eq!(found, expected, "{what}");
        }
    }

    #[test]
    fn values_are_those_of_pairs_with_exactly_this_name() {
        let far = "o".repeat(80);
        for (line, expected) in [
            ("", &[][..]),
            ("other=1", &[]),
            ("_xsrf", &[]),
            ("_xsrf=1", &["1"]),
            ("_xsrf=1; _xsrf=1", &["1", "1"]),
            ("_xsrf=1; other=_xsrf=2", &["1"]),
            ("_xsrf=1; _xsrf=2", &["1", "2"]),
            ("_xsrf=1;_xsrf=", &["1", ""]),
            ("x_xsrf=1", &[]),
            ("_xsrfx=1; _xsrf =2", &["2"]),
            ("_xsrf=1 ; \t_xsrf\t=\t2\t", &["1", "2"]),
            ("_XSRF=1", &[]),
            ("_xsrf=1=2", &["1=2"]),
            ("_xsrf=\"1; _xsrf=2\"", &["\"1", "2\""]),
            (";; _xsrf=1;", &["1"]),
            (&format!("_xsrf=1; {far}=1; _xsrf=2"), &["1", "2"]),
            (&format!("{far}=1; _xsrf=1; {far}=2; _xsrf2=1"), &["1"]),
        ] {
            let name = CookieName::xsrf();
            let expected: Vec<&[u8]> = expected.iter().map(|value| value.as_bytes()).collect();
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, line.parse().expect("visible"));
            let lines = [line.as_bytes()];
            for cookies in [
                RequestCookies::from_headers(&headers),
                RequestCookies::from_lines(&lines),
            ] {
                let found: Vec<_> = cookies.expect("a short line").all_values(&name).collect();
                assert_eq!(found, expected, "{line}");
            }
        }
    }

    #[test]
    fn a_value_with_a_control_character_is_dropped_alone() {
        let name = CookieName::custom("a").expect("a token");
        for byte in 0..=u8::MAX {
            let line = [b"a=0; a=1", &[byte][..], b"1; a=2"].concat();
            let lines = [&line[..]];
            let found: Vec<_> = RequestCookies::from_lines(&lines)
                .expect("small")
                .all_values(&name)
                .collect();
            let middle = [&b"1"[..], &[byte], b"1"].concat();
            let expected: &[&[u8]] = match byte {
                0x00..=0x08 | 0x0a..=0x1f | 0x7f => &[b"0", b"2"],
                b';' => &[b"0", b"1", b"2"],
                _ => &[b"0", &middle, b"2"],
            };
            assert_eq!(found, expected, "{byte:#04x}");
        }
    }

    #[test]
    fn a_ninth_different_value_leaves_no_candidate() {
        let name = CookieName::custom("a").expect("a token");
        for (line, expected) in [
            ("", Some(0)),
            ("b=1", Some(0)),
            ("a=1; a=1", Some(1)),
            ("a=0;a=1;a=2;a=3;a=4;a=5;a=6;a=7;a=0", Some(8)),
            ("a=0;a=1;a=2;a=3;a=4;a=5;a=6;a=7;a=8", None),
        ] {
            let lines = [line.as_bytes()];
            let cookies = RequestCookies::from_lines(&lines).expect("small");
            let found = cookies.distinct_values(&name).map(|candidates| candidates.len());
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn too_large_cookies_get_431() {
        let denial = crate::Denial::from(CookiesTooLarge::Bytes);
        assert_eq!(denial.status().as_u16(), 431);
    }
}

//! The cookies of a request, read over octets.

use std::{array, fmt, iter::Take};

use http::{HeaderMap, HeaderValue};
use memchr::memchr;

use super::name::{CookieName, is_token};
use crate::{
    denial::{Denial, Reason},
    fields::{self, Several, single},
    head::Head,
};

/// The cookies that came with a request, proven to be within the bounds.
///
/// # Rules
///
/// 1. Several `Cookie` fields read as if joined by `; ` (HTTP/2 splits them).
/// 2. More than [`RequestCookies::OCTET_LIMIT`] octets, or more than [`RequestCookies::PAIR_LIMIT`] pieces
///    between semicolons that are not blank: too large, and none is read.
/// 3. Every `;` separates: no quoting, no comma, no legacy mode of RFC 2109.
/// 4. A name stands before the first `=`, its value behind it; spaces and tabs at both ends of each are
///    taken off, nothing else is. Without `=`, or with an empty name, it is nobody's cookie.
/// 5. A name that is not an RFC 9110 token, and a value with a control octet other than the tab, drop that
///    pair alone. Octets above 7F are kept as they are; quotes and escapes stay in the value.
/// 6. Names are equal octet by octet.
///
/// Order means nothing: RFC 6265bis §4.2.2. Nothing is allocated.
///
/// # Example
///
/// ```
/// use portcullis::{CookieName, RequestCookies};
///
/// let mut headers = http::HeaderMap::new();
/// headers.insert("cookie", "a=1; _xsrf=x; a=2; a=1".parse()?);
/// let cookies = RequestCookies::of(&headers)?;
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
    /// Several fields of a head.
    Fields(&'a HeaderMap),
    /// Octets that nobody has looked at.
    Octets(&'a [&'a [u8]]),
    /// The only field of a head.
    Single(&'a [u8]),
}

impl<'a> RequestCookies<'a> {
    /// The most octets that are read, over all fields.
    pub const OCTET_LIMIT: usize = 16_384;

    /// The most pieces between semicolons that are read, blank ones not counted.
    pub const PAIR_LIMIT: usize = 256;

    /// The most different values of one name among which [`RequestCookies::candidates`] looks.
    pub const CANDIDATE_LIMIT: usize = 8;

    /// The cookies of a request: as [`RequestCookies::of`] its header fields.
    ///
    /// # Errors
    ///
    /// [`TooLarge`], by rule 2.
    pub fn of_head(head: Head<'a>) -> Result<Self, TooLarge> {
        Self::of(head.headers())
    }

    /// The cookies in the `Cookie` fields of a head.
    ///
    /// # Errors
    ///
    /// [`TooLarge`], by rule 2; the answer to it is 431.
    pub fn of(headers: &'a HeaderMap) -> Result<Self, TooLarge> {
        let lines = match single(headers, &fields::COOKIE) {
            Ok(Some(field)) => Lines::Single(field.as_bytes()),
            Ok(None) => Lines::Octets(&[]),
            Err(Several) => Lines::Fields(headers),
        };
        // Two octets for each piece but the last: a short line is within all bounds, and so is a longer one with few
        // separators.
        let few = |line: &[u8]| line.len() <= Self::OCTET_LIMIT && separators(line) < Self::PAIR_LIMIT;
        let is_bounded = match lines {
            Lines::Single(line) => line.len() < 2 * Self::PAIR_LIMIT || few(line),
            Lines::Octets(lines) => lines.is_empty(),
            Lines::Fields(_) => false,
        };
        if !is_bounded {
            lines.check()?;
        }
        Ok(Self { lines })
    }

    /// The cookies in lines of octets, which need not be what an HTTP receiver lets through.
    ///
    /// # Errors
    ///
    /// [`TooLarge`], by rule 2.
    pub fn of_lines(lines: &'a [&'a [u8]]) -> Result<Self, TooLarge> {
        let lines = Lines::Octets(lines);
        lines.check()?;
        Ok(Self { lines })
    }

    /// Whether nothing was sent that could hold a cookie.
    #[inline]
    pub fn is_empty(&self) -> bool {
        matches!(self.lines, Lines::Octets([])) || self.octets() == 0
    }

    /// How many octets the lines have: no value has more.
    #[inline]
    pub(super) fn octets(&self) -> usize {
        self.lines.octets()
    }

    /// Every accepted pair of name and value, in the order of arrival.
    pub fn pairs(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.lines.pieces().filter_map(pair)
    }

    /// The values of `name` in the order of arrival, equal ones once.
    ///
    /// There may be as many as [`RequestCookies::PAIR_LIMIT`]; what costs something per value should ask for
    /// [`RequestCookies::candidates`].
    pub fn values<'n>(&self, name: &'n CookieName) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        let cookies = *self;
        cookies
            .all_values(name)
            .enumerate()
            .filter(move |&(place, value)| {
                cookies
                    .all_values(name)
                    .take(place)
                    .all(|earlier| earlier != value)
            })
            .map(|(_, value)| value)
    }

    /// The different values of `name`, or `None` if they are more than
    /// [`RequestCookies::CANDIDATE_LIMIT`]: then none of them is to be believed.
    pub fn candidates(&self, name: &CookieName) -> Option<Candidates<'a>> {
        let mut candidates = Candidates::default();
        for value in self.all_values(name) {
            candidates.add(value)?;
        }
        Some(candidates)
    }

    /// The one value of `name`, however often it came; [`Several`] if there are different ones.
    #[inline(always)]
    pub(crate) fn lone_value(&self, name: &CookieName) -> Result<Option<&'a [u8]>, Several> {
        let Lines::Single(line) = self.lines else {
            return self.lone_among_all(name);
        };
        let mut rest = line;
        let value = next_value(&mut rest, name, false);
        // Nearly always there is no other, and often the name does not fit into the rest.
        if value.is_some() && rest.len() > name.as_str().len() && next_value(&mut rest, name, false).is_some()
        {
            return self.lone_among_all(name);
        }
        Ok(value)
    }

    #[inline(never)]
    fn lone_among_all(self, name: &CookieName) -> Result<Option<&'a [u8]>, Several> {
        let mut values = self.all_values(name);
        match values.next() {
            Some(first) if values.any(|value| value != first) => Err(Several),
            first => Ok(first),
        }
    }

    /// Whether a value of `name` seems to be `length` octets long and passes `test`: cheap, and no proof, for the end of
    /// the value is not looked for, but taken to be where it should be.
    #[inline(always)]
    pub(crate) fn seem_to_hold(
        &self,
        name: &CookieName,
        length: usize,
        test: impl Fn(&[u8]) -> bool,
    ) -> bool {
        let seems = |line: &[u8]| {
            let mut left = line;
            while let Some(place) = name.find_in(left) {
                let Some(behind) = left.get(place + name.as_str().len()..) else {
                    return false;
                };
                let value = behind
                    .strip_prefix(b"=")
                    .and_then(|value| value.split_at_checked(length));
                if let Some((value, [] | [b';', ..])) = value
                    && test(value)
                {
                    return true;
                }
                left = behind;
            }
            false
        };
        match self.lines {
            Lines::Single(line) => seems(line),
            several => several.iter().any(seems),
        }
    }

    /// The values of `name`, equal ones as often as they came.
    #[inline]
    pub(crate) fn all_values<'n>(&self, name: &'n CookieName) -> AllValues<'a, 'n> {
        let (line, lines) = match self.lines {
            Lines::Single(line) => (line, LineIter::Single(None)),
            several => (&[][..], several.iter()),
        };
        AllValues {
            name,
            unproven: matches!(self.lines, Lines::Octets(_)),
            line,
            lines,
        }
    }
}

impl fmt::Debug for RequestCookies<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestCookies").finish_non_exhaustive()
    }
}

impl<'a> Lines<'a> {
    fn iter(self) -> LineIter<'a> {
        match self {
            Self::Fields(headers) => LineIter::Fields(headers.get_all(&fields::COOKIE).iter()),
            Self::Octets(lines) => LineIter::Octets(lines.iter()),
            Self::Single(line) => LineIter::Single(Some(line)),
        }
    }

    #[inline]
    fn octets(self) -> usize {
        match self {
            Self::Single(line) => line.len(),
            _ => self.iter().map(<[u8]>::len).sum(),
        }
    }

    /// What stands between semicolons, blank pieces left out.
    fn pieces(self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.iter()
            .flat_map(|line| line.split(|&octet| octet == b';'))
            .map(trim)
            .filter(|piece| !piece.is_empty())
    }

    /// Whether these lines are within all bounds.
    #[inline(never)]
    fn check(self) -> Result<(), TooLarge> {
        if self.octets() > RequestCookies::OCTET_LIMIT {
            return Err(TooLarge::Octets);
        }
        // Counting separators is cheap and says "few enough" of nearly all that comes.
        let at_most_in = |line| 1 + separators(line);
        let at_most = match self {
            Self::Single(line) => at_most_in(line),
            _ => self.iter().map(at_most_in).sum(),
        };
        if at_most > RequestCookies::PAIR_LIMIT && self.pieces().nth(RequestCookies::PAIR_LIMIT).is_some() {
            return Err(TooLarge::Pairs);
        }
        Ok(())
    }
}

/// How many octets separate pieces. Not inlined, so that a short line pays for none of it.
#[inline(never)]
fn separators(line: &[u8]) -> usize {
    /// One octet counts so far, and a processor so many at once without a rest.
    const CHUNK: usize = 224;

    let in_chunk = |chunk: &[u8]| {
        chunk
            .iter()
            .fold(0_u8, |count, octet| count + u8::from(*octet == b';'))
    };
    line.chunks(CHUNK).map(|chunk| usize::from(in_chunk(chunk))).sum()
}

enum LineIter<'a> {
    Fields(http::header::ValueIter<'a, HeaderValue>),
    Octets(std::slice::Iter<'a, &'a [u8]>),
    Single(Option<&'a [u8]>),
}

impl<'a> Iterator for LineIter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Fields(fields) => fields.next().map(HeaderValue::as_bytes),
            Self::Octets(lines) => lines.next().copied(),
            Self::Single(line) => line.take(),
        }
    }
}

/// The specification: one piece read as rules 4 and 5 say.
fn pair(piece: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = piece.split_at_checked(memchr(b'=', piece)?)?;
    let (name, value) = (trim(name), trim(value.get(1..)?));
    (is_token(name) && !holds_control(value)).then_some((name, value))
}

/// The values of one name, found without reading the other pairs.
pub(crate) struct AllValues<'a, 'n> {
    name: &'n CookieName,
    /// Whether the lines may hold octets that a [`HeaderValue`] never holds.
    unproven: bool,
    line: &'a [u8],
    lines: LineIter<'a>,
}

impl<'a> Iterator for AllValues<'a, '_> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(value) = next_value(&mut self.line, self.name, self.unproven) {
                return Some(value);
            }
            self.line = self.next_line()?;
        }
    }
}

impl<'a> AllValues<'a, '_> {
    // Not inlined: nearly every request has one line, and all its values are in it.
    #[inline(never)]
    fn next_line(&mut self) -> Option<&'a [u8]> {
        self.lines.next()
    }
}

/// The next value of `name` in a line, whose rest is left behind the value's piece.
///
/// It finds what [`pair`] would: a piece is a pair of this name if, and only if, the name stands in it with
/// nothing but blanks before it and nothing but blanks between it and a `=`. The name is a token, so it holds
/// neither `;` nor `=`, and its first occurrence in a piece is the only one that can be the piece's start.
#[inline(always)]
fn next_value<'a>(line: &mut &'a [u8], name: &CookieName, unproven: bool) -> Option<&'a [u8]> {
    loop {
        let place = name.find_in(line)?;
        if let Some(value) = value_at(line, place, name.as_str().len(), unproven) {
            return Some(value);
        }
    }
}

/// The value of the name that stands at `place`, if a piece begins with it; what is left of the line is behind the piece.
#[inline(never)]
fn value_at<'a>(line: &mut &'a [u8], place: usize, length: usize, unproven: bool) -> Option<&'a [u8]> {
    let (before, behind) = (line.get(..place)?, line.get(place + length..)?);
    let end = memchr(b';', behind).unwrap_or(behind.len());
    *line = behind.get(end + 1..).unwrap_or_default();
    let value = match behind.get(..end)? {
        [b'=', value @ ..] => value,
        blank => trim_start(blank).strip_prefix(b"=")?,
    };
    if !starts_a_piece(before) {
        return None;
    }
    let value = trim(value);
    (!(unproven && holds_control(value))).then_some(value)
}

/// The different values of one name, at most [`RequestCookies::CANDIDATE_LIMIT`].
#[derive(Clone, Copy, Default)]
pub struct Candidates<'a> {
    values: [&'a [u8]; RequestCookies::CANDIDATE_LIMIT],
    count: usize,
}

impl<'a> Candidates<'a> {
    /// One more value; `None` if there is no room for it.
    #[inline]
    fn add(&mut self, value: &'a [u8]) -> Option<()> {
        if !self.contains(&value) {
            *self.values.get_mut(self.count)? = value;
            self.count += 1;
        }
        Some(())
    }
}

impl<'a> IntoIterator for Candidates<'a> {
    type Item = &'a [u8];
    type IntoIter = Take<array::IntoIter<&'a [u8], { RequestCookies::CANDIDATE_LIMIT }>>;

    fn into_iter(self) -> Self::IntoIter {
        self.values.into_iter().take(self.count)
    }
}

impl<'a> std::ops::Deref for Candidates<'a> {
    type Target = [&'a [u8]];

    fn deref(&self) -> &Self::Target {
        self.values.get(..self.count).unwrap_or_default()
    }
}

impl fmt::Debug for Candidates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidates")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// Cookies beyond the bounds of [`RequestCookies`]; none of them was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TooLarge {
    /// More than [`RequestCookies::OCTET_LIMIT`] octets.
    #[error("expected at most 16384 octets of cookies, found more")]
    Octets,
    /// More than [`RequestCookies::PAIR_LIMIT`] pairs.
    #[error("expected at most 256 cookies, found more")]
    Pairs,
}

impl From<TooLarge> for Denial {
    fn from(error: TooLarge) -> Self {
        Self::new(Reason::TooLarge).with_detail(match error {
            TooLarge::Octets => "the cookies are more than 16384 octets",
            TooLarge::Pairs => "there are more than 256 cookies",
        })
    }
}

/// Whether the octets up to here end a piece, blanks not counted.
fn starts_a_piece(before: &[u8]) -> bool {
    // Nearly always one of the first three.
    matches!(before, [] | [.., b';', b' '] | [.., b';']) || matches!(trim_end(before), [] | [.., b';'])
}

#[inline(always)]
fn trim(octets: &[u8]) -> &[u8] {
    match octets {
        // Nearly always: what is above the blank is none.
        [first, .., last] if *first > b' ' && *last > b' ' => octets,
        octets => trim_start(trim_end(octets)),
    }
}

fn trim_start(mut octets: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = octets {
        octets = rest;
    }
    octets
}

fn trim_end(mut octets: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t'] = octets {
        octets = rest;
    }
    octets
}

fn holds_control(octets: &[u8]) -> bool {
    octets
        .iter()
        .any(|&octet| (octet < b' ' && octet != b'\t') || octet == 0x7F)
}

#[cfg(test)]
mod tests {
    use std::iter;

    use http::header::COOKIE;
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    /// The values of `name` as the specification reads them.
    fn slowly<'a>(cookies: &RequestCookies<'a>, name: &CookieName) -> Vec<&'a [u8]> {
        cookies
            .pairs()
            .filter(|(found, _)| *found == name.as_str().as_bytes())
            .map(|(_, value)| value)
            .collect()
    }

    /// Octets in which names, blanks, separators and traps are frequent.
    fn line() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => select(vec![&b"a"[..], b"ab", b"aa", b"a=", b"ab=", b"=", b";", b"; ", b" ", b"\t", b"\"", b"\0", b"\x7f", b"\xff"])
                .prop_map(<[u8]>::to_vec),
            1 => vec(any::<u8>(), 0..4),
        ];
        vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn the_fast_reader_finds_what_the_specification_reads(lines in vec(line(), 0..4), name in "a|ab|aa|b") {
            let name = CookieName::custom(&name).expect("a token");
            let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
            if let Ok(cookies) = RequestCookies::of_lines(&lines) {
                let fast: Vec<_> = cookies.all_values(&name).collect();
                prop_assert_eq!(&fast, &slowly(&cookies, &name));
            }
            // The same through a head, where octets that no receiver lets through are left out.
            let mut headers = HeaderMap::new();
            for line in &lines {
                if let Ok(value) = HeaderValue::from_bytes(line) {
                    headers.append(COOKIE, value);
                }
            }
            if let Ok(cookies) = RequestCookies::of(&headers) {
                let fast: Vec<_> = cookies.all_values(&name).collect();
                prop_assert_eq!(&fast, &slowly(&cookies, &name));
                let lone = match fast.split_first() {
                    Some((first, others)) if others.iter().any(|other| other != first) => Err(Several),
                    found => Ok(found.map(|(first, _)| *first)),
                };
                prop_assert_eq!(cookies.lone_value(&name), lone);
            }
        }

        #[test]
        fn a_usual_line_seems_to_hold_what_it_holds(pairs in vec(("(a|ab|b|_xsrf)", "[ax=_]{0,4}"), 0..12), name in "a|ab|b|_xsrf", length in 0_usize..5) {
            let name = CookieName::custom(&name).expect("a token");
            let line = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, line.parse().expect("visible"));
            let cookies = RequestCookies::of(&headers).expect("a short line");
            let test = |value: &[u8]| value.first() == Some(&b'x');
            let holds = cookies.all_values(&name).any(|value| value.len() == length && test(value));
            let seems = cookies.seem_to_hold(&name, length, test);
            prop_assert!(seems || !holds, "{}", line);
        }

        #[test]
        fn the_bounds_are_the_same_for_one_line_as_for_many(pieces in vec("|a|a=| ", 250..262)) {
            let joined = pieces.join(";");
            let lines: Vec<&[u8]> = pieces.iter().map(String::as_bytes).collect();
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, joined.parse().expect("visible"));
            let filled = pieces.iter().filter(|piece| !piece.trim().is_empty()).count();
            let expected = if filled > RequestCookies::PAIR_LIMIT { Err(TooLarge::Pairs) } else { Ok(()) };
            prop_assert_eq!(RequestCookies::of_lines(&lines).map(|_| ()), expected);
            prop_assert_eq!(RequestCookies::of_lines(&[joined.as_bytes()]).map(|_| ()), expected);
            prop_assert_eq!(RequestCookies::of(&headers).map(|_| ()), expected);
        }
    }

    #[test]
    fn the_257th_cookie_is_one_too_many() {
        for (count, expected) in [(256, Ok(())), (257, Err(TooLarge::Pairs))] {
            let line = iter::repeat_n("a", count).collect::<Vec<_>>().join(";");
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, line.parse().expect("visible"));
            assert_eq!(RequestCookies::of(&headers).map(|_| ()), expected, "{count}");
            let lines = vec![&b"a"[..]; count];
            assert_eq!(
                RequestCookies::of_lines(&lines).map(|_| ()),
                expected,
                "{count} lines"
            );
        }
    }

    #[test]
    fn of_one_line_the_lone_value_is_the_one_that_all_agree_on() {
        let name = CookieName::custom("name").expect("a token");
        let far = "o".repeat(80);
        for (line, expected) in [
            ("", Ok(None)),
            ("other=1", Ok(None)),
            ("name=1", Ok(Some("1"))),
            ("name=1; name=1", Ok(Some("1"))),
            ("name=1; other=name=2", Ok(Some("1"))),
            ("name=1; name=2", Err(Several)),
            ("name=1; name=1; name=2", Err(Several)),
            ("name=1;name=", Err(Several)),
            (&format!("name=1; {far}=1; name=2"), Err(Several)),
            (&format!("{far}=1; name=1; {far}=2; name=1"), Ok(Some("1"))),
            (&format!("{far}=1; name=1; {far}=2; name2=1"), Ok(Some("1"))),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, line.parse().expect("visible"));
            let cookies = RequestCookies::of(&headers).expect("a short line");
            assert_eq!(
                cookies.lone_value(&name),
                expected.map(|value| value.map(str::as_bytes)),
                "{line}"
            );
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
            let cookies = RequestCookies::of_lines(&lines).expect("small");
            let found = cookies.candidates(&name).map(|candidates| candidates.len());
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn every_separator_is_counted() {
        for length in [0, 1, 15, 16, 254, 255, 256, 1000] {
            assert_eq!(separators(&vec![b';'; length]), length);
            assert_eq!(separators(&b";a=1".repeat(length)), length);
        }
    }

    #[test]
    fn too_large_is_told_as_431() {
        let denial = Denial::from(TooLarge::Octets);
        assert_eq!(denial.status().as_u16(), 431);
    }
}

//! The query of a request: read once, scrubbed for logs, cleaned for redirects.

use std::{borrow::Cow, fmt};

use http::{StatusCode, Uri};
use zeroize::Zeroizing;

use crate::{
    denial::{Denial, Reason},
    request::percent,
    token::PresentedToken,
};

/// The query of a request: pairs apart by `&`, a name and a value apart by the first `=`.
///
/// Names and values are `application/x-www-form-urlencoded`: `+` is a space and `%XX` one byte, decoded
/// once, strictly, and never into text by guessing. Names differ by case. Nothing is trimmed.
///
/// # Security
///
/// `Debug` shows the scrubbed form.
///
/// # Example
///
/// ```
/// use portcullis::request::Query;
///
/// let query = Query::new(b"path=a%20b&token=0123456789abcdef");
/// assert_eq!(query.parameter("path").as_deref(), Some(&b"a b"[..]));
/// assert_eq!(query.redacted(), "path=a%20b&token=[token]");
/// assert_eq!(*query.without_token(), b"path=a%20b"[..]);
/// ```
#[derive(Clone, Copy, Default)]
pub struct Query<'a>(&'a [u8]);

impl<'a> Query<'a> {
    /// The longest query that is read, in bytes.
    pub const MAX_LEN: usize = 8192;

    /// The longest query that is logged, in bytes.
    pub const MAX_LOGGED_LEN: usize = 4096;

    /// The query in `bytes`: the text between the first `?` and the fragment.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The query of `uri`, empty if it has none.
    pub fn from_uri(uri: &'a Uri) -> Self {
        Self(uri.query().unwrap_or_default().as_bytes())
    }

    /// The bytes as they were sent.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The token in the parameter `token`, or `None` if there is none or it is empty.
    ///
    /// # Errors
    ///
    /// A denial to answer with: 414 if the query is longer than [`Query::MAX_LEN`], 400 if there is more than
    /// one such parameter, 401 if its value is no token.
    pub fn token<'b>(self, buffer: &'b mut TokenBuffer) -> Result<Option<PresentedToken<'b>>, Denial>
    where
        'a: 'b,
    {
        self.token_in(&mut buffer.query)
    }

    pub(crate) fn token_in<'b>(
        self,
        buffer: &'b mut DecodeBuffer,
    ) -> Result<Option<PresentedToken<'b>>, Denial>
    where
        'a: 'b,
    {
        if self.0.len() > Self::MAX_LEN {
            return Err(Denial::new(Reason::TooLarge)
                .with_status(StatusCode::URI_TOO_LONG)
                .with_detail("the query is longer than 8192 bytes"));
        }
        let mut tokens = self.pairs().filter(|pair| pair.is_token());
        let Some(pair) = tokens.next() else {
            return Ok(None);
        };
        if tokens.next().is_some() {
            return Err(Denial::new(Reason::Malformed).with_detail("multiple token parameters"));
        }
        match pair.value() {
            [] => Ok(None),
            value => buffer
                .decode(value, percent::form_decoded)
                .map(Some)
                .ok_or_else(|| {
                    Denial::new(Reason::Malformed)
                        .with_status(StatusCode::UNAUTHORIZED)
                        .with_detail("the token in the query is not 1 to 8,000 visible ASCII characters")
                }),
        }
    }

    /// Whether there is a parameter `token`, good or not: then the URL is to be kept out of caches, logs and
    /// referrers. A query longer than [`Query::MAX_LEN`] is not read, and counts as one that has it.
    pub fn has_token_parameter(self) -> bool {
        self.0.len() > Self::MAX_LEN || self.pairs().any(Pair::is_token)
    }

    /// The decoded value of the parameter `name`, or `None` unless there is exactly one, well-formed, in a
    /// query not longer than [`Query::MAX_LEN`].
    pub fn parameter(self, name: &str) -> Option<Cow<'a, [u8]>> {
        if self.0.len() > Self::MAX_LEN {
            return None;
        }
        let mut named = self.pairs().filter(|pair| pair.is_named(name.as_bytes()));
        let pair = named.next()?;
        let value = pair.value();
        if named.next().is_some() {
            None
        } else if memchr::memchr2(b'%', b'+', value).is_none() {
            Some(Cow::Borrowed(value))
        } else {
            percent::form_decoded(value)
                .collect::<Option<Vec<u8>>>()
                .map(Cow::Owned)
        }
    }

    /// The query as it may be logged: the value of every parameter `token` replaced by `[token]`.
    ///
    /// A query of more than [`Query::MAX_LOGGED_LEN`] bytes, or with others than visible ASCII, is `[query]`.
    pub fn redacted(self) -> Cow<'a, str> {
        let loggable = self.0.len() <= Self::MAX_LOGGED_LEN && self.0.iter().all(u8::is_ascii_graphic);
        let Some(text) = std::str::from_utf8(self.0).ok().filter(|_| loggable) else {
            return Cow::Borrowed("[query]");
        };
        if !self.has_token_parameter() {
            return Cow::Borrowed(text);
        }
        let mut scrubbed = String::with_capacity(text.len());
        for (number, pair) in text.split('&').enumerate() {
            if number > 0 {
                scrubbed.push('&');
            }
            match pair.split_once('=') {
                Some((name, _)) if is_name(name.as_bytes(), b"token") => {
                    scrubbed.push_str(name);
                    scrubbed.push_str("=[token]");
                }
                _ => scrubbed.push_str(pair),
            }
        }
        Cow::Owned(scrubbed)
    }

    /// The same pairs in the same order, without the parameters `token`.
    pub fn without_token(self) -> Cow<'a, [u8]> {
        if !self.has_token_parameter() {
            return Cow::Borrowed(self.0);
        }
        let kept = self.pairs().filter(|pair| !pair.is_token());
        let kept: Vec<&[u8]> = kept.map(|pair| pair.0).collect();
        Cow::Owned(kept.join(&b'&'))
    }

    /// The pairs, empty ones included.
    fn pairs(self) -> impl Iterator<Item = Pair<'a>> {
        self.0.split(|byte| *byte == b'&').map(Pair)
    }
}

impl fmt::Debug for Query<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Query").field(&self.redacted()).finish()
    }
}

/// The text of a query as it may be logged: see [`Query::redacted`].
///
/// # Example
///
/// ```
/// let logged = portcullis::request::redact_query("next=/lab&token=0123456789abcdef");
/// assert_eq!(logged, "next=/lab&token=[token]");
/// ```
pub fn redact_query(query: &str) -> Cow<'_, str> {
    Query::new(query.as_bytes()).redacted()
}

/// A buffer for the tokens that a request carries in an encoded form.
///
/// It is wiped when dropped, and allocates nothing while no token needs decoding.
///
/// # Security
///
/// `Debug` prints the type's name only.
#[derive(Default)]
pub struct TokenBuffer {
    pub(crate) query: DecodeBuffer,
    pub(crate) protocol: DecodeBuffer,
}

/// A buffer for one decoded token.
#[derive(Default)]
pub(crate) struct DecodeBuffer(Zeroizing<Vec<u8>>);

impl DecodeBuffer {
    /// The token that `text` encodes, or `None` if it holds a malformed escape or no token.
    pub(crate) fn decode<'b>(
        &'b mut self,
        text: &'b [u8],
        decoded: fn(&'b [u8]) -> percent::Decoded<'b>,
    ) -> Option<PresentedToken<'b>> {
        if memchr::memchr2(b'%', b'+', text).is_none() {
            return PresentedToken::new(text);
        }
        // Reserved at once: a vector that grows leaves copies behind.
        self.0 = Zeroizing::new(Vec::with_capacity(text.len().min(PresentedToken::MAX_LEN)));
        for byte in decoded(text) {
            if self.0.len() == PresentedToken::MAX_LEN {
                return None;
            }
            self.0.push(byte?);
        }
        PresentedToken::new(&self.0)
    }
}

impl fmt::Debug for TokenBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenBuffer")
    }
}

/// One parameter: a name, and perhaps `=` and a value.
#[derive(Clone, Copy)]
struct Pair<'a>(&'a [u8]);

impl<'a> Pair<'a> {
    fn name(self) -> &'a [u8] {
        self.0.split(|byte| *byte == b'=').next().unwrap_or_default()
    }

    /// The raw value, empty where there is no `=`.
    fn value(self) -> &'a [u8] {
        self.0.splitn(2, |byte| *byte == b'=').nth(1).unwrap_or_default()
    }

    fn is_token(self) -> bool {
        self.is_named(b"token")
    }

    fn is_named(self, name: &[u8]) -> bool {
        is_name(self.name(), name)
    }
}

/// Whether `text` encodes `name`.
fn is_name(text: &[u8], name: &[u8]) -> bool {
    percent::form_decoded(text).eq(name.iter().copied().map(Some))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &[u8], expected: Result<Option<&str>, u16>) {
        let mut buffer = TokenBuffer::default();
        let found = Query::new(query).token(&mut buffer);
        let found = found
            .map(|token| token.map(PresentedToken::expose))
            .map_err(|denial| denial.status().as_u16());
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(query));
    }

    #[test]
    fn a_query_longer_than_the_limit_is_not_read_and_counts_as_one_with_a_token() {
        for (length, is_read) in [(Query::MAX_LEN, true), (Query::MAX_LEN + 1, false)] {
            let text = format!("{:&<length$}", "next=/lab");
            let query = Query::new(text.as_bytes());
            assert_eq!(query.has_token_parameter(), !is_read, "{length}");
            assert_eq!(query.parameter("next").is_some(), is_read, "{length}");
        }
    }

    #[test]
    fn a_token_is_decoded_once_and_checked_strictly() {
        for (query, expected) in [
            (&b""[..], Ok(None)),
            (b"token=abc", Ok(Some("abc"))),
            (b"t%6Fken=%61b%2bc", Ok(Some("ab+c"))),
            (b"x=1&token=a%2561", Ok(Some("a%61"))),
            (b"Token=abc&token2=a&%2574oken=a", Ok(None)),
            (b"token&x", Ok(None)),
            (b"token=", Ok(None)),
            (b"token=&token=", Err(400)),
            (b"token=a&%74oken=a", Err(400)),
            (b"token=a+", Err(401)),
            (b"token=a%20", Err(401)),
            (b"token=%", Err(401)),
            (b"token=\xff", Err(401)),
            (b"token=abc\xc2\xa0", Err(401)),
            (b"a=1\ntoken=abc", Ok(None)),
            (b"token=<script>", Ok(Some("<script>"))),
        ] {
            check(query, expected);
        }
        let longest = format!("token={}%61", "a".repeat(7_999));
        check(longest.as_bytes(), Ok(Some(&"a".repeat(8_000))));
        check(format!("{longest}a").as_bytes(), Err(401));
        check(format!("token={}", "a".repeat(8_001)).as_bytes(), Err(401));
        check("&".repeat(8192).as_bytes(), Ok(None));
        check("&".repeat(8193).as_bytes(), Err(414));
    }

    #[test]
    fn a_token_is_found_at_every_place_of_a_query() {
        for name in ["token", "%74oken", "t%6Fken"] {
            for before in 0..40 {
                for after in 0..12 {
                    let query = format!("{}&{name}=abc&{}", "x".repeat(before), "y".repeat(after));
                    check(query.as_bytes(), Ok(Some("abc")));
                }
            }
        }
    }

    #[test]
    fn a_parameter_is_read_if_there_is_exactly_one() {
        for (query, expected) in [
            ("next=%2Flab", Some("/lab")),
            ("a=1&n%65xt=a+b&c", Some("a b")),
            ("next=/lab", Some("/lab")),
            ("next", Some("")),
            ("next=/lab&%6eext=/x", None),
            ("Next=/lab", None),
            ("next=%", None),
            ("", None),
        ] {
            let found = Query::new(query.as_bytes()).parameter("next");
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{query}");
        }
        // A name is compared decoded, whatever it looks like.
        assert_eq!(Query::new(b"a+b=1").parameter("a+b"), None);
        assert_eq!(
            Query::new(b"a%2Bb=1").parameter("a+b").as_deref(),
            Some(&b"1"[..])
        );
        assert_eq!(
            Query::new(b"a+b=1&a%2Bb=2").parameter("a b").as_deref(),
            Some(&b"1"[..])
        );
    }

    #[test]
    fn no_debug_output_holds_a_token() {
        let query = Query::new(b"x=1&t%6Fken=canary");
        assert_eq!(format!("{query:?}"), "Query(\"x=1&t%6Fken=[token]\")");
        assert_eq!(format!("{:?}", TokenBuffer::default()), "TokenBuffer");
    }
}

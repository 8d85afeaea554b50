//! `Set-Cookie` headers to add to a response.

use std::fmt;

use http::{
    HeaderMap, HeaderValue,
    header::{CACHE_CONTROL, SET_COOKIE},
};

/// `Set-Cookie` headers to add to a response. One machine word if there are none.
///
/// They are appended to those of the handler. If the handler set the same cookie (same name, domain and path), its
/// header stays and this one is dropped; but [the layer's own cookies](SetCookies::push_overriding) replace those of
/// the handler.
///
/// # Example
///
/// ```
/// use portcullis::cookies::SetCookies;
/// use http::{HeaderMap, HeaderValue, header::SET_COOKIE};
///
/// let mut cookies = SetCookies::default();
/// cookies.push(HeaderValue::from_static("theme=light; Path=/"));
/// cookies.push(HeaderValue::from_static("seen=1; Path=/"));
///
/// let mut headers = HeaderMap::new();
/// headers.insert(SET_COOKIE, HeaderValue::from_static("theme=dark; Path=/"));
/// cookies.append_to(&mut headers);
/// let lines: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
/// assert_eq!(lines, ["theme=dark; Path=/", "seen=1; Path=/"]);
/// ```
#[derive(Clone, Default)]
#[expect(
    clippy::box_collection,
    reason = "one word, moved with every request, nearly always empty"
)]
pub struct SetCookies(Option<Box<Vec<Line>>>);

#[derive(Clone)]
struct Line {
    value: HeaderValue,
    own: bool,
}

impl SetCookies {
    /// Adds a header. A handler's header for the same cookie takes precedence. It replaces an earlier one of this
    /// list for the same cookie.
    pub fn push(&mut self, line: HeaderValue) {
        self.add(Line {
            value: line,
            own: false,
        });
    }

    /// Adds a header for a cookie of the layer (session, `_xsrf`), which replaces a handler's header for the same
    /// cookie.
    pub fn push_overriding(&mut self, line: HeaderValue) {
        self.add(Line {
            value: line,
            own: true,
        });
    }

    /// Adds the lines of `others`, in their order.
    pub(crate) fn append(&mut self, others: Self) {
        let others = others.0.into_iter().flat_map(|lines| *lines);
        others.for_each(|line| self.add(line));
    }

    fn add(&mut self, line: Line) {
        let lines = self.0.get_or_insert_default();
        lines.retain(|earlier| !same_cookie(&earlier.value, &line.value));
        lines.push(line);
    }

    /// Returns `true` if there are no headers.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.as_deref().is_none_or(Vec::is_empty)
    }

    /// Returns the headers in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &HeaderValue> {
        self.0
            .iter()
            .flat_map(|lines| lines.iter())
            .map(|line| &line.value)
    }

    /// Appends the headers to those of a response, and makes it private to the browser: `Cache-Control: private`,
    /// unless it has `no-store` or `private` already. `public` is removed.
    #[inline]
    pub fn append_to(self, headers: &mut HeaderMap) {
        if let Some(lines) = self.0 {
            append(*lines, headers);
        }
    }
}

impl fmt::Debug for SetCookies {
    /// The number of lines only: values are credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SetCookies({})", self.iter().count())
    }
}

#[cold]
fn append(lines: Vec<Line>, headers: &mut HeaderMap) {
    let mut is_appended = false;
    for line in lines {
        let same = |existing: &HeaderValue| same_cookie(existing, &line.value);
        if headers.get_all(SET_COOKIE).iter().any(same) {
            if !line.own {
                continue;
            }
            let kept: Vec<_> = headers
                .get_all(SET_COOKIE)
                .iter()
                .filter(|existing| !same(existing))
                .cloned()
                .collect();
            headers.remove(SET_COOKIE);
            for existing in kept {
                headers.append(SET_COOKIE, existing);
            }
        }
        headers.append(SET_COOKIE, line.value);
        is_appended = true;
    }
    if is_appended {
        make_private(headers);
    }
}

/// Keeps shared caches from storing the answer, whose cookie is for one browser.
fn make_private(headers: &mut HeaderMap) {
    let lines = headers.get_all(CACHE_CONTROL).iter();
    let directives = lines.filter_map(|line| line.to_str().ok());
    let mut directives: Vec<_> = directives
        .flat_map(|line| line.split(','))
        .map(str::trim)
        .collect();
    let said = directives.len();
    directives.retain(|directive| !directive.is_empty() && !directive.eq_ignore_ascii_case("public"));
    let is_private = directives.iter().any(|directive| {
        ["no-store", "private"]
            .iter()
            .any(|name| directive.eq_ignore_ascii_case(name))
    });
    if is_private && directives.len() == said {
        return;
    }
    if !is_private {
        directives.push("private");
    }
    if let Ok(value) = HeaderValue::try_from(directives.join(", ")) {
        headers.insert(CACHE_CONTROL, value);
    }
}

fn same_cookie(one: &HeaderValue, other: &HeaderValue) -> bool {
    let (one, other) = (Place::of(one.as_bytes()), Place::of(other.as_bytes()));
    one.name == other.name && one.path == other.path && one.domain.eq_ignore_ascii_case(other.domain)
}

/// The properties that identify a cookie in a browser's store: RFC 6265bis §5.7.
struct Place<'a> {
    name: &'a [u8],
    domain: &'a [u8],
    path: Option<&'a [u8]>,
}

impl<'a> Place<'a> {
    fn of(line: &'a [u8]) -> Self {
        let mut pieces = line.split(|&byte| byte == b';').map(|piece| {
            let mut halves = piece.splitn(2, |&byte| byte == b'=').map(<[u8]>::trim_ascii);
            (halves.next().unwrap_or_default(), halves.next())
        });
        let (name, _) = pieces.next().unwrap_or_default();
        let mut place = Self {
            name,
            domain: b"",
            path: None,
        };
        // Of an attribute that stands twice the last counts.
        for (attribute, value) in pieces {
            if attribute.eq_ignore_ascii_case(b"path") {
                place.path = value.filter(|path| path.starts_with(b"/"));
            } else if attribute.eq_ignore_ascii_case(b"domain") {
                let domain = value.unwrap_or_default();
                place.domain = domain.strip_prefix(b".").unwrap_or(domain);
            }
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(existing: &[&'static str], added: &[&'static str], own: &[&'static str], expected: &[&str]) {
        let mut headers = HeaderMap::new();
        for line in existing {
            headers.append(SET_COOKIE, HeaderValue::from_static(line));
        }
        let mut cookies = SetCookies::default();
        for line in own {
            cookies.push_overriding(HeaderValue::from_static(line));
        }
        for line in added {
            cookies.push(HeaderValue::from_static(line));
        }
        assert_eq!(cookies.is_empty(), added.is_empty() && own.is_empty());
        cookies.append_to(&mut headers);
        let found: Vec<_> = headers.get_all(SET_COOKIE).iter().collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn our_lines_come_after_the_handlers() {
        check(&[], &[], &[], &[]);
        check(&["a=1"], &[], &[], &["a=1"]);
        check(&[], &["a=1; Path=/"], &[], &["a=1; Path=/"]);
        check(
            &["b=2"],
            &["a=1; Path=/"],
            &["_xsrf=3; Path=/"],
            &["b=2", "_xsrf=3; Path=/", "a=1; Path=/"],
        );
    }

    #[test]
    fn a_handlers_cookie_wins_over_the_layers_only_if_it_is_the_same() {
        let added = "a=1; Path=/x; Domain=example.org";
        for existing in [
            "a=2; Path=/x; Domain=example.org",
            "a=2; domain=.EXAMPLE.org; path=/x; Max-Age=0",
            " a = 2;Path= /x ;Domain=example.org",
            "a=2; Path=/y; Domain=example.org; Path=/x",
        ] {
            check(&[existing], &[added], &[], &[existing]);
        }
        for existing in [
            "a=2",
            "a=2; Path=/x",
            "a=2; Path=/; Domain=example.org",
            "A=2; Path=/x; Domain=example.org",
            "b=2; Path=/x; Domain=example.org",
            "a=2; Path=/x; Domain=www.example.org",
        ] {
            check(&[existing], &[added], &[], &[existing, added]);
        }
    }

    #[test]
    fn the_layers_cookie_wins_over_a_handlers() {
        check(
            &["first=1; Path=/", "_xsrf=other; Path=/", "last=1; Path=/"],
            &[],
            &["_xsrf=own; Path=/"],
            &["first=1; Path=/", "last=1; Path=/", "_xsrf=own; Path=/"],
        );
    }

    #[test]
    fn the_later_of_two_lines_for_one_cookie_counts() {
        check(
            &[],
            &["a=1; Path=/", "b=1; Path=/", "a=2; Path=/"],
            &[],
            &["b=1; Path=/", "a=2; Path=/"],
        );
    }

    #[test]
    fn answer_with_our_cookie_is_private() {
        const COOKIE: &str = "a=1; Path=/";
        for (said, line, expected) in [
            (&[][..], COOKIE, &["private"][..]),
            (&["public"], COOKIE, &["private"]),
            (&["Public, max-age=60"], COOKIE, &["max-age=60, private"]),
            (&["public", "max-age=60"], COOKIE, &["max-age=60, private"]),
            (&["max-age=60"], COOKIE, &["max-age=60, private"]),
            (&["private=\"x-user\""], COOKIE, &["private=\"x-user\", private"]),
            (&["no-cache"], COOKIE, &["no-cache, private"]),
            (&["no-store"], COOKIE, &["no-store"]),
            (&["No-Store, public"], COOKIE, &["No-Store"]),
            (&["private, max-age=60"], COOKIE, &["private, max-age=60"]),
            (&["public"], "", &["public"]),
            (&["public"], "other=2; Path=/", &["public"]),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(SET_COOKIE, HeaderValue::from_static("other=1; Path=/"));
            for value in said {
                headers.append(CACHE_CONTROL, HeaderValue::from_static(value));
            }
            let mut cookies = SetCookies::default();
            if !line.is_empty() {
                cookies.push(HeaderValue::from_static(line));
            }
            cookies.append_to(&mut headers);
            let found: Vec<_> = headers.get_all(CACHE_CONTROL).iter().collect();
            assert_eq!(found, expected, "{said:?} {line}");
        }
    }

    #[test]
    fn it_is_one_word_and_debug_shows_no_value() {
        assert_eq!(size_of::<SetCookies>(), size_of::<usize>());
        let mut cookies = SetCookies::default();
        cookies.push(HeaderValue::from_static("a=canary"));
        assert_eq!(format!("{cookies:?}"), "SetCookies(1)");
    }
}

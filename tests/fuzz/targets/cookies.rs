//! `Cookie` lines: the reader of one name agrees with the reader of all pairs, and both with one written here.

use http::{HeaderMap, HeaderValue, header::COOKIE};
use portcullis::cookies::{CookieName, RequestCookies};

use super::{cut, is_token, trim};

/// The first line is a name, the others are `Cookie` lines.
pub fn run(data: &[u8]) {
    let (name, rest) = cut(data, b'\n');
    let lines: Vec<&[u8]> = rest.split(|byte| *byte == b'\n').collect();
    let custom = std::str::from_utf8(name)
        .ok()
        .and_then(|name| CookieName::custom(name).ok());
    let names: Vec<_> = [CookieName::xsrf(), CookieName::hub_login()]
        .into_iter()
        .chain(custom)
        .collect();
    let expected = reference(&lines);

    let found = RequestCookies::from_lines(&lines);
    assert_eq!(found.is_ok(), expected.is_some(), "the bounds");
    if let (Ok(found), Some(expected)) = (&found, &expected) {
        check(found, expected, &names);
    }

    let mut headers = HeaderMap::new();
    for line in &lines {
        let Ok(value) = HeaderValue::from_bytes(line) else {
            return;
        };
        headers.append(COOKIE, value);
    }
    let found = RequestCookies::from_headers(&headers);
    assert_eq!(found.is_ok(), expected.is_some(), "the bounds of fields");
    if let (Ok(found), Some(expected)) = (&found, &expected) {
        check(found, expected, &names);
    }
}

type Pair<'a> = (&'a [u8], &'a [u8]);

fn check(found: &RequestCookies<'_>, expected: &[Pair<'_>], names: &[CookieName]) {
    assert!(found.pairs().eq(expected.iter().copied()), "the pairs");
    for name in names {
        let mut values: Vec<&[u8]> = Vec::new();
        for (other, value) in expected {
            if *other == name.as_str().as_bytes() && !values.contains(value) {
                values.push(value);
            }
        }
        assert!(
            found.values(name).eq(values.iter().copied()),
            "the values of {name}"
        );
        match found.distinct_values(name) {
            Some(candidates) => assert_eq!(*candidates, values, "the candidates for {name}"),
            None => assert!(
                values.len() > RequestCookies::MAX_VALUES_PER_NAME,
                "too many for {name}"
            ),
        }
    }
}

/// The pairs of `lines`, or nothing if they are too large.
fn reference<'a>(lines: &[&'a [u8]]) -> Option<Vec<Pair<'a>>> {
    let bytes: usize = lines.iter().map(|line| line.len()).sum();
    let pieces: Vec<&[u8]> = lines
        .iter()
        .flat_map(|line| line.split(|byte| *byte == b';'))
        .map(trim)
        .filter(|piece| !piece.is_empty())
        .collect();
    let control = |byte: &u8| matches!(byte, 0x00..=0x08 | 0x0A..=0x1F | 0x7F);
    (bytes <= 16_384 && pieces.len() <= 512).then(|| {
        let pairs = pieces
            .into_iter()
            .filter(|piece| piece.contains(&b'='))
            .map(|piece| {
                let (name, value) = cut(piece, b'=');
                (trim(name), trim(value))
            });
        pairs
            .filter(|(name, value)| is_token(name) && !value.iter().any(control))
            .collect()
    })
}

//! The header fields that a gate asks for, found in one walk over a head.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// A field that a gate asks for at nearly every request of a browser, or at every refusal.
#[derive(Clone, Copy)]
pub(crate) enum Field {
    Accept,
    Authorization,
    ContentType,
    Cookie,
    Forwarded,
    Host,
    Origin,
    SecFetchMode,
    SecFetchSite,
    Upgrade,
    XForwardedProto,
    XScheme,
    XXsrfToken,
}

/// How many there are.
const KINDS: usize = 13;

/// In the order of the kinds. By reference: a constant would be built anew at each look-up.
static NAMES: [HeaderName; KINDS] = [
    header::ACCEPT,
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::FORWARDED,
    header::HOST,
    header::ORIGIN,
    HeaderName::from_static("sec-fetch-mode"),
    HeaderName::from_static("sec-fetch-site"),
    header::UPGRADE,
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-scheme"),
    HeaderName::from_static("x-xsrftoken"),
];

impl Field {
    /// What it is called.
    pub(crate) fn name(self) -> &'static HeaderName {
        &NAMES[self as usize]
    }
}

/// A field was sent more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Several;

/// The values of these fields in a head of which no field repeats.
///
/// One look-up in a head costs as much as a walk over five fields, and the commonest requests have seven to
/// fifteen, of which five are asked for, one twice.
#[derive(Default)]
pub(crate) struct Fields<'a>([Option<&'a HeaderValue>; KINDS]);

impl<'a> Fields<'a> {
    /// Those of `headers`, unless any field is repeated: which, is to be looked up then.
    pub(crate) fn of(headers: &'a HeaderMap) -> Option<Self> {
        if repeats(headers) {
            return None;
        }
        let mut found = Self::default();
        for (name, value) in headers {
            let field = match *name {
                header::ACCEPT => Field::Accept,
                header::AUTHORIZATION => Field::Authorization,
                header::CONTENT_TYPE => Field::ContentType,
                header::COOKIE => Field::Cookie,
                header::FORWARDED => Field::Forwarded,
                header::HOST => Field::Host,
                header::ORIGIN => Field::Origin,
                header::UPGRADE => Field::Upgrade,
                // Those that come with nearly every request: their text need not be looked at.
                header::ACCEPT_ENCODING
                | header::ACCEPT_LANGUAGE
                | header::CACHE_CONTROL
                | header::CONNECTION
                | header::CONTENT_LENGTH
                | header::REFERER
                | header::USER_AGENT => continue,
                _ => match name.as_str() {
                    "sec-fetch-mode" => Field::SecFetchMode,
                    "sec-fetch-site" => Field::SecFetchSite,
                    "x-forwarded-proto" => Field::XForwardedProto,
                    "x-scheme" => Field::XScheme,
                    "x-xsrftoken" => Field::XXsrfToken,
                    _ => continue,
                },
            };
            found.0[field as usize] = Some(value);
        }
        Some(found)
    }

    /// The value of `field`.
    #[inline]
    pub(crate) fn get(&self, field: Field) -> Option<&'a HeaderValue> {
        self.0[field as usize]
    }
}

/// Whether any field of a head is repeated: then there are more fields than names.
#[inline]
pub(crate) fn repeats(headers: &HeaderMap) -> bool {
    headers.len() != headers.keys_len()
}

/// The one value of the field `name`, or nothing.
#[inline]
pub(crate) fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Several> {
    let first = headers.get(name);
    if repeats(headers) && is_repeated(headers, name) {
        return Err(Several);
    }
    Ok(first)
}

#[cold]
fn is_repeated(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.get_all(name).iter().nth(1).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_finds_what_a_look_up_finds() {
        let kinds = [
            Field::Accept,
            Field::Authorization,
            Field::ContentType,
            Field::Cookie,
            Field::Forwarded,
            Field::Host,
            Field::Origin,
            Field::SecFetchMode,
            Field::SecFetchSite,
            Field::Upgrade,
            Field::XForwardedProto,
            Field::XScheme,
            Field::XXsrfToken,
        ];
        assert_eq!(kinds.len(), KINDS);
        let mut headers = HeaderMap::new();
        headers.insert("x-other", HeaderValue::from_static("x"));
        for left_out in 0..=KINDS {
            headers.clear();
            headers.insert(header::USER_AGENT, HeaderValue::from_static("x"));
            headers.insert("sec-fetch-dest", HeaderValue::from_static("x"));
            for (place, field) in kinds.into_iter().enumerate() {
                if place != left_out {
                    headers.insert(field.name(), HeaderValue::from(place));
                }
            }
            let fields = Fields::of(&headers).expect("no field repeats");
            for field in kinds {
                assert_eq!(fields.get(field), headers.get(field.name()), "{}", field.name());
            }
        }
        headers.append("x-other", HeaderValue::from_static("x"));
        headers.append("x-other", HeaderValue::from_static("y"));
        assert!(Fields::of(&headers).is_none());
    }
}

//! A small form, read once.

use std::borrow::Cow;

use crate::{request::percent, secret::Secret};

/// The fields of an `application/x-www-form-urlencoded` body, each decoded once.
///
/// A field that cannot be decoded makes the whole form unreadable: nothing is guessed.
#[derive(Default)]
pub(crate) struct UrlEncodedForm(Vec<(Box<str>, Secret)>);

impl UrlEncodedForm {
    /// More fields than any form of this crate has.
    const MAX_FIELDS: usize = 32;

    /// The form that `body` holds, or `None` if it is none: a malformed escape, text that is not UTF-8, too many
    /// fields.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        Self::parse_at_most(Self::MAX_FIELDS, body)
    }

    /// As [`UrlEncodedForm::parse`], with another limit on the fields.
    pub(crate) fn parse_at_most(limit: usize, body: &[u8]) -> Option<Self> {
        let mut fields = Vec::new();
        for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let (name, value) = match memchr::memchr(b'=', pair) {
                Some(place) => (pair.get(..place)?, pair.get(place + 1..)?),
                None => (pair, &[][..]),
            };
            let name = percent::form_decoded(name).collect::<Option<Vec<u8>>>()?;
            let value = Secret::from(percent::form_decoded(value).collect::<Option<Vec<u8>>>()?);
            value.expose_str()?;
            if fields.len() == limit {
                return None;
            }
            fields.push((String::from_utf8(name).ok()?.into(), value));
        }
        Some(Self(fields))
    }

    /// Why a body of another type is refused.
    pub(crate) const EXPECTED_TYPE: &str = "expected a form of type `application/x-www-form-urlencoded`";

    /// The value of the one field `name`; `None` if there is none, or several.
    pub(crate) fn field(&self, name: &str) -> Option<&Secret> {
        let mut named = self.0.iter().filter(|(field, _)| **field == *name);
        match (named.next(), named.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    /// All fields, in their order.
    #[cfg(feature = "axum")]
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.0.iter();
        pairs.filter_map(|(name, value)| Some((&**name, value.expose_str()?)))
    }

    /// The texts of all fields `name`, in their order.
    #[cfg(feature = "hub-server")]
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.0.iter().filter(move |(field, _)| **field == *name);
        named.filter_map(|(_, value)| value.expose_str())
    }

    /// The text of the one field `name`, or nothing.
    pub(crate) fn text(&self, name: &str) -> Cow<'_, str> {
        self.field(name)
            .and_then(Secret::expose_str)
            .map_or(Cow::Borrowed(""), Cow::Borrowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded_once_and_a_broken_one_breaks_the_form() {
        let form = UrlEncodedForm::parse(b"_xsrf=x1&password=p%2Bq+r%C3%A9&empty=&bare").expect("a form");
        assert_eq!(form.text("password"), "p+q r\u{e9}");
        assert_eq!(form.text("_xsrf"), "x1");
        assert_eq!(
            (form.text("empty"), form.text("bare"), form.text("none")),
            ("".into(), "".into(), "".into())
        );
        for broken in [&b"a=%"[..], b"a=%zz", b"a=%FF", b"%FF=a"] {
            assert!(UrlEncodedForm::parse(broken).is_none(), "{broken:?}");
        }
        assert!(UrlEncodedForm::parse(&b"a&".repeat(32)).is_some());
        assert!(UrlEncodedForm::parse(&b"a&".repeat(33)).is_none());
    }

    #[test]
    fn a_field_that_comes_twice_is_no_field() {
        let form = UrlEncodedForm::parse(b"password=a&password=b").expect("a form");
        assert!(form.field("password").is_none());
    }
}

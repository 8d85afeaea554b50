//! An identity as the login cookie of a Jupyter Server carries it.

use std::{borrow::Cow, fmt, fmt::Write as _};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{FIELDS, Fields, Identity};

/// The longest payload that is read, in octets: what a cookie can hold.
pub(super) const LIMIT: usize = 4096;

/// The keys, in the order they are written.
pub(super) const KEYS: [&str; FIELDS] = [
    "username",
    "name",
    "display_name",
    "initials",
    "color",
    "avatar_url",
];

impl Identity {
    /// The identity as a JSON object, octet for octet as a Jupyter Server writes it into its login cookie.
    ///
    /// ```text
    /// {"username": "u1", "name": "u1", "display_name": "u1", "initials": null, "color": null, "avatar_url": null}
    /// ```
    ///
    /// Keys in this order, `": "` between key and value, `", "` between pairs, all but visible ASCII and
    /// blanks escaped: Python's `json.dumps`.
    pub fn to_payload(&self) -> String {
        let mut payload = String::with_capacity(128 + self.text.len());
        for (number, (key, field)) in KEYS.iter().zip(self.shown()).enumerate() {
            payload.push_str(if number == 0 { "{\"" } else { ", \"" });
            payload.push_str(key);
            payload.push_str("\": ");
            match field {
                Some(field) => write_string(field, &mut payload),
                None => payload.push_str("null"),
            }
        }
        payload.push('}');
        payload
    }

    /// The identity that a payload of a login cookie holds; its signature is checked before.
    ///
    /// All six keys are needed, in any order, and a username that is not empty. Keys besides them are
    /// ignored; of several of one name the last counts. A payload without escapes costs one allocation.
    ///
    /// # Errors
    ///
    /// - `TooLong`: more than 4096 octets.
    /// - `Malformed`: not a JSON object in UTF-8.
    /// - `Incomplete`: a key is missing, or the username is empty.
    /// - `NotText`: the value of one of the six keys is neither a string nor null, or the username is null.
    pub fn from_payload(payload: &[u8]) -> Result<Self, IdentityError> {
        if payload.len() > LIMIT {
            return Err(IdentityError::new(IdentityErrorKind::TooLong, ""));
        }
        let malformed = || IdentityError::new(IdentityErrorKind::Malformed, "");
        let text = std::str::from_utf8(payload).map_err(|_| malformed())?;
        if let Some(fields) = as_written(text) {
            return Self::of_payload(fields);
        }
        let Object(values) = serde_json::from_str(text).map_err(|_| malformed())?;
        let mut fields: Fields<'_> = [None; FIELDS];
        for ((field, value), key) in fields.iter_mut().zip(&values).zip(KEYS) {
            *field = match value {
                None => return Err(IdentityError::new(IdentityErrorKind::Incomplete, key)),
                Some(Value::Other) => return Err(IdentityError::new(IdentityErrorKind::NotText, key)),
                Some(Value::Null) => None,
                Some(Value::Text(text)) => Some(text),
            };
        }
        Self::of_payload(fields)
    }

    fn of_payload(fields: Fields<'_>) -> Result<Self, IdentityError> {
        match fields[0] {
            None => Err(IdentityError::new(IdentityErrorKind::NotText, KEYS[0])),
            Some("") => Err(IdentityError::new(IdentityErrorKind::Incomplete, KEYS[0])),
            Some(_) => Ok(Self::of(fields)),
        }
    }
}

/// The fields of a payload that is written as [`Identity::to_payload`] writes it and needs no unescaping,
/// which is nearly every one: much faster than reading it as any JSON. Of any other nothing is told.
fn as_written(payload: &str) -> Option<Fields<'_>> {
    const LEADS: [&str; FIELDS] = [
        "{\"username\": ",
        ", \"name\": ",
        ", \"display_name\": ",
        ", \"initials\": ",
        ", \"color\": ",
        ", \"avatar_url\": ",
    ];

    // JSON forbids controls in strings, and `json.dumps` writes none elsewhere.
    if payload.bytes().fold(false, |any, octet| any | (octet < b' ')) {
        return None;
    }
    let mut fields: Fields<'_> = [None; FIELDS];
    let mut rest = payload;
    for (field, lead) in fields.iter_mut().zip(LEADS) {
        rest = rest.strip_prefix(lead)?;
        rest = match rest.strip_prefix('"') {
            Some(value) => {
                let end = memchr::memchr2(b'"', b'\\', value.as_bytes())?;
                let (value, after) = value.split_at_checked(end)?;
                *field = Some(value);
                after.strip_prefix('"')?
            }
            None => rest.strip_prefix("null")?,
        };
    }
    (rest == "}").then_some(fields)
}

/// A JSON string as Python's `json.dumps` writes it.
fn write_string(text: &str, json: &mut String) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            ' '..='~' => json.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(json, "\\u{unit:04x}").expect("a String takes all text");
                }
            }
        }
    }
    json.push('"');
}

/// The values of the six keys, where they are.
struct Object<'a>([Option<Value<'a>>; FIELDS]);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an identity")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut values = [const { None }; FIELDS];
                while let Some(Value::Text(key)) = map.next_key()? {
                    match KEYS
                        .iter()
                        .position(|known| *known == key)
                        .and_then(|place| values.get_mut(place))
                    {
                        Some(value) => *value = Some(map.next_value()?),
                        None => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(Object(values))
            }
        }

        deserializer.deserialize_map(Keys)
    }
}

/// A JSON value, as far as an identity has use for it.
enum Value<'a> {
    Null,
    Other,
    Text(Cow<'a, str>),
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Value<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
                Ok(Value::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
                Ok(Value::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_unit<E>(self) -> Result<Value<'de>, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Value<'de>, E> {
                Ok(Value::Other)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Value<'de>, E> {
                Ok(Value::Other)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Value<'de>, E> {
                Ok(Value::Other)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Value<'de>, E> {
                Ok(Value::Other)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Value<'de>, A::Error> {
                IgnoredAny.visit_seq(seq).map(|_| Value::Other)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value<'de>, A::Error> {
                IgnoredAny.visit_map(map).map(|_| Value::Other)
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// A payload that holds no identity. Its message names the key at fault and shows none of the content.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.message())]
pub struct IdentityError {
    kind: IdentityErrorKind,
    key: &'static str,
}

/// What kind of fault an [`IdentityError`] tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityErrorKind {
    /// A key is missing, or the username is empty.
    Incomplete,
    /// Not a JSON object in UTF-8.
    Malformed,
    /// A field is neither a string nor null, or the username is null.
    NotText,
    /// More than 4096 octets.
    TooLong,
}

impl IdentityError {
    fn new(kind: IdentityErrorKind, key: &'static str) -> Self {
        Self { kind, key }
    }

    /// What kind of fault this is.
    pub fn kind(&self) -> IdentityErrorKind {
        self.kind
    }

    fn message(&self) -> String {
        let key = self.key;
        match self.kind {
            IdentityErrorKind::Incomplete => format!("identity payload: expected {key}, found none"),
            IdentityErrorKind::Malformed => "identity payload: expected a JSON object in UTF-8".to_owned(),
            IdentityErrorKind::NotText => format!("identity payload: expected {key} to be text"),
            IdentityErrorKind::TooLong => format!("identity payload: expected at most {LIMIT} octets"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(payload: &str, expected: Result<&str, &str>) {
        let found = Identity::from_payload(payload.as_bytes());
        match (&found, expected) {
            (Ok(identity), Ok(name)) => assert_eq!(identity.name(), name, "{payload}"),
            (Err(error), Err(text)) => assert_eq!(error.to_string(), text, "{payload}"),
            _ => panic!("{payload}: {found:?}"),
        }
    }

    fn with(key: &str, value: &str) -> String {
        let pairs = KEYS.map(|known| {
            let value = if known == key {
                value
            } else if known == "username" {
                "\"u\""
            } else {
                "null"
            };
            format!("\"{known}\":{value}")
        });
        format!("{{{}}}", pairs.join(","))
    }

    #[test]
    fn a_payload_needs_six_keys_of_text_or_null() {
        check(&with("name", r#""n""#), Ok("n"));
        check(&with("name", "null"), Ok("u"));
        check(
            &with("name", r#""\u0142\ud83d\ude00\n""#),
            Ok("\u{142}\u{1f600}\n"),
        );
        check(&with("name", r#"5,"name":"n""#), Ok("n"));
        check(&with("name", r#""n","x":[{"name":1}],"y":1e5"#), Ok("n"));
        check(&with("name", r#""n","\u006eame":"m""#), Ok("m"));
        for value in ["5", "-5", "0.5", "true", "[]", "{}", r#"[{"a":["b"]}]"#] {
            check(
                &with("color", value),
                Err("identity payload: expected color to be text"),
            );
        }
        check(
            &with("username", "null"),
            Err("identity payload: expected username to be text"),
        );
        check(
            &with("username", "\"\""),
            Err("identity payload: expected username, found none"),
        );
        let lacking = with("color", "null").replace("\"color\":null,", "");
        check(&lacking, Err("identity payload: expected color, found none"));
        let malformed = Err("identity payload: expected a JSON object in UTF-8");
        for payload in [
            "",
            " ",
            "u1",
            "\"u1\"",
            "5",
            "null",
            "[]",
            "{\"a\":1",
            "\u{feff}{}",
            &"[".repeat(4000),
        ] {
            check(payload, malformed);
        }
        check(&with("name", r#""\ud800""#), malformed);
        check(
            &with("x", "null").replace("{", &format!("{{\"x\":{},", "[".repeat(200))),
            malformed,
        );
        check(&format!("{}x", with("name", "null")), malformed);
        check(
            &with("name", &format!("\"{}\"", "a".repeat(4100))),
            Err("identity payload: expected at most 4096 octets"),
        );
        assert!(Identity::from_payload(b"{\"x\": \"\xff\"}").is_err());
    }

    #[test]
    fn both_ways_of_reading_agree() {
        let identity = Identity::new("u1")
            .with_name("A B")
            .with_initials("")
            .with_avatar_url("https://a/~b?c=[d]");
        let written = identity.to_payload();
        assert!(as_written(&written).is_some());
        assert!(as_written(&identity.with_color("\u{e9}").to_payload()).is_none());
        // Every payload that is one octet away from a good one.
        for place in 0..written.len() {
            for octet in [b'"', b'\\', b' ', b'n', b'}', b',', b'\n', 0x7f, b'u'] {
                let mut payload = written.clone().into_bytes();
                payload[place] = octet;
                let payload = String::from_utf8(payload).expect("ASCII");
                // With a blank in front, the payload means the same and is not as it is written.
                let (fast, slow) = (
                    Identity::from_payload(payload.as_bytes()),
                    Identity::from_payload(format!(" {payload}").as_bytes()),
                );
                assert_eq!(fast.ok(), slow.ok(), "{payload}");
            }
        }
    }

    #[test]
    fn strings_are_written_as_python_writes_them() {
        let identity = Identity::new("a\"b\\c/\n\r\t\u{8}\u{c}\u{0}\u{1f}\u{7f}~ \u{e9}\u{ffff}\u{1f600}");
        let written = identity.to_payload();
        let expected = r#"{"username": "a\"b\\c/\n\r\t\b\f\u0000\u001f\u007f~ \u00e9\uffff\ud83d\ude00", "#;
        assert!(written.starts_with(expected), "{written}");
    }
}

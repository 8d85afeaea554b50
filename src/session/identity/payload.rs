//! The identity in the login cookie of a Jupyter Server.

use std::{fmt, io, marker::PhantomData, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::ser::{Formatter, Serializer};

use super::fields::{Fields, Identity};

/// Maximum length of a payload, in bytes: that of a cookie.
const LIMIT: usize = 4096;

impl Identity {
    /// Returns the identity as a JSON object, byte for byte as a Jupyter Server writes it into its login cookie.
    ///
    /// ```text
    /// {"username": "u1", "name": "u1", "display_name": "u1", "initials": null, "color": null, "avatar_url": null}
    /// ```
    ///
    /// The keys are in this order, with `": "` between key and value and `", "` between pairs. All characters except
    /// visible ASCII and spaces are escaped, as by Python's `json.dumps`.
    pub fn to_payload(&self) -> String {
        to_json(&self.display_fields())
    }

    /// Parses the payload of a login cookie. The signature must be verified before.
    ///
    /// All six keys are required, in any order, and the username must not be empty. Other keys are ignored. Of a
    /// repeated key the last one is used.
    ///
    /// # Errors
    ///
    /// - `TooLong`: more than 4096 bytes.
    /// - `Malformed`: not JSON in UTF-8.
    /// - `Incomplete`: a key is missing, or the username is empty.
    /// - `WrongType`: not an object, the value of one of the six keys is neither a string nor null, or the username
    ///   is null.
    pub fn from_payload(payload: &[u8]) -> Result<Self, IdentityError> {
        Payload::<Option<IgnoredAny>, Option<IgnoredAny>>::read(payload)?.identity()
    }
}

/// Returns `value` as JSON, written as Python's `json.dumps` writes it.
pub(crate) fn to_json(value: &impl Serialize) -> String {
    let mut json = Vec::with_capacity(256);
    value
        .serialize(&mut Serializer::with_formatter(&mut json, Python))
        .expect("texts and numbers are JSON");
    String::from_utf8(json).expect("JSON is text")
}

/// The separators and escapes of Python's `json.dumps`.
struct Python;

impl Formatter for Python {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, json: &mut W, first: bool) -> io::Result<()> {
        json.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, json: &mut W, first: bool) -> io::Result<()> {
        json.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, json: &mut W) -> io::Result<()> {
        json.write_all(b": ")
    }

    /// Escapes what `serde_json` does not escape: DEL and everything beyond ASCII.
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, json: &mut W, text: &str) -> io::Result<()> {
        for character in text.chars() {
            if let ' '..='~' = character {
                json.write_all(&[character as u8])?;
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(json, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

/// The members of a payload, read in one pass: those of an identity, and `grant` and `login`, which a Jupyter Server
/// neither writes nor reads.
#[derive(Default)]
pub(crate) struct Payload<G, L> {
    username: Member,
    name: Member,
    display_name: Member,
    initials: Member,
    color: Member,
    avatar_url: Member,
    pub(crate) grant: G,
    pub(crate) login: L,
}

impl<'a, G: Default + Deserialize<'a>, L: Default + Deserialize<'a>> Payload<G, L> {
    pub(crate) fn read(payload: &'a [u8]) -> Result<Self, IdentityError> {
        if payload.len() > LIMIT {
            return Err(IdentityError::new(IdentityErrorKind::TooLong, ""));
        }
        let malformed = IdentityError::new(IdentityErrorKind::Malformed, "");
        let text = std::str::from_utf8(payload).map_err(|_| malformed)?;
        serde_json::from_str(text).map_err(|error| match error.is_data() {
            true => IdentityError::new(IdentityErrorKind::WrongType, "every field"),
            false => malformed,
        })
    }
}

impl<G, L> Payload<G, L> {
    pub(crate) fn identity(self) -> Result<Identity, IdentityError> {
        let username = match text(self.username, "username")? {
            None => return Err(IdentityError::new(IdentityErrorKind::WrongType, "username")),
            Some(username) if username.is_empty() => {
                return Err(IdentityError::new(IdentityErrorKind::Incomplete, "username"));
            }
            Some(username) => username,
        };
        Ok(Identity(Arc::new(Fields {
            username,
            name: text(self.name, "name")?,
            display_name: text(self.display_name, "display_name")?,
            initials: text(self.initials, "initials")?,
            color: text(self.color, "color")?,
            avatar_url: text(self.avatar_url, "avatar_url")?,
        })))
    }
}

/// Not derived: a derived reader rejects a payload with two members of one name.
impl<'de, G, L> Deserialize<'de> for Payload<G, L>
where
    G: Default + Deserialize<'de>,
    L: Default + Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<G, L>(PhantomData<(G, L)>);

        impl<'de, G, L> Visitor<'de> for Members<G, L>
        where
            G: Default + Deserialize<'de>,
            L: Default + Deserialize<'de>,
        {
            type Value = Payload<G, L>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an identity")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut payload = Payload::default();
                while let Some(key) = map.next_key()? {
                    match key {
                        Key::Username => payload.username = Some(map.next_value()?),
                        Key::Name => payload.name = Some(map.next_value()?),
                        Key::DisplayName => payload.display_name = Some(map.next_value()?),
                        Key::Initials => payload.initials = Some(map.next_value()?),
                        Key::Color => payload.color = Some(map.next_value()?),
                        Key::AvatarUrl => payload.avatar_url = Some(map.next_value()?),
                        Key::Grant => payload.grant = map.next_value()?,
                        Key::Login => payload.login = map.next_value()?,
                        Key::Other => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(payload)
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Key {
    Username,
    Name,
    DisplayName,
    Initials,
    Color,
    AvatarUrl,
    Grant,
    Login,
    #[serde(other)]
    Other,
}

/// A member of a payload: `None` if it is missing, `Some(None)` if it is null.
type Member = Option<Option<Box<str>>>;

fn text(member: Member, key: &'static str) -> Result<Option<Box<str>>, IdentityError> {
    member.ok_or(IdentityError::new(IdentityErrorKind::Incomplete, key))
}

/// A payload without a valid identity. The message names the key, and shows none of the content.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{}", self.message())]
pub struct IdentityError {
    kind: IdentityErrorKind,
    key: &'static str,
}

/// Category of an [`IdentityError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityErrorKind {
    /// A key is missing, or the username is empty.
    Incomplete,
    /// Not JSON in UTF-8.
    Malformed,
    /// Not an object, a field is neither a string nor null, or the username is null.
    WrongType,
    /// More than 4096 bytes.
    TooLong,
}

impl IdentityError {
    fn new(kind: IdentityErrorKind, key: &'static str) -> Self {
        Self { kind, key }
    }

    /// Returns the category of the error.
    pub fn kind(&self) -> IdentityErrorKind {
        self.kind
    }

    fn message(&self) -> String {
        let key = self.key;
        match self.kind {
            IdentityErrorKind::Incomplete => format!("identity payload: expected {key}, found none"),
            IdentityErrorKind::Malformed => "identity payload: expected JSON in UTF-8".to_owned(),
            IdentityErrorKind::WrongType => {
                format!("identity payload: expected a JSON object and {key} to be text")
            }
            IdentityErrorKind::TooLong => format!("identity payload: expected at most {LIMIT} bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 6] = [
        "username",
        "name",
        "display_name",
        "initials",
        "color",
        "avatar_url",
    ];

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
        check(&with("name", r#""m","name":"n""#), Ok("n"));
        check(&with("name", r#""n","x":[{"name":1}],"y":1e5"#), Ok("n"));
        check(&with("name", r#""n","\u006eame":"m""#), Ok("m"));
        let wrong_type = Err("identity payload: expected a JSON object and every field to be text");
        for value in ["5", "-5", "0.5", "true", "[]", "{}", r#"[{"a":["b"]}]"#] {
            check(&with("color", value), wrong_type);
        }
        for payload in [
            "\"u1\"",
            "5",
            "null",
            "[]",
            &"[".repeat(4000),
            &with("name", r#"5,"name":"n""#),
        ] {
            check(payload, wrong_type);
        }
        check(
            &with("username", "null"),
            Err("identity payload: expected a JSON object and username to be text"),
        );
        check(
            &with("username", "\"\""),
            Err("identity payload: expected username, found none"),
        );
        let lacking = with("color", "null").replace("\"color\":null,", "");
        check(&lacking, Err("identity payload: expected color, found none"));
        let malformed = Err("identity payload: expected JSON in UTF-8");
        for payload in ["", " ", "u1", "{\"a\":1", "\u{feff}{}"] {
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
            Err("identity payload: expected at most 4096 bytes"),
        );
        assert!(Identity::from_payload(b"{\"x\": \"\xff\"}").is_err());
    }

    #[test]
    fn a_payload_changed_in_one_place_is_read_as_json_says() {
        let written = Identity::new("u1")
            .with_name("A B")
            .with_initials("")
            .with_avatar_url("https://a/~b?c=[d]")
            .to_payload();
        for place in 0..written.len() {
            for byte in [b'"', b'\\', b' ', b'n', b'}', b',', b'\n', 0x7f, b'u'] {
                let mut payload = written.clone().into_bytes();
                payload[place] = byte;
                let payload = String::from_utf8(payload).expect("ASCII");
                let found = Identity::from_payload(payload.as_bytes()).ok();
                let json = serde_json::from_str::<serde_json::Value>(&payload).ok();
                let expected = json.filter(|json| {
                    let named = json["username"].as_str().is_some_and(|name| !name.is_empty());
                    named && KEYS.iter().all(|key| json.get(key).is_some())
                });
                assert_eq!(found.is_some(), expected.is_some(), "{payload}");
                let Some((found, expected)) = found.zip(expected) else {
                    continue;
                };
                assert_eq!(found.username(), expected["username"], "{payload}");
                assert_eq!(found.name(), expected["name"], "{payload}");
                assert_eq!(found.avatar_url(), expected["avatar_url"].as_str(), "{payload}");
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

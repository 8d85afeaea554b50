//! Who somebody is.

mod anonymous;
mod payload;

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

pub use payload::{IdentityError, IdentityErrorKind};

/// Who somebody is: the name they log in by, and how they like to be shown.
///
/// The fields of a Jupyter Server user. All texts stand in one allocation; cloning counts one reference up.
/// Two identities are equal if all their getters are.
///
/// # Security
///
/// Only [`Identity::username`] tells who somebody is. The other fields may be changed by the user at will,
/// to those of somebody else too.
///
/// # Example
///
/// ```
/// use portcullis::Identity;
///
/// let alice = Identity::new("alice").with_name("Alice Liddell").with_initials("AL");
/// assert_eq!(alice.username(), "alice");
/// assert_eq!(alice.display_name(), "Alice Liddell");
/// assert_eq!(alice.color(), None);
/// assert_eq!(
///     alice.to_payload(),
///     r#"{"username": "alice", "name": "Alice Liddell", "display_name": "Alice Liddell", "initials": "AL", "color": null, "avatar_url": null}"#,
/// );
/// assert_eq!(Identity::from_payload(alice.to_payload().as_bytes())?, alice);
/// # Ok::<(), portcullis::IdentityError>(())
/// ```
#[derive(Clone)]
pub struct Identity {
    /// A head that tells where the fields are, and the fields one behind the other.
    ///
    /// They are one text, so that an identity is two words and moves in no time wherever a session goes. The head
    /// is [`DIGITS`] digits of seven bits for the end of each field but the last, which ends with the text, and one
    /// of a bit for each field that is there; one that is not takes no room.
    text: Arc<str>,
}

/// In the order of the payload: username, name, display name, initials, color, avatar's URL.
const FIELDS: usize = 6;
/// Digits of seven bits, each an ASCII character, for a place in the text.
const DIGITS: usize = 4;
/// Octets of the head.
const HEAD: usize = (FIELDS - 1) * DIGITS + 1;

/// The fields as they were given.
type Fields<'a> = [Option<&'a str>; FIELDS];

impl Identity {
    /// Somebody called `username`.
    pub fn new(username: &str) -> Self {
        Self::of([Some(username), None, None, None, None, None])
    }

    /// Somebody nobody knows, under a new random name.
    ///
    /// The username is 32 random hexadecimal digits; name and display name are `Anonymous` and a moon of
    /// Jupiter, the initials their first letters.
    ///
    /// # Panics
    ///
    /// If the system's random generator fails.
    pub fn anonymous() -> Self {
        anonymous::identity()
    }

    /// The same identity under this full name. Default: the username. An empty name counts as none.
    #[must_use]
    pub fn with_name(&self, name: &str) -> Self {
        self.with(1, name)
    }

    /// The same identity, shown under this name. Default: the name. An empty one counts as none.
    #[must_use]
    pub fn with_display_name(&self, display_name: &str) -> Self {
        self.with(2, display_name)
    }

    /// The same identity with these initials. Default: none.
    #[must_use]
    pub fn with_initials(&self, initials: &str) -> Self {
        self.with(3, initials)
    }

    /// The same identity with this colour of its cursor and avatar, a CSS colour. Default: none.
    #[must_use]
    pub fn with_color(&self, color: &str) -> Self {
        self.with(4, color)
    }

    /// The same identity with the picture at this URL. Default: none.
    #[must_use]
    pub fn with_avatar_url(&self, avatar_url: &str) -> Self {
        self.with(5, avatar_url)
    }

    /// The name by which they are known to this server.
    pub fn username(&self) -> &str {
        self.field(0).unwrap_or_default()
    }

    /// The same as octets, which need not be proven to be text once more.
    #[inline]
    pub(crate) fn username_octets(&self) -> &[u8] {
        let end = self.end(0).unwrap_or_default();
        self.text.as_bytes().get(HEAD..end).unwrap_or_default()
    }

    /// The full name, or else the username.
    pub fn name(&self) -> &str {
        self.field(1)
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| self.username())
    }

    /// The name to show, or else the name.
    pub fn display_name(&self) -> &str {
        self.field(2)
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| self.name())
    }

    /// The initials, if there are any.
    pub fn initials(&self) -> Option<&str> {
        self.field(3)
    }

    /// The colour, if there is one.
    pub fn color(&self) -> Option<&str> {
        self.field(4)
    }

    /// Where the picture is, if there is one.
    pub fn avatar_url(&self) -> Option<&str> {
        self.field(5)
    }

    /// The fields as they are shown, in the order of the payload.
    fn shown(&self) -> Fields<'_> {
        [
            Some(self.username()),
            Some(self.name()),
            Some(self.display_name()),
            self.initials(),
            self.color(),
            self.avatar_url(),
        ]
    }

    fn field(&self, number: usize) -> Option<&str> {
        let given = self.text.as_bytes().get(HEAD - 1)?;
        if given & (1 << number) == 0 {
            return None;
        }
        let begin = if number == 0 { HEAD } else { self.end(number - 1)? };
        self.text.get(begin..self.end(number)?)
    }

    /// Where in the text a field ends.
    #[inline]
    fn end(&self, number: usize) -> Option<usize> {
        if number == FIELDS - 1 {
            return Some(self.text.len());
        }
        let digits = self
            .text
            .as_bytes()
            .get(number * DIGITS..)?
            .first_chunk::<DIGITS>()?;
        Some(
            digits
                .iter()
                .fold(0, |place, digit| place << 7 | usize::from(*digit)),
        )
    }

    fn with(&self, number: usize, value: &str) -> Self {
        let mut fields: Fields<'_> = std::array::from_fn(|number| self.field(number));
        fields[number] = Some(value);
        Self::of(fields)
    }

    /// # Panics
    ///
    /// If the fields are 256 MiB or more.
    fn of(fields: Fields<'_>) -> Self {
        let mut head = [0; HEAD];
        let mut length = HEAD;
        let mut given = 0;
        let (ends, _) = head.as_chunks_mut::<DIGITS>();
        let mut ends = ends.iter_mut();
        for (number, field) in fields.into_iter().enumerate() {
            given |= u8::from(field.is_some()) << number;
            length += field.map_or(0, str::len);
            assert!(
                length >> (7 * DIGITS) == 0,
                "the fields of an identity are shorter than 256 MiB"
            );
            if let Some(end) = ends.next() {
                *end = std::array::from_fn(|digit| (length >> (7 * (DIGITS - 1 - digit)) & 0x7F) as u8);
            }
        }
        head[HEAD - 1] = given;
        Self {
            text: joined(&head, fields, length),
        }
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.shown() == other.shown()
    }
}

impl Eq for Identity {}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.shown().hash(state);
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Identity");
        for (name, field) in payload::KEYS.iter().zip(self.shown()) {
            if let Some(field) = field {
                shown.field(name, &field);
            }
        }
        shown.finish()
    }
}

/// The head and the fields one behind the other, in one allocation wherever they come from a payload: put together
/// on the stack first, for an `Arc<str>` cannot be written piece by piece.
fn joined(head: &[u8; HEAD], fields: Fields<'_>, length: usize) -> Arc<str> {
    fn on_stack<const ROOM: usize>(head: &[u8; HEAD], fields: Fields<'_>) -> Option<Arc<str>> {
        let mut room = [0; ROOM];
        let mut length = 0;
        for part in [&head[..]]
            .into_iter()
            .chain(fields.into_iter().flatten().map(str::as_bytes))
        {
            room.get_mut(length..length + part.len())?.copy_from_slice(part);
            length += part.len();
        }
        Some(std::str::from_utf8(room.get(..length)?).ok()?.into())
    }

    let on_stack = if length <= 256 {
        on_stack::<256>(head, fields)
    } else {
        on_stack::<{ payload::LIMIT }>(head, fields)
    };
    on_stack.unwrap_or_else(|| {
        let head = head.iter().map(|digit| char::from(*digit));
        let fields = fields.into_iter().flatten();
        head.chain(fields.flat_map(str::chars)).collect::<String>().into()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn what_is_not_given_falls_back_or_is_absent() {
        let plain = Identity::new("u");
        assert_eq!(
            (plain.username(), plain.name(), plain.display_name()),
            ("u", "u", "u")
        );
        assert_eq!(
            (plain.initials(), plain.color(), plain.avatar_url()),
            (None, None, None)
        );

        let named = plain.with_name("N");
        assert_eq!((named.name(), named.display_name()), ("N", "N"));
        let shown = named.with_display_name("D").with_name("M").with_name("");
        assert_eq!((shown.name(), shown.display_name()), ("u", "D"));

        let full = plain
            .with_avatar_url("https://a/b.png")
            .with_color("#fff")
            .with_initials("");
        assert_eq!(
            (full.initials(), full.color(), full.avatar_url()),
            (Some(""), Some("#fff"), Some("https://a/b.png"))
        );
        assert_eq!(full.username(), "u");
    }

    #[test]
    fn identities_are_equal_as_their_getters_are() {
        let given = Identity::new("u").with_name("u").with_display_name("");
        assert_eq!(given, Identity::new("u"));
        assert_eq!(HashSet::from([given, Identity::new("u")]).len(), 1);
        assert_ne!(Identity::new("u").with_initials(""), Identity::new("u"));
        assert_ne!(
            Identity::new("ab").with_initials("c"),
            Identity::new("a").with_initials("bc")
        );
    }

    #[test]
    fn long_and_foreign_names_are_kept_whole() {
        for length in [0, 1, 85, 86, 255, 256, 257, 4096, 4097, 70_000] {
            let name = "\u{142}".repeat(length);
            let identity = Identity::new("u").with_name(&name).with_color("c");
            assert_eq!(identity.name(), if length == 0 { "u" } else { &name }, "{length}");
            assert_eq!(identity.color(), Some("c"), "{length}");
        }
    }

    #[test]
    fn somebody_anonymous_is_new_each_time() {
        let identity = Identity::anonymous();
        assert_eq!(identity.username().len(), 32);
        assert!(
            identity
                .username()
                .bytes()
                .all(|octet| matches!(octet, b'0'..=b'9' | b'a'..=b'f'))
        );
        assert_ne!(identity.username(), Identity::anonymous().username());
        let moon = identity.name().strip_prefix("Anonymous ").expect("a name");
        assert_eq!(identity.display_name(), identity.name());
        assert_eq!(identity.initials(), Some(format!("A{}", &moon[..1]).as_str()));
    }
}

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
    /// The fields, one behind the other.
    text: Arc<str>,
    /// Where each field but the last ends; the last ends with the text.
    ends: [u32; FIELDS - 1],
    /// A bit for each field that is there; one that is not takes no room in the text.
    given: u8,
}

/// In the order of the payload: username, name, display name, initials, color, avatar's URL.
const FIELDS: usize = 6;

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
        if self.given & (1 << number) == 0 {
            return None;
        }
        let end = |number: usize| self.ends.get(number).map_or(self.text.len(), |end| *end as usize);
        let begin = if number == 0 { 0 } else { end(number - 1) };
        self.text.get(begin..end(number))
    }

    fn with(&self, number: usize, value: &str) -> Self {
        let mut fields: Fields<'_> = std::array::from_fn(|number| self.field(number));
        fields[number] = Some(value);
        Self::of(fields)
    }

    fn of(fields: Fields<'_>) -> Self {
        let mut ends = [0; FIELDS - 1];
        let mut given = 0;
        let mut length = 0;
        for (number, field) in fields.into_iter().enumerate() {
            given |= u8::from(field.is_some()) << number;
            length += field.map_or(0, str::len);
            if let Some(end) = ends.get_mut(number) {
                *end = u32::try_from(length).expect("the fields of an identity are shorter than 4 GiB");
            }
        }
        Self {
            text: joined(fields, length),
            ends,
            given,
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

/// The fields one behind the other, in one allocation wherever they come from a payload: put together on
/// the stack first, for an `Arc<str>` cannot be written piece by piece.
fn joined(fields: Fields<'_>, length: usize) -> Arc<str> {
    fn on_stack<const ROOM: usize>(fields: Fields<'_>) -> Option<Arc<str>> {
        let mut room = [0; ROOM];
        let mut length = 0;
        for field in fields.into_iter().flatten() {
            room.get_mut(length..length + field.len())?
                .copy_from_slice(field.as_bytes());
            length += field.len();
        }
        Some(std::str::from_utf8(room.get(..length)?).ok()?.into())
    }

    let on_stack = if length <= 256 {
        on_stack::<256>(fields)
    } else {
        on_stack::<{ payload::LIMIT }>(fields)
    };
    on_stack.unwrap_or_else(|| fields.into_iter().flatten().collect::<String>().into())
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

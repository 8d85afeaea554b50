//! The identity and its fields.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use serde::Serialize;

/// A user: the name they log in by, and how it is displayed.
///
/// The fields of a Jupyter Server user. Cloning copies no text. Two identities are equal if all their getters are.
///
/// # Security
///
/// Only [`Identity::username`] identifies a user. Users may change the other fields, and may set them to
/// those of another user.
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
/// # Ok::<(), portcullis::session::IdentityError>(())
/// ```
#[derive(Clone)]
pub struct Identity(pub(super) Arc<Fields>);

/// The fields as they were given.
#[derive(Clone, Default)]
pub(super) struct Fields {
    pub(super) username: Box<str>,
    pub(super) name: Option<Box<str>>,
    pub(super) display_name: Option<Box<str>>,
    pub(super) initials: Option<Box<str>>,
    pub(super) color: Option<Box<str>>,
    pub(super) avatar_url: Option<Box<str>>,
}

impl Identity {
    /// Creates an identity with this username.
    pub fn new(username: &str) -> Self {
        Self(Arc::new(Fields {
            username: username.into(),
            ..Fields::default()
        }))
    }

    /// Sets the full name. Defaults to the username. An empty name counts as none.
    #[must_use]
    pub fn with_name(&self, name: &str) -> Self {
        self.with(|fields| fields.name = Some(name.into()))
    }

    /// Sets the name to display. Defaults to the name. An empty one counts as none.
    #[must_use]
    pub fn with_display_name(&self, display_name: &str) -> Self {
        self.with(|fields| fields.display_name = Some(display_name.into()))
    }

    /// Sets the initials. Defaults to none.
    #[must_use]
    pub fn with_initials(&self, initials: &str) -> Self {
        self.with(|fields| fields.initials = Some(initials.into()))
    }

    /// Sets the color of the cursor and avatar, a CSS color. Defaults to none.
    #[must_use]
    pub fn with_color(&self, color: &str) -> Self {
        self.with(|fields| fields.color = Some(color.into()))
    }

    /// Sets the URL of the picture. Defaults to none.
    #[must_use]
    pub fn with_avatar_url(&self, avatar_url: &str) -> Self {
        self.with(|fields| fields.avatar_url = Some(avatar_url.into()))
    }

    /// Returns the name that identifies the user on this server.
    pub fn username(&self) -> &str {
        &self.0.username
    }

    /// Returns the full name, or the username if there is none.
    pub fn name(&self) -> &str {
        match self.0.name.as_deref() {
            None | Some("") => self.username(),
            Some(name) => name,
        }
    }

    /// Returns the name to display, or the name if there is none.
    pub fn display_name(&self) -> &str {
        match self.0.display_name.as_deref() {
            None | Some("") => self.name(),
            Some(name) => name,
        }
    }

    /// Returns the initials.
    pub fn initials(&self) -> Option<&str> {
        self.0.initials.as_deref()
    }

    /// Returns the color.
    pub fn color(&self) -> Option<&str> {
        self.0.color.as_deref()
    }

    /// Returns the URL of the picture.
    pub fn avatar_url(&self) -> Option<&str> {
        self.0.avatar_url.as_deref()
    }

    fn with(&self, change: impl FnOnce(&mut Fields)) -> Self {
        let mut fields = Fields::clone(&self.0);
        change(&mut fields);
        Self(Arc::new(fields))
    }

    /// Returns the fields as the getters return them.
    pub(crate) fn display_fields(&self) -> Shown<'_> {
        Shown {
            username: self.username(),
            name: self.name(),
            display_name: self.display_name(),
            initials: self.initials(),
            color: self.color(),
            avatar_url: self.avatar_url(),
        }
    }
}

/// The fields of an identity as a payload shows them.
#[derive(PartialEq, Hash, Serialize)]
pub(crate) struct Shown<'a> {
    username: &'a str,
    name: &'a str,
    display_name: &'a str,
    initials: Option<&'a str>,
    color: Option<&'a str>,
    avatar_url: Option<&'a str>,
}

impl PartialEq for Identity {
    fn eq(&self, other: &Self) -> bool {
        self.display_fields() == other.display_fields()
    }
}

impl Eq for Identity {}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.display_fields().hash(state);
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.display_fields();
        let mut debug = f.debug_struct("Identity");
        debug
            .field("username", &shown.username)
            .field("name", &shown.name)
            .field("display_name", &shown.display_name);
        for (name, field) in [
            ("initials", shown.initials),
            ("color", shown.color),
            ("avatar_url", shown.avatar_url),
        ] {
            if let Some(field) = field {
                debug.field(name, &field);
            }
        }
        debug.finish()
    }
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
    fn an_anonymous_identity_is_new_each_time() {
        let identity = Identity::anonymous();
        assert_eq!(identity.username().len(), 32);
        assert!(
            identity
                .username()
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        );
        assert_ne!(identity.username(), Identity::anonymous().username());
        let moon = identity.name().strip_prefix("Anonymous ").expect("a name");
        assert_eq!(identity.display_name(), identity.name());
        assert_eq!(identity.initials(), Some(format!("A{}", &moon[..1]).as_str()));
    }
}

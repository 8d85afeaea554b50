//! Scopes: what a credential may be used for.

use std::sync::Arc;

/// A set of scopes: short names of permissions.
///
/// [`contains`](Self::contains) compares names byte for byte, without patterns. [`covers`](Self::covers) also applies
/// the filters of JupyterHub, see [`Scope`]. An empty set has no permissions.
///
/// # Example
///
/// ```
/// use portcullis::Scopes;
///
/// let scopes = Scopes::from(["read", "access:servers!user=alice"]);
/// assert!(scopes.contains("read"));
/// assert!(!scopes.contains("admin"));
/// assert!(!scopes.contains("access:servers!server=alice/lab"));
/// assert!(scopes.covers("access:servers!server=alice/lab"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(Arc<[Box<str>]>);

impl Scopes {
    /// Returns `true` if `scope` is in the set.
    pub fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|held| **held == *scope)
    }

    /// Returns `true` if a scope of the set covers `scope`, by [`Scope::covers`]. A malformed scope covers nothing.
    pub fn covers(&self, scope: &str) -> bool {
        let Some(wanted) = Scope::parse(scope) else {
            return false;
        };
        self.iter()
            .filter_map(Scope::parse)
            .any(|held| held.covers(wanted))
    }

    /// Returns `true` if a scope of the set covers one of `wanted`.
    pub fn covers_any(&self, wanted: &Self) -> bool {
        wanted.iter().any(|scope| self.covers(scope))
    }

    /// Returns `true` if the set covers each of `wanted`.
    pub fn covers_all(&self, wanted: &Self) -> bool {
        wanted.iter().all(|scope| self.covers(scope))
    }

    /// Returns the scopes that both sets cover, sorted. Of two scopes of which one covers the other, that is the
    /// narrower one.
    ///
    /// Filters by group cannot be compared with filters by user, so such a pair has no intersection.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut both: Vec<&str> = Vec::new();
        for one in self.iter() {
            for another in other.iter() {
                let (Some(left), Some(right)) = (Scope::parse(one), Scope::parse(another)) else {
                    continue;
                };
                if left.covers(right) {
                    both.push(another);
                } else if right.covers(left) {
                    both.push(one);
                }
            }
        }
        both.sort_unstable();
        both.dedup();
        both.into_iter().collect()
    }

    /// Returns the scopes in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|scope| &**scope)
    }

    /// Returns `true` if there are no scopes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Collects scopes in the order of the iterator. Any text is accepted; a malformed scope covers nothing.
impl<S: AsRef<str>> FromIterator<S> for Scopes {
    fn from_iter<I: IntoIterator<Item = S>>(scopes: I) -> Self {
        Self(scopes.into_iter().map(|scope| scope.as_ref().into()).collect())
    }
}

/// Appends scopes, under the same rules as collecting them. Clones made before keep their scopes.
impl<S: AsRef<str>> Extend<S> for Scopes {
    fn extend<I: IntoIterator<Item = S>>(&mut self, scopes: I) {
        let added = scopes.into_iter().map(|scope| Box::from(scope.as_ref()));
        self.0 = self.0.iter().cloned().chain(added).collect();
    }
}

impl<const N: usize> From<[&str; N]> for Scopes {
    fn from(scopes: [&str; N]) -> Self {
        scopes.into_iter().collect()
    }
}

impl<S: AsRef<str>> From<Vec<S>> for Scopes {
    fn from(scopes: Vec<S>) -> Self {
        scopes.into_iter().collect()
    }
}

/// A scope of JupyterHub: a name, and optionally a filter that narrows it.
///
/// ```text
/// scope  = name [ "!" kind [ "=" value ] ]
/// ```
///
/// A kind alone (`!user`) means the user of the token. It is covered only by the same text, until the hub adds a
/// value to it. A filter without a kind, or with an empty value, makes a scope malformed.
///
/// Source: the chapter "Scopes", "Filtering" of JupyterHub's documentation.
///
/// # Example
///
/// ```
/// use portcullis::session::Scope;
///
/// let scope = Scope::parse("access:servers!server=alice/").expect("well-formed");
/// assert_eq!((scope.name(), scope.filter()), ("access:servers", Some(("server", Some("alice/")))));
/// assert!(Scope::parse("access:servers!user=alice").is_some_and(|user| user.covers(scope)));
/// assert!(Scope::parse("access:servers!user=").is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scope<'a> {
    name: &'a str,
    filter: Option<(&'a str, Option<&'a str>)>,
}

impl<'a> Scope<'a> {
    /// Parses a scope. Returns `None` if it is malformed.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (name, filter) = match text.split_once('!') {
            None => (text, None),
            Some((name, filter)) => {
                let (kind, value) = match filter.split_once('=') {
                    None => (filter, None),
                    Some((kind, value)) => (kind, Some(value)),
                };
                let formed =
                    is_word(kind) && value.is_none_or(|value| !value.is_empty() && !has_control(value));
                (name, Some(formed.then_some((kind, value))?))
            }
        };
        is_word(name).then_some(Self { name, filter })
    }

    /// Returns the name of the permission, such as `access:servers`.
    pub fn name(self) -> &'a str {
        self.name
    }

    /// Returns the kind and the value of the filter, such as `user` and `alice`.
    pub fn filter(self) -> Option<(&'a str, Option<&'a str>)> {
        self.filter
    }

    /// Returns `true` if this scope includes `other`: the same name, and
    ///
    /// 1. no filter here,
    /// 2. the same filter, or
    /// 3. `user=a` here and `server=a/…` there.
    pub fn covers(self, other: Scope<'_>) -> bool {
        self.name == other.name
            && match (self.filter, other.filter) {
                (None, _) => true,
                (Some(here), Some(there)) if here == there => true,
                (Some(("user", Some(user))), Some(("server", Some(server)))) => {
                    server.split_once('/').is_some_and(|(owner, _)| owner == user)
                }
                _ => false,
            }
    }
}

/// Returns `true` for a name or a kind: visible characters, and none that separates scopes or their parts.
fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"!=\"\\".contains(&byte))
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_covers_itself_and_what_is_narrower() {
        for (held, wanted, expected) in [
            ("a", "a", true),
            ("a", "a!user=x", true),
            ("a", "a!user", true),
            ("a!user=x", "a", false),
            ("a!user=x", "a!user=x", true),
            ("a!user=x", "a!user=y", false),
            ("a!user=x", "a!server=x/", true),
            ("a!user=x", "a!server=x/lab", true),
            ("a!user=x", "a!server=xx/", false),
            ("a!user=x", "a!server=x", false),
            ("a!server=x/", "a!user=x", false),
            ("a!server=x/", "a!server=x/lab", false),
            ("a!group=g", "a!user=x", false),
            ("a!group=g", "a!group=g", true),
            ("a!user", "a!user", true),
            ("a!user", "a!user=x", false),
            ("a!user=a=b c", "a!server=a=b c/", true),
            ("a!", "a", false),
            ("a!=", "a!=", false),
            ("a!user=", "a!user=", false),
            ("a!user=x\n", "a!user=x\n", false),
            ("a b", "a b", false),
            ("A", "a", false),
            ("", "", false),
        ] {
            assert_eq!(
                Scopes::from([held]).covers(wanted),
                expected,
                "{held:?} {wanted:?}"
            );
        }
    }

    #[test]
    fn scopes_are_collected_and_extended_in_order() {
        let mut scopes: Scopes = vec![String::from("read"), String::from("write")]
            .into_iter()
            .collect();
        let before = scopes.clone();
        scopes.extend(["admin"]);
        scopes.extend(Vec::<String>::new());
        assert_eq!(scopes, Scopes::from(["read", "write", "admin"]));
        assert_eq!(before, Scopes::from(vec!["read", "write"]));
    }

    #[test]
    fn malformed_scope_is_kept_and_covers_nothing() {
        let mut scopes = Scopes::default();
        scopes.extend(["a!"]);
        assert_eq!(scopes.iter().collect::<Vec<_>>(), ["a!"]);
        assert!(!scopes.covers("a!"));
        assert!(!scopes.covers("a"));
    }

    #[test]
    fn two_sets_have_in_common_what_both_cover() {
        for (one, other, expected) in [
            (
                &["a", "b!user=x"][..],
                &["a!user=x", "b!server=x/l", "c"][..],
                &["a!user=x", "b!server=x/l"][..],
            ),
            (&["a!user=x"], &["a", "a!user=x"], &["a!user=x"]),
            (&["a!user=x"], &["a!user=y", "a!group=x"], &[]),
            (&["a!", "a"], &["a!"], &[]),
            (&[], &["a"], &[]),
        ] {
            let (one, other): (Scopes, Scopes) = (one.iter().collect(), other.iter().collect());
            let expected: Scopes = expected.iter().collect();
            assert_eq!(one.intersection(&other), expected);
            assert_eq!(other.intersection(&one), expected);
        }
    }
}

//! What a credential is good for.

use std::sync::Arc;

/// A set of scopes: short names of what their holder may do.
///
/// Names are compared octet by octet, without patterns. An empty set holds nothing.
///
/// # Example
///
/// ```
/// use portcullis::Scopes;
///
/// let scopes = Scopes::from(["read", "write"]);
/// assert!(scopes.holds("read"));
/// assert!(!scopes.holds("admin"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(Arc<[Box<str>]>);

impl Scopes {
    /// Whether `scope` is among them.
    pub fn holds(&self, scope: &str) -> bool {
        self.0.iter().any(|held| **held == *scope)
    }

    /// The scopes, in the order they were given.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|scope| &**scope)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<S: AsRef<str>> FromIterator<S> for Scopes {
    fn from_iter<I: IntoIterator<Item = S>>(scopes: I) -> Self {
        Self(scopes.into_iter().map(|scope| scope.as_ref().into()).collect())
    }
}

impl<const N: usize> From<[&str; N]> for Scopes {
    fn from(scopes: [&str; N]) -> Self {
        scopes.into_iter().collect()
    }
}

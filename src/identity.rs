//! Who somebody is.

/// Who somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity(std::sync::Arc<str>);

impl Identity {
    /// Somebody called `username`.
    pub fn new(username: &str) -> Self {
        Self(username.into())
    }

    /// The name by which they are known.
    pub fn username(&self) -> &str {
        &self.0
    }
}

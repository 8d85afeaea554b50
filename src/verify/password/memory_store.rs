//! A few users, kept in memory.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use super::{PasswordLookup, PasswordStore};
use crate::{
    error::ConfigError,
    maybe_future::MaybeFuture,
    password::PasswordHash,
    session::{grant::Grant, identity::Identity},
};

/// A few users and the hashes of their passwords, kept in memory.
///
/// A clone is a handle on the same users. Changes last until the process ends.
///
/// # Example
///
/// ```
/// use portcullis::{verify::MemoryPasswordStore, Identity, PasswordHash, Secret};
///
/// let hash = PasswordHash::hash(&Secret::from("correct horse battery staple"))?;
/// let users = MemoryPasswordStore::new([(Identity::new("alice"), hash)])?;
///
/// // The account is locked: the user cannot log in any more.
/// assert!(users.remove("alice"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MemoryPasswordStore(Arc<RwLock<Table>>);

type Table = HashMap<String, (Arc<PasswordHash>, Grant)>;

impl MemoryPasswordStore {
    /// Creates a store of these users, found by their usernames.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] for `users` if there is none, if one has no name, or if one is there twice.
    pub fn new(users: impl IntoIterator<Item = (Identity, PasswordHash)>) -> Result<Self, ConfigError> {
        Self::from_grants(
            users
                .into_iter()
                .map(|(identity, hash)| (Grant::new(identity), hash)),
        )
    }

    /// Creates a store of users with these grants.
    ///
    /// # Errors
    ///
    /// Returns those of [`MemoryPasswordStore::new`].
    pub fn from_grants(users: impl IntoIterator<Item = (Grant, PasswordHash)>) -> Result<Self, ConfigError> {
        let fault = |message: &str| Err(ConfigError::new("users", message));
        let mut table = Table::new();
        for (grant, hash) in users {
            match table.entry(grant.identity().username().to_owned()) {
                Entry::Occupied(place) => {
                    return fault(&format!("expected each user once, found {:?} again", place.key()));
                }
                Entry::Vacant(place) if place.key().is_empty() => {
                    return fault("expected users with names, found an empty one");
                }
                Entry::Vacant(place) => place.insert((Arc::new(hash), grant)),
            };
        }
        if table.is_empty() {
            return fault("expected at least one user, found none");
        }
        Ok(Self(Arc::new(RwLock::new(table))))
    }

    /// Sets the password of a user. Returns `false` if there is no such user.
    pub fn set_password(&self, username: &str, hash: PasswordHash) -> bool {
        self.change(|table| table.get_mut(username).map(|user| user.0 = Arc::new(hash)))
            .is_some()
    }

    /// Removes a user. Returns `false` if there is no such user.
    pub fn remove(&self, username: &str) -> bool {
        self.change(|table| table.remove(username)).is_some()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

impl PasswordStore for MemoryPasswordStore {
    fn find(&self, username: &str) -> MaybeFuture<PasswordLookup> {
        let table = self.0.read().unwrap_or_else(PoisonError::into_inner);
        MaybeFuture::Ready(Ok(table.get(username).cloned()))
    }

    fn update_hash(&self, username: &str, old: &PasswordHash, new: PasswordHash) -> MaybeFuture<()> {
        self.change(|table| {
            if let Some(user) = table.get_mut(username).filter(|user| *user.0 == *old) {
                user.0 = Arc::new(new);
            }
        });
        MaybeFuture::Ready(())
    }
}

impl fmt::Debug for MemoryPasswordStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Users")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "argon2:$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA";

    #[test]
    fn no_user_a_duplicate_and_one_without_a_name_are_configuration_errors() {
        let user = |name: &str| (Identity::new(name), HASH.parse::<PasswordHash>().expect("a hash"));
        for (names, expected) in [
            (&[][..], "users: expected at least one user, found none"),
            (
                &["a", "b", "a"],
                "users: expected each user once, found \"a\" again",
            ),
            (&["a", ""], "users: expected users with names, found an empty one"),
        ] {
            let error = MemoryPasswordStore::new(names.iter().map(|name| user(name))).expect_err("no users");
            assert_eq!(error.to_string(), expected);
        }
        let users = MemoryPasswordStore::new([user("a"), user("b")]).expect("users");
        let handle = users.clone();
        let known = |name| matches!(handle.find(name), MaybeFuture::Ready(Ok(Some(_))));
        assert!(known("a") && known("b") && !known("A"));
        assert!(users.remove("a") && !users.remove("a") && !known("a") && known("b"));
        let hash: PasswordHash = HASH.parse().expect("a hash");
        assert!(users.set_password("b", hash.clone()) && !users.set_password("a", hash));
        assert_eq!(format!("{users:?}"), "Users");
    }
}

//! Passwords of users, kept in a store.

use std::{fmt, sync::Arc};

use super::{verification, wrong};
use crate::{
    error::BackendError,
    maybe_future::MaybeFuture,
    password::{
        self, PasswordHash,
        pool::{HashingPool, PasswordCheck},
    },
    secret::Secret,
    session::grant::Grant,
    verify::{PasswordVerifier, UserLookup, Verification},
};

/// What a store has of a user: the hash of the password and the grant; `None` for an unknown user.
pub type PasswordLookup = Result<Option<(Arc<PasswordHash>, Grant)>, BackendError>;

/// Stores the hashes of users' passwords.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
///
/// use portcullis::{
///     verify::{PasswordLookup, PasswordStore}, MaybeFuture, Grant, Identity, PasswordHash, BackendError,
/// };
///
/// #[derive(Clone)]
/// struct Database;
///
/// impl PasswordStore for Database {
///     fn find(&self, username: &str) -> MaybeFuture<PasswordLookup> {
///         let (database, username) = (self.clone(), username.to_owned());
///         MaybeFuture::from_future(async move {
///             let Some(text) = database.hash_of(&username).await.map_err(BackendError::new)? else {
///                 return Ok(None);
///             };
///             let hash: PasswordHash = text.parse().map_err(BackendError::new)?;
///             Ok(Some((Arc::new(hash), Grant::new(Identity::new(&username)))))
///         })
///     }
///
///     fn update_hash(&self, username: &str, old: &PasswordHash, new: PasswordHash) -> MaybeFuture<()> {
///         let (database, username, old) = (self.clone(), username.to_owned(), old.clone());
///         MaybeFuture::from_future(async move { database.replace(&username, old.expose(), new.expose()).await })
///     }
/// }
///
/// impl Database {
///     /// `SELECT hash FROM users WHERE name = $1`
///     async fn hash_of(&self, username: &str) -> Result<Option<String>, std::io::Error> {
///         Ok(None)
///     }
///
///     /// `UPDATE users SET hash = $3 WHERE name = $1 AND hash = $2`
///     async fn replace(&self, username: &str, old: &str, new: &str) {}
/// }
/// ```
pub trait PasswordStore: Send + Sync + 'static {
    /// Returns the hash of the password and the grant of a user; `None` for a user who is unknown, locked or without
    /// a password.
    fn find(&self, username: &str) -> MaybeFuture<PasswordLookup>;

    /// Replaces the hash of a user who has logged in with a weak or cheap hash. `new` is a hash of the same password.
    /// Does nothing by default.
    ///
    /// Store it only if the stored hash still is `old`: the password may have been changed in between, and the older
    /// one would become valid again. The store reports its own errors; the login continues.
    fn update_hash(&self, username: &str, old: &PasswordHash, new: PasswordHash) -> MaybeFuture<()> {
        let _ = (username, old, new);
        MaybeFuture::Ready(())
    }
}

impl<S: PasswordStore + ?Sized> PasswordStore for Arc<S> {
    fn find(&self, username: &str) -> MaybeFuture<PasswordLookup> {
        (**self).find(username)
    }

    fn update_hash(&self, username: &str, old: &PasswordHash, new: PasswordHash) -> MaybeFuture<()> {
        (**self).update_hash(username, old, new)
    }
}

/// Users who log in by passwords whose hashes `S` keeps.
///
/// 1. An empty password, or one over 1024 bytes, is incorrect: neither the store nor the pool is called.
/// 2. All other attempts cost one hash at the cost of the pool, even if the user is unknown.
/// 3. If a correct password has a weak or cheap hash, it is rehashed; if the pool is busy, at the next login.
///
/// # Example
///
/// ```
/// use portcullis::{verify::{MemoryPasswordStore, StoredPasswords}, Identity, PasswordHash, Secret};
///
/// let hash = PasswordHash::hash(&Secret::from("correct horse battery staple"))?;
/// let verifier = StoredPasswords::new(MemoryPasswordStore::new([(Identity::new("alice"), hash)])?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct StoredPasswords<S> {
    store: Arc<S>,
    pool: HashingPool,
}

impl<S: PasswordStore> StoredPasswords<S> {
    /// Creates a verifier of the passwords in `store`.
    pub fn new(store: S) -> Self {
        Self {
            store: Arc::new(store),
            pool: HashingPool::shared(),
        }
    }

    /// Sets the hashing pool. Defaults to [`HashingPool::shared`].
    #[must_use]
    pub fn with_pool(mut self, pool: HashingPool) -> Self {
        self.pool = pool;
        self
    }

    /// Returns the store.
    pub fn store(&self) -> &S {
        &self.store
    }
}

impl<S: PasswordStore> PasswordVerifier for StoredPasswords<S> {
    fn verify(&self, username: &str, password: &Secret) -> MaybeFuture<Verification> {
        if !password::is_hashable(password) {
            return MaybeFuture::Ready(wrong());
        }
        let found = self.store.find(username);
        let (verifier, username, password) = (self.clone(), username.to_owned(), password.clone());
        MaybeFuture::from_future(async move {
            let found = match found.await {
                Ok(found) => found,
                Err(error) => return Verification::Unavailable(error),
            };
            let hash = found.as_ref().map(|(hash, _)| Arc::clone(hash));
            let verified = verifier.pool.verify(hash, password.clone()).await;
            let grant = match (&verified, found) {
                (Ok(PasswordCheck::Correct { needs_rehash: true }), Some((old, grant))) => {
                    let kept = verifier.rehash(&username, &old, password).await;
                    Some(stamped((kept.unwrap_or(old), grant)))
                }
                (_, found) => found.map(stamped),
            };
            verification(verified, grant)
        })
    }
}

impl<S: PasswordStore> UserLookup for StoredPasswords<S> {
    fn current(&self, username: &str) -> MaybeFuture<Result<Option<Grant>, BackendError>> {
        let found = self.store.find(username);
        found.map(|found| Ok(found?.map(stamped)))
    }
}

/// The grant of a user, stamped with the hash of their password.
fn stamped((hash, grant): (Arc<PasswordHash>, Grant)) -> Grant {
    grant.with_security_stamp(hash.expose())
}

impl<S: PasswordStore> StoredPasswords<S> {
    /// Hashes the password again; returns the new hash if the store has kept it.
    async fn rehash(
        &self,
        username: &str,
        old: &PasswordHash,
        password: Secret,
    ) -> Option<Arc<PasswordHash>> {
        let new = self.pool.hash(password).await.ok()?;
        self.store.update_hash(username, old, new.clone()).await;
        let (kept, _) = self.store.find(username).await.ok()??;
        (*kept == new).then_some(kept)
    }
}

impl<S> Clone for StoredPasswords<S> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            pool: self.pool.clone(),
        }
    }
}

impl<S> fmt::Debug for StoredPasswords<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredPasswords")
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::{
        denial::Reason,
        password::{Argon2Memory, HashCost},
        session::identity::Identity,
        verify::MemoryPasswordStore,
    };

    fn pool() -> HashingPool {
        HashingPool::new().with_cost(HashCost::tiny()).with_threads(1)
    }

    fn users() -> MemoryPasswordStore {
        let hash = PasswordHash::compute(&"password".into(), HashCost::tiny(), &mut Argon2Memory::default());
        MemoryPasswordStore::new([(Identity::new("alice"), hash)]).expect("users")
    }

    async fn stored(users: &MemoryPasswordStore) -> Arc<PasswordHash> {
        let found = users.find("alice").await.expect("there").expect("known");
        found.0
    }

    #[tokio::test]
    async fn a_user_is_accepted_by_their_password_and_all_else_is_one_answer() {
        let verifier = StoredPasswords::new(users()).with_pool(pool());
        for (username, password) in [
            ("alice", "Password"),
            ("alice", ""),
            ("alice", &*"x".repeat(2_000)),
            ("Alice", "password"),
            ("bob", "password"),
            ("", "password"),
            ("", ""),
        ] {
            let verification = verifier.verify(username, &password.into()).await;
            assert!(
                matches!(verification, Verification::Rejected(Reason::IncorrectPassword)),
                "{username} {password}"
            );
        }
        match verifier.verify("alice", &"password".into()).await {
            Verification::Valid(grant) => assert_eq!(grant.identity().username(), "alice"),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_weak_hash_is_replaced_at_login_and_only_if_the_password_was_right() {
        let users = users();
        let before = stored(&users).await;
        let verifier = StoredPasswords::new(users.clone()).with_pool(pool());
        verifier.verify("alice", &"wrong".into()).await;
        assert!(stored(&users).await == before);
        assert!(matches!(
            verifier.verify("alice", &"password".into()).await,
            Verification::Valid(_)
        ));
        let after = stored(&users).await;
        assert!(after != before && after.verify(&"password".into()));
    }

    #[tokio::test]
    async fn a_password_changed_in_between_is_not_undone_by_a_rehash() {
        let users = users();
        let old = stored(&users).await;
        let of = |password: &str| {
            PasswordHash::compute(&password.into(), HashCost::tiny(), &mut Argon2Memory::default())
        };
        let changed = of("changed");
        users.set_password("alice", changed.clone());
        users.update_hash("alice", &old, of("password")).await;
        assert!(*stored(&users).await == changed);
    }

    struct Broken(AtomicUsize);

    impl PasswordStore for Broken {
        fn find(&self, _username: &str) -> MaybeFuture<PasswordLookup> {
            self.0.fetch_add(1, Ordering::Relaxed);
            MaybeFuture::Ready(Err(BackendError::new("the disk is gone")))
        }
    }

    #[tokio::test]
    async fn an_unavailable_store_is_reported_and_not_queried_for_an_invalid_password() {
        let verifier = StoredPasswords::new(Broken(AtomicUsize::new(0))).with_pool(pool());
        for password in [String::new(), "x".repeat(1 << 20)] {
            let verification = verifier.verify("alice", &password.into());
            assert!(matches!(
                verification,
                MaybeFuture::Ready(Verification::Rejected(Reason::IncorrectPassword))
            ));
        }
        assert_eq!(verifier.store().0.load(Ordering::Relaxed), 0);
        let verification = verifier.verify("alice", &"password".into()).await;
        assert!(matches!(verification, Verification::Unavailable(_)));
    }
}

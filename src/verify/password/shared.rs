//! One password that all users share.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use super::{verification, wrong};
use crate::{
    error::ConfigError,
    maybe_future::MaybeFuture,
    password::{self, PasswordHash, pool::HashingPool},
    secret::Secret,
    session::grant::Grant,
    verify::{PasswordVerifier, Verification},
};

/// One password that all users share, as in Jupyter Server. The username is ignored.
///
/// A clone is a handle on the same password.
///
/// # Example
///
/// ```
/// use portcullis::{verify::SharedPassword, Grant, Identity, PasswordHash};
///
/// let hash: PasswordHash = "argon2:$argon2id$v=19$m=10240,t=10,p=8\
///     $MDEyMzQ1Njc4OWFiY2RlZg$ueYEK26F//JFYSKTK0Y+mq6+WHla9EisG58E9/xcM5Y".parse()?;
/// let verifier = SharedPassword::new(hash, Grant::new(Identity::new("owner")));
/// # Ok::<(), portcullis::password::PasswordError>(())
/// ```
#[derive(Clone)]
pub struct SharedPassword {
    /// `None` until a password is set.
    hash: Arc<RwLock<Option<Arc<PasswordHash>>>>,
    grant: Grant,
    pool: HashingPool,
}

impl SharedPassword {
    /// Creates a verifier that accepts the password of `hash` with `grant`.
    pub fn new(hash: PasswordHash, grant: Grant) -> Self {
        Self::of(Some(hash), grant)
    }

    /// Creates a verifier that rejects all passwords until one is set.
    pub(crate) fn without_password(grant: Grant) -> Self {
        Self::of(None, grant)
    }

    fn of(hash: Option<PasswordHash>, grant: Grant) -> Self {
        Self {
            hash: Arc::new(RwLock::new(hash.map(Arc::new))),
            grant,
            pool: HashingPool::shared(),
        }
    }

    /// Replaces the password, for every clone of this verifier.
    pub fn replace(&self, hash: PasswordHash) {
        *self.hash.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(hash));
    }

    /// Returns the hash of the password, if one is set.
    pub(crate) fn hash(&self) -> Option<Arc<PasswordHash>> {
        let hash = self.hash.read().unwrap_or_else(PoisonError::into_inner);
        hash.clone()
    }

    /// Sets the hashing pool. Defaults to [`HashingPool::shared`].
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] for `pool` if the cost of the hash exceeds that of the pool.
    pub fn with_pool(mut self, pool: HashingPool) -> Result<Self, ConfigError> {
        if self.hash().is_some_and(|hash| !pool.can_verify(&hash)) {
            return Err(ConfigError::new(
                "pool",
                "expected a hashing pool with the memory of the password's hash, found less",
            ));
        }
        self.pool = pool;
        Ok(self)
    }
}

impl PasswordVerifier for SharedPassword {
    fn verify(&self, _username: &str, password: &Secret) -> MaybeFuture<Verification> {
        if !password::is_hashable(password) {
            return MaybeFuture::Ready(wrong());
        }
        let Some(hash) = self.hash() else {
            return MaybeFuture::Ready(wrong());
        };
        let hashing = self.pool.verify(Some(Arc::clone(&hash)), password.clone());
        let this = self.clone();
        MaybeFuture::from_future(async move {
            let verified = hashing.await;
            // A password that was replaced in the meantime is not valid any more.
            let is_current = this.hash().is_some_and(|current| Arc::ptr_eq(&current, &hash));
            verification(verified, is_current.then_some(this.grant))
        })
    }

    fn has_weak_hash(&self) -> bool {
        self.hash().is_some_and(|hash| hash.is_weak())
    }
}

impl fmt::Debug for SharedPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedPassword")
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{denial::Reason, password::HashCost, session::identity::Identity};

    #[tokio::test]
    async fn the_password_is_accepted_with_any_name() {
        let pool = HashingPool::new().with_cost(HashCost::tiny());
        let hash = pool.hash("password".into()).await.expect("a hash");
        let grant = Grant::new(Identity::new("owner"));
        let verifier = SharedPassword::new(hash, grant.clone())
            .with_pool(pool)
            .expect("within the pool's limit");
        for (password, right) in [("password", true), ("Password", false), ("", false)] {
            for username in ["", "owner", "any-user"] {
                match verifier.verify(username, &password.into()).await {
                    Verification::Valid(known) => assert!(right && known == grant, "{password}"),
                    Verification::Rejected(Reason::IncorrectPassword) => assert!(!right, "{password}"),
                    other => panic!("{other:?}"),
                }
            }
        }
        assert!(format!("{verifier:?}").starts_with("SharedPassword { grant: "));
    }

    #[tokio::test]
    async fn a_password_that_is_replaced_while_it_is_checked_is_wrong() {
        let pool = HashingPool::new().with_cost(HashCost::tiny());
        let hash = |password: &'static str| pool.hash(password.into());
        let (old, new) = (hash("old password").await, hash("new password").await);
        let verifier = SharedPassword::new(old.expect("a hash"), Grant::new(Identity::new("owner")))
            .with_pool(pool.clone())
            .expect("within the pool's limit");
        let checked = verifier.verify("", &"old password".into());
        verifier.replace(new.expect("a hash"));
        let result = checked.await;
        assert!(
            matches!(result, Verification::Rejected(Reason::IncorrectPassword)),
            "{result:?}"
        );
    }

    #[test]
    fn an_unset_password_is_wrong_at_once() {
        let verifier = SharedPassword::without_password(Grant::new(Identity::new("owner")));
        let result = verifier.verify("", &"any password".into());
        assert!(
            matches!(
                result,
                MaybeFuture::Ready(Verification::Rejected(Reason::IncorrectPassword))
            ),
            "{result:?}"
        );
    }

    #[test]
    fn a_pool_too_small_for_the_hash_is_a_configuration_error() {
        let hash: PasswordHash =
            "argon2:$argon2id$v=19$m=65536,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA"
                .parse()
                .expect("a hash");
        let verifier = SharedPassword::new(hash, Grant::new(Identity::new("owner")));
        let error = verifier.with_pool(HashingPool::new().with_memory_limit(32_768));
        assert_eq!(error.expect_err("too small").setting(), "pool");
    }
}

//! A directory of users: is the user still allowed?

use std::sync::Arc;

use crate::{error::BackendError, maybe_future::MaybeFuture, session::grant::Grant};

/// Looks up what a user may do now.
///
/// A session that is older than its refresh interval continues with the grant that this returns. So changed scopes
/// take effect without a restart, and the session of a deleted user ends. `StoredPasswords` (feature `password`)
/// implements it.
///
/// # Example
///
/// ```
/// use portcullis::{BackendError, Grant, Identity, MaybeFuture, verify::UserLookup};
///
/// #[derive(Clone)]
/// struct Database;
///
/// impl Database {
///     async fn role(&self, username: &str) -> Result<Option<String>, std::io::Error> {
///         Ok(None)
///     }
/// }
///
/// impl UserLookup for Database {
///     fn current(&self, username: &str) -> MaybeFuture<Result<Option<Grant>, BackendError>> {
///         let (database, username) = (self.clone(), username.to_owned());
///         MaybeFuture::from_future(async move {
///             let role = database.role(&username).await.map_err(BackendError::new)?;
///             Ok(role.map(|role| Grant::new(Identity::new(&username)).with_scopes([&*role])))
///         })
///     }
/// }
/// ```
pub trait UserLookup: Send + Sync + 'static {
    /// Returns what the user with this name may do now, or `None` if there is no such user any more.
    ///
    /// # Errors
    ///
    /// Returns an error if the directory does not respond. The request gets 503 and `Retry-After`; the session does
    /// not end.
    fn current(&self, username: &str) -> MaybeFuture<Result<Option<Grant>, BackendError>>;
}

impl<L: UserLookup + ?Sized> UserLookup for Arc<L> {
    fn current(&self, username: &str) -> MaybeFuture<Result<Option<Grant>, BackendError>> {
        (**self).current(username)
    }
}

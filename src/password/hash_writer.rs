//! Keeping the hash of a changed password.

use crate::{error::BackendError, maybe_future::MaybeFuture, password::PasswordHash};

/// Where the hash of a changed password is kept for the next start. Every closure of the right shape is one.
///
/// # Example
///
/// ```
/// use portcullis::{password::PasswordHashWriter, BackendError, MaybeFuture, PasswordHash};
///
/// fn file(path: std::path::PathBuf) -> impl PasswordHashWriter {
///     move |hash: &PasswordHash| MaybeFuture::Ready(std::fs::write(&path, hash.expose()).map_err(BackendError::new))
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a password keeper",
    label = "expected a `PasswordHashWriter`, or a closure with its type written out",
    note = "a closure looks like `|hash: &PasswordHash| -> Answer<Result<(), BackendError>> {{ … }}`"
)]
pub trait PasswordHashWriter: Send + Sync + 'static {
    /// Stores `hash`. The password changes when this is done, and not before.
    ///
    /// # Errors
    ///
    /// If it could not be stored: then the password does not change, and the user gets an error.
    fn write(&self, hash: &PasswordHash) -> MaybeFuture<Result<(), BackendError>>;
}

impl<F> PasswordHashWriter for F
where
    F: Fn(&PasswordHash) -> MaybeFuture<Result<(), BackendError>> + Send + Sync + 'static,
{
    fn write(&self, hash: &PasswordHash) -> MaybeFuture<Result<(), BackendError>> {
        self(hash)
    }
}

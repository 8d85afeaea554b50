//! The file of a configuration on a system where who may write it cannot be checked, such as Windows: never read or
//! written.

use std::{convert::Infallible, path::Path};

use zeroize::Zeroizing;

use crate::secret::{SecretError, SecretErrorKind};

/// A file that was read.
pub(super) struct Content {
    pub(super) text: Zeroizing<Vec<u8>>,
    pub(super) mode: u32,
}

/// `None` if there is no file at `path`.
///
/// # Errors
///
/// `SecretErrorKind::Permissions` if there is one.
pub(super) fn read(path: &Path, _limit: u64) -> Result<Option<Content>, SecretError> {
    if path.symlink_metadata().is_ok() {
        return Err(refused(path));
    }
    Ok(None)
}

/// The directory of `path`, if it has one.
pub(super) fn directory(path: &Path) -> Option<&Path> {
    path.parent()
}

/// # Errors
///
/// `SecretErrorKind::Permissions`.
pub(super) fn lock(directory: &Path, name: &str) -> Result<Infallible, SecretError> {
    Err(refused(&directory.join(name)))
}

fn refused(path: &Path) -> SecretError {
    SecretError::new(
        SecretErrorKind::Permissions,
        format!(
            "{} decides who has access, and who may write it cannot be checked on this system: configure the hash of the \
             password in the program instead",
            path.display()
        ),
    )
}

//! Sources of secrets: a variable, a file, bytes, or the first of several that has a value.
//!
//! | secret | source |
//! |---|---|
//! | a token, a password, a list of keys in a variable | [`EnvSource::new`] |
//! | the same in a file | [`FileSource::new`] |
//! | the cookie secret, as hexadecimal digits | [`EnvSource::cookie_secret`], [`FileSource::cookie_secret`] |
//! | a binary key file (Jupyter Server's) | [`FileSource::raw`] |
//! | a Jupyter token (`JUPYTER_TOKEN`, `JUPYTER_TOKEN_FILE`) | [`EnvSource::jupyter_token`], [`FileSource::jupyter_token`] |
//! | bytes that the program already has | [`BytesSource`] |
//! | the first of these that has a value | [`SourceChain`] |
//!
//! A source returns `Ok(None)` if it has no value (the variable is unset or empty, the file does not exist), and the
//! next one is tried. Otherwise it returns the secret, or an error that names the variable or the file. An invalid
//! value is never skipped, and never replaced by a generated one.
//!
//! On Unix, the owner and the permissions of a file are checked. On other systems they cannot be, so files are rejected until
//! [`FileSource::allow_unchecked_permissions`] is called.
//!
//! # Example
//!
//! The cookie secret from a variable, or else from a file that is created at the first start:
//!
//! ```
//! use portcullis::{secret::{SecretSource, SourceChain}, EnvSource, FileSource};
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("cookie_secret");
//!
//! let source = SourceChain::new([
//!     Box::new(EnvSource::cookie_secret()),
//!     Box::new(FileSource::cookie_secret(&path).or_create()),
//! ]);
//! let secret = source.load()?.expect("the file is created if need be");
//! assert_eq!(secret.len(), 32);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod allowed_permissions;
mod bytes_source;
mod env_source;
mod file_error;
mod file_source;
mod format;
#[cfg(feature = "jupyter")]
mod private_dir;
mod private_file;
mod source_chain;
#[cfg(any(test, not(unix)))]
mod unchecked;
#[cfg(unix)]
mod unix;
pub(crate) mod value;

use std::sync::Arc;

// The one place that decides whether the permissions of files are checked.
#[cfg(not(unix))]
use self::unchecked as system;
#[cfg(unix)]
use self::unix as system;

#[cfg(feature = "jupyter")]
pub(crate) use self::private_dir::PrivateDir;
#[cfg(feature = "sqlite")]
pub(crate) use self::system::create_database;
#[cfg(feature = "jupyter")]
pub(crate) use self::system::{FileIdentity, create_directories, identity, process_is_running};
pub(crate) use self::{
    allowed_permissions::AllowedPermissions, private_file::PrivateFile, value::constant_time_eq,
};
pub use self::{
    bytes_source::BytesSource,
    env_source::EnvSource,
    file_source::FileSource,
    source_chain::SourceChain,
    value::{Secret, SecretError, SecretErrorKind},
};

/// A source of a secret.
///
/// Sources are read while a program starts, and may block. For a source of your own, implement [`load`] and [`name`]:
///
/// ```
/// use portcullis::{secret::{SecretError, SecretSource}, Secret, Token};
///
/// struct Vault;
///
/// impl SecretSource for Vault {
///     fn load(&self) -> Result<Option<Secret>, SecretError> {
///         Ok(Some(Secret::from("not visible, and two words")))
///     }
///
///     fn name(&self) -> String {
///         "the vault".to_owned()
///     }
/// }
///
/// let error = Token::load(&Vault).unwrap_err();
/// assert!(error.to_string().starts_with("the vault: expected a token"));
/// ```
///
/// [`load`]: SecretSource::load
/// [`name`]: SecretSource::name
pub trait SecretSource: Send + Sync {
    /// Returns the secret, or `None` if this source has none and the next one is to be tried.
    ///
    /// # Errors
    ///
    /// Returns an error if the source has a value that cannot be used. The kind is `Malformed` for the content,
    /// `Permissions` for a file that others could read or change, `Missing` for a value that must exist and does not,
    /// `System` for a failed system call.
    fn load(&self) -> Result<Option<Secret>, SecretError>;

    /// Returns the name of the source in errors, such as `variable JUPYTER_TOKEN`. Defaults to the name of the type.
    fn name(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }

    /// Returns the secret, and the name of the source that it was found in. Defaults to [`load`](Self::load) with
    /// [`name`](Self::name); a source that is made of several overrides it.
    ///
    /// # Errors
    ///
    /// Returns those of [`load`](Self::load).
    fn load_with_name(&self) -> Result<Option<(String, Secret)>, SecretError> {
        Ok(self.load()?.map(|secret| (self.name(), secret)))
    }
}

impl<S: SecretSource + ?Sized> SecretSource for &S {
    fn load(&self) -> Result<Option<Secret>, SecretError> {
        (**self).load()
    }

    fn name(&self) -> String {
        (**self).name()
    }

    fn load_with_name(&self) -> Result<Option<(String, Secret)>, SecretError> {
        (**self).load_with_name()
    }
}

impl<S: SecretSource + ?Sized> SecretSource for Box<S> {
    fn load(&self) -> Result<Option<Secret>, SecretError> {
        (**self).load()
    }

    fn name(&self) -> String {
        (**self).name()
    }

    fn load_with_name(&self) -> Result<Option<(String, Secret)>, SecretError> {
        (**self).load_with_name()
    }
}

impl<S: SecretSource + ?Sized> SecretSource for Arc<S> {
    fn load(&self) -> Result<Option<Secret>, SecretError> {
        (**self).load()
    }

    fn name(&self) -> String {
        (**self).name()
    }

    fn load_with_name(&self) -> Result<Option<(String, Secret)>, SecretError> {
        (**self).load_with_name()
    }
}

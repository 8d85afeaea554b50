//! Where secrets come from: a variable, a file, octets at hand, or the first of several that has one.
//!
//! | what | source |
//! |---|---|
//! | a token, a password, a list of keys in a variable | [`EnvSource::new`] |
//! | the same in a file | [`FileSource::new`] |
//! | the cookie secret, as hexadecimal digits | [`EnvSource::cookie_secret`], [`FileSource::cookie_secret`] |
//! | a key file taken octet by octet (Jupyter Server's) | [`FileSource::raw`] |
//! | a Jupyter token (`JUPYTER_TOKEN`, `JUPYTER_TOKEN_FILE`) | [`EnvSource::jupyter_token`], [`FileSource::jupyter_token`] |
//! | octets the program has got in another way | [`BytesSource`] |
//! | the first of these that has something | [`SourceChain`] |
//!
//! A source answers in one of three ways. It *has nothing* (`Ok(None)`: the variable is unset or empty, the
//! file does not exist) and the next one is asked; it *has a secret*; or it has something that cannot be
//! used, and that is an error which names the variable or the file. What is set and wrong is never passed
//! over in silence, and never replaced by something generated.
//!
//! # Example
//!
//! The cookie secret from a variable, else from a file which is created at the first start:
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

mod atomic_create;
mod bytes_source;
mod directory;
mod env_source;
mod file_error;
mod file_source;
mod format;
mod links;
mod permissions;
#[cfg(feature = "jupyter")]
mod private_dir;
mod private_file;
mod source_chain;
pub(crate) mod value;

use std::sync::Arc;

#[cfg(feature = "jupyter")]
pub(crate) use self::private_dir::PrivateDir;
pub use self::{
    bytes_source::BytesSource,
    env_source::EnvSource,
    file_source::FileSource,
    source_chain::SourceChain,
    value::{Secret, SecretError, SecretErrorKind},
};
pub(crate) use self::{private_file::PrivateFile, value::constant_time_eq};

/// A place that may hold a secret.
///
/// Sources are asked while a program starts, and may block. For a place of one's own write [`load`] and
/// [`name`]:
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
    /// The secret, or `None` if there is nothing here and the next source is to be asked.
    ///
    /// # Errors
    ///
    /// A source that holds something which cannot be used. The kind is `Malformed` for the content,
    /// `Permissions` for a file that others could read or change, `Missing` for what was promised and is not
    /// there, `System` for what the system refused.
    fn load(&self) -> Result<Option<Secret>, SecretError>;

    /// What the operator knows this place by, such as `variable JUPYTER_TOKEN`. Default: the type's name.
    fn name(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }

    /// The secret, and the name of the very place it was found in. Default: [`load`](Self::load) with
    /// [`name`](Self::name), which is right for every source that is not made of several.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
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

//! What a file did wrong, before its name is put in front.

use std::io;

use rustix::io::Errno;

use crate::secret::{SecretError, SecretErrorKind};

/// What a file did wrong. Each text goes on from the file's name.
#[derive(Debug)]
pub(super) enum FileError {
    /// The content: what was expected and found.
    Content(String),
    /// It is not there, and had to be.
    Missing(&'static str),
    /// Its kind, owner, mode, links or directory.
    Permissions(String),
    /// The system refused: what could not be done, and why.
    System(&'static str, Errno),
}

impl FileError {
    /// This error as a [`SecretError`] about `name`.
    pub(super) fn of(self, name: &str) -> SecretError {
        match self {
            Self::Content(text) => SecretError::new(SecretErrorKind::Malformed, format!("{name}: {text}")),
            Self::Missing(text) => SecretError::new(SecretErrorKind::Missing, format!("{name} {text}")),
            Self::Permissions(text) => {
                SecretError::new(SecretErrorKind::Permissions, format!("{name} {text}"))
            }
            Self::System(text, errno) => {
                let error = io::Error::from(errno);
                SecretError::system(format!("{name} {text}: {error}"), error)
            }
        }
    }
}

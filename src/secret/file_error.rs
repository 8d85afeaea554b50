//! What a file did wrong, before its name is put in front.

use std::io;

use crate::secret::{SecretError, SecretErrorKind};

/// How often a file that appears and disappears is tried again before it is an error.
pub(super) const ATTEMPTS: usize = 16;

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
    System(&'static str, io::Error),
}

impl FileError {
    /// What could not be done, and the system's reason.
    pub(super) fn system(what: &'static str, error: impl Into<io::Error>) -> Self {
        Self::System(what, error.into())
    }

    /// The file came and went, as often as it was looked for.
    pub(super) fn kept_changing() -> Self {
        Self::system(
            "comes and goes, and was never there to be read",
            io::ErrorKind::NotFound,
        )
    }

    /// This error as a [`SecretError`] about `name`.
    pub(super) fn of(self, name: &str) -> SecretError {
        match self {
            Self::Content(text) => SecretError::new(SecretErrorKind::Malformed, format!("{name}: {text}")),
            Self::Missing(text) => SecretError::new(SecretErrorKind::Missing, format!("{name} {text}")),
            Self::Permissions(text) => {
                SecretError::new(SecretErrorKind::Permissions, format!("{name} {text}"))
            }
            Self::System(text, error) => SecretError::system(format!("{name} {text}: {error}"), error),
        }
    }
}

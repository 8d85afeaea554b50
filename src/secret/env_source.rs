//! A secret in an environment variable.

use std::{
    env,
    ffi::{OsStr, OsString},
};

use zeroize::Zeroizing;

use crate::secret::{
    SecretSource,
    file_error::FileError,
    format::SecretFormat,
    value::{Secret, SecretError},
};

/// An environment variable that may hold a secret.
///
/// If the variable is unset or empty, the source has no value, and the next source is tried. Any other value is used
/// or rejected: spaces and line ends around it are removed, and the rest must have the expected form. A value of
/// spaces only is rejected, because it was meant to be something.
///
/// # Security
///
/// A process passes its environment to its children, and processes of the same user can read it. Prefer a
/// [`FileSource`](super::FileSource) if you can.
///
/// # Example
///
/// ```
/// use portcullis::{secret::SecretSource, EnvSource};
///
/// # assert!(EnvSource::new("PORTCULLIS_UNSET").load()?.is_none());
/// if let Some(keys) = EnvSource::new("API_KEYS").load()? {
///     println!("{} bytes of keys", keys.len());
/// }
/// # Ok::<(), portcullis::secret::SecretError>(())
/// ```
#[derive(Clone, Debug)]
pub struct EnvSource {
    variable: String,
    content: SecretFormat,
}

impl EnvSource {
    /// Creates a source of the text in `variable`: a token, a password, a list of keys. It must be UTF-8.
    pub fn new(variable: impl Into<String>) -> Self {
        Self {
            variable: variable.into(),
            content: SecretFormat::Text,
        }
    }

    /// Creates a source of the cookie secret of a JupyterHub: hexadecimal digits in `JPY_COOKIE_SECRET`.
    pub fn cookie_secret() -> Self {
        Self::new("JPY_COOKIE_SECRET").hex()
    }

    /// Creates a source of the token of a Jupyter Server: the text in `JUPYTER_TOKEN`.
    ///
    /// For the file that `JUPYTER_TOKEN_FILE` names, see
    /// [`FileSource::jupyter_token`](super::FileSource::jupyter_token).
    pub fn jupyter_token() -> Self {
        Self::new("JUPYTER_TOKEN")
    }

    /// Reads a key of 32 to 1024 bytes as hexadecimal digits of either case.
    ///
    /// By default, the value is a text. The bytes must have at least 8 different values.
    #[must_use]
    pub fn hex(mut self) -> Self {
        self.content = SecretFormat::Hex;
        self
    }

    /// Reads the secret in `value`, the value of the variable.
    fn read(&self, value: Option<OsString>) -> Result<Option<Secret>, SecretError> {
        let Some(value) = set(value) else { return Ok(None) };
        let bytes = Zeroizing::new(value.into_encoded_bytes());
        match self.content.read(&bytes) {
            Ok(secret) => Ok(Some(secret)),
            Err(wrong) => Err(FileError::Content(wrong).of(&self.name())),
        }
    }
}

impl SecretSource for EnvSource {
    /// Returns the value of the variable, or `None` if it is unset or empty.
    ///
    /// # Errors
    ///
    /// Returns `Malformed` if the value does not have the expected form.
    fn load(&self) -> Result<Option<Secret>, SecretError> {
        self.read(env::var_os(&self.variable))
    }

    fn name(&self) -> String {
        format!("variable {}", self.variable)
    }
}

/// Returns the value of a variable that is set. Many tools unset a variable by an empty value.
pub(super) fn set(value: Option<OsString>) -> Option<OsString> {
    value.filter(|value| value != OsStr::new(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    #[test]
    fn an_unset_and_an_empty_variable_have_nothing() {
        for source in [EnvSource::jupyter_token(), EnvSource::cookie_secret()] {
            assert!(source.read(None).expect("unset").is_none());
            assert!(source.read(Some(OsString::new())).expect("empty").is_none());
        }
    }

    #[test]
    fn whitespace_around_a_text_is_removed() {
        let secret = EnvSource::new("API_KEYS")
            .read(Some(" one, two\n".into()))
            .expect("taken")
            .expect("set");
        assert_eq!(secret.expose(), b"one, two");
    }

    #[test]
    fn a_list_of_keys_may_be_long() {
        let keys = "0123456789abcdef,".repeat(1000);
        let secret = EnvSource::new("API_KEYS")
            .read(Some(keys.clone().into()))
            .expect("taken");
        assert_eq!(secret.expect("set").expose(), keys.as_bytes());
    }

    #[test]
    fn a_cookie_secret_is_read_from_digits() {
        let secret = EnvSource::cookie_secret()
            .read(Some(format!("{DIGITS}\n").into()))
            .expect("taken");
        assert_eq!(secret.expect("set").len(), 32);
    }

    #[test]
    fn what_is_set_and_wrong_is_an_error_that_names_the_variable() {
        for (source, value, message) in [
            (
                EnvSource::jupyter_token(),
                " \n",
                "variable JUPYTER_TOKEN: expected a text, found only whitespace",
            ),
            (
                EnvSource::cookie_secret(),
                "${SECRET}",
                "variable JPY_COOKIE_SECRET: expected 64 to 2048 hexadecimal digits, found 9 bytes, and the \
                 one at place 1 is no such digit",
            ),
        ] {
            let error = source.read(Some(value.into())).expect_err("refused");
            assert_eq!(error.to_string(), message);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_no_text_is_an_error() {
        let value = std::os::unix::ffi::OsStringExt::from_vec(b"\xff".to_vec());
        let error = EnvSource::jupyter_token().read(Some(value)).expect_err("refused");
        assert_eq!(
            error.to_string(),
            "variable JUPYTER_TOKEN: expected a text, found bytes that are not UTF-8"
        );
    }
}

//! Loads a token from a source.

use crate::{
    secret::{
        SecretSource,
        value::{SecretError, SecretErrorKind},
    },
    token::Token,
};

impl Token {
    /// Loads the token of `source`.
    ///
    /// # Errors
    ///
    /// Returns `SecretErrorKind::Missing` if the source has none: a server never runs unprotected because a token was
    /// not found. Returns `SecretErrorKind::Malformed` if it is not 1 to 512 visible ASCII bytes, or has the form of
    /// a generated token and a wrong checksum. Returns every error of the source. The message names the variable or
    /// the file.
    ///
    /// # Example
    ///
    /// A file that the program that started this one wrote for it alone:
    ///
    /// ```
    /// use portcullis::{FileSource, Token};
    /// # use std::{fs, os::unix::fs::PermissionsExt};
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("handover");
    /// # fs::write(&path, "0123456789abcdef\n")?;
    /// # fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    ///
    /// let token = Token::load(&FileSource::new(&path).delete_after_read())?;
    /// assert!(!path.exists());
    /// # assert_eq!(token.expose(), "0123456789abcdef");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load(source: &dyn SecretSource) -> Result<Self, SecretError> {
        match source.load_with_name()? {
            Some((name, secret)) => Self::from_secret(secret)
                .map_err(|error| SecretError::new(error.kind(), format!("{name}: {error}"))),
            None => Err(SecretError::new(
                SecretErrorKind::Missing,
                format!("expected a token in {}, found none", source.name()),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{EnvSource, SourceChain, value::Secret};

    struct Fixed(Option<&'static str>);

    impl SecretSource for Fixed {
        fn load(&self) -> Result<Option<Secret>, SecretError> {
            Ok(self.0.map(Secret::from))
        }

        fn name(&self) -> String {
            "drawer".to_owned()
        }
    }

    #[test]
    fn a_token_is_loaded_as_it_is() {
        assert_eq!(
            Token::load(&Fixed(Some("abc123"))).expect("a token").expose(),
            "abc123"
        );
    }

    #[test]
    fn no_token_anywhere_is_an_error_that_names_every_place() {
        let source = SourceChain::new([
            Box::new(EnvSource::new("PORTCULLIS_NEVER_SET")),
            Box::new(Fixed(None)),
        ]);
        let error = Token::load(&source).expect_err("none");
        assert_eq!(error.kind(), SecretErrorKind::Missing);
        assert_eq!(
            error.to_string(),
            "expected a token in variable PORTCULLIS_NEVER_SET or drawer, found none"
        );
    }

    #[test]
    fn what_is_no_token_is_an_error_that_names_the_one_place_it_was_found_in() {
        let source = SourceChain::new([
            Box::new(EnvSource::new("PORTCULLIS_NEVER_SET")),
            Box::new(Fixed(Some("two words"))),
            Box::new(Fixed(Some("good"))),
        ]);
        let error = Token::load(&source).expect_err("no token");
        assert_eq!(error.kind(), SecretErrorKind::Malformed);
        assert_eq!(
            error.to_string(),
            "drawer: expected a token of 1 to 512 visible ASCII characters, found 9 bytes with a space, control \
             or non-ASCII byte at place 4"
        );
    }
}

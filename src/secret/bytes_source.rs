//! A source of bytes that the program already has.

use std::fmt;

use crate::secret::{
    SecretSource,
    file_error::FileError,
    format::SecretFormat,
    value::{Secret, SecretError},
};

/// A key that the program already has, as a source: 32 to 1024 bytes of at least 8 different values.
///
/// For a cookie secret from a configuration file or a vault, so that it can be the first in a
/// [`SourceChain`](super::SourceChain). It always has a value: an empty one is an error, and the next source is not
/// tried. `Debug` prints the name of the type only.
///
/// # Example
///
/// ```
/// use portcullis::secret::{BytesSource, SecretSource};
///
/// let key: Vec<u8> = (0..32).collect();
/// assert_eq!(BytesSource::new(key.clone()).load()?.expect("a key").expose(), key);
/// assert!(BytesSource::new(vec![0; 32]).load().is_err());
/// # Ok::<(), portcullis::secret::SecretError>(())
/// ```
#[derive(Clone)]
pub struct BytesSource(Secret);

impl BytesSource {
    /// Creates a source of these bytes.
    pub fn new(bytes: impl Into<Secret>) -> Self {
        Self(bytes.into())
    }
}

impl SecretSource for BytesSource {
    /// Returns the bytes.
    ///
    /// # Errors
    ///
    /// Returns `Malformed` if they are fewer than 32, more than 1024, or have fewer than 8 different values.
    fn load(&self) -> Result<Option<Secret>, SecretError> {
        match SecretFormat::Raw.read(self.0.expose()) {
            Ok(secret) => Ok(Some(secret)),
            Err(wrong) => Err(FileError::Content(wrong).of(&self.name())),
        }
    }

    fn name(&self) -> String {
        "configured secret".to_owned()
    }
}

impl fmt::Debug for BytesSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BytesSource")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_key_is_an_error_and_not_the_next_sources_turn() {
        let error = BytesSource::new("").load().expect_err("refused");
        assert_eq!(
            error.to_string(),
            "configured secret: expected 32 to 1024 bytes, found nothing"
        );
    }

    #[test]
    fn debug_shows_the_name_only() {
        assert_eq!(format!("{:?}", BytesSource::new("canary")), "BytesSource");
    }
}

//! Several sources, tried in order.

use std::fmt;

use crate::secret::{
    SecretSource,
    value::{Secret, SecretError},
};

/// The first of several sources that has a value.
///
/// A source with a value that cannot be used ends the search with its error: what an operator has set is never
/// skipped.
///
/// # Example
///
/// ```
/// use portcullis::{secret::SourceChain, EnvSource, FileSource, Token};
///
/// let source = SourceChain::new([
///     Box::new(EnvSource::jupyter_token()),
///     Box::new(FileSource::jupyter_token()),
/// ]);
/// match Token::load(&source) {
///     Ok(token) => println!("a token of {} characters", token.expose().len()),
///     Err(error) => println!("{error}"),
/// }
/// ```
pub struct SourceChain(Vec<Box<dyn SecretSource>>);

impl SourceChain {
    /// Creates a chain of these sources, tried in this order. An empty chain has no value.
    ///
    /// Takes an array, so that sources of several types need no cast. Collect an iterator for sources that are listed
    /// at run time.
    pub fn new<const N: usize>(sources: [Box<dyn SecretSource>; N]) -> Self {
        Self(sources.into())
    }
}

/// Collects sources that are listed at run time. They are tried in the order of the iterator.
///
/// ```
/// use portcullis::{secret::{SecretSource, SourceChain}, EnvSource};
///
/// let names = vec!["API_TOKEN", "OLD_API_TOKEN"];
/// let source: SourceChain = names
///     .into_iter()
///     .map(|name| Box::new(EnvSource::new(name)) as Box<dyn SecretSource>)
///     .collect();
/// assert_eq!(source.name(), "variable API_TOKEN or variable OLD_API_TOKEN");
/// ```
impl FromIterator<Box<dyn SecretSource>> for SourceChain {
    fn from_iter<I: IntoIterator<Item = Box<dyn SecretSource>>>(sources: I) -> Self {
        Self(sources.into_iter().collect())
    }
}

impl SecretSource for SourceChain {
    /// Returns the secret of the first source that has one, or `None` if none has.
    ///
    /// # Errors
    ///
    /// Returns the error of the first source with a value that cannot be used.
    fn load(&self) -> Result<Option<Secret>, SecretError> {
        Ok(self.load_with_name()?.map(|(_, secret)| secret))
    }

    fn name(&self) -> String {
        let names: Vec<String> = self.0.iter().map(SecretSource::name).collect();
        names.join(" or ")
    }

    fn load_with_name(&self) -> Result<Option<(String, Secret)>, SecretError> {
        self.0
            .iter()
            .find_map(|source| source.load_with_name().transpose())
            .transpose()
    }
}

impl fmt::Debug for SourceChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(SecretSource::name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{BytesSource, value::SecretErrorKind};

    struct Fixed(Option<&'static str>);

    impl SecretSource for Fixed {
        fn load(&self) -> Result<Option<Secret>, SecretError> {
            Ok(self.0.map(Secret::from))
        }
    }

    struct NeverLoaded;

    impl SecretSource for NeverLoaded {
        fn load(&self) -> Result<Option<Secret>, SecretError> {
            panic!("loaded after the search had ended")
        }
    }

    #[test]
    fn the_first_source_with_a_secret_is_used_and_later_ones_are_not_loaded() {
        let source = SourceChain::new([
            Box::new(Fixed(None)),
            Box::new(Fixed(Some("second"))),
            Box::new(NeverLoaded),
        ]);
        assert_eq!(source.load().expect("good").expect("found").expose(), b"second");
    }

    #[test]
    fn what_is_set_and_wrong_ends_the_search() {
        let source = SourceChain::new([
            Box::new(Fixed(None)),
            Box::new(BytesSource::new("short")),
            Box::new(NeverLoaded),
        ]);
        assert_eq!(
            source.load().expect_err("refused").kind(),
            SecretErrorKind::Malformed
        );
    }

    #[test]
    fn collected_sources_are_loaded_in_order() {
        let chain = |texts: Vec<Option<&'static str>>| -> SourceChain {
            let boxed = |text| Box::new(Fixed(text)) as Box<dyn SecretSource>;
            texts.into_iter().map(boxed).collect()
        };
        let found = chain(vec![None, Some("second"), Some("third")]);
        assert_eq!(found.load().expect("good").expect("found").expose(), b"second");
        assert!(chain(vec![]).load().expect("no error").is_none());
    }

    #[test]
    fn nothing_anywhere_is_nothing() {
        assert!(SourceChain::new([]).load().expect("no error").is_none());
        assert!(
            SourceChain::new([Box::new(Fixed(None)), Box::new(Fixed(None))])
                .load()
                .expect("no error")
                .is_none()
        );
    }
}

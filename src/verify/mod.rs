//! Is it good: verifiers of credentials, apart from where in a request they stand.

mod shared_token;
mod token_set;

use std::sync::Arc;

use crate::{answer::Answer, denial::Reason, error::Unavailable, grant::Grant, token::PresentedToken};

pub use self::{shared_token::SharedToken, token_set::TokenSet};

/// What a verifier says of a credential.
#[derive(Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// I know it, and this is what it is worth. Its expiry is checked by whoever asked, at every use.
    Known(Grant),
    /// I know it is not good, and why.
    Refused(Reason),
    /// I cannot tell, for something did not answer.
    Unavailable(Unavailable),
    /// I do not know it.
    Unknown,
}

/// Somebody who knows tokens.
///
/// See [`Answer`] for one that asks a database.
pub trait TokenVerifier: Send + Sync + 'static {
    /// What `token` is worth.
    fn verify(&self, token: PresentedToken<'_>) -> Answer<Verdict>;

    /// What the token is worth that `octets` are, where one comparison tells. Default: nothing is told.
    ///
    /// Asked before it is known whether the octets have the form of a token: what is equal to a token has
    /// it, so the commonest request is spared that question. Whoever is not recognised is asked for by
    /// [`TokenVerifier::verify`].
    ///
    /// # Security
    ///
    /// The comparison must take constant time.
    fn recognise(&self, octets: &[u8]) -> Option<&Grant> {
        let _ = octets;
        None
    }
}

impl<V: TokenVerifier + ?Sized> TokenVerifier for Arc<V> {
    fn verify(&self, token: PresentedToken<'_>) -> Answer<Verdict> {
        (**self).verify(token)
    }

    fn recognise(&self, octets: &[u8]) -> Option<&Grant> {
        (**self).recognise(octets)
    }
}

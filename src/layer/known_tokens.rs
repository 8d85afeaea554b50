//! A verifier of tokens, as the settings of a gate keep it.

use std::sync::Arc;

use crate::{
    authenticate::{Authenticator, TokenAuthenticator, TokenSource},
    verify::TokenVerifier,
};

/// A verifier of tokens: for whom it is one among others, and as the authenticator of its own type, which asks it
/// without a detour.
pub(super) struct KnownTokens {
    pub(super) verifier: Arc<dyn TokenVerifier>,
    authenticator: MakeAuthenticator,
}

type MakeAuthenticator = Box<dyn FnOnce(Vec<TokenSource>) -> Box<dyn Authenticator> + Send + Sync>;

impl KnownTokens {
    pub(super) fn new(verifier: impl TokenVerifier) -> Self {
        let verifier = Arc::new(verifier);
        let asked = Arc::clone(&verifier);
        Self {
            verifier,
            authenticator: Box::new(|sources| Box::new(TokenAuthenticator::new(asked).with_sources(sources))),
        }
    }

    /// Whoever presents such a token in one of these places.
    pub(super) fn authenticator(self, sources: Vec<TokenSource>) -> Box<dyn Authenticator> {
        (self.authenticator)(sources)
    }
}

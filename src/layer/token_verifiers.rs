//! Token verifiers in the settings of a layer.

use std::sync::Arc;

use crate::{
    authenticate::{Authenticator, QueryLogin, TokenAuthenticator, TokenSource},
    verify::TokenVerifier,
};

/// A token verifier: as a trait object among others, and as an authenticator of its own type, without dynamic
/// dispatch.
pub(super) struct ConfiguredVerifier {
    pub(super) verifier: Arc<dyn TokenVerifier>,
    /// Whether its tokens log browsers in, whatever the other settings say.
    pub(super) for_browsers: bool,
    authenticator: MakeAuthenticator,
}

type MakeAuthenticator =
    Box<dyn FnOnce(Vec<TokenSource>, QueryLogin) -> Box<dyn Authenticator> + Send + Sync>;

impl ConfiguredVerifier {
    pub(super) fn new(verifier: impl TokenVerifier) -> Self {
        let verifier = Arc::new(verifier);
        let shared = Arc::clone(&verifier);
        Self {
            verifier,
            for_browsers: false,
            authenticator: Box::new(|sources, query_login| {
                let authenticator = TokenAuthenticator::new(shared).with_sources(sources);
                Box::new(authenticator.with_query_login(query_login))
            }),
        }
    }

    /// The authenticator of requests that carry such a token in one of these places.
    pub(super) fn authenticator(
        self,
        sources: Vec<TokenSource>,
        query_login: QueryLogin,
    ) -> Box<dyn Authenticator> {
        (self.authenticator)(sources, query_login)
    }
}

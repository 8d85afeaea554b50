//! A token that stops the server and opens nothing else.
//!
//! `jupyter server stop` sends the token in the server's file. If users log in by password and no
//! token was configured, there is none; this one takes its place, and allows nothing but the stop.

use http::Method;
use portcullis::{Authorizer, ConfigError, Denial, Grant, Identity, RequestHead, Session, Token, TokenSet};

const SCOPE: &str = "server:stop";

/// The verifier that accepts `token`, and its grant.
pub(crate) fn verifier(token: Token) -> Result<TokenSet, ConfigError> {
    let grant = Grant::new(Identity::new("stop")).with_scopes([SCOPE]);
    TokenSet::new([(token, grant)])
}

/// The rule: this token allows a POST to `path` and nothing else; all other sessions are not affected.
pub(crate) fn rule(path: String) -> impl Authorizer {
    move |head: RequestHead<'_>, session: &Session| {
        let stops = *head.method() == Method::POST && head.uri().path() == path;
        if session.has_scope(SCOPE) && !stops {
            return session.require_scope("everything else");
        }
        Ok::<(), Denial>(())
    }
}

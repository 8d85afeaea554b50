//! A token that stops the server and opens nothing else.
//!
//! `jupyter server stop` sends the token that the server's file holds. Where people log in by password and no
//! token was configured, there is none to put there: this one is, and it is worth no more than it is for.

use http::Method;
use portcullis::{Authorizer, ConfigError, Denial, Grant, Identity, RequestHead, Session, Token, TokenSet};

const SCOPE: &str = "server:stop";

/// The verifier that knows `token`, and what it is worth.
pub(crate) fn verifier(token: Token) -> Result<TokenSet, ConfigError> {
    let grant = Grant::new(Identity::new("stop")).with_scopes([SCOPE]);
    TokenSet::new([(token, grant)])
}

/// The rule: whoever came by that token may post to `path`, everybody else goes on as before.
pub(crate) fn rule(path: String) -> impl Authorizer {
    move |head: RequestHead<'_>, session: &Session| {
        let stops = *head.method() == Method::POST && head.uri().path() == path;
        if session.has_scope(SCOPE) && !stops {
            return session.require_scope("everything else");
        }
        Ok::<(), Denial>(())
    }
}

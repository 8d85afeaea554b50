//! Gates that a token opens.

use portcullis::{AuthLayer, AuthLayerBuilder, Grant, Identity, Token, TokenSet, TokenSource};

use super::{super::case::Sent, TOKEN, get};

fn guarded(builder: AuthLayerBuilder, guards: bool) -> AuthLayerBuilder {
    if guards {
        builder
    } else {
        builder.danger_answer_for_any_host()
    }
}

fn token() -> Token {
    TOKEN.parse().expect("a token")
}

/// One shared token, in the header field or the query; nothing is handed to the service.
pub(crate) fn shared(guards: bool) -> (AuthLayer, Sent) {
    let builder = AuthLayer::builder().token(token()).gate_only();
    (
        guarded(builder, guards).build().expect("a gate"),
        get().bearer(TOKEN),
    )
}

/// The same, with the session handed to the service.
pub(crate) fn with_session(guards: bool) -> (AuthLayer, Sent) {
    let builder = AuthLayer::builder().token(token());
    (
        guarded(builder, guards).build().expect("a gate"),
        get().bearer(TOKEN),
    )
}

/// The same, and a token that is not the one.
pub(crate) fn refused(guards: bool) -> (AuthLayer, Sent) {
    let (layer, _) = shared(guards);
    (
        layer,
        get().bearer("another456789abcdef0123456789abcdef0123456789abc"),
    )
}

/// A set of `size` tokens, the one sent among them. The hosts are checked only where they are told.
pub(crate) fn set(size: usize, guards: bool) -> (AuthLayer, Sent) {
    let grant = Grant::new(Identity::new("client"));
    let others = (1..size).map(|number| format!("another-token-{number:034}").parse().expect("a token"));
    let keys = TokenSet::new(others.chain([token()]).map(|token| (token, grant.clone()))).expect("a set");
    let sources = [TokenSource::Authorization, TokenSource::Query];
    let builder = AuthLayer::builder()
        .tokens(keys)
        .token_sources(sources)
        .gate_only();
    (
        guarded(builder, guards).build().expect("a gate"),
        get().bearer(TOKEN),
    )
}

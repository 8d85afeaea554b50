//! Layers with tokens.

use std::{convert::Infallible, future::ready};

use http::{Request, Response};
use portcullis::{
    AuthLayer, AuthLayerBuilder, Grant, Identity, MaybeFuture, RequestHead, Token, TokenSet,
    authenticate::TokenSource, middleware::Decision,
};
use tower::{layer::layer_fn, service_fn};
use tower_layer::Layer;

use super::{
    super::case::{Answers, Inner, RequestBody, Sent},
    TOKEN, get,
};

fn guarded(builder: AuthLayerBuilder, guards: bool) -> AuthLayerBuilder {
    if guards {
        builder
    } else {
        builder.danger_allow_any_host()
    }
}

fn token() -> Token {
    TOKEN.parse().expect("a token")
}

/// One shared token, in the header field or the query; nothing is handed to the service.
pub(crate) fn shared(guards: bool) -> (AuthLayer, Sent) {
    let builder = AuthLayer::builder().token(token()).without_session_extension();
    (
        guarded(builder, guards).build().expect("a layer"),
        get().bearer(TOKEN),
    )
}

/// The same, with the session handed to the service.
pub(crate) fn with_session(guards: bool) -> (AuthLayer, Sent) {
    let builder = AuthLayer::builder().token(token());
    (
        guarded(builder, guards).build().expect("a layer"),
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

/// Instead of the layer, a service that requires nothing and sends copies of the layer's response.
pub(crate) fn refusal_copied() -> (impl Layer<Inner, Service: Answers>, Sent) {
    let (layer, sent) = refused(true);
    let MaybeFuture::Ready(Decision::Respond(answer)) = layer.decide(RequestHead::new(&sent.build())) else {
        panic!("expected a refusal");
    };
    let copies = layer_fn(move |_| {
        let answer = answer.clone();
        service_fn(move |request: Request<RequestBody>| {
            drop(request);
            ready(Ok::<_, Infallible>(Response::clone(&answer)))
        })
    });
    (copies, sent)
}

/// A set of `size` tokens, the one sent among them. The hosts are checked only if `guards` is set.
pub(crate) fn set(size: usize, guards: bool) -> (AuthLayer, Sent) {
    let grant = Grant::new(Identity::new("client"));
    let others = (1..size).map(|number| format!("another-token-{number:034}").parse().expect("a token"));
    let keys = TokenSet::new(others.chain([token()]).map(|token| (token, grant.clone()))).expect("a set");
    let sources = [TokenSource::Authorization, TokenSource::Query];
    let builder = AuthLayer::builder()
        .bearer_tokens(keys)
        .token_sources(sources)
        .without_session_extension();
    (
        guarded(builder, guards).build().expect("a layer"),
        get().bearer(TOKEN),
    )
}

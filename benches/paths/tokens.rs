//! Gates that a token opens.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use portcullis::{
    Answer, AuthLayer, AuthLayerBuilder, Decision, Grant, Head, Identity, Token, TokenSet, TokenSource,
};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    super::case::{Inner, RequestBody, Sent},
    TOKEN, get,
};

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

/// In place of the gate somebody who asks for nothing and sends copies of what the gate answered.
pub(crate) fn refusal_copied() -> (Copies, Sent) {
    let (layer, sent) = refused(true);
    match layer.decide(Head::of(&sent.build())) {
        Answer::Now(Decision::Answered(answer)) => (Copies(*answer), sent),
        other => panic!("expected a refusal, found {other:?}"),
    }
}

/// Sends copies of an answer.
#[derive(Clone)]
pub(crate) struct Copies(Response<Full<Bytes>>);

impl Layer<Inner> for Copies {
    type Service = Self;

    fn layer(&self, _: Inner) -> Self {
        self.clone()
    }
}

impl Service<Request<RequestBody>> for Copies {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    #[inline(never)]
    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        drop(request);
        ready(Ok(self.0.clone()))
    }
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

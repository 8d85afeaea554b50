//! Layers with tokens.

use std::{convert::Infallible, future::ready};

use http::{Request, Response};
use portcullis::{
    AuthLayer, AuthLayerBuilder, Grant, Identity, MaybeFuture, RequestHead, Token, TokenSet,
    authenticate::TokenSource, clock::UnixTime, middleware::Decision, testing::TestClock,
    verify::JwtVerifier,
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

/// A JWT that was verified before: the token and the key of RFC 7515, appendix A.3.
pub(crate) fn jwt() -> (AuthLayer, Sent) {
    const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
    const JWT: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let clock = TestClock::new(UnixTime::from_secs(1_300_819_000));
    let keys = JwtVerifier::builder("joe")
        .danger_allow_any_audience()
        .allow_any_type()
        .username_claim("iss")
        .jwks(KEYS)
        .clock(clock.clone())
        .build()
        .expect("a verifier");
    let builder = AuthLayer::builder()
        .bearer_tokens(keys)
        .clock(clock)
        .without_session_extension();
    (builder.build().expect("a layer"), get().bearer(JWT))
}

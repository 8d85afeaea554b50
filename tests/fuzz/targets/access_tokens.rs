//! Access tokens, key sets and introspection responses: a request is accepted only by a valid signature or a clear yes.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::LazyLock,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use portcullis::{
    Secret, TokenVerifier as _, Verification,
    clock::UnixTime,
    testing::TestClock,
    token::PresentedToken,
    verify::{IntrospectionVerifier, JwtVerifier, JwtVerifierBuilder},
};
use serde_json::Value;
use tokio::runtime::Builder;
use tower_service::Service;

/// The key and the token of RFC 7515, appendix A.3.
const JWKS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
const MESSAGE: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

fn verifier() -> JwtVerifierBuilder {
    JwtVerifier::builder("joe")
        .danger_allow_any_audience()
        .allow_any_type()
        .username_claim("iss")
        .clock(TestClock::new(UnixTime::from_secs(1_300_819_000)))
}

static VERIFIER: LazyLock<JwtVerifier> = LazyLock::new(|| verifier().jwks(JWKS).build().expect("settings"));

/// An OAuth server that responds with these bytes.
#[derive(Clone)]
struct Responds(Bytes);

impl Service<Request<Full<Bytes>>> for Responds {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Full<Bytes>>) -> Self::Future {
        ready(Ok(Response::new(Full::new(self.0.clone()))))
    }
}

/// A token, a key set, or a response.
pub fn run(data: &[u8]) {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    if let Some(token) = PresentedToken::new(data)
        && let Verification::Valid(grant) = runtime.block_on(VERIFIER.verify(token).into_future())
    {
        assert_eq!(grant.identity().username(), "joe");
        assert!(token.expose().starts_with(MESSAGE), "another message is signed");
    }

    if verifier().jwks(data).build().is_ok() {
        let set: Value = serde_json::from_slice(data).expect("JSON");
        let keys = set["keys"].as_array().map_or(0, Vec::len);
        assert!((1..=100).contains(&keys), "{keys}");
    }

    let introspection = IntrospectionVerifier::builder("https://login.example.org/introspect")
        .client("api", &Secret::from("S3CRET"))
        .http_client(Responds(Bytes::copy_from_slice(data)))
        .build()
        .expect("settings");
    let token = PresentedToken::new(b"opaque").expect("a token");
    let found = runtime.block_on(async { introspection.verify(token).await });
    match found {
        Verification::Valid(grant) => {
            let response: Value = serde_json::from_slice(data).expect("JSON");
            assert_eq!(response["active"], true);
            assert_eq!(response["sub"], grant.identity().username());
        }
        Verification::Unknown => {}
        Verification::Unavailable(error) => assert!(!error.cause().to_string().contains("S3CRET")),
        other => panic!("{other:?}"),
    }
}

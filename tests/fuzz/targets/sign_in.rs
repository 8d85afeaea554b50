//! What an OpenID provider sends: no user is logged in without a signature of its key, and no other URL than https is requested.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use portcullis::{
    AuthLayer, Grant, Secret,
    clock::UnixTime,
    sign_in::{Claims, OpenIdConnect},
    store::MemoryTokenStore,
    testing::TestClock,
};
use tokio::runtime::Builder;
use tower_layer::Layer as _;
use tower_service::Service;
use url::Url;

use super::{KEYRING, cut};

const METADATA: &str = r#"{"issuer":"https://id.example.org","authorization_endpoint":"https://id.example.org/authorize",
    "token_endpoint":"https://id.example.org/token","jwks_uri":"https://id.example.org/keys",
    "userinfo_endpoint":"https://id.example.org/userinfo","response_types_supported":["code"],
    "subject_types_supported":["public"],"id_token_signing_alg_values_supported":["ES256","RS256","HS256","none"]}"#;
/// The key of RFC 7515, appendix A.3.
const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
const NOW: u64 = 1_700_000_000;

/// A provider that responds with these texts.
#[derive(Clone)]
struct Provider {
    metadata: Bytes,
    keys: Bytes,
    token: Arc<Mutex<Bytes>>,
}

impl Service<Request<Full<Bytes>>> for Provider {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let uri = request.uri();
        assert_eq!(uri.scheme_str(), Some("https"), "{uri}");
        let body = match uri.path() {
            "/.well-known/openid-configuration" => self.metadata.clone(),
            "/keys" => self.keys.clone(),
            _ => self.token.lock().expect("one at a time").clone(),
        };
        let response = Response::builder().header("content-type", "application/json");
        ready(Ok(response.body(Full::new(body)).expect("a response")))
    }
}

fn grant(claims: &Claims) -> Result<Grant, portcullis::Denial> {
    Ok(claims.grant())
}

/// Sends a request and returns the header fields of the response.
async fn get(layer: &AuthLayer, target: &str, cookies: &str) -> HeaderMap {
    let request = Request::get(target)
        .header("host", "localhost")
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "document")
        .header("accept", "text/html")
        .header("cookie", cookies)
        .body(Full::<Bytes>::default())
        .expect("a request");
    let response = layer.layer(Handler).call(request).await.expect("a response");
    response.into_parts().0.headers
}

#[derive(Clone)]
struct Handler;

impl<B> Service<Request<B>> for Handler {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        ready(Ok(Response::default()))
    }
}

/// A token that no key has signed.
fn unsigned(header: &[u8], claims: &[u8]) -> String {
    [header, claims, &[0; 64]]
        .map(|part| BASE64_URL_SAFE_NO_PAD.encode(part))
        .join(".")
}

/// `m` and metadata, `k` and a key set, `t` and a token response, or `i` or `l` and header and claims of an ID or
/// logout token, with a line between them.
pub fn run(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    let of = |letter, default: &'static str| match *kind == letter {
        true => Bytes::copy_from_slice(data),
        false => Bytes::from_static(default.as_bytes()),
    };
    let token = Arc::new(Mutex::new(of(b't', "{}")));
    let provider = Provider {
        metadata: of(b'm', METADATA),
        keys: of(b'k', KEYS),
        token: Arc::clone(&token),
    };
    let runtime = Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async move {
        let client = OpenIdConnect::lazy("https://id.example.org", "app", Secret::from("S3CRET"))
            .expect("an issuer")
            .with_http_client(provider)
            .with_backchannel_logout();
        let layer = AuthLayer::builder()
            .clock(TestClock::new(UnixTime::from_secs(NOW)))
            .keyring(KEYRING.clone())
            .sessions(MemoryTokenStore::new())
            .sign_in_with("Test ID", client, grant)
            .build()
            .expect("a layer");
        if *kind == b'l' {
            let (header, claims) = cut(data, b'\n');
            let body = Full::<Bytes>::from(format!("logout_token={}", unsigned(header, claims)));
            let request = Request::post("/login/test-id/logout")
                .header("host", "localhost")
                .header("content-type", "application/x-www-form-urlencoded")
                .body(body)
                .expect("a request");
            let response = layer.layer(Handler).call(request).await.expect("a response");
            assert_ne!(response.status(), 200, "no key has signed it");
            return;
        }
        let headers = get(&layer, "/login/test-id?next=/page", "").await;
        let Some(location) = headers.get("location") else {
            return;
        };
        let location = Url::parse(location.to_str().expect("ASCII")).expect("a URL");
        assert_eq!(location.scheme(), "https", "{location}");
        let parameter = |name: &str| {
            let found = location.query_pairs().filter(|(found, _)| found == name);
            found
                .last()
                .map(|(_, value)| value.into_owned())
                .unwrap_or_default()
        };
        if *kind == b'i' {
            let (header, claims) = cut(data, b'\n');
            let claims = String::from_utf8_lossy(claims).replace("NONCE", &parameter("nonce"));
            let id_token =
                [header, claims.as_bytes(), &[0; 64]].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
            let response = format!(
                r#"{{"access_token":"a","token_type":"Bearer","id_token":"{}"}}"#,
                id_token.join(".")
            );
            *token.lock().expect("one at a time") = response.into();
        }
        let cookie = headers
            .get("set-cookie")
            .expect("the state")
            .to_str()
            .expect("ASCII");
        let callback = format!("/login/callback?code=c&state={}", parameter("state"));
        let headers = get(&layer, &callback, cookie.split(';').next().unwrap_or_default()).await;
        for cookie in headers.get_all("set-cookie") {
            let line = cookie.to_str().expect("ASCII");
            assert!(!line.starts_with("session="), "logged in: {line}");
        }
    });
}

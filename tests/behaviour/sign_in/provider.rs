//! A small OpenID provider on a real socket, which does what a test wants.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Form, Json, Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use http::{HeaderMap, StatusCode};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use url::Url;

/// How an endpoint fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    Status(u16),
    Redirect,
    TenMegabytes,
    NoJson,
    Hangs,
}

/// How an ID token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signature {
    Good,
    /// `alg: none`, and no signature.
    Missing,
    /// `HS256`, by this many forms of the public key: its point, or the text of the key set.
    MacWithPoint,
    MacWithKeySet,
    /// `HS256`, by the client secret.
    MacWithSecret,
    /// By a key that the provider does not publish.
    OtherKey,
    Changed,
}

type Edit = Box<dyn Fn(&mut Value) + Send>;

pub(crate) struct Settings {
    pub(crate) metadata: Edit,
    pub(crate) header: Edit,
    pub(crate) claims: Edit,
    pub(crate) user_info: Edit,
    pub(crate) token_response: Edit,
    pub(crate) signature: Signature,
    pub(crate) discovery_fault: Fault,
    pub(crate) token_fault: Fault,
    pub(crate) names_issuer: bool,
    pub(crate) now: u64,
    key: EcdsaKeyPair,
    key_id: String,
    codes: HashMap<String, (String, String, String)>,
    /// Requests for: metadata, keys, tokens.
    pub(crate) requests: [usize; 3],
    /// The last token request: the `Authorization` field, and the form.
    pub(crate) token_request: (String, HashMap<String, String>),
}

pub(crate) const SECRET: &str = "the-secret-of-the-client-0123456789";

#[derive(Clone)]
pub(crate) struct TestProvider {
    pub(crate) issuer: String,
    settings: Arc<Mutex<Settings>>,
}

fn new_key() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
    EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).expect("a key")
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

impl TestProvider {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        Self::on(listener)
    }

    pub(crate) fn on(listener: tokio::net::TcpListener) -> Self {
        let nothing = || -> Edit { Box::new(|_| {}) };
        let provider = Self {
            issuer: format!("http://{}", listener.local_addr().expect("an address")),
            settings: Arc::new(Mutex::new(Settings {
                metadata: nothing(),
                header: nothing(),
                claims: nothing(),
                user_info: nothing(),
                token_response: nothing(),
                signature: Signature::Good,
                discovery_fault: Fault::None,
                token_fault: Fault::None,
                names_issuer: true,
                now: super::NOW,
                key: new_key(),
                key_id: "one".to_owned(),
                codes: HashMap::new(),
                requests: [0; 3],
                token_request: Default::default(),
            })),
        };
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/jwks", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(user_info))
            .with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        provider
    }

    pub(crate) fn set(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().expect("one at a time")
    }

    pub(crate) fn rotate_key(&self, key_id: &str) {
        let mut settings = self.set();
        (settings.key, settings.key_id) = (new_key(), key_id.to_owned());
    }

    /// Logs the user in at `url`, and returns the URL that the browser is sent back to.
    pub(crate) fn authorize(&self, url: &str) -> Url {
        let url = Url::parse(url).expect("a URL");
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        let mut settings = self.set();
        let code = format!("code-{}", settings.codes.len());
        let challenge = query["code_challenge"].clone();
        let redirect_uri = query["redirect_uri"].clone();
        settings.codes.insert(
            code.clone(),
            (
                query.get("nonce").cloned().unwrap_or_default(),
                challenge,
                redirect_uri.clone(),
            ),
        );
        let mut back = Url::parse(&redirect_uri).expect("a URL");
        back.query_pairs_mut()
            .append_pair("code", &code)
            .append_pair("state", &query["state"]);
        if settings.names_issuer {
            back.query_pairs_mut().append_pair("iss", &self.issuer);
        }
        back
    }

    fn metadata(&self, settings: &Settings) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        let mut metadata = json!({
            "issuer": self.issuer,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "userinfo_endpoint": at("/userinfo"),
            "jwks_uri": at("/jwks"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256", "HS256", "none", "a-new-one"],
            "authorization_response_iss_parameter_supported": settings.names_issuer,
        });
        (settings.metadata)(&mut metadata);
        metadata
    }

    fn key_set(settings: &Settings) -> Value {
        let point = settings.key.public_key().as_ref();
        json!({"keys": [{
            "kty": "EC", "crv": "P-256", "use": "sig", "kid": settings.key_id,
            "x": encoded(&point[1..33]), "y": encoded(&point[33..]),
        }]})
    }

    fn id_token(&self, settings: &Settings, nonce: &str) -> String {
        let mut header = json!({"alg": "ES256", "kid": settings.key_id, "typ": "JWT"});
        let mut claims = json!({
            "iss": self.issuer, "sub": "7", "aud": "app", "nonce": nonce,
            "iat": settings.now, "exp": settings.now + 300, "groups": ["staff"],
        });
        (settings.header)(&mut header);
        (settings.claims)(&mut claims);
        Self::signed(settings, header, &claims)
    }

    /// A logout token for the session `one`, changed by `edit`.
    pub(crate) fn logout_token(&self, edit: impl Fn(&mut Value, &mut Value)) -> String {
        let settings = self.set();
        let mut header = json!({"alg": "ES256", "kid": settings.key_id, "typ": "logout+jwt"});
        let mut claims = json!({
            "iss": self.issuer, "sub": "7", "aud": "app", "sid": "one", "jti": "a", "iat": settings.now,
            "exp": settings.now + 120, "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        });
        edit(&mut header, &mut claims);
        Self::signed(&settings, header, &claims)
    }

    fn signed(settings: &Settings, mut header: Value, claims: &Value) -> String {
        let mac_key = match settings.signature {
            Signature::MacWithPoint => Some(settings.key.public_key().as_ref().to_vec()),
            Signature::MacWithKeySet => Some(Self::key_set(settings).to_string().into_bytes()),
            Signature::MacWithSecret => Some(SECRET.into()),
            _ => None,
        };
        if mac_key.is_some() {
            header["alg"] = json!("HS256");
        } else if settings.signature == Signature::Missing {
            header["alg"] = json!("none");
        }
        let text = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let sign = |key: &EcdsaKeyPair, text: &str| {
            let signature = key.sign(&SystemRandom::new(), text.as_bytes());
            signature.expect("a signature").as_ref().to_vec()
        };
        let signature = match (settings.signature, mac_key) {
            (_, Some(key)) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
                hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
            }
            (Signature::Missing, _) => Vec::new(),
            (Signature::OtherKey, _) => sign(&new_key(), &text),
            (Signature::Changed, _) => sign(&settings.key, "another text"),
            _ => sign(&settings.key, &text),
        };
        format!("{text}.{}", encoded(signature))
    }
}

async fn faulty(fault: Fault) -> Option<Response> {
    match fault {
        Fault::None => None,
        Fault::Status(status) => {
            let status = StatusCode::from_u16(status).expect("a status");
            Some((status, "broken").into_response())
        }
        Fault::Redirect => {
            Some((StatusCode::TEMPORARY_REDIRECT, [("location", "/elsewhere")]).into_response())
        }
        Fault::TenMegabytes => {
            let body = Body::from(vec![b' '; 10 * 1024 * 1024]);
            Some(([("content-type", "application/json")], body).into_response())
        }
        Fault::NoJson => Some(([("content-type", "application/json")], "<html>").into_response()),
        Fault::Hangs => {
            tokio::time::sleep(Duration::from_secs(3_600)).await;
            None
        }
    }
}

async fn metadata(State(provider): State<TestProvider>) -> Response {
    let fault = {
        let mut settings = provider.set();
        settings.requests[0] += 1;
        settings.discovery_fault
    };
    if let Some(response) = faulty(fault).await {
        return response;
    }
    let settings = provider.set();
    Json(provider.metadata(&settings)).into_response()
}

async fn keys(State(provider): State<TestProvider>) -> Response {
    let mut settings = provider.set();
    settings.requests[1] += 1;
    Json(TestProvider::key_set(&settings)).into_response()
}

async fn token(
    State(provider): State<TestProvider>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let fault = {
        let mut settings = provider.set();
        settings.requests[2] += 1;
        let field = headers.get("authorization").and_then(|value| value.to_str().ok());
        settings.token_request = (field.unwrap_or_default().to_owned(), form.clone());
        settings.token_fault
    };
    if let Some(response) = faulty(fault).await {
        return response;
    }
    let mut settings = provider.set();
    let verifier = form.get("code_verifier").cloned().unwrap_or_default();
    let challenge = encoded(ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes()));
    let code = form.get("code").cloned().unwrap_or_default();
    let nonce = match settings.codes.remove(&code) {
        Some((nonce, expected, redirect_uri))
            if challenge == expected && form.get("redirect_uri") == Some(&redirect_uri) =>
        {
            nonce
        }
        _ => {
            let error = json!({"error": "invalid_grant", "error_description": "<b>no</b>"});
            return (StatusCode::BAD_REQUEST, Json(error)).into_response();
        }
    };
    let mut response = json!({
        "access_token": "a".repeat(20_000), "token_type": "Bearer", "expires_in": 300,
        "id_token": provider.id_token(&settings, &nonce),
    });
    (settings.token_response)(&mut response);
    Json(response).into_response()
}

async fn user_info(State(provider): State<TestProvider>) -> Response {
    let settings = provider.set();
    let mut claims = json!({"sub": "7", "name": "Alice", "groups": ["only-here-if-not-in-the-token"]});
    (settings.user_info)(&mut claims);
    Json(claims).into_response()
}

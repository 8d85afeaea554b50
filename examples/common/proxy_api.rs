//! The routes of a proxy such as `configurable-http-proxy`, changed by its token-protected API.

use std::{fmt::Write as _, time::Duration};

use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use portcullis::Token;
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep, timeout};

use super::exit::Failure;

/// More than the routes of a large hub.
const LIMIT: usize = 16 * 1024 * 1024;
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(20);

/// The API of a proxy.
#[derive(Clone)]
pub(crate) struct ProxyApi {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
    token: Token,
    patience: Duration,
}

impl ProxyApi {
    /// The API at `url`, such as `http://127.0.0.1:8001`. A proxy that does not answer, or answers that it cannot, is
    /// called again until `patience` has passed.
    ///
    /// # Errors
    ///
    /// If the URL is none of HTTP's.
    pub(crate) fn new(url: &str, token: Token, patience: Duration) -> Result<Self, Failure> {
        let parsed: Uri = url
            .parse()
            .map_err(|error| format!("the proxy's API {url:?}: {error}"))?;
        if parsed.scheme_str() != Some("http") || parsed.query().is_some() {
            return Err(format!("the proxy's API: expected http://host:port, found {url:?}").into());
        }
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            url: url.trim_end_matches('/').to_owned(),
            token,
            patience,
        })
    }

    /// Routes what lies below the path `spec` to `target`, from now on; `data` is stored with it.
    ///
    /// # Errors
    ///
    /// If the proxy refuses the token or the route, or does not answer.
    pub(crate) async fn add(
        &self,
        spec: &str,
        target: &str,
        data: Map<String, Value>,
    ) -> Result<(), Failure> {
        let mut body = data;
        body.insert("target".to_owned(), target.into());
        let body = Value::Object(body).to_string();
        match self.ask(Method::POST, spec, body).await? {
            (StatusCode::CREATED | StatusCode::OK, _) => Ok(()),
            (status, text) => Err(self.fault(status, &text)),
        }
    }

    /// Takes the route of the path `spec` away. Whether there was one.
    ///
    /// # Errors
    ///
    /// As for [`ProxyApi::add`].
    pub(crate) async fn delete(&self, spec: &str) -> Result<bool, Failure> {
        match self.ask(Method::DELETE, spec, String::new()).await? {
            (StatusCode::NO_CONTENT | StatusCode::OK, _) => Ok(true),
            (StatusCode::NOT_FOUND, _) => Ok(false),
            (status, text) => Err(self.fault(status, &text)),
        }
    }

    /// Every route, by its path, with its target and data. The paths are escaped, as [`ProxyApi::add`]
    /// takes them: the proxy returns them decoded, without the slash at their end.
    ///
    /// # Errors
    ///
    /// As for [`ProxyApi::add`].
    pub(crate) async fn list(&self) -> Result<Map<String, Value>, Failure> {
        let (status, text) = self.ask(Method::GET, "", String::new()).await?;
        if status != StatusCode::OK {
            return Err(self.fault(status, &text));
        }
        match serde_json::from_slice(&text) {
            Ok(Value::Object(routes)) => {
                let routes = routes.into_iter();
                Ok(routes.map(|(path, route)| (escaped(&path), route)).collect())
            }
            _ => Err(format!(
                "the proxy at {}: expected an object of routes, found something else",
                self.url
            )
            .into()),
        }
    }

    async fn ask(&self, method: Method, spec: &str, body: String) -> Result<(StatusCode, Bytes), Failure> {
        let until = Instant::now() + self.patience;
        let mut pause = Duration::from_millis(100);
        loop {
            let found = self.ask_once(method.clone(), spec, body.clone()).await;
            let again = match &found {
                Ok((status, _)) => status.is_server_error(),
                Err(_) => true,
            };
            if !again || Instant::now() + pause > until {
                return found;
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
    }

    async fn ask_once(
        &self,
        method: Method,
        spec: &str,
        body: String,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let fault = |error: &dyn std::error::Error| {
            // The last cause is the most specific: that the connection was refused.
            let mut cause = error;
            while let Some(deeper) = cause.source() {
                cause = deeper;
            }
            Failure::from(format!(
                "the proxy's API at {} does not answer: {cause}; is the proxy running?",
                self.url
            ))
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/api/routes{}", self.url, in_api(spec)))
            // Exactly so: the originals read no other spelling.
            .header(header::AUTHORIZATION, format!("token {}", self.token.expose()))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(body))
            .map_err(|error| fault(&error))?;
        let answered = async {
            let response = self
                .client
                .request(request)
                .await
                .map_err(|error| fault(&error))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, LIMIT)
                .collect()
                .await
                .map_err(|error| fault(&*error))?;
            Ok((parts.status, body.to_bytes()))
        };
        timeout(ANSWER, answered).await.map_err(|error| fault(&error))?
    }

    fn fault(&self, status: StatusCode, text: &[u8]) -> Failure {
        if matches!(status, StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED) {
            return format!(
                "the proxy refused our token: is CONFIGPROXY_AUTH_TOKEN the same here and at {}?",
                self.url
            )
            .into();
        }
        let text: String = String::from_utf8_lossy(text)
            .chars()
            .filter(|text| !text.is_control())
            .take(200)
            .collect();
        format!(
            "the proxy at {}: expected it to take the route, found status {status} {text}",
            self.url
        )
        .into()
    }
}

/// The path of a route below `/api/routes`: every byte that is not plain escaped, no slash behind. The default route
/// keeps its slash: without it a request is never answered.
fn in_api(spec: &str) -> String {
    if spec.is_empty() {
        return String::new();
    }
    let mut path = String::from("/");
    for byte in spec.trim_matches('/').bytes() {
        // An escape stays one.
        if is_plain(byte) || byte == b'%' {
            path.push(byte.into());
        } else {
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
}

/// A path with its signs escaped, as [`ProxyApi::add`] takes it; letters of every script stay.
pub(crate) fn escaped(path: &str) -> String {
    let mut escaped = String::new();
    for sign in path.chars() {
        match u8::try_from(sign).ok().filter(u8::is_ascii) {
            Some(byte) if !is_plain(byte) => {
                let _ = write!(escaped, "%{byte:02X}");
            }
            _ => escaped.push(sign),
        }
    }
    escaped
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~@/".contains(&byte)
}

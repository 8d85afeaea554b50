//! The layer behind a real HTTP server, over HTTP/1.1 and HTTP/2 in bytes.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use portcullis::{AuthLayer, Session, request::Peer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tower::{Layer, service_fn};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Http1,
    Http2,
}

pub(crate) const VERSIONS: [Version; 2] = [Version::Http1, Version::Http2];

/// A request in bytes, as a client of either version sends it.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) method: String,
    pub(crate) target: Vec<u8>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) peer: SocketAddr,
}

impl Sent {
    pub(crate) fn get(target: &str) -> Self {
        Self {
            method: "GET".to_owned(),
            target: target.into(),
            headers: Vec::new(),
            peer: SocketAddr::from(([127, 0, 0, 1], 40_000)),
        }
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    fn has(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(sent, _)| sent.eq_ignore_ascii_case(name))
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// The response of the layer and a handler behind it; `None` if the HTTP implementation of either side rejects the bytes
/// before the layer sees them.
///
/// The handler answers `<username> by <credential>`, or `anonymous`, with status 200.
pub(crate) async fn exchange(layer: &AuthLayer, version: Version, sent: &Sent) -> Option<Received> {
    let (client, server) = tokio::io::duplex(1 << 20);
    let peer = Peer::Ip(sent.peer);
    let inner = layer.layer(service_fn(handler));
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let inner = inner.clone();
        async move { tower::ServiceExt::oneshot(inner, request).await }
    });
    let server = tokio::spawn(async move {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder
            .http1()
            .half_close(true)
            .max_buf_size(1 << 20)
            .header_read_timeout(None);
        builder.http2().max_header_list_size(1 << 20);
        let _ = builder
            .serve_connection_with_upgrades(TokioIo::new(server), TowerToHyperService::new(service))
            .await;
    });
    let exchange = async {
        match version {
            Version::Http1 => over_http1(client, sent).await,
            Version::Http2 => over_http2(client, sent).await,
        }
    };
    let received = tokio::time::timeout(Duration::from_secs(10), exchange)
        .await
        .expect("an answer in time");
    server.abort();
    received
}

async fn handler(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = Session::from_extensions(request.extensions()).map_or("anonymous".to_owned(), |session| {
        format!("{} by {:?}", session.identity().username(), session.auth_method())
    });
    Ok(Response::builder()
        .header("x-handler", "reached")
        .body(Full::from(text))
        .expect("a response"))
}

async fn over_http1(mut client: DuplexStream, sent: &Sent) -> Option<Received> {
    let mut bytes = Vec::new();
    bytes.extend_from_slice(sent.method.as_bytes());
    bytes.push(b' ');
    bytes.extend_from_slice(&sent.target);
    bytes.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in &sent.headers {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"\r\n");
    }
    if !sent.has("connection") {
        bytes.extend_from_slice(b"Connection: close\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    client.write_all(&bytes).await.ok()?;
    client.shutdown().await.ok()?;
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect::<Vec<_>>();
    let from_hyper =
        status == 400 && body.is_empty() && !headers.iter().any(|(name, _)| name == "content-type");
    (!from_hyper).then(|| Received {
        status,
        headers,
        body: body.to_owned(),
    })
}

async fn over_http2(client: DuplexStream, sent: &Sent) -> Option<Received> {
    let host = sent
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("host"))
        .map(|(_, value)| value.clone());
    // With one Host its value is the authority, as HTTP/2 clients have it; none or several are sent as fields.
    let hosts = sent
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("host"))
        .count();
    let authority = host
        .filter(|_| hosts == 1)
        .unwrap_or_else(|| b"localhost".to_vec());
    let uri = Uri::builder()
        .scheme("http")
        .authority(authority.as_slice())
        .path_and_query(sent.target.as_slice())
        .build()
        .ok()?;
    let mut request = Request::new(Full::<Bytes>::default());
    *request.method_mut() = Method::from_bytes(sent.method.as_bytes()).ok()?;
    *request.uri_mut() = uri;
    for (name, value) in &sent.headers {
        if (name.eq_ignore_ascii_case("host") && hosts == 1) || is_of_http1(name) {
            continue;
        }
        let name = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes()).ok()?;
        request
            .headers_mut()
            .append(name, HeaderValue::from_bytes(value).ok()?);
    }
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .handshake(TokioIo::new(client))
        .await
        .ok()?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await;
    let received = match answer {
        Ok(answer) => {
            let (parts, body) = answer.into_parts();
            let body = body.collect().await.ok()?.to_bytes();
            let headers = parts
                .headers
                .iter()
                .map(|(name, value)| {
                    (
                        name.to_string(),
                        String::from_utf8_lossy(value.as_bytes()).into_owned(),
                    )
                })
                .collect();
            Some(Received {
                status: parts.status.as_u16(),
                headers,
                body: String::from_utf8_lossy(&body).into_owned(),
            })
        }
        Err(_) => None,
    };
    connection.abort();
    received
}

/// Fields that HTTP/2 forbids (RFC 9113 section 8.2.2).
fn is_of_http1(name: &str) -> bool {
    [
        "connection",
        "upgrade",
        "keep-alive",
        "transfer-encoding",
        "proxy-connection",
    ]
    .iter()
    .any(|field| name.eq_ignore_ascii_case(field))
}

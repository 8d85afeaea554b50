//! A request sent on to another server, and its answer brought back: what every reverse proxy does.
//!
//! Bodies stream both ways, websockets are joined end to end, fields that are about one connection stay on it,
//! and `X-Forwarded-*` gives the other server the client's address. Authentication comes before.

use std::{error::Error, fmt, future::Future, net::IpAddr, str::FromStr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version,
    header::{
        CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
        TE, TRANSFER_ENCODING, UPGRADE,
    },
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body_util::{BodyExt as _, Empty, combinators::UnsyncBoxBody};
use hyper::upgrade::{OnUpgrade, on as upgraded};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use tokio::io::copy_bidirectional;
use tokio_util::io::InspectReader;

use super::{exit::Failure, until::Until};

/// How long the other server may take to take a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// How long an idle connection to it is kept. Shorter than any usual server keeps one, node's five seconds
/// included: a request on a connection that is just being closed would be lost.
const IDLE: Duration = Duration::from_secs(4);

/// The body of a request or an answer on its way.
pub(crate) type Body = UnsyncBoxBody<Bytes, Failure>;

/// Sends requests on, over HTTP/1.1. Cloning makes another handle to the same connections.
#[derive(Clone)]
pub(crate) struct Forward(Client<HttpConnector, Body>);

/// Information about the client, for the other server.
#[derive(Clone, Copy)]
pub(crate) struct ClientInfo {
    /// The address at the other end of the connection, if it has one.
    pub(crate) by: Option<IpAddr>,
    /// Whether the connection is TLS.
    pub(crate) https: bool,
    /// Whether the client is a proxy whose `X-Forwarded-*` headers are trusted, and so kept. Those of any other client
    /// are replaced.
    pub(crate) trusted: bool,
}

/// Called for each message on either side of a websocket: in the extensions of a request.
#[derive(Clone)]
pub(crate) struct OnMessage(pub(crate) Arc<dyn Fn() + Send + Sync>);

impl Forward {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Self(client)
    }

    /// Sends `request` on to `target`, which sees its path below its own and its `Host` as it was. A websocket or a
    /// response that still runs when `end` is ready is cut off.
    ///
    /// # Errors
    ///
    /// If the request is for no path, or the target does not answer, or not in HTTP.
    pub(crate) async fn send<B>(
        &self,
        mut request: Request<B>,
        target: &Target,
        client_info: ClientInfo,
        end: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Response<Body>, ForwardError>
    where
        B: http_body::Body<Data = Bytes, Error: Into<Failure>> + Send + 'static,
    {
        let client = is_websocket_upgrade(&request).then(|| upgraded(&mut request));
        let (parts, body) = request.into_parts();
        let (uri, host) = (
            target.below(&parts.uri)?,
            host(&parts.uri, &parts.headers, target)?,
        );

        let mut headers = parts.headers;
        keep_off_the_next_connection(&mut headers);
        join_cookies(&mut headers);
        set_forwarded_headers(&mut headers, &host, client_info);
        headers.insert(HOST, host);
        if client.is_some() {
            ask_for_websocket(&mut headers);
        }
        let mut onward = Request::new(body.map_err(Into::into).boxed_unsync());
        *onward.method_mut() = parts.method;
        *onward.uri_mut() = uri;
        *onward.headers_mut() = headers;

        let answer = self.0.request(onward).await.map_err(ForwardError::NoAnswer)?;
        bring_back(answer, client, parts.extensions.get().cloned(), end)
    }
}

/// The answer as it goes to the client. If both sides agreed on a websocket, they are joined.
fn bring_back(
    mut answer: Response<hyper::body::Incoming>,
    client: Option<OnUpgrade>,
    on_message: Option<OnMessage>,
    end: impl Future<Output = ()> + Send + 'static,
) -> Result<Response<Body>, ForwardError> {
    let switches = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
    let server = switches.then(|| upgraded(&mut answer));
    let (mut parts, body) = answer.into_parts();
    keep_off_the_next_connection(&mut parts.headers);
    parts.version = Version::HTTP_11;
    let Some(server) = server else {
        return Ok(Response::from_parts(parts, Until { body, end }.boxed_unsync()));
    };
    // A connection that the client did not want to upgrade would carry any data, unchecked.
    let client = client.ok_or(ForwardError::UnrequestedUpgrade)?;
    tokio::spawn(async move {
        tokio::select! {
            () = join(client, server, on_message) => {}
            () = end => {}
        }
    });
    ask_for_websocket(&mut parts.headers);
    let nothing = Empty::new().map_err(|never| match never {}).boxed_unsync();
    Ok(Response::from_parts(parts, nothing))
}

/// Carries bytes both ways until both sides are done, or one is gone.
async fn join(client: OnUpgrade, server: OnUpgrade, on_message: Option<OnMessage>) {
    let notify = |_: &[u8]| {
        if let Some(OnMessage(notify)) = &on_message {
            notify();
        }
    };
    if let (Ok(client), Ok(server)) = tokio::join!(client, server) {
        let mut client = InspectReader::new(TokioIo::new(client), notify);
        let mut server = InspectReader::new(TokioIo::new(server), notify);
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}

/// Whether the client requests a websocket. No other upgrade is allowed: after HTTP/2 without TLS (`h2c`) more
/// requests would follow without any check.
fn is_websocket_upgrade<B>(request: &Request<B>) -> bool {
    let names = |name: &HeaderName, wanted: &str| {
        let fields = request.headers().get_all(name).iter();
        let mut words = fields
            .filter_map(|field| field.to_str().ok())
            .flat_map(|text| text.split(','));
        words.any(|word| word.trim().eq_ignore_ascii_case(wanted))
    };
    let single = request.headers().get_all(UPGRADE).iter().count() == 1;
    let is_websocket = request
        .headers()
        .get(UPGRADE)
        .is_some_and(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket"));
    request.version() == Version::HTTP_11 && single && is_websocket && names(&CONNECTION, "upgrade")
}

fn ask_for_websocket(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// Removes the headers of one connection: RFC 9110 §7.6.1. `Expect` is among them, because reading the body sends the
/// interim response.
fn keep_off_the_next_connection(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|field| field.to_str().ok())
        .flat_map(|text| text.split(','))
        .filter_map(|name| name.trim().parse().ok())
        // What the message is and how long cannot be a matter of one connection, whatever the sender says.
        .filter(|name| *name != HOST && *name != CONTENT_LENGTH)
        .collect();
    let usual = [
        CONNECTION,
        EXPECT,
        HeaderName::from_static("keep-alive"),
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        HeaderName::from_static("proxy-connection"),
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    for name in usual.into_iter().chain(named) {
        headers.remove(name);
    }
}

/// HTTP/2 sends a field for each cookie; in HTTP/1.1 there is one for all: RFC 9113 §8.2.3.
fn join_cookies(headers: &mut HeaderMap) {
    let lines: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if lines.len() > 1
        && let Ok(line) = HeaderValue::from_bytes(&lines.join(&b"; "[..]))
    {
        headers.insert(COOKIE, line);
    }
}

/// Writes `X-Forwarded-*`. Values of an untrusted client, in these headers or in others that some servers trust
/// instead, are removed.
fn set_forwarded_headers(headers: &mut HeaderMap, host: &HeaderValue, client_info: ClientInfo) {
    let [by, name, port, scheme] = [
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
    ]
    .map(HeaderName::from_static);
    let sent = |name| headers.get(name).filter(|_| client_info.trusted).cloned();
    let earlier: Vec<&[u8]> = headers.get_all(&by).iter().map(HeaderValue::as_bytes).collect();
    let mut chain = match client_info.trusted {
        true => earlier.join(&b", "[..]),
        false => Vec::new(),
    };
    let (told_host, told_port, told_scheme) = (sent(&name), sent(&port), sent(&scheme));

    let others = [
        FORWARDED,
        HeaderName::from_static("x-real-ip"),
        HeaderName::from_static("x-scheme"),
    ];
    let family: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            // Many applications take `X_Real_IP` for the same field.
            let plain = name.as_str().replace('_', "-");
            plain.starts_with("x-forwarded-") || others.iter().any(|other| *other == plain.as_str())
        })
        .cloned()
        .collect();
    for name in family {
        headers.remove(name);
    }

    if let Some(ip) = client_info.by {
        let separator = if chain.is_empty() { "" } else { ", " };
        chain.extend_from_slice(format!("{separator}{ip}").as_bytes());
    }
    if let Some(chain) = HeaderValue::from_bytes(&chain)
        .ok()
        .filter(|chain| !chain.is_empty())
    {
        headers.insert(by, chain);
    }
    let (own_scheme, usual_port) = if client_info.https {
        ("https", 443)
    } else {
        ("http", 80)
    };
    let authority = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
    let own_port = authority
        .and_then(|authority| authority.port_u16())
        .unwrap_or(usual_port);
    headers.insert(name, told_host.unwrap_or_else(|| host.clone()));
    headers.insert(port, told_port.unwrap_or_else(|| own_port.into()));
    headers.insert(
        scheme,
        told_scheme.unwrap_or_else(|| HeaderValue::from_static(own_scheme)),
    );
}

/// The host that the client named; a client of HTTP/1.0 need not.
fn host(uri: &Uri, headers: &HeaderMap, target: &Target) -> Result<HeaderValue, ForwardError> {
    match (uri.authority(), headers.get(HOST)) {
        (Some(authority), _) => HeaderValue::from_str(authority.as_str()).map_err(|_| ForwardError::NoPath),
        (None, Some(host)) => Ok(host.clone()),
        (None, None) => HeaderValue::from_str(target.authority.as_str()).map_err(|_| ForwardError::NoPath),
    }
}

/// A server that requests are sent on to, and the path there below which they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    authority: Authority,
    /// Without a slash at its end.
    path: Box<str>,
}

impl Target {
    /// The place of `uri` there.
    fn below(&self, uri: &Uri) -> Result<Uri, ForwardError> {
        let place = uri.path_and_query().map_or("", PathAndQuery::as_str);
        if !place.starts_with('/') {
            return Err(ForwardError::NoPath);
        }
        Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(self.authority.clone())
            .path_and_query(format!("{}{place}", self.path))
            .build()
            .map_err(|_| ForwardError::NoPath)
    }
}

impl FromStr for Target {
    type Err = Failure;

    /// An URL such as `http://127.0.0.1:8889` or `http://127.0.0.1:8889/user/alice`.
    fn from_str(text: &str) -> Result<Self, Failure> {
        let wrong = || {
            Failure::from(format!(
                "expected a URL such as http://127.0.0.1:8889, found {text:?}"
            ))
        };
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let authority = uri
            .authority()
            .filter(|_| uri.scheme() == Some(&Scheme::HTTP))
            .ok_or_else(wrong)?;
        if uri.query().is_some() || authority.as_str().contains('@') {
            return Err(wrong());
        }
        Ok(Self {
            authority: authority.clone(),
            path: uri.path().trim_end_matches('/').into(),
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}/", self.authority, self.path)
    }
}

/// Why there is no answer to bring back.
#[derive(Debug)]
pub(crate) enum ForwardError {
    /// The other server could not be reached, or did not answer in HTTP.
    NoAnswer(hyper_util::client::legacy::Error),
    /// The request is for no path.
    NoPath,
    /// The other server switched protocols, but the client did not request it.
    UnrequestedUpgrade,
}

impl ForwardError {
    /// The status of the response for this error.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NoPath => StatusCode::BAD_REQUEST,
            Self::NoAnswer(_) | Self::UnrequestedUpgrade => StatusCode::BAD_GATEWAY,
        }
    }

    /// Whether the other server did not even take the connection.
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, Self::NoAnswer(error) if error.is_connect())
    }
}

impl fmt::Display for ForwardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer(error) => {
                let mut cause: &dyn Error = error;
                while let Some(source) = cause.source() {
                    cause = source;
                }
                write!(f, "{error}: {cause}")
            }
            Self::NoPath => f.write_str("expected a request for a path, found none"),
            Self::UnrequestedUpgrade => f.write_str(
                "expected an HTTP response, found a switch of protocols without a request for one",
            ),
        }
    }
}

impl Error for ForwardError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_an_http_url_and_requests_go_below_its_path() {
        for (target, uri, expected) in [
            ("http://127.0.0.1:9", "/", "http://127.0.0.1:9/"),
            ("http://127.0.0.1:9/", "/a?b=/c", "http://127.0.0.1:9/a?b=/c"),
            ("http://[::1]:9/x/", "//a%2F", "http://[::1]:9/x//a%2F"),
            ("http://up", "http://elsewhere/a", "http://up/a"),
        ] {
            let target: Target = target.parse().expect(target);
            let place = target.below(&uri.parse().expect(uri)).expect(uri);
            assert_eq!(place.to_string(), expected);
        }
        for text in [
            "",
            "127.0.0.1:9",
            "https://up",
            "ftp://up",
            "/x",
            "http://u:p@up",
            "http://up/?a",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
        let target: Target = "http://up".parse().expect("a target");
        for uri in ["*", "up:80"] {
            assert!(target.below(&uri.parse().expect(uri)).is_err(), "{uri}");
        }
    }

    #[test]
    fn what_is_about_one_connection_stays_on_it() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, X-Mine, host, content-length"),
            ("keep-alive", "5"),
            ("x-mine", "1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("host", "up"),
            ("content-length", "3"),
            ("accept", "*/*"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        keep_off_the_next_connection(&mut headers);
        let mut left: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["accept", "content-length", "host"]);
    }

    #[test]
    fn the_headers_of_a_trusted_proxy_are_kept_and_no_others() {
        let ip = "192.0.2.1".parse().expect("an address");
        for (trusted, by, host, port, scheme) in [
            (false, "192.0.2.1", "front:8443", "8443", "https"),
            (
                true,
                "198.51.100.7, 203.0.113.9, 192.0.2.1",
                "public",
                "8443",
                "http",
            ),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [
                ("x-forwarded-for", "198.51.100.7"),
                ("x-forwarded-for", "203.0.113.9"),
                ("x-forwarded-host", "public"),
                ("x-forwarded-proto", "http"),
                ("x-forwarded-ssl", "on"),
                ("x-real-ip", "198.51.100.7"),
                ("x_real_ip", "198.51.100.7"),
                ("X_Forwarded-Proto", "http"),
                ("forwarded", "for=198.51.100.7"),
            ] {
                headers.append(name, HeaderValue::from_static(value));
            }
            let client_info = ClientInfo {
                by: Some(ip),
                https: true,
                trusted,
            };
            set_forwarded_headers(&mut headers, &HeaderValue::from_static("front:8443"), client_info);
            for (name, expected) in [("for", by), ("host", host), ("port", port), ("proto", scheme)] {
                assert_eq!(
                    headers[format!("x-forwarded-{name}")],
                    *expected,
                    "{name}, trusted: {trusted}"
                );
            }
            assert_eq!(headers.len(), 4, "{headers:?}");
        }
    }
}

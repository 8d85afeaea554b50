//! Shared by several tests: a service behind the layer, and requests that are short to write.

use std::convert::Infallible;

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use portcullis::{AuthLayer, Denial, Reason, Session};
use tower::{Layer, ServiceExt, service_fn};

/// The token of every test that needs just one.
pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

/// A request from lines: `GET /path`, then `name: value` fields. `Host: localhost` unless one is named.
#[track_caller]
pub(crate) fn request(lines: &str) -> Request<Full<Bytes>> {
    let mut lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    let (method, target) = lines
        .next()
        .and_then(|line| line.split_once(' '))
        .expect("a request line");
    let mut builder = Request::builder().method(method).uri(target);
    let mut has_host = false;
    for line in lines {
        let (name, value) = line
            .split_once(':')
            .unwrap_or_else(|| panic!("a field, not {line:?}"));
        has_host |= name.eq_ignore_ascii_case("host");
        builder = builder.header(name, value.trim());
    }
    if !has_host {
        builder = builder.header("host", "localhost");
    }
    builder.body(Full::default()).expect("a request")
}

/// An answer, its body read.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) parts: http::response::Parts,
    pub(crate) text: String,
}

impl Answered {
    /// A header field, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.parts
            .headers
            .get(name)
            .map_or("", |value| value.to_str().expect("visible ASCII"))
    }

    /// Every `Set-Cookie` line.
    pub(crate) fn set_cookies(&self) -> Vec<String> {
        let lines = self.parts.headers.get_all("set-cookie").iter();
        lines
            .map(|value| value.to_str().expect("visible ASCII").to_owned())
            .collect()
    }

    /// The `name=value` part of the cookie set under a name that begins with `name`.
    #[track_caller]
    pub(crate) fn cookie(&self, name: &str) -> String {
        let lines = self.set_cookies();
        let line = lines.iter().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("no cookie {name} among {lines:?}"));
        line.split(';').next().unwrap_or_default().to_owned()
    }
}

/// What `layer` and a handler behind it answer. The handler says `<username> by <credential>`.
pub(crate) async fn send(layer: &AuthLayer, request: Request<Full<Bytes>>) -> Answered {
    let service = layer.layer(service_fn(handler));
    let (parts, body) = service.oneshot(request).await.expect("infallible").into_parts();
    let text = body.collect().await.expect("a body").to_bytes();
    Answered {
        status: parts.status,
        parts,
        text: String::from_utf8_lossy(&text).into_owned(),
    }
}

async fn handler(request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = Session::from_extensions(request.extensions()).map_or("anonymous".to_owned(), |session| {
        format!("{} by {:?}", session.identity().username(), session.auth_method())
    });
    Ok(Response::builder()
        .header("content-type", "text/plain")
        .body(Full::from(text))
        .expect("a response"))
}

/// Asserts that `answer` is a denial with this status and reason, in the form of all denials.
#[track_caller]
pub(crate) fn refused_for(answer: &Answered, status: u16, reason: Reason) {
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    let denial = answer
        .parts
        .extensions
        .get::<Denial>()
        .expect("a refusal carries its denial");
    assert_eq!(denial.reason(), reason, "{denial}");
    assert_eq!(answer.header("cache-control"), "no-store");
    if status == 401 {
        assert!(
            answer.header("www-authenticate").starts_with("Bearer realm="),
            "{answer:?}"
        );
    }
}

/// The answer of what need not be waited for.
pub(crate) trait Ready<T> {
    fn ready(self) -> T;
}

impl<T> Ready<T> for portcullis::MaybeFuture<T> {
    #[track_caller]
    fn ready(self) -> T {
        match self {
            Self::Ready(answer) => answer,
            Self::Future(_) => panic!("the answer comes later"),
        }
    }
}

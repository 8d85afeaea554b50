//! A request as a usual client sends it.

use std::iter;

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::Empty;

use super::RequestBody;

/// A request: a method, a target, six usual headers and custom ones.
///
/// Kept as text and built again each time, so that no request shares its memory with another.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    method: Method,
    target: &'static str,
    fields: Vec<(HeaderName, String)>,
}

impl Sent {
    /// A GET of `target` with six usual fields: no credential.
    pub(crate) fn get(target: &'static str) -> Self {
        let usual = [
            (header::HOST, "localhost:8888"),
            (
                header::USER_AGENT,
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            ),
            (header::ACCEPT, "application/json, text/plain, */*"),
            (header::ACCEPT_LANGUAGE, "en-US,en;q=0.5"),
            (header::ACCEPT_ENCODING, "gzip, deflate, br, zstd"),
            (header::CONNECTION, "keep-alive"),
        ];
        let fields = usual.map(|(name, value)| (name, value.to_owned()));
        Self {
            method: Method::GET,
            target,
            fields: fields.into(),
        }
    }

    /// The same with one field more.
    pub(crate) fn field(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// The same with `Authorization: Bearer`.
    pub(crate) fn bearer(self, token: &str) -> Self {
        self.field(header::AUTHORIZATION, format!("Bearer {token}"))
    }

    /// The same with `count` cookies: `_xsrf` and `theme` first, as a page of a Jupyter server has them, then
    /// others, and the credential, `name=value`, last.
    pub(crate) fn cookies(self, count: usize, xsrf: &str, credential: &str) -> Self {
        let others = (1..).map(|number| format!("preference-{number}=value-{number}"));
        let line: Vec<String> = [xsrf.to_owned(), "theme=dark".to_owned()]
            .into_iter()
            .chain(others)
            .take(count.saturating_sub(1))
            .chain(iter::once(credential.to_owned()))
            .collect();
        self.field(header::COOKIE, line.join("; "))
    }

    /// A request of its own, its values slices of one buffer, as a server reads them from the wire.
    pub(crate) fn build(&self) -> Request<RequestBody> {
        let mut wire = BytesMut::with_capacity(1024);
        wire.extend_from_slice(self.target.as_bytes());
        let mut take = |text: &str| {
            wire.extend_from_slice(text.as_bytes());
            wire.split().freeze()
        };
        let target = take("");
        let values: Vec<Bytes> = self.fields.iter().map(|(_, value)| take(value)).collect();

        let mut request = Request::new(Empty::new());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = Uri::from_maybe_shared(target).expect("a case's target is a URI");
        for ((name, _), value) in self.fields.iter().zip(values) {
            let value = HeaderValue::from_maybe_shared(value).expect("a case's field is well-formed");
            request.headers_mut().append(name, value);
        }
        request
    }
}

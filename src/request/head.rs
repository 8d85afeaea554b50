//! What every decision is made from: the head of a request, and a clock.

use std::fmt;

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, request::Parts};

use crate::{
    clock::{Clock, MonotonicTime, SystemClock, UnixTime},
    request::header_names::{self, DuplicateHeader, single_value},
};

/// The head of a request and a clock: all that authentication may look at.
///
/// A `Copy` view of borrowed parts; the body is never among them. The clock is read only by
/// for [`RequestHead::now`].
///
/// # Example
///
/// ```
/// use portcullis::RequestHead;
///
/// let request = http::Request::new(());
/// assert_eq!(RequestHead::new(&request).uri().path(), "/");
/// ```
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
    clock: &'a dyn Clock,
}

impl<'a> RequestHead<'a> {
    /// The head of `request`, with the system's clock.
    pub fn new<B>(request: &'a Request<B>) -> Self {
        Self::with_clock(request, &SystemClock)
    }

    /// The head of `request`, with a custom clock.
    pub fn with_clock<B>(request: &'a Request<B>, clock: &'a dyn Clock) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
            clock,
        }
    }

    /// The head that was taken off a request, with the system's clock: for a handler that has read the body.
    pub fn from_parts(parts: &'a Parts) -> Self {
        Self {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
            extensions: &parts.extensions,
            clock: &SystemClock,
        }
    }

    /// The request method.
    pub fn method(self) -> &'a Method {
        self.method
    }

    /// The request target.
    pub fn uri(self) -> &'a Uri {
        self.uri
    }

    /// The header fields.
    pub fn headers(self) -> &'a HeaderMap {
        self.headers
    }

    /// The host, and perhaps a port, that the client named: HTTP/2's `:authority`, else the `Host` field, as
    /// sent and not yet checked.
    pub fn host(self) -> Option<&'a [u8]> {
        match self.uri.authority() {
            Some(authority) => Some(authority.as_str().as_bytes()),
            None => self.header(&header_names::HOST).map(HeaderValue::as_bytes),
        }
    }

    /// What follows `scheme`, in any case, in the `Authorization` header: for a custom authenticator, such as one
    /// for `Basic`. `None` if the header is missing, has another scheme, or appears twice. RFC 9110 section 11.4.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::RequestHead;
    ///
    /// let request = http::Request::get("/").header("authorization", "basic  YWxpY2U6eA==").body(())?;
    /// assert_eq!(RequestHead::new(&request).authorization_credentials("Basic"), Some("YWxpY2U6eA=="));
    /// assert_eq!(RequestHead::new(&request).authorization_credentials("Digest"), None);
    /// # Ok::<(), http::Error>(())
    /// ```
    pub fn authorization_credentials(self, scheme: &str) -> Option<&'a str> {
        let field = self.single_header(&header_names::AUTHORIZATION).ok()??;
        let (found, credentials) = field.to_str().ok()?.split_once(' ')?;
        found
            .eq_ignore_ascii_case(scheme)
            .then(|| credentials.trim_matches(' '))
    }

    /// What the server and outer layers left with the request.
    pub fn extensions(self) -> &'a Extensions {
        self.extensions
    }

    /// The time now, read from the clock at each call.
    pub fn now(self) -> UnixTime {
        self.clock.now()
    }

    /// A request with this head, for what must wait; the clock is left behind.
    pub(crate) fn to_request(self) -> Request<()> {
        let mut request = Request::new(());
        request.method_mut().clone_from(self.method);
        request.uri_mut().clone_from(self.uri);
        request.headers_mut().clone_from(self.headers);
        request.extensions_mut().clone_from(self.extensions);
        request
    }

    /// The first value of the field `name`.
    pub(crate) fn header(self, name: &HeaderName) -> Option<&'a HeaderValue> {
        self.headers.get(name)
    }

    /// The one value of the field `name`, or nothing.
    pub(crate) fn single_header(self, name: &HeaderName) -> Result<Option<&'a HeaderValue>, DuplicateHeader> {
        single_value(self.headers, name)
    }

    /// The moment now, which no setting of the date moves.
    pub(crate) fn monotonic_now(self) -> MonotonicTime {
        self.clock.monotonic_now()
    }

    /// This head with another URI.
    pub(crate) fn with_uri(self, uri: &'a Uri) -> Self {
        Self { uri, ..self }
    }

    /// The same head read with another clock.
    pub(crate) fn replace_clock(self, clock: &'a dyn Clock) -> Self {
        Self { clock, ..self }
    }
}

impl<'a, B> From<&'a Request<B>> for RequestHead<'a> {
    fn from(request: &'a Request<B>) -> Self {
        Self::new(request)
    }
}

impl<'a> From<&'a Parts> for RequestHead<'a> {
    fn from(parts: &'a Parts) -> Self {
        Self::from_parts(parts)
    }
}

impl fmt::Debug for RequestHead<'_> {
    /// Method and path only: the query and the header fields may hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("method", self.method)
            .field("path", &self.uri.path())
            .finish_non_exhaustive()
    }
}

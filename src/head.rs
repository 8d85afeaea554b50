//! What every decision is made from: the head of a request, and a clock.

use std::fmt;

use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};

#[cfg(feature = "hub")]
use crate::time::Moment;
use crate::time::{Clock, SystemClock, UnixTime};

/// By reference: a constant would be built anew at each look-up.
static HOST: HeaderName = header::HOST;

/// The head of a request and a clock: all that deciding who somebody is may look at.
///
/// A `Copy` view of borrowed parts; the body is never among them. The clock is read only when somebody asks
/// for [`Head::now`].
///
/// # Example
///
/// ```
/// use portcullis::Head;
///
/// let request = http::Request::new(());
/// assert_eq!(Head::of(&request).uri().path(), "/");
/// ```
#[derive(Clone, Copy)]
pub struct Head<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
    clock: &'a dyn Clock,
}

impl<'a> Head<'a> {
    /// The head of `request`, with the system's clock.
    pub fn of<B>(request: &'a Request<B>) -> Self {
        Self::at(request, &SystemClock)
    }

    /// The head of `request`, with a clock of one's own.
    pub fn at<B>(request: &'a Request<B>, clock: &'a dyn Clock) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
            clock,
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
            None => self.headers.get(&HOST).map(HeaderValue::as_bytes),
        }
    }

    /// What the server and outer layers left with the request.
    pub fn extensions(self) -> &'a Extensions {
        self.extensions
    }

    /// The time now, read from the clock at each call.
    pub fn now(self) -> UnixTime {
        self.clock.now()
    }

    /// The moment now, which no setting of the date moves.
    #[cfg(feature = "hub")]
    pub(crate) fn moment(self) -> Moment {
        self.clock.moment()
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

    /// The same head read with another clock.
    pub(crate) fn with_clock(self, clock: &'a dyn Clock) -> Self {
        Self { clock, ..self }
    }
}

impl<'a, B> From<&'a Request<B>> for Head<'a> {
    fn from(request: &'a Request<B>) -> Self {
        Self::of(request)
    }
}

impl fmt::Debug for Head<'_> {
    /// Method and path only: the query and the header fields may hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("method", self.method)
            .field("path", &self.uri.path())
            .finish_non_exhaustive()
    }
}

//! CORS: what pages of listed origins may read.

use std::fmt::Write as _;

use http::{
    HeaderMap, HeaderValue, Method,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_HEADERS, VARY,
    },
};

use super::{origin::SentOrigin, policy::RequestPolicy};
use crate::request::{head::RequestHead, header_names};

/// A CORS preflight request: whether a page of a listed origin may send a request.
///
/// The layer responds with 204, an empty body and these headers, and requires no credential, because browsers send
/// none with it. Source: Fetch Standard §3.2.
#[derive(Clone, Copy, Debug)]
pub struct Preflight<'a> {
    origin: &'a HeaderValue,
    requested_method: &'a HeaderValue,
    requested_headers: Option<&'a HeaderValue>,
}

/// What Jupyter Server answers to every page; a listed page's own wishes are added.
const METHODS: &str = "GET, PUT, POST, PATCH, DELETE, OPTIONS";
const HEADERS: &str = "accept, content-type, authorization, x-xsrftoken";

/// The fields of refusals that scripts need and that browsers hide otherwise.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("WWW-Authenticate, Retry-After, grpc-status, grpc-message");

impl Preflight<'_> {
    /// Writes the fields of the answer.
    pub fn apply_to(&self, headers: &mut HeaderMap) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.origin.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            with_requested(METHODS, Some(self.requested_method)),
        );
        headers.insert(
            ACCESS_CONTROL_ALLOW_HEADERS,
            with_requested(HEADERS, self.requested_headers),
        );
        let vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
        headers.append(VARY, HeaderValue::from_static(vary));
    }
}

/// The longest list of names that is read, in bytes: more than any browser sends. A longer one adds nothing.
const REQUESTED_LIMIT: usize = 2048;

/// `known`, with the names of `requested` that it does not have. Only tokens are added.
fn with_requested(known: &'static str, requested: Option<&HeaderValue>) -> HeaderValue {
    let mut list = known.to_owned();
    let requested = requested
        .filter(|requested| requested.len() <= REQUESTED_LIMIT)
        .and_then(|requested| requested.to_str().ok())
        .unwrap_or_default();
    for name in requested.split(',').map(str::trim_ascii) {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&byte);
        let new = !known.split(", ").any(|known| known.eq_ignore_ascii_case(name));
        if new && !name.is_empty() && name.bytes().all(token) {
            let _ = write!(list, ", {name}");
        }
    }
    HeaderValue::try_from(list).unwrap_or_else(|_| HeaderValue::from_static(known))
}

impl RequestPolicy {
    /// The preflight of a page of a listed origin. Others are no preflights to the layer: they get no CORS
    /// headers, so the browser blocks the request.
    #[inline]
    pub fn preflight<'a>(&self, head: RequestHead<'a>) -> Option<Preflight<'a>> {
        if *head.method() != Method::OPTIONS {
            return None;
        }
        Some(Preflight {
            origin: self.listed_origin(head)?,
            requested_method: head
                .single_header(&header_names::ACCESS_CONTROL_REQUEST_METHOD)
                .ok()??,
            requested_headers: head.headers().get(ACCESS_CONTROL_REQUEST_HEADERS),
        })
    }

    /// Which parts of the response to this request pages of other origins may read.
    #[inline]
    pub fn cors(&self, head: RequestHead<'_>) -> CorsHeaders {
        let varies = !self.origins.is_empty();
        let allowed = varies.then(|| self.listed_origin(head)).flatten();
        let allowed = allowed.map(|origin| Box::new(origin.clone()));
        CorsHeaders { varies, allowed }
    }

    fn listed_origin<'a>(&self, head: RequestHead<'a>) -> Option<&'a HeaderValue> {
        let origin = head.single_header(&header_names::ORIGIN).ok()??;
        let sent = SentOrigin::parse(origin.as_bytes())?;
        self.origins.contains(sent).then_some(origin)
    }
}

/// The CORS fields of an answer, refusals included, so that a page of a listed origin can read the reason.
///
/// A listed origin is echoed, may send cookies, and may read the header fields of a refusal: `WWW-Authenticate`,
/// `Retry-After`, `grpc-status` and `grpc-message`, in addition to what the handler exposes. All responses have `Vary: Origin` as
/// soon as any origin is listed.
#[derive(Clone, Debug, Default)]
pub struct CorsHeaders {
    /// Whether any origin is listed, so that answers differ by origin.
    varies: bool,
    /// Boxed, because it is moved with every request and nearly always absent.
    allowed: Option<Box<HeaderValue>>,
}

impl CorsHeaders {
    /// Writes the headers, unless the handler has set CORS headers itself: its `*` must not be combined with the
    /// permission for credentials.
    #[inline]
    pub fn apply_to(self, headers: &mut HeaderMap) {
        if self.varies {
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(origin) = self.allowed
            && !headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN)
        {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, *origin);
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            headers.append(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::request_policy::AllowedOrigins;

    fn guards() -> RequestPolicy {
        let origins = AllowedOrigins::parse(["https://app.example.net"]).expect("well-formed");
        RequestPolicy::new().with_allowed_origins(origins)
    }

    #[test]
    fn only_the_preflight_of_a_listed_origin_is_answered() {
        let request_by = |method: &str, origin: &str, has_method: bool| {
            let mut request = Request::builder().method(method).header("origin", origin);
            if has_method {
                request = request.header("access-control-request-method", "PUT");
            }
            request.body(()).expect("well-formed")
        };
        for (method, origin, has_method, expected) in [
            ("OPTIONS", "https://app.example.net", true, true),
            ("OPTIONS", "https://APP.example.net:443", true, true),
            ("OPTIONS", "https://app.example.net", false, false),
            ("GET", "https://app.example.net", true, false),
            ("OPTIONS", "https://evil.example", true, false),
            ("OPTIONS", "null", true, false),
        ] {
            let request = request_by(method, origin, has_method);
            let found = guards().preflight(RequestHead::new(&request)).is_some();
            assert_eq!(found, expected, "{method} {origin} {has_method}");
            assert!(
                RequestPolicy::new()
                    .preflight(RequestHead::new(&request))
                    .is_none(),
                "nothing is listed"
            );
        }
    }

    #[test]
    fn a_preflight_response_lists_the_known_and_the_requested_names() {
        let request = Request::builder()
            .method("OPTIONS")
            .header("origin", "https://app.example.net")
            .header("access-control-request-method", "PURGE")
            .header(
                "access-control-request-headers",
                "authorization, mcp-session-id,*, a b",
            )
            .body(())
            .expect("well-formed");
        let mut headers = HeaderMap::new();
        guards()
            .preflight(RequestHead::new(&request))
            .expect("listed")
            .apply_to(&mut headers);
        for (name, expected) in [
            ("access-control-allow-origin", "https://app.example.net"),
            ("access-control-allow-credentials", "true"),
            (
                "access-control-allow-methods",
                "GET, PUT, POST, PATCH, DELETE, OPTIONS, PURGE",
            ),
            (
                "access-control-allow-headers",
                "accept, content-type, authorization, x-xsrftoken, mcp-session-id",
            ),
            (
                "vary",
                "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
            ),
        ] {
            assert_eq!(headers[name], expected, "{name}");
        }
    }

    #[test]
    fn a_list_of_names_longer_than_the_limit_adds_nothing() {
        for (length, is_added) in [(REQUESTED_LIMIT, true), (REQUESTED_LIMIT + 1, false)] {
            let requested = HeaderValue::try_from("a".repeat(length)).expect("ASCII");
            let list = with_requested(HEADERS, Some(&requested));
            assert_eq!(list.len() > HEADERS.len(), is_added, "{length}");
        }
    }

    #[test]
    fn a_listed_origin_is_echoed_and_no_other() {
        for (guards, origin, own_answer, echoed, varies) in [
            (
                guards(),
                "https://app.example.net",
                None,
                Some("https://app.example.net"),
                true,
            ),
            (guards(), "https://evil.example", None, None, true),
            (guards(), "null", None, None, true),
            (guards(), "https://app.example.net", Some("*"), Some("*"), true),
            (RequestPolicy::new(), "https://app.example.net", None, None, false),
        ] {
            let request = Request::builder()
                .header("origin", origin)
                .body(())
                .expect("well-formed");
            let mut headers = HeaderMap::new();
            if let Some(own_answer) = own_answer {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static(own_answer));
            }
            guards.cors(RequestHead::new(&request)).apply_to(&mut headers);
            let found = headers
                .get(ACCESS_CONTROL_ALLOW_ORIGIN)
                .map(|value| value.to_str().expect("ASCII"));
            assert_eq!(found, echoed, "{origin}");
            let credentials = headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS);
            assert_eq!(
                credentials,
                echoed.is_some_and(|echoed| echoed != "*"),
                "{origin}"
            );
            assert_eq!(headers.contains_key(VARY), varies, "{origin}");
            let exposed = headers.contains_key(ACCESS_CONTROL_EXPOSE_HEADERS);
            assert_eq!(exposed, credentials, "{origin}");
        }
    }

    #[test]
    fn fields_that_the_handler_exposes_stay_exposed() {
        let request = Request::builder().header("origin", "https://app.example.net");
        let request = request.body(()).expect("well-formed");
        let mut headers = HeaderMap::new();
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("x-total"));
        guards().cors(RequestHead::new(&request)).apply_to(&mut headers);
        let exposed = headers.get_all(ACCESS_CONTROL_EXPOSE_HEADERS).iter();
        assert!(exposed.eq([
            "x-total",
            "WWW-Authenticate, Retry-After, grpc-status, grpc-message"
        ]));
    }
}

//! Denials for gRPC clients: trailers only, with a gRPC status.
//!
//! The whole answer is one block of header fields that also ends the stream: HTTP status 200, `grpc-status`,
//! `grpc-message`. Source: gRPC over HTTP/2 ("Trailers-Only"), gRPC-Web for browsers, proposal A6 for
//! `grpc-retry-pushback-ms`.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header::CONTENT_TYPE};

use crate::{
    denial::Denial,
    request::{head::RequestHead, header_names},
};

/// The media type of the response, if the client uses gRPC: that of the request without `+proto` and the like.
pub(crate) fn media_type(head: RequestHead<'_>) -> Option<HeaderValue> {
    // A call is a POST, whatever it does.
    if *head.method() != Method::POST {
        return None;
    }
    let content_type = head.header(&header_names::CONTENT_TYPE)?.as_bytes();
    // Nearly every request leaves here.
    let kind = content_type.strip_prefix(b"application/grpc")?;
    [
        (&b"-web-text"[..], "application/grpc-web-text"),
        (b"-web", "application/grpc-web"),
        (b"", "application/grpc"),
    ]
    .into_iter()
    .find(|(suffix, _)| {
        let rest = kind.strip_prefix(*suffix);
        rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
    })
    .map(|(_, media_type)| HeaderValue::from_static(media_type))
}

/// The response of `media_type` that reports `denial`.
pub(crate) fn answer(denial: &Denial, media_type: HeaderValue) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, media_type);
    headers.insert(STATUS, HeaderValue::from(code(denial)));
    headers.insert(MESSAGE, message(denial));
    if let Some(after) = denial.retry_after() {
        let milliseconds = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        headers.insert(RETRY_PUSHBACK, HeaderValue::from(milliseconds));
    }
    response
}

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const RETRY_PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// The status code that reports `denial`.
pub(crate) fn code(denial: &Denial) -> u16 {
    const INVALID_ARGUMENT: u16 = 3;
    const PERMISSION_DENIED: u16 = 7;
    const RESOURCE_EXHAUSTED: u16 = 8;
    const UNAVAILABLE: u16 = 14;
    const UNAUTHENTICATED: u16 = 16;

    match denial.status() {
        StatusCode::UNAUTHORIZED => UNAUTHENTICATED,
        StatusCode::FORBIDDEN => PERMISSION_DENIED,
        StatusCode::SERVICE_UNAVAILABLE => UNAVAILABLE,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
        | StatusCode::URI_TOO_LONG => RESOURCE_EXHAUSTED,
        _ => INVALID_ARGUMENT,
    }
}

/// Reason and detail, percent-encoded as the protocol requires: a detail may be in any language.
fn message(denial: &Denial) -> HeaderValue {
    let mut text = String::new();
    for byte in denial.to_string().bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(denial.reason().as_str()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Request;

    use super::*;
    use crate::denial::Reason;

    #[test]
    fn a_grpc_client_is_known_by_its_method_and_media_type() {
        for (content_type, expected) in [
            ("application/grpc", Some("application/grpc")),
            ("application/grpc+proto", Some("application/grpc")),
            ("application/grpc;charset=utf-8", Some("application/grpc")),
            ("application/grpc-web", Some("application/grpc-web")),
            ("application/grpc-web+proto", Some("application/grpc-web")),
            ("application/grpc-web-text", Some("application/grpc-web-text")),
            (
                "application/grpc-web-text+proto",
                Some("application/grpc-web-text"),
            ),
            ("application/grpcurl", None),
            ("application/grpc-other", None),
            ("application/json", None),
            ("text/plain; application/grpc", None),
        ] {
            let mut request = Request::post("/a.B/C").body(()).expect("a request");
            request
                .headers_mut()
                .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            let found = media_type(RequestHead::new(&request));
            let found = found.as_ref().map(|value| value.to_str().expect("visible ASCII"));
            assert_eq!(found, expected, "{content_type}");
            *request.method_mut() = Method::GET;
            assert_eq!(media_type(RequestHead::new(&request)), None, "{content_type}");
        }
    }

    #[test]
    fn every_reason_has_a_status_that_is_not_ok() {
        for (denial, expected) in [
            (Denial::new(Reason::MissingCredential), "16"),
            (Denial::new(Reason::UnknownToken), "16"),
            (Denial::new(Reason::ExpiredToken), "16"),
            (Denial::insufficient_scope("write"), "7"),
            (Denial::new(Reason::DisallowedHost), "7"),
            (Denial::new(Reason::CrossSite), "7"),
            (Denial::new(Reason::Unavailable), "14"),
            (Denial::new(Reason::RateLimited), "8"),
            (Denial::new(Reason::TooLarge), "8"),
            (Denial::new(Reason::Malformed), "3"),
        ] {
            let answer = answer(&denial, HeaderValue::from_static("application/grpc"));
            assert_eq!(answer.status(), StatusCode::OK, "{denial}");
            assert_eq!(answer.headers()["grpc-status"], expected, "{denial}");
        }
    }

    #[test]
    fn every_message_fits_into_a_header() {
        let denial = Denial::new(Reason::Unavailable)
            .with_detail("100 % belegt\n\u{2026}")
            .with_retry_after(Duration::from_millis(2_500));
        let answer = answer(&denial, HeaderValue::from_static("application/grpc"));
        assert_eq!(
            answer.headers()["grpc-message"],
            "unavailable: 100 %25 belegt%0A%E2%80%A6"
        );
        assert_eq!(answer.headers()["grpc-retry-pushback-ms"], "2500");
    }
}

//! Whether a browser sent a request and shows the response as a page.
//!
//! | request | [`is_page_request`] | [`is_posted_form`] |
//! |---|---|---|
//! | GET or HEAD | if the sender shows a page | no |
//! | POST of `application/x-www-form-urlencoded` | no | if the sender shows a page |
//! | anything else | no | no |
//!
//! The sender shows a page if `Accept` names `text/html` itself with a quality above 0, and no field says that a script
//! sent the request: `HX-Request`, `X-Requested-With: XMLHttpRequest`, `Upgrade`, a `Sec-Fetch-Mode` other than
//! `navigate`, a `Sec-Fetch-Dest` that is no document or frame.

use std::iter;

use http::{HeaderValue, Method};
use memchr::memchr;

use super::{
    head::RequestHead,
    header_names::{self, DuplicateHeader},
};

/// Returns `true` if a user sees the response as a page, and `false` if a program reads it.
///
/// It is a GET or HEAD whose `Accept` names `text/html` with a quality above 0, and neither a script nor htmx sent it.
/// The layer itself decides so between its pages and JSON.
///
/// ```
/// use http::Request;
/// use portcullis::{RequestHead, request::is_page_request};
///
/// let browser = Request::get("/missing").header("accept", "text/html,*/*;q=0.8").body(())?;
/// assert!(is_page_request(RequestHead::new(&browser)));
/// let curl = Request::get("/missing").header("accept", "*/*").body(())?;
/// assert!(!is_page_request(RequestHead::new(&curl)));
/// # Ok::<(), http::Error>(())
/// ```
pub fn is_page_request(head: RequestHead<'_>) -> bool {
    matches!(*head.method(), Method::GET | Method::HEAD) && shows_page(head)
}

/// Whether a browser posted a form and shows the response as a page.
pub(crate) fn is_posted_form(head: RequestHead<'_>) -> bool {
    *head.method() == Method::POST && is_urlencoded(head) && shows_page(head)
}

/// Whether htmx sent the request. It puts the answer into a page that is shown already.
pub(crate) fn is_htmx(head: RequestHead<'_>) -> bool {
    head.header(&header_names::HX_REQUEST).is_some()
}

/// Whether the request loads a page in advance: a prefetch, a prerender, a preview.
pub(crate) fn is_prefetch(head: RequestHead<'_>) -> bool {
    [
        &header_names::SEC_PURPOSE,
        &header_names::PURPOSE,
        &header_names::X_PURPOSE,
        &header_names::X_MOZ,
    ]
    .into_iter()
    .any(|name| head.header(name).is_some())
}

/// Whether the body is said to be a form of the one type that is read.
pub(crate) fn is_urlencoded(head: RequestHead<'_>) -> bool {
    let media_type = head.header(&header_names::CONTENT_TYPE);
    let media_type = media_type.map(HeaderValue::as_bytes).unwrap_or_default();
    let essence = media_type.split(|byte| *byte == b';').next();
    essence.is_some_and(|essence| {
        essence
            .trim_ascii()
            .eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
    })
}

fn shows_page(head: RequestHead<'_>) -> bool {
    let mut accepted = head.headers().get_all(&header_names::ACCEPT).iter();
    // First, because nearly every request of a program ends here.
    accepted.any(|list| names_html(list.as_bytes())) && !is_from_script(head)
}

/// Whether a list of media ranges names `text/html` with a quality above 0.
fn names_html(list: &[u8]) -> bool {
    const HTML: &[u8] = b"text/html";
    let mut ranges = iter::successors(Some(list), |rest| rest.get(memchr(b',', rest)? + 1..));
    ranges.any(|rest| {
        rest.trim_ascii_start()
            .split_first_chunk::<{ HTML.len() }>()
            .is_some_and(|(name, rest)| name.eq_ignore_ascii_case(HTML) && has_quality(rest))
    })
}

/// Whether what follows a media range, up to the next one, is parameters, and its quality is above 0.
fn has_quality(rest: &[u8]) -> bool {
    let parameters = rest.split(|byte| *byte == b',').next().unwrap_or_default();
    let mut parameters = parameters.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    // Before the first semicolon the range has ended.
    if parameters.next().is_some_and(|rest| !rest.is_empty()) {
        return false;
    }
    let quality = parameters.find_map(|parameter| match parameter {
        [b'q' | b'Q', b'=', value @ ..] => Some(value),
        _ => None,
    });
    quality.is_none_or(|quality| match quality {
        [b'1', rest @ ..] => rest.iter().all(|byte| matches!(byte, b'0' | b'.')),
        [b'0', b'.', decimals @ ..] => {
            decimals.iter().all(u8::is_ascii_digit) && decimals.iter().any(|digit| *digit != b'0')
        }
        _ => false,
    })
}

fn is_from_script(head: RequestHead<'_>) -> bool {
    let is_one_of = |name, allowed: &[&str]| match head.single_header(name) {
        Ok(None) => true,
        Ok(Some(value)) => allowed.iter().any(|allowed| value == allowed),
        Err(DuplicateHeader) => false,
    };
    let mut requested_with = head.headers().get_all(&header_names::X_REQUESTED_WITH).iter();
    is_htmx(head)
        || requested_with.any(|value| value.as_bytes().eq_ignore_ascii_case(b"XMLHttpRequest"))
        || head.header(&header_names::UPGRADE).is_some()
        || !is_one_of(&header_names::SEC_FETCH_MODE, &["navigate"])
        || !is_one_of(
            &header_names::SEC_FETCH_DEST,
            &["document", "embed", "fencedframe", "frame", "iframe", "object"],
        )
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const HTML: &str = "accept: text/html";

    fn request(method: &str, fields: &[&str]) -> Request<()> {
        let mut request = Request::builder().method(method);
        for field in fields {
            let (name, value) = field.split_once(": ").expect("a field");
            request = request.header(name, value);
        }
        request.body(()).expect("well-formed")
    }

    #[test]
    fn page_request_names_html_in_accept() {
        for (accept, expected) in [
            (&[][..], false),
            (&["accept: text/html"], true),
            (
                &["accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"],
                true,
            ),
            (&["accept: application/xhtml+xml, text/html"], true),
            (&["accept: application/xml", "accept: text/html"], true),
            (&["accept: text/html", "accept: text/html"], true),
            (&["accept: TEXT/Html"], true),
            (&["accept: text/html;level=1;q=0.001"], true),
            (&["accept: text/html ; Q=1.000"], true),
            (&["accept: text/html;q=0, text/html;level=1"], true),
            (&["accept: application/json,text/html;q=0.1"], true),
            (&["accept: text/html;q=0"], false),
            (&["accept: text/html; q=0.000, */*"], false),
            (&["accept: text/html;q=yes"], false),
            (&["accept: text/html;q="], false),
            (&["accept: */*"], false),
            (&["accept: text/*"], false),
            (&["accept: application/json, text/plain, */*"], false),
            (&["accept: application/xhtml+xml"], false),
            (&["accept: application/html"], false),
            (&["accept: x-text/html"], false),
            (&["accept: text/html5"], false),
            (&["accept: text/html+x"], false),
            (&["accept: html"], false),
            (&["accept: /"], false),
            (&["accept: text/htm"], false),
            (&["accept: text/h", "accept: tml"], false),
            (&["accept: application/json", "accept: image/webp"], false),
        ] {
            let request = request("GET", accept);
            assert_eq!(
                is_page_request(RequestHead::new(&request)),
                expected,
                "{accept:?}"
            );
        }
    }

    #[test]
    fn page_request_is_a_read_that_no_script_sends() {
        for (method, fields, expected) in [
            ("GET", &[][..], true),
            ("HEAD", &[], true),
            ("POST", &[], false),
            ("OPTIONS", &[], false),
            ("get", &[], false),
            (
                "GET",
                &["sec-fetch-mode: navigate", "sec-fetch-dest: document"],
                true,
            ),
            (
                "GET",
                &["sec-fetch-mode: navigate", "sec-fetch-dest: iframe"],
                true,
            ),
            (
                "GET",
                &["sec-fetch-mode: navigate", "sec-fetch-dest: image"],
                false,
            ),
            (
                "GET",
                &["sec-fetch-mode: navigate", "sec-fetch-mode: navigate"],
                false,
            ),
            ("GET", &["sec-fetch-mode: cors"], false),
            ("GET", &["sec-fetch-mode: no-cors"], false),
            ("GET", &["sec-fetch-mode: same-origin"], false),
            ("GET", &["sec-fetch-dest: empty"], false),
            ("GET", &["hx-request: true"], false),
            ("GET", &["x-requested-with: XMLHttpRequest"], false),
            ("GET", &["x-requested-with: xmlhttprequest"], false),
            ("GET", &["x-requested-with: com.example.browser"], true),
            ("GET", &["upgrade: websocket"], false),
            ("GET", &["upgrade-insecure-requests: 1"], true),
        ] {
            let request = request(method, &[&[HTML], fields].concat());
            let found = is_page_request(RequestHead::new(&request));
            assert_eq!(found, expected, "{method} {fields:?}");
        }
    }

    #[test]
    fn posted_form_is_urlencoded_and_from_a_page() {
        const FORM: &str = "content-type: application/x-www-form-urlencoded";
        for (method, fields, expected) in [
            ("POST", &[FORM, HTML][..], true),
            (
                "POST",
                &[
                    "content-type: Application/X-WWW-Form-Urlencoded; charset=utf-8",
                    HTML,
                ],
                true,
            ),
            ("POST", &[FORM, HTML, "sec-fetch-mode: navigate"], true),
            ("GET", &[FORM, HTML], false),
            ("PUT", &[FORM, HTML], false),
            ("POST", &[HTML], false),
            ("POST", &[FORM], false),
            ("POST", &[FORM, "accept: */*"], false),
            ("POST", &["content-type: application/json", HTML], false),
            (
                "POST",
                &["content-type: multipart/form-data; boundary=x", HTML],
                false,
            ),
            ("POST", &[FORM, HTML, "sec-fetch-mode: cors"], false),
            ("POST", &[FORM, HTML, "hx-request: true"], false),
            ("POST", &[FORM, HTML, "x-requested-with: XMLHttpRequest"], false),
        ] {
            let request = request(method, fields);
            let found = is_posted_form(RequestHead::new(&request));
            assert_eq!(found, expected, "{method} {fields:?}");
        }
    }

    #[test]
    fn prefetch_says_so_in_one_of_four_fields() {
        for (field, expected) in [
            ("sec-purpose: prefetch", true),
            ("sec-purpose: prefetch;prerender", true),
            ("purpose: prefetch", true),
            ("x-purpose: preview", true),
            ("x-moz: prefetch", true),
            ("x-moz-other: prefetch", false),
        ] {
            let request = request("GET", &[field]);
            assert_eq!(is_prefetch(RequestHead::new(&request)), expected, "{field}");
        }
    }
}

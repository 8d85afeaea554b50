//! Who opens a launch link, and what only looks at it.

use http::Method;

use crate::{
    request::{
        head::RequestHead,
        header_names,
        page_request::{is_page_request, is_prefetch},
    },
    request_policy::fetch_metadata::opens_document,
};

/// Whether a request for a launch link comes from a user who opens it, or perhaps from a program that loads links in advance.
///
/// | method | signals | opening |
/// |---|---|---|
/// | any | `Sec-Purpose`, `Purpose`, `X-Purpose` or `X-Moz`: a prefetch, a preview | confirm |
/// | GET, POST | `Sec-Fetch-Mode: navigate` and `Sec-Fetch-Dest: document` | redeem |
/// | GET, POST | any other `Sec-Fetch-Mode` or `Sec-Fetch-Dest`, or one of them alone, or twice | confirm |
/// | POST | neither field | redeem |
/// | GET | neither field, `Accept` names `text/html`, no sign of a script such as `HX-Request` | redeem |
/// | any other | | confirm |
///
/// # Example
///
/// ```
/// use portcullis::{launch_link::LinkAction, RequestHead};
///
/// let request = http::Request::get("/launch?token=pcl1_x").header("accept", "text/html").body(())?;
/// assert_eq!(LinkAction::from_head(RequestHead::new(&request)), LinkAction::Redeem);
///
/// let preview = http::Request::get("/launch?token=pcl1_x").header("accept", "*/*").body(())?;
/// assert_eq!(LinkAction::from_head(RequestHead::new(&preview)), LinkAction::Confirm);
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkAction {
    /// The link is not touched. The answer is a page with a button, a form that posts to its own URL
    /// (`<form method="post">` without an action), so the page need not hold the token.
    Confirm,
    /// The link is redeemed.
    Redeem,
}

impl LinkAction {
    /// What `head` is.
    pub fn from_head(head: RequestHead<'_>) -> Self {
        let has = |name| head.header(name).is_some();
        let has_fetch_metadata = has(&header_names::SEC_FETCH_MODE) || has(&header_names::SEC_FETCH_DEST);
        let opens = match *head.method() {
            _ if is_prefetch(head) => false,
            Method::GET | Method::POST if has_fetch_metadata => opens_document(head),
            Method::GET => is_page_request(head),
            Method::POST => true,
            _ => false,
        };
        if opens { Self::Redeem } else { Self::Confirm }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn only_a_user_who_opens_a_link_uses_it_up() {
        use LinkAction::{Confirm, Redeem};

        const NAVIGATION: &str = "sec-fetch-mode: navigate\nsec-fetch-dest: document";
        for (method, fields, expected) in [
            ("GET", NAVIGATION, Redeem),
            (
                "GET",
                "sec-fetch-mode: navigate\nsec-fetch-dest: document\nsec-fetch-site: cross-site",
                Redeem,
            ),
            ("GET", "accept: text/html", Redeem),
            (
                "GET",
                "accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
                Redeem,
            ),
            ("GET", "accept: application/xml\naccept: text/html", Redeem),
            ("POST", NAVIGATION, Redeem),
            ("POST", "", Redeem),
            ("POST", "accept: */*", Redeem),
            ("GET", "", Confirm),
            ("GET", "accept: */*", Confirm),
            ("GET", "accept: application/json", Confirm),
            ("GET", "sec-fetch-mode: navigate\naccept: text/html", Confirm),
            ("GET", "sec-fetch-dest: document\naccept: text/html", Confirm),
            (
                "GET",
                "sec-fetch-mode: no-cors\nsec-fetch-dest: image\naccept: text/html",
                Confirm,
            ),
            (
                "GET",
                "sec-fetch-mode: cors\nsec-fetch-dest: empty\naccept: text/html",
                Confirm,
            ),
            (
                "GET",
                "sec-fetch-mode: navigate\nsec-fetch-dest: iframe\naccept: text/html",
                Confirm,
            ),
            (
                "GET",
                "sec-fetch-mode: navigate\nsec-fetch-dest: document\nsec-purpose: prefetch",
                Confirm,
            ),
            (
                "GET",
                "sec-fetch-mode: navigate\nsec-fetch-dest: document\nsec-purpose: prefetch;prerender",
                Confirm,
            ),
            (
                "GET",
                "sec-fetch-mode: navigate\nsec-fetch-dest: document\npurpose: prefetch",
                Confirm,
            ),
            ("GET", "accept: text/html\nx-moz: prefetch", Confirm),
            ("GET", "accept: text/html\nx-purpose: preview", Confirm),
            (
                "GET",
                "sec-fetch-mode: navigate\nsec-fetch-mode: navigate\nsec-fetch-dest: document",
                Confirm,
            ),
            (
                "GET",
                "sec-fetch-mode: Navigate\nsec-fetch-dest: document",
                Confirm,
            ),
            ("POST", "sec-fetch-mode: cors\nsec-fetch-dest: empty", Confirm),
            ("POST", "sec-fetch-mode: no-cors\nsec-fetch-dest: empty", Confirm),
            ("POST", "purpose: prefetch", Confirm),
            ("HEAD", NAVIGATION, Confirm),
            ("HEAD", "accept: text/html", Confirm),
            ("OPTIONS", "accept: text/html", Confirm),
            ("PUT", NAVIGATION, Confirm),
            ("get", "accept: text/html", Confirm),
        ] {
            let mut builder = Request::builder().method(method);
            for field in fields.lines() {
                let (name, value) = field.split_once(": ").expect("a field");
                builder = builder.header(name, value);
            }
            let request = builder.body(()).expect("a request");
            assert_eq!(
                LinkAction::from_head(RequestHead::new(&request)),
                expected,
                "{method} {fields:?}"
            );
        }
    }
}

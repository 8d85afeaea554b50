//! Whether a GET of the logout page logs out.

use http::{HeaderValue, Method};

use super::{
    fetch_metadata::{has_fetch_metadata, is_navigation},
    policy::RequestPolicy,
    target::EffectiveTarget,
};
use crate::request::{head::RequestHead, header_names, page_request::is_prefetch};

impl RequestPolicy {
    /// Whether a GET logs out: a user opened the address or followed a link of this site.
    ///
    /// | request | logs out |
    /// |---|---|
    /// | HEAD | no |
    /// | a prefetch, a prerender, a preview | no |
    /// | Fetch Metadata, Origin or Referer of another site | no |
    /// | any Fetch Metadata | if it is the top-level navigation of a page |
    /// | `Accept` that begins with an image type | no |
    /// | anything else | yes |
    pub(crate) fn logs_out_by_get(&self, target: &EffectiveTarget<'_>, head: RequestHead<'_>) -> bool {
        *head.method() == Method::GET
            && !is_prefetch(head)
            && !self.is_cross_site(target, head)
            && if has_fetch_metadata(head) {
                is_navigation(head)
            } else {
                !accepts_image_first(head)
            }
    }
}

/// Whether the request is for an image: browsers that send no Fetch Metadata name image types first.
fn accepts_image_first(head: RequestHead<'_>) -> bool {
    let accepted = head.header(&header_names::ACCEPT);
    let accepted = accepted.map(HeaderValue::as_bytes).unwrap_or_default();
    let kind = accepted.trim_ascii_start().get(..b"image/".len());
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case(b"image/"))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::{
        super::decision_table_tests::{
            CROSS, DOCUMENT, EVIL, EVIL_REFERER, HOST, NAVIGATE, NONE, REFERER, SAME, SIBLING, site,
        },
        *,
    };

    #[test]
    fn only_a_page_navigation_of_this_site_logs_out_by_get() {
        const IMAGE: (&str, &str) = ("accept", "image/avif,image/webp,*/*;q=0.8");
        const PAGE: (&str, &str) = ("accept", "text/html,application/xml;q=0.9,image/webp,*/*;q=0.8");
        let dest = |dest| ("sec-fetch-dest", dest);
        let mode = |mode| ("sec-fetch-mode", mode);
        let site = &site();
        for (method, fields, expected) in [
            ("GET", &[HOST][..], true),
            ("GET", &[HOST, REFERER], true),
            ("GET", &[HOST, PAGE], true),
            ("GET", &[HOST, ("accept", "*/*")], true),
            ("GET", &[HOST, SAME, NAVIGATE, DOCUMENT], true),
            ("GET", &[HOST, NONE, NAVIGATE, DOCUMENT], true),
            ("HEAD", &[HOST], false),
            ("HEAD", &[HOST, SAME, NAVIGATE, DOCUMENT], false),
            ("GET", &[HOST, SIBLING, NAVIGATE, DOCUMENT], false),
            ("GET", &[HOST, CROSS, NAVIGATE, DOCUMENT], false),
            ("GET", &[HOST, SAME], false),
            ("GET", &[HOST, NAVIGATE], false),
            ("GET", &[HOST, SAME, DOCUMENT], false),
            ("GET", &[HOST, SAME, NAVIGATE, NAVIGATE, DOCUMENT], false),
            ("GET", &[HOST, SAME, NAVIGATE, dest("iframe")], false),
            ("GET", &[HOST, SAME, NAVIGATE, dest("frame")], false),
            ("GET", &[HOST, SAME, NAVIGATE, dest("object")], false),
            ("GET", &[HOST, SAME, mode("no-cors"), dest("image")], false),
            ("GET", &[HOST, SAME, mode("no-cors"), dest("script")], false),
            ("GET", &[HOST, SAME, mode("cors"), dest("empty")], false),
            ("GET", &[HOST, SAME, mode("same-origin"), dest("empty")], false),
            (
                "GET",
                &[HOST, SAME, NAVIGATE, DOCUMENT, ("sec-purpose", "prefetch")],
                false,
            ),
            (
                "GET",
                &[
                    HOST,
                    SAME,
                    NAVIGATE,
                    DOCUMENT,
                    ("sec-purpose", "prefetch;prerender"),
                ],
                false,
            ),
            ("GET", &[HOST, ("purpose", "prefetch")], false),
            ("GET", &[HOST, ("x-moz", "prefetch")], false),
            ("GET", &[HOST, IMAGE], false),
            ("GET", &[HOST, ("accept", "Image/png")], false),
            ("GET", &[HOST, EVIL_REFERER], false),
            ("GET", &[HOST, EVIL], false),
        ] {
            let mut request = Request::builder().method(method);
            for (name, field) in fields {
                request = request.header(*name, *field);
            }
            let request = request.body(()).expect("well-formed");
            let head = RequestHead::new(&request);
            let target = site.check_target(head).expect("its own host");
            let found = site.logs_out_by_get(&target, head);
            assert_eq!(found, expected, "{method} {fields:?}");
        }
    }
}

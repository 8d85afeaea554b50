//! Properties of all requests, in addition to the decision table.

use http::{HeaderValue, Request};
use proptest::prelude::*;

use super::{RequestKind, decision_table_tests::site};
use crate::request::head::RequestHead;

/// Texts similar to an origin: pieces of well-formed ones, joined in any order.
fn near_origins() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "https",
        "http",
        "://",
        ":",
        "//",
        "/",
        "hub.example.org",
        "HUB.example.org",
        "evil.example",
        "app.example.net",
        "@",
        "\\",
        ".",
        ":443",
        ":80",
        "443",
        "%2f",
        " ",
        ",",
        "#",
        "?",
        "[::1]",
        "null",
        "\u{e9}",
    ]);
    prop_oneof![
        prop::collection::vec(pieces, 0..8).prop_map(|pieces| pieces.concat().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_sent_panics_and_a_second_reader_agrees_on_whose_page_it_was(
        host in near_origins(),
        origin in near_origins(),
        referer in near_origins(),
        site in near_origins(),
    ) {
        let guards = self::site();
        let mut request = Request::post("/");
        for (name, value) in [("host", &host), ("origin", &origin), ("referer", &referer), ("sec-fetch-site", &site)] {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                request = request.header(name, value);
            }
        }
        let head = request.body(()).expect("well-formed");
        let passed = guards.check_target(RequestHead::new(&head));
        if passed.is_ok() {
            let host = String::from_utf8_lossy(&host).to_ascii_lowercase();
            prop_assert!(host == "hub.example.org" || host == "hub.example.org:443", "{}", host);
        }

        // Where the host is no matter, and nothing but the Origin or the Referer speaks.
        for (name, value) in [("origin", &origin), ("referer", &referer)] {
            let Ok(value) = HeaderValue::from_bytes(value) else { continue };
            let request = Request::post("/").header("host", "hub.example.org").header(name, &value).body(());
            let request = request.expect("well-formed");
            let head = RequestHead::new(&request);
            let target = guards.check_target(head).expect("its own host");
            if guards.check_cross_site(&target, head, RequestKind::Unsafe, None).is_ok() {
                let text = value.to_str().expect("what passes is ASCII");
                let read = url::Url::parse(text).expect("what passes is a URL").origin().ascii_serialization();
                prop_assert!(
                    read == "https://hub.example.org" || read == "https://app.example.net",
                    "{} passed as {}", text, read
                );
            }
        }
    }
}

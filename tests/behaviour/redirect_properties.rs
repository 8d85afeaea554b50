//! No redirect leaves the server's origin and base, for any target that a client sends: checked by a WHATWG URL parser.

use http::Uri;
use portcullis::{
    BaseUrl,
    redirect::{NextUrl, RedirectPolicy},
    request::Scheme,
};
use proptest::prelude::*;
use url::Url;

const CASES: u32 = 4_000;

/// The parts that redirect attacks are made of, and some letters.
fn hostile() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => prop::sample::select(vec![
            "/", "//", "\\", ".", "..", "%2e", "%2E", "%2f", "%5c", "%09", "%00", "%", "%2", "?", "#", "@", ":", ";", "&", "=",
            "\t", "\n", "\r", " ", "\u{0}", "\u{7f}", "\u{a0}", "\u{3000}", "\u{feff}", "\u{ff0f}", "\u{2215}", "\u{ff0e}",
            "http:", "https:", "HTTPS://", "javascript:", "data:", "file:", "blob:", "evil.example", "hub.example.org",
            "https://hub.example.org", "hub.example.org:443", "user", "alice", "/user/alice/", "/user/alice", "C|", "[::1]", "token=x",
            "next=", "lab", "login", "\u{e9}", "<", "\"", "'", "|", "^", "`", "{", "%u002f", "%252f", "%c0%af",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(part, 0..9).prop_map(|parts| parts.concat())
}

/// A text that begins as many attacks do, so that more of them get past the first rule.
fn target() -> impl Strategy<Value = String> {
    let begin = prop::sample::select(vec![
        "",
        "/",
        "/user/alice/",
        "/user/alice",
        "https://hub.example.org",
        "https://hub.example.org/user/alice/",
    ]);
    (begin, hostile()).prop_map(|(begin, rest)| format!("{begin}{rest}"))
}

/// The origin in two forms, the page that redirects, and what must hold of every `Location` it sends.
fn check(location: &str, base: &BaseUrl) -> Result<(), TestCaseError> {
    prop_assert!(
        location.bytes().all(|byte| byte.is_ascii_graphic()),
        "{location:?}"
    );
    for origin in ["https://hub.example.org/", "http://127.0.0.1:8888/"] {
        let origin: Url = origin.parse().expect("an origin");
        for page in ["login", "a/b/c?x=//y"] {
            let page = origin.join(&base.join(page)).expect("a page of this server");
            let target = page
                .join(location)
                .map_err(|error| TestCaseError::fail(format!("{location:?}: {error}")))?;
            prop_assert_eq!(target.origin(), origin.origin(), "{:?}", location);
            prop_assert!(base.contains(target.path()), "{location:?}: {target}");
            // Nothing is left to normalise, so that every reader sees the same path.
            let written = location.split(['?', '#']).next().unwrap_or_default();
            prop_assert_eq!(target.path(), written, "{:?}", location);
            let mut parameters = target.query_pairs();
            prop_assert!(parameters.all(|(name, _)| name != "token"), "{location:?}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn no_text_makes_a_target_outside(next in target(), base in prop::sample::select(vec!["/", "/user/alice/", "/a%40b/"])) {
        let base: BaseUrl = base.parse().expect("a base");
        let login = base.join("login");
        let closed = [login.as_str()];
        for scheme in [Scheme::Https, Scheme::Unknown] {
            let policy = RedirectPolicy::new(&base).with_origin(scheme, "hub.example.org").excluding(&closed);
            if let Some(next) = NextUrl::parse(&next, policy) {
                check(next.as_str(), &base)?;
                // It stays what it is: reading it once more changes nothing.
                if next.as_str().len() <= NextUrl::MAX_LEN {
                    prop_assert_eq!(NextUrl::parse(next.as_str(), policy), Some(next));
                }
            }
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(next in any::<Vec<u8>>()) {
        let base = BaseUrl::default();
        if let Some(next) = NextUrl::parse(next, RedirectPolicy::new(&base).with_origin(Scheme::Unknown, "\u{e9}:x")) {
            check(next.as_str(), &base)?;
        }
    }

    #[test]
    fn no_request_has_its_place_outside(target in target(), base in prop::sample::select(vec!["/", "/user/alice/"])) {
        let base: BaseUrl = base.parse().expect("a base");
        if let Ok(uri) = Uri::try_from(target) {
            check(NextUrl::from_request_uri(&uri, RedirectPolicy::new(&base)).as_str(), &base)?;
        }
    }

    #[test]
    fn whatever_is_taken_for_a_base_reads_the_same_to_a_browser(text in hostile()) {
        if let Ok(base) = text.parse::<BaseUrl>() {
            let origin: Url = "https://hub.example.org/".parse().expect("an origin");
            let url = origin.join(base.as_str()).expect("a URL");
            prop_assert_eq!(url.path(), base.as_str());
            prop_assert_eq!(url.as_str(), format!("https://hub.example.org{base}"));
            check(NextUrl::base(&base).as_str(), &base)?;
        }
    }
}

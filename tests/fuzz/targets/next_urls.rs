//! Where a login leads: resolved as a browser does, the target is on our origin, under our base, without token.

use http::{HeaderValue, Uri};
use portcullis::request::Scheme;
use portcullis::{
    BaseUrl,
    redirect::{NextUrl, RedirectPolicy},
    request::Query,
};
use url::Url;

const ORIGIN: &str = "https://hub.example.org:8443";

pub fn run(data: &[u8]) {
    for base in ["/", "/user/alice/"] {
        let base: BaseUrl = base.parse().expect("a base");
        let login = base.join("login");
        let closed = [login.as_str()];
        let policy = RedirectPolicy::new(&base).excluding(&closed);
        let with_origin = policy.with_origin(Scheme::Https, "hub.example.org:8443");
        for policy in [policy, with_origin] {
            if let Some(next) = NextUrl::parse(data, policy) {
                check(&next, &base, &login);
                let again = NextUrl::parse(next.as_str(), policy);
                assert_eq!(
                    again.as_ref().map(NextUrl::as_str),
                    Some(next.as_str()),
                    "read once more"
                );
            }
        }
        if let Ok(uri) = Uri::try_from(data) {
            check(&NextUrl::from_request_uri(&uri, policy), &base, &login);
        }
        check(&NextUrl::base(&base), &base, &login);
    }
}

fn check(next: &NextUrl, base: &BaseUrl, login: &str) {
    let text = next.as_str();
    let value = HeaderValue::from(next);
    assert_eq!(value.as_bytes(), text.as_bytes());
    assert!(
        text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'),
        "{text}"
    );
    for place in ["login", "a/b?c#d", ""] {
        let here = Url::parse(ORIGIN)
            .and_then(|origin| origin.join(&base.join(place)))
            .expect("a URL");
        let there = here.join(text).expect("a target that a browser reads");
        assert_eq!(there.origin().ascii_serialization(), ORIGIN, "{text}");
        assert!(base.contains(there.path()), "{text} lies at {}", there.path());
        assert!(!there.path().starts_with("//"), "{text}");
        assert_ne!(there.path().trim_end_matches('/'), login, "{text}");
        let query = there.query().unwrap_or_default();
        assert!(!Query::new(query.as_bytes()).has_token_parameter(), "{text}");
        assert!(!there.query_pairs().any(|(name, _)| name == "token"), "{text}");
    }
}

//! Request paths: the scope that is found contains the path for every reader behind the layer that may read
//! it; and a path that some reader would put under a scope is never said to lie under none.

use portcullis::cookies::{CookiePath, CookiePathMap, PathMatch};

use super::decoded;

const SCOPES: [&str; 4] = ["/hub/", "/user/alice/", "/user/alice/gpu/", "/user/b%C3%A9/"];

pub fn run(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(path) = CookiePath::parse(text)
    {
        assert_eq!(path.as_str(), text);
        assert!(path.matches(data));
        assert!(text.starts_with('/') && !text.contains(['?', '#', '\\', ';']));
        let url = url::Url::parse(&format!("http://h{text}")).expect("a path of a URL");
        assert_eq!(url.path(), text, "another reader reads it as it is written");
        let other = format!("{}x", text.trim_end_matches('/'));
        assert!(
            !path.matches(other.as_bytes()) || text == "/",
            "a longer name is another one"
        );
    }

    let mut scopes = CookiePathMap::default();
    for (number, path) in SCOPES.iter().enumerate() {
        scopes = scopes.insert(&CookiePath::parse(path).expect("a scope"), number);
    }
    let decision = match scopes.resolve(data) {
        PathMatch::Match(number) => Some(*number),
        PathMatch::NoMatch => None,
        PathMatch::Ambiguous => return,
    };
    let text = std::str::from_utf8(data).expect("visible ASCII, or refused");
    let url = url::Url::parse(&format!("http://h{text}")).expect("a path of a URL, or refused");
    for reading in [
        text.as_bytes().to_vec(),
        url.path().into(),
        once_decoded(data),
        without_parameters(data),
    ] {
        assert_eq!(
            lies_under(&reading),
            decision,
            "{text:?} read as {:?}",
            String::from_utf8_lossy(&reading)
        );
    }
}

/// Segments decoded after they were parted, as routers do.
fn once_decoded(path: &[u8]) -> Vec<u8> {
    let segments: Vec<_> = path.split(|byte| *byte == b'/').map(decoded).collect();
    segments.join(&b'/')
}

/// As servlet containers read it.
fn without_parameters(path: &[u8]) -> Vec<u8> {
    let segments: Vec<_> = path
        .split(|byte| *byte == b'/')
        .map(|segment| super::cut(segment, b';').0)
        .collect();
    segments.join(&b'/')
}

/// The longest scope that `path` lies under, compared decoded.
fn lies_under(path: &[u8]) -> Option<usize> {
    let segments: Vec<_> = path.split(|byte| *byte == b'/').skip(1).map(decoded).collect();
    let within = |scope: &&str| {
        let scope: Vec<_> = scope
            .trim_matches('/')
            .split('/')
            .map(|segment| decoded(segment.as_bytes()))
            .collect();
        segments.starts_with(&scope)
    };
    (0..SCOPES.len()).rev().find(|number| within(&SCOPES[*number]))
}

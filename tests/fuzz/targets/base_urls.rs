//! Base URLs: between two slashes, read the same way by every parser, and a path below one is below it for a browser too.

use portcullis::{AuthLayer, BaseUrl, Token};
use url::Url;

use super::cut;

/// A base, and a path behind it.
pub fn run(data: &[u8]) {
    let (base, path) = cut(data, b'\n');
    let (Ok(base), Ok(path)) = (std::str::from_utf8(base), std::str::from_utf8(path)) else {
        return;
    };
    let Ok(base) = base.parse::<BaseUrl>() else { return };
    let text = base.as_str();
    assert!(
        text.starts_with('/') && text.ends_with('/') && !text.contains("//"),
        "{text}"
    );
    assert_eq!(text.parse::<BaseUrl>().expect("its own text"), base);
    let url = Url::parse("http://h")
        .and_then(|origin| origin.join(text))
        .expect("a path");
    assert_eq!((url.path(), url.query(), url.fragment()), (text, None, None));
    assert_eq!(url.host_str(), Some("h"));

    assert!(base.contains(text) && base.strip_prefix(text) == Some(""));
    let below = base.join(path);
    assert!(base.contains(&below) && base.strip_prefix(&below).is_some());
    if base.contains(path) {
        assert!(format!("{path}/").starts_with(text), "{path} under {text}");
    }
    // A server with this base can set cookies there, or reports which setting is invalid.
    if let Err(error) = AuthLayer::builder()
        .token(Token::generate())
        .base_url(base)
        .build()
    {
        assert_eq!(error.setting(), "cookie path");
    }
}

//! Which URLs requests with secrets, or for keys, may go to.

use std::net::IpAddr;

use http::Uri;

/// Checks that a URL can be trusted: `https`, or `http` for this machine alone.
pub(crate) fn check_url(url: &str) -> Result<Uri, String> {
    let expected = || format!("expected an https URL, or http for localhost, found {url:?}");
    let uri: Uri = url.parse().map_err(|_| expected())?;
    let host = uri.host().unwrap_or_default();
    let ip: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let is_here = host == "localhost" || ip.is_some_and(|ip| ip.is_loopback());
    let has_user = uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'));
    match uri.scheme_str() {
        Some("https") if !host.is_empty() && !has_user => Ok(uri),
        Some("http") if is_here && !has_user => Ok(uri),
        _ => Err(expected()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_https_or_of_this_machine() {
        for (url, expected) in [
            ("https://a.example/jwks", true),
            ("http://localhost:80/jwks", true),
            ("http://127.0.0.9/jwks", true),
            ("http://[::1]:8080/", true),
            ("http://a.example/jwks", false),
            ("http://127.0.0.1.evil.example/", false),
            ("http://localhost@evil.example/", false),
            ("https://user:S3CRET@a.example/", false),
            ("http://[::ffff:10.0.0.1]/", false),
            ("ftp://localhost/", false),
            ("file:///etc/passwd", false),
            ("/jwks", false),
            ("", false),
        ] {
            assert_eq!(check_url(url).is_ok(), expected, "{url}");
        }
    }
}

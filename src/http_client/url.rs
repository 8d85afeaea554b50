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

/// Checks a URL that the metadata of `issuer` names. One without TLS can be trusted only if the issuer has none either: so no
/// metadata leads to a service on this machine.
pub(crate) fn check_endpoint(url: &str, issuer: &str) -> Result<Uri, String> {
    let uri = check_url(url)?;
    match uri.scheme_str() {
        Some("http") if !issuer.starts_with("http:") => {
            Err(format!("expected an https URL, as the issuer's, found {url:?}"))
        }
        _ => Ok(uri),
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

    #[test]
    fn an_https_issuer_names_no_endpoint_without_tls() {
        for (endpoint, issuer, expected) in [
            ("https://id.example/token", "https://id.example", true),
            ("https://other.example/token", "https://id.example", true),
            ("http://127.0.0.1:8080/token", "http://localhost:8080", true),
            ("https://id.example/token", "http://localhost:8080", true),
            ("http://127.0.0.1:6379/", "https://id.example", false),
            (
                "http://169.254.169.254/latest/meta-data",
                "https://id.example",
                false,
            ),
            (
                "http://169.254.169.254/latest/meta-data",
                "http://localhost",
                false,
            ),
            ("gopher://127.0.0.1/", "http://localhost", false),
            ("https://user@id.example/token", "https://id.example", false),
        ] {
            assert_eq!(
                check_endpoint(endpoint, issuer).is_ok(),
                expected,
                "{endpoint} of {issuer}"
            );
        }
    }
}

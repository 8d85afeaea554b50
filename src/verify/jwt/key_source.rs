//! Where the keys of an issuer are read: a file, a URL, or the URL in the issuer's metadata.

use std::{error::Error, fs::File, io::Read as _, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri, header::ACCEPT};
use http_body_util::Full;
use serde::Deserialize;

use crate::http_client::Transport;

/// The longest file that is read, in bytes. The transport limits responses in the same way.
const MAX_FILE: u64 = 1024 * 1024;

/// How long all requests for the keys may take together. The transport limits each one.
const DEADLINE: Duration = Duration::from_secs(10);

/// Where the keys come from.
pub(super) enum KeySource {
    /// Nowhere else: they were given.
    Fixed,
    File(PathBuf),
    Url(String, Arc<dyn Transport>),
    /// The metadata of the issuer name the URL.
    Issuer(String, Arc<dyn Transport>),
}

impl KeySource {
    /// Reads the keys.
    ///
    /// # Errors
    ///
    /// What failed, without the content of a response or a file.
    pub(super) async fn read(&self) -> Result<Bytes, String> {
        let reading = async {
            match self {
                Self::Fixed => Err("expected a source of keys".to_owned()),
                Self::File(path) => {
                    let path = path.clone();
                    let reading = tokio::task::spawn_blocking(move || read_file(&path));
                    reading.await.unwrap_or_else(|error| Err(error.to_string()))
                }
                Self::Url(url, transport) => get(&**transport, url).await,
                Self::Issuer(issuer, transport) => {
                    let url = discover(&**transport, issuer).await?;
                    get(&**transport, &url).await
                }
            }
        };
        tokio::time::timeout(DEADLINE, reading)
            .await
            .unwrap_or_else(|_| Err(format!("no keys within {} seconds", DEADLINE.as_secs())))
    }
}

/// Reads a key set from a file.
pub(super) fn read_file(path: &PathBuf) -> Result<Bytes, String> {
    let mut json = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE).read_to_end(&mut json))
        .map_err(|error| format!("expected a JWK set in {}, found {error}", path.display()))?;
    Ok(json.into())
}

/// Checks that a URL can be trusted: `https`, or `http` for this machine alone.
pub(super) fn check_url(url: &str) -> Result<Uri, String> {
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

/// The body of a 200 response. A redirect is an error, because it could lead anywhere.
async fn get(transport: &dyn Transport, url: &str) -> Result<Bytes, String> {
    let mut request = Request::new(Full::default());
    *request.uri_mut() = check_url(url)?;
    let headers = request.headers_mut();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let response = transport.send(request).await.map_err(|error| {
        let mut text = format!("{url} did not respond");
        let mut cause = Some(&*error as &dyn Error);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    })?;
    match response.status() {
        StatusCode::OK => Ok(response.into_body()),
        status if status.is_redirection() => {
            Err(format!("{url} responded {status}; redirects are not followed"))
        }
        status => Err(format!("{url} responded {status}")),
    }
}

/// The URL of the keys, by the metadata of the issuer: OpenID Connect Discovery, RFC 8414.
async fn discover(transport: &dyn Transport, issuer: &str) -> Result<String, String> {
    let mut failures = Vec::new();
    for url in metadata_urls(issuer) {
        let metadata = get(transport, &url).await;
        match metadata.and_then(|json| jwks_uri(&json, issuer).map_err(|error| format!("{url}: {error}"))) {
            Ok(url) => return Ok(url),
            Err(error) => failures.push(error),
        }
    }
    Err(failures.join("; "))
}

/// The places of the metadata. RFC 8414 puts the path of the issuer behind its own, OpenID Connect before it.
fn metadata_urls(issuer: &str) -> [String; 2] {
    let issuer = issuer.trim_end_matches('/');
    let authority = issuer.find("://").map_or(0, |scheme| scheme + 3);
    let path = issuer[authority..]
        .find('/')
        .map_or(issuer.len(), |path| authority + path);
    let (origin, path) = issuer.split_at(path);
    [
        format!("{issuer}/.well-known/openid-configuration"),
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
    ]
}

fn jwks_uri(json: &[u8], issuer: &str) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Metadata {
        issuer: String,
        jwks_uri: String,
    }
    let metadata: Metadata =
        serde_json::from_slice(json).map_err(|_| "expected metadata with `issuer` and `jwks_uri`")?;
    if metadata.issuer != issuer {
        return Err(format!(
            "expected the issuer {issuer:?}, found {:?}",
            metadata.issuer
        ));
    }
    // Metadata from another machine do not send requests to this one.
    if issuer.starts_with("https:") && !metadata.jwks_uri.starts_with("https:") {
        return Err(format!(
            "expected an https URL as `jwks_uri`, found {:?}",
            metadata.jwks_uri
        ));
    }
    Ok(metadata.jwks_uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_are_beside_the_issuer_and_below_its_host() {
        for (issuer, expected) in [
            (
                "https://a.example",
                [
                    "https://a.example/.well-known/openid-configuration",
                    "https://a.example/.well-known/oauth-authorization-server",
                ],
            ),
            (
                "https://a.example/realms/main/",
                [
                    "https://a.example/realms/main/.well-known/openid-configuration",
                    "https://a.example/.well-known/oauth-authorization-server/realms/main",
                ],
            ),
        ] {
            assert_eq!(metadata_urls(issuer), expected);
        }
    }

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

//! The identifier of the OAuth server, and the paths of its metadata: RFC 8414 §3.

use super::client_uri::ClientUri;
use crate::{request::base_url::BaseUrl, request_policy::Origin};

/// The second name is that of OpenID Connect, which clients also try for servers of OAuth (RFC 8414 section 5).
const WELL_KNOWN: [&str; 2] = [
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
];

/// The identifier of the OAuth server that users see at `origin`. OAuth has none for a server without TLS, unless it is
/// on the user's own machine.
pub(crate) fn issuer(origin: &Origin, base_url: &BaseUrl) -> Option<Box<str>> {
    let url = format!("{origin}{}", base_url.as_str().trim_end_matches('/'));
    ClientUri::parse(&url)?.is_private().then(|| url.into())
}

/// Whether the metadata are served at `path`: the path of the issuer stands behind the well-known one, or before it.
pub(crate) fn is_metadata_path(base_url: &BaseUrl, path: &str) -> bool {
    let base = base_url.as_str().trim_end_matches('/');
    WELL_KNOWN.iter().any(|name| {
        let behind = path.strip_prefix(name).map(|path| path.trim_end_matches('/'));
        behind.is_some_and(|path| path.is_empty() || path == base) || path.strip_prefix(base) == Some(name)
    })
}

//! The metadata of a protected resource (RFC 9728): where clients get access tokens for this server.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode, Uri,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
    },
};
use http_body_util::Full;
use serde::Serialize;

use super::{
    endpoint::{Endpoint, EndpointRequest, not_allowed, status_response},
    error_response::{FullResponse, JSON, NOSNIFF},
    form::UrlEncodedForm,
};
use crate::{error::ConfigError, maybe_future::MaybeFuture};

/// The metadata of a protected resource (RFC 9728): which server issues access tokens for it, and with which scopes.
///
/// [`AuthLayerBuilder::protected_resource`](crate::AuthLayerBuilder::protected_resource) publishes them.
///
/// # Example
///
/// ```
/// use portcullis::middleware::ProtectedResource;
///
/// let resource = ProtectedResource::new("https://mcp.example.org/mcp")
///     .authorization_server("https://login.example.org")
///     .scopes(["tools:read", "tools:run"])
///     .name("Example tools");
/// ```
#[derive(Clone, Debug, Serialize)]
#[must_use]
pub struct ProtectedResource {
    resource: String,
    authorization_servers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<String>,
    bearer_methods_supported: [&'static str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_documentation: Option<String>,
}

impl ProtectedResource {
    const WELL_KNOWN: &'static str = "/.well-known/oauth-protected-resource";

    /// Creates the metadata of the server at `resource`: its public URL, without query. Clients request tokens for
    /// it, so it is the audience of the tokens.
    pub fn new(resource: impl Into<String>) -> Self {
        Self {
            resource: resource.into(),
            authorization_servers: Vec::new(),
            scopes_supported: Vec::new(),
            bearer_methods_supported: ["header"],
            resource_name: None,
            resource_documentation: None,
        }
    }

    /// Adds a server that issues access tokens, by its issuer URL. Required, and may be called several times.
    pub fn authorization_server(mut self, issuer: impl Into<String>) -> Self {
        self.authorization_servers.push(issuer.into());
        self
    }

    /// Sets the scopes that clients may request. Defaults to none.
    pub fn scopes<T: Into<String>>(self, scopes: impl IntoIterator<Item = T>) -> Self {
        Self {
            scopes_supported: scopes.into_iter().map(Into::into).collect(),
            ..self
        }
    }

    /// Sets the name that clients show to users. Defaults to none.
    pub fn name(self, name: impl Into<String>) -> Self {
        Self {
            resource_name: Some(name.into()),
            ..self
        }
    }

    /// Sets the URL of the documentation for developers. Defaults to none.
    pub fn documentation(self, url: impl Into<String>) -> Self {
        Self {
            resource_documentation: Some(url.into()),
            ..self
        }
    }

    /// Returns the URL of the metadata, and the paths where they are served: with the path of the resource behind the
    /// well-known one, and without.
    ///
    /// # Errors
    ///
    /// A URL is not absolute, there is no authorization server, or a scope cannot be sent.
    pub(crate) fn check(&self) -> Result<(Uri, Vec<Box<str>>), ConfigError> {
        let wrong = |message| ConfigError::new("protected_resource", message);
        let resource = absolute(&self.resource)?;
        if self.authorization_servers.is_empty() {
            return Err(wrong("expected an authorization_server, found none".to_owned()));
        }
        for issuer in &self.authorization_servers {
            absolute(issuer)?;
        }
        let is_scope = |scope: &str| {
            let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
            !scope.is_empty() && scope.bytes().all(allowed)
        };
        if let Some(odd) = self.scopes_supported.iter().find(|scope| !is_scope(scope)) {
            return Err(wrong(format!(
                "expected scopes of visible ASCII characters, found {odd:?}"
            )));
        }
        let suffix = resource.path().trim_end_matches('/');
        let with_path = format!("{}{suffix}", Self::WELL_KNOWN);
        let (scheme, authority) = (resource.scheme_str().unwrap_or_default(), resource.authority());
        let authority = authority.map_or("", |authority| authority.as_str());
        let url = format!("{scheme}://{authority}{with_path}");
        let url = url
            .parse()
            .map_err(|_| wrong(format!("expected an absolute URL, found {:?}", self.resource)))?;
        let mut paths = vec![Box::from(with_path), Box::from(Self::WELL_KNOWN)];
        paths.dedup();
        Ok((url, paths))
    }
}

/// An `http` or `https` URL with a host, without query.
fn absolute(url: &str) -> Result<Uri, ConfigError> {
    let uri: Option<Uri> = url.parse().ok();
    uri.filter(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.query().is_none()
            && !url.contains(['#', '@'])
    })
    .ok_or_else(|| {
        let found = format!("expected an absolute http or https URL without query, found {url:?}");
        ConfigError::new("protected_resource", found)
    })
}

/// Serves the metadata, to pages of every origin: they hold no secret, and MCP clients in browsers read them.
pub(crate) struct MetadataEndpoint(Bytes);

impl MetadataEndpoint {
    pub(crate) fn new(resource: &ProtectedResource) -> Self {
        Self(serde_json::to_vec(resource).expect("texts are JSON").into())
    }
}

impl Endpoint for MetadataEndpoint {
    fn waits_for_session(&self) -> bool {
        false
    }

    fn needs_form(&self) -> bool {
        false
    }

    fn get(&self, _: &EndpointRequest<'_>) -> MaybeFuture<FullResponse> {
        let mut response = Response::new(Full::new(self.0.clone()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        allow_every_origin(headers);
        MaybeFuture::Ready(response)
    }

    fn post(&self, _: &EndpointRequest<'_>, _: &UrlEncodedForm) -> MaybeFuture<FullResponse> {
        MaybeFuture::Ready(not_allowed())
    }

    fn options(&self) -> FullResponse {
        preflight_of_every_origin("GET, HEAD")
    }
}

/// The response to a preflight of a browser: pages of every origin may send requests with these methods, without cookies.
pub(crate) fn preflight_of_every_origin(methods: &'static str) -> FullResponse {
    let mut response = status_response(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    allow_every_origin(headers);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    // The version of the protocol, which clients of MCP send with every request.
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("*"));
    response
}

pub(crate) fn allow_every_origin(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
}

//! Requests to a provider, and the URLs that are allowed.

use std::sync::Arc;

use http::{
    HeaderValue, Request,
    header::{ACCEPT, AUTHORIZATION, USER_AGENT},
};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse, url::Url};
use serde_json::{Map, Value};

use super::error::SignInError;
use crate::{
    error::{BoxError, ConfigError},
    http_client::{Transport, check_endpoint},
    maybe_future::BoxFuture,
};

/// Returns whether `url` may be the URL of an endpoint of `issuer`.
pub(super) fn is_allowed(url: &Url, issuer: &Url) -> bool {
    check_endpoint(url.as_str(), issuer.as_str()).is_ok()
}

/// Returns the URL that `text` is, if an issuer may have it.
pub(super) fn issuer_url(text: &str) -> Result<Url, ConfigError> {
    let url = Url::parse(text).ok().filter(|url| {
        is_allowed(url, url) && url.has_host() && url.query().is_none() && url.fragment().is_none()
    });
    url.ok_or_else(|| {
        ConfigError::new(
            "issuer",
            format!(
                "expected a URL such as https://id.example.org, without query and fragment, or http on the loopback \
                 interface, found {text:?}"
            ),
        )
    })
}

/// The most exchanges of codes at the same time at one provider.
pub(super) const EXCHANGES: usize = 64;

/// The HTTP client of one provider.
pub(super) struct ProviderClient {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) issuer: Url,
}

/// A request that got no response.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct RequestFailure(BoxError);

impl ProviderClient {
    /// Sends a request and returns the whole response. Redirects are not followed.
    pub(super) fn send(&self, request: HttpRequest) -> BoxFuture<Result<HttpResponse, RequestFailure>> {
        let target = request.uri().to_string();
        let allowed = Url::parse(&target).is_ok_and(|url| is_allowed(&url, &self.issuer));
        if !allowed {
            return Box::pin(async move {
                Err(RequestFailure(
                    format!("expected an https URL, found {target:?}").into(),
                ))
            });
        }
        let response = self
            .transport
            .send(request.map(|body| http_body_util::Full::new(body.into())));
        Box::pin(async move {
            match response.await {
                Ok(response) => Ok(response.map(Vec::from)),
                Err(error) => Err(RequestFailure(error)),
            }
        })
    }
}

impl ProviderClient {
    /// Returns what the endpoint for the data of a user responds for this access token.
    pub(super) async fn user_info(
        &self,
        endpoint: &str,
        token: &str,
    ) -> Result<Map<String, Value>, SignInError> {
        let mut bearer = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| SignInError::rejected("expected an access token of visible ASCII characters"))?;
        bearer.set_sensitive(true);
        let request = Request::get(endpoint)
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, bearer)
            .header(USER_AGENT, "portcullis")
            .body(Vec::new())
            .map_err(SignInError::unavailable)?;
        let response = self.send(request).await.map_err(SignInError::unavailable)?;
        if !response.status().is_success() {
            let text = format!("the UserInfo endpoint responded {}", response.status());
            return Err(SignInError::unavailable(text));
        }
        serde_json::from_slice(response.body())
            .map_err(|_| SignInError::unavailable("the UserInfo endpoint responded no JSON object"))
    }
}

impl<'a> AsyncHttpClient<'a> for ProviderClient {
    type Error = RequestFailure;
    type Future = BoxFuture<Result<HttpResponse, RequestFailure>>;

    fn call(&'a self, request: HttpRequest) -> Self::Future {
        self.send(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_has_https_or_is_on_the_loopback_interface() {
        for (issuer, accepted) in [
            ("https://id.example.org", true),
            ("https://id.example.org/realms/one", true),
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:8080/x", true),
            ("http://localhost", true),
            ("http://id.example.org", false),
            ("http://127.0.0.1.example.org", false),
            ("http://10.0.0.1", false),
            ("https://id.example.org/?a=b", false),
            ("https://id.example.org/#a", false),
            ("https://user:pass@id.example.org", false),
            ("file:///etc/passwd", false),
            ("id.example.org", false),
            ("", false),
        ] {
            assert_eq!(issuer_url(issuer).is_ok(), accepted, "{issuer}");
        }
    }
}

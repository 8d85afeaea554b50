//! The logout at a provider: OpenID Connect RP-Initiated Logout 1.0.

use std::sync::Arc;

use http::HeaderValue;
use openidconnect::url::Url;

use super::{configured::SignIn, openid_connect::OpenIdConnect};
use crate::{
    cookies::{RequestCookies, SetCookies},
    middleware::{
        cookies::is_https,
        endpoint::EndpointRequest,
        provider_logout::{LogoutElsewhere, ProviderLogout},
    },
};

impl OpenIdConnect {
    /// Returns the URL at which a browser logs out, to come back to `back`.
    pub(super) async fn end_session_url(&self, back: &str) -> Option<String> {
        let metadata = self.discovery.metadata().await.ok()?;
        let endpoint = metadata.additional_metadata().end_session_endpoint.as_deref()?;
        let mut url = Url::parse(endpoint).ok()?;
        url.query_pairs_mut()
            .append_pair("client_id", &self.client_id)
            .append_pair("post_logout_redirect_uri", back);
        Some(url.into())
    }
}

impl ProviderLogout for SignIn {
    fn logout(&self, request: &EndpointRequest<'_>) -> Option<LogoutElsewhere> {
        let sent = RequestCookies::from_headers(request.head.headers()).ok()?;
        let https = is_https(&request.target, request.head);
        let (mut cookies, mut found) = (SetCookies::default(), None);
        for provider in &self.providers {
            if sent.values(&provider.marker.name(b"")).next().is_none() {
                continue;
            }
            if let Some(line) = provider.marker.removal_cookie(b"", https) {
                cookies.push_overriding(line);
            }
            found.get_or_insert_with(|| Arc::clone(provider));
        }
        let provider = found?;
        let origin = request.state().guards.own_origin(&request.target, request.head)?;
        let back = format!("{origin}{}", self.base_url.as_str());
        let url = Box::pin(async move {
            let url = provider.provider.end_session_url(&back).await?;
            HeaderValue::try_from(url).ok()
        });
        Some(LogoutElsewhere { cookies, url })
    }
}

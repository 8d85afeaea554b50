//! A logout that goes on at an identity provider.

use http::HeaderValue;

use crate::{cookies::SetCookies, maybe_future::BoxFuture, middleware::endpoint::EndpointRequest};

/// The identity providers of a layer.
pub(crate) trait ProviderLogout: Send + Sync {
    /// Returns how the logout of this browser goes on; `None` if it did not log in at a provider.
    fn logout(&self, request: &EndpointRequest<'_>) -> Option<LogoutElsewhere>;
}

/// How a logout goes on at a provider.
#[cfg_attr(
    not(feature = "openid"),
    allow(dead_code, reason = "only identity providers have a logout")
)]
pub(crate) struct LogoutElsewhere {
    /// The lines that remove the cookies which name the provider.
    pub(crate) cookies: SetCookies,
    /// The URL at the provider; `None` if it has none, or does not respond.
    pub(crate) url: BoxFuture<Option<HeaderValue>>,
}

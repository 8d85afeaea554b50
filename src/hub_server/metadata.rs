//! The metadata of the OAuth server: RFC 8414.

use std::collections::BTreeSet;

use http::{HeaderValue, StatusCode, header::CACHE_CONTROL};
use serde_json::json;

use super::{request::HubRequest, response, scope::IDENTIFY};
use crate::{middleware::error_response::FullResponse, oauth::CodeChallenge};

impl HubRequest<'_> {
    /// The metadata. They hold no secret.
    pub(crate) fn metadata(&self, issuer: &str) -> FullResponse {
        let endpoint = |name: &str| format!("{issuer}/hub/api/oauth2/{name}");
        let mut scopes: BTreeSet<&str> = IDENTIFY.into();
        let registration = self.hub.registration.as_ref();
        scopes.extend(
            registration
                .into_iter()
                .flat_map(|registration| registration.scopes.iter()),
        );
        scopes.extend(self.hub.registry.iter().flat_map(|client| client.allowed.iter()));
        let mut metadata = json!({
            "issuer": issuer,
            "authorization_endpoint": endpoint("authorize"),
            "token_endpoint": endpoint("token"),
            "token_endpoint_auth_methods_supported": ["client_secret_post", "none"],
            "introspection_endpoint": endpoint("introspect"),
            "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "Bearer"],
            "revocation_endpoint": endpoint("revoke"),
            "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "code_challenge_methods_supported": [CodeChallenge::METHOD],
            "scopes_supported": scopes,
            "authorization_response_iss_parameter_supported": true,
        });
        if registration.is_some() {
            metadata["registration_endpoint"] = endpoint("register").into();
        }
        if !self.hub.resources.is_empty() {
            metadata["protected_resources"] = json!(self.hub.resources);
        }
        let mut response = response::json_response(StatusCode::OK, &metadata);
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        response
    }
}

//! From settings to a client of a hub.

use std::sync::Arc;

use http::{HeaderValue, Uri};

use super::{
    api::HubApi,
    builder::HubAuthBuilder,
    cookie_cache::CookieCache,
    cookie_options::{TOKEN_LIFE, with_options},
    hub_auth::{HubAuth, HubAuthInner},
    internal_tls::InternalTls,
    revoked_logins::RevokedLogins,
    token_cache::HubTokenCache,
};
use crate::{
    authenticate::{TokenSource, TokenSources},
    cookies::{CookieJar, CookieName, CookiePrefix, CookieScope, Keyring, Lifetime},
    digest::Hmac,
    error::ConfigError,
    http_client::Transport,
    oauth::OAuthClient,
    request_policy::Origin,
    secret::Secret,
};

impl HubAuthBuilder {
    /// Builds the client.
    ///
    /// # Errors
    ///
    /// If something required is missing, or a URL, a name, an option or a file is none that can be used.
    pub fn build(self) -> Result<HubAuth, ConfigError> {
        let missing =
            |setting, what: &str| ConfigError::new(setting, format!("expected {what}, found nothing"));
        let api_url = self
            .api_url
            .ok_or_else(|| missing("JUPYTERHUB_API_URL", "the URL of the hub's API"))?;
        check_url("JUPYTERHUB_API_URL", &api_url)?;
        let base_url = self
            .base_url
            .ok_or_else(|| missing("JUPYTERHUB_SERVICE_PREFIX", "the path of this server"))?;
        let client_id = self
            .client_id
            .ok_or_else(|| missing("JUPYTERHUB_CLIENT_ID", "the id of this client"))?;
        if self.access_scopes.is_empty() && !self.allow_all_hub_users {
            return Err(missing(
                "JUPYTERHUB_OAUTH_ACCESS_SCOPES",
                "a scope that gives access, or danger_allow_all_hub_users()",
            ));
        }
        let odd = self
            .access_scopes
            .iter()
            .find(|scope| crate::session::scopes::Scope::parse(scope).is_none());
        if let Some(odd) = odd {
            let found = format!(
                "expected scopes such as access:servers!user=alice, without control characters, found {odd:?}"
            );
            return Err(ConfigError::new("JUPYTERHUB_OAUTH_ACCESS_SCOPES", found));
        }
        if let Some((url, _)) = &self.activity {
            check_url("JUPYTERHUB_ACTIVITY_URL", url)?;
        }
        let callback_url = self
            .callback_url
            .unwrap_or_else(|| base_url.join("oauth_callback"));
        let callback_path = path_of(&callback_url).filter(|path| base_url.contains(path));
        let callback_path = callback_path.ok_or_else(|| {
            let found = format!("expected a URL below {base_url}, found {callback_url:?}");
            ConfigError::new("JUPYTERHUB_OAUTH_CALLBACK_URL", found)
        })?;
        let name = CookieName::custom(&client_id).map_err(|_| {
            let found = format!("expected the characters of a cookie's name, found {client_id:?}");
            ConfigError::new("JUPYTERHUB_CLIENT_ID", found)
        })?;
        let mut scope = CookieScope::custom(name, base_url.as_str())?;
        if self.host_prefix {
            scope = scope.with_prefix(CookiePrefix::Host)?;
        }
        let keyring = match self.keyring {
            Some(keyring) => keyring,
            None => {
                let key = Hmac::new(b"portcullis/v1/hub token").mac(self.token.expose());
                Keyring::from_secret(Secret::from(&key[..]))?
            }
        };
        let host = self.hub_host.as_ref().map(Origin::to_string).unwrap_or_default();
        let authorize_url = host.clone() + &self.hub_base_url.join("hub/api/oauth2/authorize");
        let (scope, lifetime, lasting) = match &self.cookie_options {
            Some(options) => with_options(scope, options)?,
            None => (scope, Lifetime::absolute(TOKEN_LIFE), true),
        };
        let oauth = OAuthClient::new(
            &client_id,
            self.token.clone(),
            &callback_url,
            &authorize_url,
            &keyring,
            &scope,
        )?;
        let scope = if lasting { scope } else { scope.without_max_age() };
        let logout = HeaderValue::try_from(host + &self.hub_base_url.join("hub/logout"))
            .map_err(|_| ConfigError::new("JUPYTERHUB_HOST", "expected visible ASCII characters"))?;
        let transport = match self.transport {
            Some(transport) => transport,
            None => default_transport(self.internal_tls.as_ref())?,
        };
        let sources = |query: bool| {
            let query = query.then_some(TokenSource::Query);
            TokenSources::new([TokenSource::Authorization].into_iter().chain(query))
        };
        let api = HubApi {
            transport,
            url: api_url.into(),
        };
        Ok(HubAuth(Arc::new(HubAuthInner {
            verifier: Arc::new(HubTokenCache::new(api, self.access_scopes, self.max_age)),
            oauth,
            jar: CookieJar::encrypted(&keyring, scope).with_lifetime(lifetime),
            opened_cookies: CookieCache::new(self.max_age),
            ended_logins: RevokedLogins::new(lifetime.absolute_timeout()),
            session_id: CookieName::session_id(),
            sources: sources(self.token_in_url),
            websocket_sources: sources(true),
            token_in_url: self.token_in_url,
            websocket_cookies: self.websocket_cookies,
            keyring,
            base_url,
            callback_path,
            logout,
            public_origin: self.public_origin,
            token: self.token,
            activity: self.activity.filter(|_| !self.activity_interval.is_zero()),
            activity_interval: self.activity_interval,
            last_activity: Default::default(),
        })))
    }
}

#[cfg(feature = "hub-client-hyper")]
fn default_transport(tls: Option<&InternalTls>) -> Result<Arc<dyn Transport>, ConfigError> {
    Ok(crate::http_client::ready(super::tls::config(tls)?))
}

#[cfg(not(feature = "hub-client-hyper"))]
fn default_transport(_: Option<&InternalTls>) -> Result<Arc<dyn Transport>, ConfigError> {
    Err(ConfigError::new(
        "http_client",
        "expected one; the feature hub-client has one ready",
    ))
}

fn check_url(name: &'static str, url: &str) -> Result<(), ConfigError> {
    let uri: Option<Uri> = url.parse().ok();
    let absolute = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && uri.query().is_none()
    });
    if absolute {
        Ok(())
    } else {
        Err(ConfigError::new(
            name,
            format!("expected an http or https URL without a query, found {url:?}"),
        ))
    }
}

/// The path of a URL, which may be one alone.
fn path_of(url: &str) -> Option<Box<str>> {
    let uri: Uri = url.parse().ok()?;
    let whole = uri.query().is_none() && uri.path().starts_with('/');
    whole.then(|| uri.path().into())
}

//! The environment variables that a hub sets for a process.

use std::{env, time::Duration};

use http::Uri;

use super::{
    builder::HubAuthBuilder,
    hub_auth::HubAuth,
    internal_tls::{AUTHORITIES, CERTIFICATE, KEY},
};
use crate::{error::ConfigError, request_policy::Origin, secret::Secret, token::PresentedToken};

impl HubAuth {
    /// Reads the variables `JUPYTERHUB_*` of this process, and uses the built-in HTTP client.
    ///
    /// Read are `…_API_TOKEN`, `…_API_URL`, `…_SERVICE_PREFIX`, `…_CLIENT_ID` or `…_SERVICE_NAME`,
    /// `…_OAUTH_ACCESS_SCOPES`, which must be there, and `…_BASE_URL`, `…_OAUTH_CALLBACK_URL`, `…_HOST`,
    /// `…_PUBLIC_URL`, `…_COOKIE_HOST_PREFIX_ENABLED`, `…_COOKIE_OPTIONS`, `…_ALLOW_TOKEN_IN_URL`,
    /// `…_ALLOW_WEBSOCKET_COOKIE_AUTH`, `…_ACTIVITY_URL`, `…_ACTIVITY_INTERVAL`, `…_SERVER_NAME`, and of a hub with
    /// `internal_ssl` `…_SSL_CERTFILE`, `…_SSL_KEYFILE`, `…_SSL_CLIENT_CA`.
    ///
    /// # Errors
    ///
    /// If one is missing or invalid; the error names it, and states what was expected and found.
    #[cfg(feature = "hub-client-hyper")]
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::builder_from_env()?.build()
    }

    /// The settings in the variables of this process, to change some of them or to use another HTTP client.
    ///
    /// # Errors
    ///
    /// If a variable is missing or invalid.
    pub fn builder_from_env() -> Result<HubAuthBuilder, ConfigError> {
        Self::builder_from_vars(&Environment::own)
    }

    /// As `builder_from_env`, from the variables that `look_up` returns, such as a test's.
    ///
    /// # Errors
    ///
    /// If a variable is missing or invalid.
    pub fn builder_from_vars(
        look_up: &dyn Fn(&str) -> Option<String>,
    ) -> Result<HubAuthBuilder, ConfigError> {
        Environment(look_up).read()
    }
}

/// A lookup of variables: the process's own, or a test's.
struct Environment<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Environment<'_> {
    /// The process's own.
    fn own(name: &str) -> Option<String> {
        env::var_os(name).map(|value| {
            value
                .into_string()
                .unwrap_or_else(|odd| odd.to_string_lossy().into_owned())
        })
    }

    /// The settings in the variables.
    fn read(&self) -> Result<HubAuthBuilder, ConfigError> {
        let token = self.token()?;
        let api_url = self.required(
            "JUPYTERHUB_API_URL",
            "the URL of the hub's API, such as http://127.0.0.1:8081/hub/api",
        )?;
        let prefix = self.required(
            "JUPYTERHUB_SERVICE_PREFIX",
            "the path that the hub gave, such as /user/alice/",
        )?;
        let prefix = prefix
            .parse()
            .map_err(|error: ConfigError| ConfigError::new("JUPYTERHUB_SERVICE_PREFIX", error.to_string()))?;
        let mut hub = HubAuth::builder(token).api_url(&api_url).base_url(prefix);
        if let Some(base) = self.get("JUPYTERHUB_BASE_URL") {
            let base = base
                .parse()
                .map_err(|error: ConfigError| ConfigError::new("JUPYTERHUB_BASE_URL", error.to_string()))?;
            hub = hub.hub_base_url(base);
        }
        if let Some(id) = self.get("JUPYTERHUB_CLIENT_ID") {
            hub = hub.client_id(&id);
        } else if let Some(name) = self.get("JUPYTERHUB_SERVICE_NAME") {
            hub = hub.client_id(&format!("service-{name}"));
        }
        if let Some(url) = self.get("JUPYTERHUB_OAUTH_CALLBACK_URL") {
            hub = hub.callback_url(&url);
        }
        hub = match self
            .scopes("JUPYTERHUB_OAUTH_ACCESS_SCOPES")?
            .or(self.scopes("JUPYTERHUB_OAUTH_SCOPES")?)
        {
            Some(scopes) => hub.access_scopes(scopes),
            None => match self.get("JUPYTERHUB_SERVICE_NAME") {
                Some(name) => hub.access_scopes([format!("access:services!service={name}")]),
                None => {
                    return Err(ConfigError::new(
                        "JUPYTERHUB_OAUTH_ACCESS_SCOPES",
                        "expected a JSON list of scopes of which one lets in, found nothing, and no JUPYTERHUB_SERVICE_NAME \
                         that would tell",
                    ));
                }
            },
        };
        if let Some(host) = self.get("JUPYTERHUB_HOST") {
            hub = hub.hub_origin(self.origin("JUPYTERHUB_HOST", &host)?);
        }
        if let Some(url) = self.get("JUPYTERHUB_PUBLIC_URL") {
            hub = hub.public_origin(self.origin("JUPYTERHUB_PUBLIC_URL", &url)?);
        }
        if self.flag("JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED")? {
            hub = hub.host_prefixed_cookies();
        }
        if self.flag("JUPYTERHUB_ALLOW_TOKEN_IN_URL")? {
            hub = hub.allow_token_in_url();
        }
        if self.get("JUPYTERHUB_ALLOW_WEBSOCKET_COOKIE_AUTH").is_some()
            && !self.flag("JUPYTERHUB_ALLOW_WEBSOCKET_COOKIE_AUTH")?
        {
            hub = hub.reject_websocket_cookies();
        }
        if let Some(options) = self.get("JUPYTERHUB_COOKIE_OPTIONS") {
            hub = hub.cookie_options(&options);
        }
        if let Some(url) = self.get("JUPYTERHUB_ACTIVITY_URL") {
            let server = self.get("JUPYTERHUB_SERVER_NAME").unwrap_or_default();
            hub = hub.activity_url(&url, &server);
        }
        if let Some(seconds) = self.get("JUPYTERHUB_ACTIVITY_INTERVAL") {
            let seconds = seconds.parse().map_err(|_| {
                ConfigError::new(
                    "JUPYTERHUB_ACTIVITY_INTERVAL",
                    format!("expected a number of seconds, 0 for no reports, found {seconds:?}"),
                )
            })?;
            hub = hub.activity_interval(Duration::from_secs(seconds));
        }
        self.internal_tls(hub)
    }

    fn internal_tls(&self, hub: HubAuthBuilder) -> Result<HubAuthBuilder, ConfigError> {
        let names = [CERTIFICATE, KEY, AUTHORITIES];
        let files = names.map(|name| self.get(name));
        let missing = names.iter().zip(&files).find(|(_, file)| file.is_none());
        let set = names.iter().zip(&files).find(|(_, file)| file.is_some());
        match (&files, missing, set) {
            ([Some(certificate), Some(key), Some(authorities)], ..) => {
                Ok(hub.internal_tls(certificate, key, authorities))
            }
            (_, Some((missing, _)), Some((set, _))) => Err(ConfigError::new(
                missing,
                format!("expected a file's path together with {set}, found nothing"),
            )),
            _ => Ok(hub),
        }
    }

    /// The value of a variable that is set and not empty or spaces: hubs set variables without a value to an empty string.
    fn get(&self, name: &str) -> Option<String> {
        let value = (self.0)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    fn required(&self, name: &'static str, what: &str) -> Result<String, ConfigError> {
        self.get(name).ok_or_else(|| {
            ConfigError::new(
                name,
                format!("expected {what}, found nothing; a JupyterHub sets it"),
            )
        })
    }

    fn token(&self) -> Result<Secret, ConfigError> {
        let names = ["JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN"];
        let (name, token) = names
            .iter()
            .find_map(|name| Some((*name, self.get(name)?)))
            .ok_or_else(|| {
                ConfigError::new(
                    names[0],
                    "expected the token that the hub gave, found nothing; a JupyterHub sets it",
                )
            })?;
        if PresentedToken::new(token.as_bytes()).is_none_or(PresentedToken::is_oversized) {
            let found = format!(
                "expected a token of 1 to 512 visible ASCII characters, found {} bytes, some of them others",
                token.len()
            );
            return Err(ConfigError::new(name, found));
        }
        Ok(Secret::from(token))
    }

    fn flag(&self, name: &'static str) -> Result<bool, ConfigError> {
        match self.get(name).as_deref().map(str::to_ascii_lowercase).as_deref() {
            None | Some("0" | "false" | "no" | "off") => Ok(false),
            Some("1" | "true" | "yes" | "on") => Ok(true),
            Some(odd) => Err(ConfigError::new(name, format!("expected 0 or 1, found {odd:?}"))),
        }
    }

    fn scopes(&self, name: &'static str) -> Result<Option<Vec<String>>, ConfigError> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        match serde_json::from_str(&text) {
            Ok(scopes) => Ok(Some(scopes)),
            Err(_) => Err(ConfigError::new(
                name,
                format!("expected a JSON list of texts, found {text:?}"),
            )),
        }
    }

    /// The origin of a URL.
    fn origin(&self, name: &'static str, url: &str) -> Result<Origin, ConfigError> {
        let odd = || ConfigError::new(name, format!("expected an http or https URL, found {url:?}"));
        let uri: Uri = url.parse().map_err(|_| odd())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(odd());
        };
        format!("{scheme}://{authority}").parse().map_err(|_| odd())
    }
}

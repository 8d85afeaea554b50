//! The settings of the providers of one layer, and the pages that are built from them.

use std::sync::Arc;

use super::{
    claims::Claims,
    endpoints::{CallbackEndpoint, StartEndpoint},
    layer_providers::{ClaimsMapping, LayerProvider, SignIn},
    provider::Provider,
};
use crate::{
    cookies::{CookieName, CookieScope, Keyring, SameSite},
    denial::Denial,
    error::ConfigError,
    middleware::{endpoint::Endpoint, provider_logout::ProviderLogout},
    oauth::StateStore,
    request::base_url::BaseUrl,
    session::grant::Grant,
};

/// A provider as it is configured.
pub(crate) struct SignInSettings {
    name: Box<str>,
    provider: Provider,
    mapping: Box<ClaimsMapping>,
}

/// What a layer gets of its providers.
pub(crate) struct SignInPages {
    /// Name and path of each, for the login page.
    pub(crate) links: Vec<(Box<str>, Box<str>)>,
    pub(crate) endpoints: Vec<(Box<str>, Box<dyn Endpoint>)>,
    /// The providers, if a logout goes on at one of them.
    pub(crate) logout: Option<Arc<dyn ProviderLogout>>,
}

impl SignInSettings {
    pub(crate) fn new(
        name: &str,
        provider: Provider,
        mapping: impl Fn(&Claims) -> Result<Grant, Denial> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            provider,
            mapping: Box::new(mapping),
        }
    }

    /// Returns the last segment of the path at which a login begins: the name in lower case, with `-` for all but letters
    /// and digits.
    fn path_segment(&self) -> Result<String, ConfigError> {
        let letters = self.name.to_lowercase();
        let words = letters.split(|letter: char| !letter.is_ascii_alphanumeric());
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        match words.join("-") {
            segment if !segment.is_empty() && segment != CALLBACK => Ok(segment),
            _ => Err(ConfigError::new(
                "sign_in_with",
                format!(
                    "expected a name with letters or digits, other than {CALLBACK:?}, found {:?}",
                    self.name
                ),
            )),
        }
    }
}

/// The last segment of the redirect URI.
const CALLBACK: &str = "callback";

impl SignInPages {
    /// Builds the pages of these providers, for a layer with this login cookie.
    pub(crate) fn new(
        settings: Vec<SignInSettings>,
        base_url: &BaseUrl,
        login_path: &str,
        keyring: &Keyring,
        login_cookie: &CookieScope,
    ) -> Result<Self, ConfigError> {
        let (mut providers, mut links): (Vec<Arc<LayerProvider>>, Vec<_>) = Default::default();
        for setting in settings {
            let segment = setting.path_segment()?;
            let path = Box::<str>::from(base_url.join(&format!("login/{segment}")));
            if providers.iter().any(|other| other.path == path) {
                return Err(ConfigError::new(
                    "sign_in_with",
                    format!("expected one provider at {path}, found another"),
                ));
            }
            let name = CookieName::custom(&format!("login-{segment}"))?;
            let scope = CookieScope::custom(name, base_url.as_str())?.with_attributes_of(login_cookie)?;
            // The provider's redirect is a request from another site.
            let scope = match login_cookie.same_site() {
                SameSite::Strict => scope.with_same_site(SameSite::Lax)?,
                _ => scope,
            };
            links.push((setting.name, path.clone()));
            providers.push(Arc::new(LayerProvider {
                path,
                provider: setting.provider,
                mapping: setting.mapping,
                states: StateStore::new(keyring, &scope)?,
                marker: scope,
            }));
        }
        let shared = Arc::new(SignIn {
            callback_path: base_url.join(&format!("login/{CALLBACK}")).into(),
            login_path: login_path.into(),
            logout_path: base_url.join("logout").into(),
            base_url: base_url.clone(),
            providers,
        });
        let starts = shared.providers.iter().map(|provider| {
            let endpoint = StartEndpoint {
                shared: Arc::clone(&shared),
                provider: Arc::clone(provider),
            };
            (provider.path.clone(), Box::new(endpoint) as Box<dyn Endpoint>)
        });
        let callback = CallbackEndpoint(Arc::clone(&shared));
        let callback = (
            shared.callback_path.clone(),
            Box::new(callback) as Box<dyn Endpoint>,
        );
        let endpoints = starts.chain([callback]).collect();
        let logs_out = shared
            .providers
            .iter()
            .any(|provider| provider.provider.logs_out());
        Ok(Self {
            links,
            endpoints,
            logout: logs_out.then_some(shared as Arc<dyn ProviderLogout>),
        })
    }
}

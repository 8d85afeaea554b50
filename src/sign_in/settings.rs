//! The settings of the providers of one layer or hub, and what is built from them.

use std::sync::Arc;

use super::{
    backchannel::BackchannelEndpoint,
    claims::Claims,
    configured::{ClaimsMapping, ConfiguredProvider, SignIn},
    endpoints::{CallbackEndpoint, StartEndpoint},
    provider::Provider,
};
use crate::{
    cookies::{CookieName, CookieScope, Keyring, SameSite},
    denial::Denial,
    error::ConfigError,
    middleware::{endpoint::Endpoint, provider_logout::ProviderLogout},
    oauth::StateStore,
    redirect::NextUrl,
    request::base_url::BaseUrl,
    session::grant::Grant,
};

/// A provider as it is configured.
pub(crate) struct SignInSettings {
    name: Box<str>,
    provider: Provider,
    mapping: Box<ClaimsMapping>,
}

/// Where the pages of the providers are, and where logins lead.
pub(crate) struct SignInPlace<'a> {
    /// The pages are below it.
    pub(crate) pages: &'a BaseUrl,
    /// Logins lead to pages below it.
    pub(crate) base_url: &'a BaseUrl,
    /// Where a login leads that is for no page.
    pub(crate) home: NextUrl,
    pub(crate) login_path: &'a str,
    pub(crate) keyring: &'a Keyring,
    pub(crate) login_cookie: &'a CookieScope,
}

/// What a layer gets of its providers.
pub(crate) struct SignInPages {
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

/// Name and path of a provider, for the login page.
type SignInLink = (Box<str>, Box<str>);

impl SignIn {
    /// The providers of these settings, and what the login page shows of them.
    pub(crate) fn new(
        settings: Vec<SignInSettings>,
        place: SignInPlace<'_>,
    ) -> Result<(Arc<Self>, Vec<SignInLink>), ConfigError> {
        let (mut providers, mut links): (Vec<Arc<ConfiguredProvider>>, Vec<_>) = Default::default();
        let SignInPlace {
            pages,
            keyring,
            login_cookie,
            ..
        } = place;
        for setting in settings {
            let segment = setting.path_segment()?;
            let path = Box::<str>::from(pages.join(&format!("login/{segment}")));
            if providers.iter().any(|other| other.path == path) {
                return Err(ConfigError::new(
                    "sign_in_with",
                    format!("expected one provider at {path}, found another"),
                ));
            }
            let name = CookieName::custom(&format!("login-{segment}"))?;
            let scope = CookieScope::custom(name, pages.as_str())?.with_attributes_of(login_cookie)?;
            // The provider's redirect is a request from another site.
            let scope = match login_cookie.same_site() {
                SameSite::Strict => scope.with_same_site(SameSite::Lax)?,
                _ => scope,
            };
            links.push((setting.name, path.clone()));
            providers.push(Arc::new(ConfiguredProvider {
                path,
                provider: setting.provider,
                mapping: setting.mapping,
                states: StateStore::new(keyring, &scope)?,
                marker: scope,
            }));
        }
        let sign_in = Self {
            callback_path: pages.join(&format!("login/{CALLBACK}")).into(),
            login_path: place.login_path.into(),
            logout_path: pages.join("logout").into(),
            base_url: place.base_url.clone(),
            home: place.home,
            providers,
        };
        Ok((Arc::new(sign_in), links))
    }
}

impl SignInPages {
    /// The pages of these providers in a layer.
    pub(crate) fn new(sign_in: &Arc<SignIn>) -> Self {
        let starts = sign_in.providers.iter().map(|provider| {
            let endpoint = StartEndpoint {
                shared: Arc::clone(sign_in),
                provider: Arc::clone(provider),
            };
            (provider.path.clone(), Box::new(endpoint) as Box<dyn Endpoint>)
        });
        let reporting = sign_in.providers.iter();
        let logouts = reporting
            .filter(|provider| provider.provider.reports_logouts())
            .map(|provider| {
                let endpoint: Box<dyn Endpoint> = Box::new(BackchannelEndpoint(Arc::clone(provider)));
                (format!("{}/logout", provider.path).into(), endpoint)
            });
        let callback = CallbackEndpoint(Arc::clone(sign_in));
        let callback = (
            sign_in.callback_path.clone(),
            Box::new(callback) as Box<dyn Endpoint>,
        );
        Self {
            endpoints: starts.chain([callback]).chain(logouts).collect(),
            logout: sign_in
                .logs_out()
                .then(|| Arc::clone(sign_in) as Arc<dyn ProviderLogout>),
        }
    }
}

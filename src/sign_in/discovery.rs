//! The metadata and the keys of a provider, and when they are fetched.

use std::{sync::Arc, time::Duration};

use openidconnect::{
    AdditionalProviderMetadata, AuthType, IssuerUrl, JsonWebKeySet, ProviderMetadata,
    core::{
        CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
        CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType,
        CoreSubjectIdentifierType,
    },
    url::Url,
};
use serde::{Deserialize, Serialize};
use tokio::{sync::Mutex, time::Instant};

use super::{
    error::SignInError,
    http::{ProviderClient, is_allowed},
};

/// The age at which metadata and keys are fetched again.
const MAX_AGE: Duration = Duration::from_secs(3_600);

/// How long a provider that did not respond gets no request.
const PAUSE: Duration = Duration::from_secs(5);

/// Metadata that the crate `openidconnect` does not know.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(super) struct MoreMetadata {
    /// RFC 9207: whether each authorization response names its issuer.
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
    /// OpenID Connect RP-Initiated Logout 1.0.
    pub(super) end_session_endpoint: Option<String>,
}

impl AdditionalProviderMetadata for MoreMetadata {}

pub(super) type Metadata = ProviderMetadata<
    MoreMetadata,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// The metadata and keys of one provider, fetched when they are needed. One request fetches them, others wait for it.
pub(super) struct Discovery {
    pub(super) client: ProviderClient,
    issuer: IssuerUrl,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    metadata: Option<(Arc<Metadata>, Instant)>,
    failed_at: Option<Instant>,
}

impl State {
    /// Fails if the provider did not respond a few seconds ago.
    fn check_pause(&self) -> Result<(), SignInError> {
        match self.failed_at {
            Some(failed_at) if failed_at.elapsed() < PAUSE => {
                Err(SignInError::unavailable("it did not respond a few seconds ago"))
            }
            _ => Ok(()),
        }
    }
}

impl Discovery {
    pub(super) fn new(client: ProviderClient, issuer: &str) -> Result<Self, openidconnect::url::ParseError> {
        Ok(Self {
            client,
            issuer: IssuerUrl::new(issuer.to_owned())?,
            state: Mutex::default(),
        })
    }

    /// Returns the issuer, as it was configured.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the metadata. While the provider does not respond, the last ones are used.
    pub(super) async fn metadata(&self) -> Result<Arc<Metadata>, SignInError> {
        let mut state = self.state.lock().await;
        let known = state.metadata.clone();
        if let Some((metadata, fetched_at)) = &known
            && fetched_at.elapsed() < MAX_AGE
        {
            return Ok(Arc::clone(metadata));
        }
        let known = known.map(|(metadata, _)| metadata);
        if let Err(error) = state.check_pause() {
            return known.ok_or(error);
        }
        match self.fetch().await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                state.metadata = Some((Arc::clone(&metadata), Instant::now()));
                Ok(metadata)
            }
            Err(error) => {
                state.failed_at = Some(Instant::now());
                known.ok_or(error)
            }
        }
    }

    /// Returns the metadata with other keys than `before`: a provider may have changed them since.
    pub(super) async fn with_new_keys(&self, before: &Arc<Metadata>) -> Result<Arc<Metadata>, SignInError> {
        let mut state = self.state.lock().await;
        if let Some((metadata, _)) = &state.metadata
            && !Arc::ptr_eq(metadata, before)
        {
            return Ok(Arc::clone(metadata));
        }
        state.check_pause()?;
        let keys = JsonWebKeySet::fetch_async(before.jwks_uri(), &self.client).await;
        let keys = keys.map_err(|error| {
            state.failed_at = Some(Instant::now());
            SignInError::unavailable(with_causes(&error))
        })?;
        let metadata = Arc::new(Metadata::clone(before).set_jwks(keys));
        state.metadata = Some((Arc::clone(&metadata), Instant::now()));
        Ok(metadata)
    }

    /// The same for a request that anyone can send: the keys are fetched at most once every few seconds.
    pub(super) async fn with_recent_keys(
        &self,
        before: &Arc<Metadata>,
    ) -> Result<Arc<Metadata>, SignInError> {
        let fetched_at = self.state.lock().await.metadata.as_ref().map(|(_, at)| *at);
        if fetched_at.is_some_and(|at| at.elapsed() < PAUSE) {
            return Ok(Arc::clone(before));
        }
        self.with_new_keys(before).await
    }

    async fn fetch(&self) -> Result<Metadata, SignInError> {
        let metadata = Metadata::discover_async(self.issuer.clone(), &self.client)
            .await
            .map_err(|error| SignInError::unavailable(with_causes(&error)))?;
        let more = metadata.additional_metadata();
        let end_session = more.end_session_endpoint.as_deref();
        let endpoints = [
            (
                "authorization_endpoint",
                Some(metadata.authorization_endpoint().as_str()),
            ),
            (
                "token_endpoint",
                Some(metadata.token_endpoint().map_or("", |url| url.as_str())),
            ),
            (
                "userinfo_endpoint",
                metadata.userinfo_endpoint().map(|url| url.as_str()),
            ),
            ("end_session_endpoint", end_session),
        ];
        for (name, endpoint) in endpoints {
            let Some(endpoint) = endpoint else { continue };
            if !Url::parse(endpoint).is_ok_and(|url| is_allowed(&url, &self.client.issuer)) {
                let text = format!("expected an https URL for {name} in its metadata, found {endpoint:?}");
                return Err(SignInError::unavailable(text));
            }
        }
        Ok(metadata)
    }
}

/// Returns how a client with a secret authenticates at the token endpoint of this provider.
pub(super) fn client_authentication(metadata: &Metadata) -> AuthType {
    let methods = metadata.token_endpoint_auth_methods_supported();
    let has = |method| methods.is_some_and(|methods| methods.contains(&method));
    if has(CoreClientAuthMethod::ClientSecretPost) && !has(CoreClientAuthMethod::ClientSecretBasic) {
        AuthType::RequestBody
    } else {
        AuthType::BasicAuth
    }
}

/// Returns the text of an error with those of its causes, of limited length.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text.chars().take(MAX_ERROR).collect()
}

/// The most characters of an error's text.
const MAX_ERROR: usize = 500;

//! A provider, of any kind.

use super::{
    claims::Claims, error::SignInError, logout_token::provider_session, oauth2_provider::OAuth2Provider,
    openid_connect::OpenIdConnect,
};
use crate::{
    clock::{Clock, UnixTime},
    oauth::CodeVerifier,
    secret::Secret,
    token::TokenHash,
};

/// A provider at which users log in: an [`OpenIdConnect`] or an [`OAuth2Provider`].
#[derive(Debug)]
pub struct Provider(Kind);

#[derive(Debug)]
enum Kind {
    OpenIdConnect(OpenIdConnect),
    OAuth2(OAuth2Provider),
}

impl From<OpenIdConnect> for Provider {
    fn from(provider: OpenIdConnect) -> Self {
        Self(Kind::OpenIdConnect(provider))
    }
}

impl From<OAuth2Provider> for Provider {
    fn from(provider: OAuth2Provider) -> Self {
        Self(Kind::OAuth2(provider))
    }
}

impl Provider {
    /// Returns the URL at the provider to which a browser is redirected.
    pub(super) async fn authorization_url(
        &self,
        redirect_uri: &str,
        state: String,
        verifier: &CodeVerifier,
    ) -> Result<String, SignInError> {
        match &self.0 {
            Kind::OpenIdConnect(provider) => provider.authorization_url(redirect_uri, state, verifier).await,
            Kind::OAuth2(provider) => Ok(provider.authorization_url(redirect_uri, &state, verifier)),
        }
    }

    /// Returns whether a logout goes on at the provider.
    pub(super) fn logs_out(&self) -> bool {
        match &self.0 {
            Kind::OpenIdConnect(provider) => provider.provider_logout,
            Kind::OAuth2(_) => false,
        }
    }

    /// Returns the URL at which a browser logs out, to come back to `back`.
    pub(super) async fn end_session_url(&self, back: &str) -> Option<String> {
        match &self.0 {
            Kind::OpenIdConnect(provider) => provider.end_session_url(back).await,
            Kind::OAuth2(_) => None,
        }
    }

    /// Returns whether the provider reports the end of its sessions.
    pub(super) fn reports_logouts(&self) -> bool {
        match &self.0 {
            Kind::OpenIdConnect(provider) => provider.backchannel_logout,
            Kind::OAuth2(_) => false,
        }
    }

    /// Returns what stands for the session at the provider, if the provider reports its end.
    pub(super) fn session(&self, claims: &Claims) -> Option<TokenHash> {
        match &self.0 {
            Kind::OpenIdConnect(provider) if provider.backchannel_logout => {
                provider_session(provider.discovery.issuer(), claims.as_map())
            }
            Kind::OpenIdConnect(_) | Kind::OAuth2(_) => None,
        }
    }

    /// Returns which session at the provider has ended by this logout token.
    pub(super) async fn ended_session(&self, token: &str, now: UnixTime) -> Result<TokenHash, SignInError> {
        match &self.0 {
            Kind::OpenIdConnect(provider) => provider.ended_session(token, now).await,
            Kind::OAuth2(_) => Err(SignInError::rejected("expected no logout token")),
        }
    }

    /// Checks the issuer that an authorization response names.
    pub(super) async fn check_issuer(&self, named: Option<&str>) -> Result<(), SignInError> {
        match &self.0 {
            Kind::OpenIdConnect(provider) => provider.check_issuer(named).await,
            Kind::OAuth2(provider) => provider.check_issuer(named),
        }
    }

    /// Exchanges a code for the claims of the user.
    pub(super) async fn claims(
        &self,
        code: &Secret,
        verifier: &CodeVerifier,
        redirect_uri: &str,
        clock: &dyn Clock,
    ) -> Result<Claims, SignInError> {
        match &self.0 {
            Kind::OpenIdConnect(provider) => provider.claims(code, verifier, redirect_uri, clock).await,
            Kind::OAuth2(provider) => provider.claims(code, verifier, redirect_uri).await,
        }
    }
}

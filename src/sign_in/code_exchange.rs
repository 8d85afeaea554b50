//! The authorization request, and the exchange of a code for the claims of a user.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use openidconnect::{
    AuthUrl, AuthenticationFlow, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet,
    EndpointSet, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    RequestTokenError, Scope, TokenResponse as _, TokenUrl,
    core::{CoreClient, CoreIdToken, CoreResponseType},
};
use serde_json::{Map, Value};

use super::{
    claims::Claims,
    discovery::{Metadata, client_authentication, with_causes},
    error::SignInError,
    id_token::{IdTokenCheck, may_have_new_key},
    openid_connect::OpenIdConnect,
};
use crate::{
    clock::{Clock, UnixTime},
    digest::sha256,
    oauth::{CodeVerifier, OAuthError},
    secret::Secret,
};

type Client = CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

impl OpenIdConnect {
    /// Returns the URL at the provider to which a browser is redirected.
    pub(super) async fn authorization_url(
        &self,
        redirect_uri: &str,
        state: String,
        verifier: &CodeVerifier,
    ) -> Result<String, SignInError> {
        let metadata = self.discovery.metadata().await?;
        let client = self.client(&metadata, redirect_uri)?;
        let nonce = Nonce::new(nonce(verifier));
        let pkce = PkceCodeVerifier::new(verifier.expose().to_owned());
        let (url, _, _) = client
            .authorize_url(
                AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
                || CsrfToken::new(state),
                || nonce,
            )
            .add_scopes(self.scopes.iter().map(|scope| Scope::new(scope.clone())))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&pkce))
            .url();
        Ok(url.into())
    }

    /// Checks the issuer that an authorization response names: RFC 9207.
    pub(super) async fn check_issuer(&self, named: Option<&str>) -> Result<(), SignInError> {
        let metadata = self.discovery.metadata().await?;
        let required = metadata
            .additional_metadata()
            .authorization_response_iss_parameter_supported;
        match named {
            Some(issuer) if issuer == self.discovery.issuer() => Ok(()),
            None if !required => Ok(()),
            _ => Err(SignInError::rejected(
                "the authorization response is from another issuer",
            )),
        }
    }

    /// Exchanges a code for the claims of the user: those of the ID token, and those of the UserInfo endpoint.
    pub(super) async fn claims(
        &self,
        code: &Secret,
        verifier: &CodeVerifier,
        redirect_uri: &str,
        clock: &dyn Clock,
    ) -> Result<Claims, SignInError> {
        let _permit = self.permits.try_acquire();
        let _permit = _permit.map_err(|_| SignInError::unavailable("too many logins are in progress"))?;
        let metadata = self.discovery.metadata().await?;
        let client = self.client(&metadata, redirect_uri)?;
        let code = AuthorizationCode::new(code.expose_str().unwrap_or_default().to_owned());
        let response = client
            .exchange_code(code)
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().to_owned()))
            .request_async(&self.discovery.client)
            .await
            .map_err(|error| match &error {
                RequestTokenError::ServerResponse(response) => {
                    let description = response.error_description().map(String::as_str);
                    SignInError::rejected(OAuthError::from_parts(response.error().as_ref(), description))
                }
                error => SignInError::unavailable(with_causes(error)),
            })?;
        let token = response
            .id_token()
            .ok_or_else(|| SignInError::rejected("expected an ID token, found none"))?;
        let mut claims = self
            .id_token_claims(token, verifier, metadata.clone(), clock.now())
            .await?;
        if self.user_info
            && let Some(endpoint) = metadata.userinfo_endpoint()
        {
            let more = self
                .discovery
                .client
                .user_info(endpoint.as_str(), response.access_token().secret())
                .await?;
            if more.get("sub") != claims.get("sub") {
                return Err(SignInError::rejected(
                    "the UserInfo response is about another user",
                ));
            }
            for (name, value) in more {
                claims.entry(name).or_insert(value);
            }
        }
        Ok(Claims::new(claims))
    }

    async fn id_token_claims(
        &self,
        token: &CoreIdToken,
        verifier: &CodeVerifier,
        metadata: std::sync::Arc<Metadata>,
        now: UnixTime,
    ) -> Result<Map<String, Value>, SignInError> {
        let nonce = nonce(verifier);
        let check = IdTokenCheck {
            client_id: &self.client_id,
            nonce: &nonce,
            algorithms: &self.algorithms,
            clock_skew: self.clock_skew,
            now,
        };
        let claims = match check.claims(token, &metadata) {
            Err(error) if may_have_new_key(&error) => {
                let metadata = self.discovery.with_new_keys(&metadata).await?;
                check.claims(token, &metadata)
            }
            claims => claims,
        };
        claims.map_err(|error| SignInError::rejected(with_causes(&error)))
    }

    fn client(&self, metadata: &Metadata, redirect_uri: &str) -> Result<Client, SignInError> {
        let invalid = |_| SignInError::unavailable("expected URLs of endpoints in its metadata");
        let token_endpoint = metadata.token_endpoint().map_or("", |url| url.as_str());
        let client = CoreClient::new(
            ClientId::new(self.client_id.clone()),
            metadata.issuer().clone(),
            metadata.jwks().clone(),
        )
        .set_auth_uri(AuthUrl::clone(metadata.authorization_endpoint()))
        .set_token_uri(TokenUrl::new(token_endpoint.to_owned()).map_err(invalid)?)
        .set_redirect_uri(RedirectUrl::new(redirect_uri.to_owned()).map_err(invalid)?);
        let client = match &self.client_secret {
            Some(secret) => client.set_client_secret(ClientSecret::new(
                secret.expose_str().unwrap_or_default().to_owned(),
            )),
            None => client,
        };
        let authentication = self.authentication.clone();
        Ok(client.set_auth_type(authentication.unwrap_or_else(|| client_authentication(metadata))))
    }
}

/// Returns the nonce of a login. It is made from the PKCE verifier, which only this browser's cookie holds, so it need not be
/// kept.
fn nonce(verifier: &CodeVerifier) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(sha256(format!("nonce {}", verifier.expose()).as_bytes()))
}

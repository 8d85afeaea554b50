//! The setting for identity providers of a hub.

use super::builder::HubBuilder;
use crate::{
    denial::Denial,
    session::grant::Grant,
    sign_in::{Claims, Provider, SignInSettings},
};

impl HubBuilder {
    /// Lets users log in at an identity provider, by a button on the login page. Default: none.
    ///
    /// `grant` maps what the provider says about a user to a [`Grant`], or denies the login. Its username must be that of a
    /// member: [`HubBuilder::users`] or [`HubBuilder::user_lookup`] says what the member may do, not the scopes of the grant.
    /// The redirect URI to register at the provider is `<base>hub/login/callback`. Without a
    /// [`password_verifier`](HubBuilder::password_verifier) the page has the buttons alone.
    ///
    /// # Errors
    ///
    /// [`build`](HubBuilder::build) fails if `name` has no letters or digits, if two names lead to the same path, or if the
    /// provider has [`with_provider_logout`](crate::sign_in::OpenIdConnect::with_provider_logout) or
    /// [`with_backchannel_logout`](crate::sign_in::OpenIdConnect::with_backchannel_logout), which a hub does not do.
    ///
    /// # Security
    ///
    /// A user who can choose their username at the provider can be any member: map a name that users cannot change, and see
    /// [`AuthLayerBuilder::sign_in_with`](crate::AuthLayerBuilder::sign_in_with).
    ///
    /// # Example
    ///
    /// ```no_run
    /// use portcullis::{
    ///     Grant, Identity, Secret,
    ///     hub_server::{Hub, HubUser},
    ///     sign_in::OpenIdConnect,
    ///     store::MemoryTokenStore,
    /// };
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let secret = Secret::from(std::env::var("CLIENT_SECRET").unwrap_or_default());
    /// let keycloak = OpenIdConnect::discover("https://id.example.org/realms/staff", "hub", secret).await?;
    /// let hub = Hub::builder(MemoryTokenStore::new())
    ///     .user(HubUser::new("alice")?)
    ///     .sign_in_with("Keycloak", keycloak, |claims| {
    ///         let name = claims.text("preferred_username").unwrap_or_default();
    ///         Ok(Grant::new(Identity::new(name)))
    ///     })
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn sign_in_with(
        mut self,
        name: &str,
        provider: impl Into<Provider>,
        grant: impl Fn(&Claims) -> Result<Grant, Denial> + Send + Sync + 'static,
    ) -> Self {
        self.sign_ins
            .0
            .push(SignInSettings::new(name, provider.into(), grant));
        self
    }
}

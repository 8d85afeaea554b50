//! The identity providers at which users log in.

use std::env;

use portcullis::{
    Denial, Grant, Identity, Secret,
    hub_server::HubBuilder,
    sign_in::{Claims, OpenIdConnect},
};
use serde::Deserialize;

use super::common::exit::Failure;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Provider {
    name: String,
    issuer: String,
    client_id: String,
    client_secret: Option<String>,
    client_secret_env: Option<String>,
    /// The claim with the name of a user of this file.
    #[serde(default = "preferred_username")]
    username_claim: String,
    #[serde(default = "groups")]
    groups_claim: String,
    /// One of these is needed; everyone with a name of this file may log in if there are none.
    #[serde(default)]
    allowed_groups: Vec<String>,
}

fn preferred_username() -> String {
    "preferred_username".to_owned()
}

fn groups() -> String {
    "groups".to_owned()
}

impl Provider {
    pub(crate) fn holds_secret(&self) -> bool {
        self.client_secret.is_some()
    }

    /// Adds a button to the login page of the hub. The provider is discovered at the first login.
    pub(crate) fn add_to(&self, hub: HubBuilder) -> Result<HubBuilder, Failure> {
        let wrong =
            |error: &dyn std::fmt::Display| Failure::from(format!("provider {:?}: {error}", self.name));
        let secret = match (&self.client_secret, &self.client_secret_env) {
            (Some(_), Some(_)) => {
                return Err(wrong(&"expected client_secret or client_secret_env, found both"));
            }
            (Some(secret), None) => Some(Secret::from(secret.clone())),
            (None, Some(name)) => {
                let value =
                    env::var(name).map_err(|error| wrong(&format!("client_secret_env {name}: {error}")))?;
                Some(Secret::from(value))
            }
            (None, None) => None,
        };
        let provider =
            OpenIdConnect::lazy(&self.issuer, &self.client_id, secret).map_err(|error| wrong(&error))?;
        let (username, groups) = (self.username_claim.clone(), self.groups_claim.clone());
        let allowed = self.allowed_groups.clone();
        let grant = move |claims: &Claims| {
            let has_group = |group: &String| claims.texts(&groups).any(|found| found == *group);
            if !allowed.is_empty() && !allowed.iter().any(has_group) {
                return Err(Denial::insufficient_scope(&allowed.join(" ")));
            }
            let name = claims.text(&username).unwrap_or_default();
            Ok(Grant::new(Identity::new(name)))
        };
        Ok(hub.sign_in_with(&self.name, provider, grant))
    }
}

//! The clients of a hub.

use std::collections::{BTreeMap, HashMap};

use super::client::{OAuthClientConfig, Resource};
use crate::{
    error::ConfigError,
    token::{PresentedToken, TokenHash},
};

/// The clients of a hub, by identifier and by token.
#[derive(Default)]
pub(crate) struct ClientRegistry {
    clients: Vec<OAuthClientConfig>,
    by_id: HashMap<Box<str>, usize>,
    by_secret: HashMap<TokenHash, usize>,
    by_service: HashMap<Box<str>, usize>,
    /// The servers of each user.
    by_user: BTreeMap<Box<str>, Vec<usize>>,
}

impl ClientRegistry {
    /// These clients.
    ///
    /// # Errors
    ///
    /// As `client`, if two have the same identifier or token.
    pub(crate) fn new(clients: Vec<OAuthClientConfig>) -> Result<Self, ConfigError> {
        let mut registry = Self::default();
        for (place, client) in clients.iter().enumerate() {
            let id = registry.by_id.insert(client.id.clone(), place);
            let secret = client
                .secret
                .and_then(|secret| registry.by_secret.insert(secret, place));
            if id.or(secret).is_some() {
                return Err(ConfigError::new(
                    "client",
                    format!(
                        "expected each client with an identifier and a token of its own, found those of {:?} again",
                        client.id()
                    ),
                ));
            }
            match &client.resource {
                Resource::Application { .. } => {}
                Resource::Service { name } => drop(registry.by_service.insert(name.clone(), place)),
                Resource::Server { user, .. } => {
                    let servers = registry.by_user.entry(user.as_str().into());
                    servers.or_default().push(place);
                }
            }
        }
        registry.clients = clients;
        Ok(registry)
    }

    pub(crate) fn find(&self, id: &str) -> Option<&OAuthClientConfig> {
        self.clients.get(*self.by_id.get(id)?)
    }

    /// The client whose own token this is. The lookup is by the whole hash, so its time reveals nothing about the token.
    pub(crate) fn of_token(&self, token: PresentedToken<'_>) -> Option<&OAuthClientConfig> {
        let client = self.clients.get(*self.by_secret.get(&token.hash())?)?;
        client.verify_secret(token).then_some(client)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &OAuthClientConfig> {
        self.clients.iter()
    }

    /// The service of this name.
    pub(crate) fn of_service(&self, name: &str) -> Option<&OAuthClientConfig> {
        self.clients.get(*self.by_service.get(name)?)
    }

    /// The servers of a user, by name.
    pub(crate) fn servers_of(&self, name: &str) -> impl Iterator<Item = (&str, &OAuthClientConfig)> {
        let places = self.by_user.get(name).into_iter().flatten();
        places.filter_map(|place| match self.clients.get(*place) {
            Some(client) => match &client.resource {
                Resource::Server { server, .. } => Some((&**server, client)),
                _ => None,
            },
            None => None,
        })
    }

    /// The names of the users who have servers, in alphabetical order.
    pub(crate) fn server_owners(&self) -> impl Iterator<Item = &str> {
        self.by_user.keys().map(|name| &**name)
    }
}

//! Which of a hub's paths is meant.

use super::{
    state::HubState,
    username::{self, Username},
};

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `api`
    Api,
    /// `api/users/<name>/activity`
    Activity(Option<Username>),
    /// `api/oauth2/authorize`
    Authorize,
    /// A path outside the hub's own that a proxy left to it: to be sent to the same below `hub/`.
    OutsideHub,
    /// `api/health`, `health`
    Health,
    /// The hub itself, or its base.
    Home,
    /// `home`, `token`
    HomePage,
    /// `login`
    Login,
    /// `logout`
    Logout,
    /// `user/<name>/…`: a server that does not answer.
    Server(Option<Username>),
    /// `api/users/<name>/tokens/<id>`
    StoredToken(Option<Username>, Box<str>),
    /// `api/users/<name>/tokens`
    StoredTokens(Option<Username>),
    /// `api/oauth2/token`
    TokenEndpoint,
    /// Nothing, below `api/` or not.
    Unknown { program: bool },
    /// `api/user`
    User,
    /// `api/users/<name>`
    UserByName(Option<Username>),
    /// `api/users`
    Users,
}

impl Route {
    pub(crate) fn of(hub: &HubState, path: &str) -> Self {
        let Some(below) = hub.hub_url.strip_prefix(path) else {
            return match hub.base_url.strip_prefix(path) {
                Some("" | "hub") => Self::Home,
                Some(below) if below.starts_with("user/") => Self::OutsideHub,
                _ => Self::Unknown { program: false },
            };
        };
        let segments: Vec<&str> = below.split('/').collect();
        match *segments.as_slice() {
            [""] => Self::Home,
            ["home" | "token"] => Self::HomePage,
            ["login"] => Self::Login,
            ["logout"] => Self::Logout,
            ["health"] | ["api", "health"] => Self::Health,
            ["user", name, ..] => Self::Server(username::of_path(name)),
            ["api"] | ["api", ""] => Self::Api,
            ["api", "oauth2", "authorize"] => Self::Authorize,
            ["api", "oauth2", "token"] => Self::TokenEndpoint,
            ["api", "user"] => Self::User,
            ["api", "users"] => Self::Users,
            ["api", "users", name] => Self::UserByName(username::of_path(name)),
            ["api", "users", name, "tokens"] => Self::StoredTokens(username::of_path(name)),
            ["api", "users", name, "tokens", id] => Self::StoredToken(username::of_path(name), id.into()),
            ["api", "users", name, "activity"] => Self::Activity(username::of_path(name)),
            ["api", ..] => Self::Unknown { program: true },
            _ => Self::Unknown { program: false },
        }
    }

    /// Whether programs ask for it, and expect JSON.
    pub(crate) fn is_for_programs(&self) -> bool {
        !matches!(
            self,
            Self::Authorize
                | Self::OutsideHub
                | Self::Home
                | Self::HomePage
                | Self::Login
                | Self::Logout
                | Self::Server(_)
                | Self::Unknown { program: false }
        )
    }
}

//! Which of a hub's paths is meant.

use http::{HeaderValue, Method, StatusCode};

use super::{
    issuer::is_metadata_path,
    state::HubState,
    username::{self, Username},
};
use crate::request::{head::RequestHead, header_names, page_request::is_page_request};

/// The route that a path selects.
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
    /// `api/oauth2/introspect`
    Introspection,
    /// `logout`
    Logout,
    /// The metadata of the OAuth server with this issuer.
    Metadata(Box<str>),
    /// `error/<status>`: the page that a proxy shows instead of a response.
    ProxyError(Option<StatusCode>),
    /// `api/oauth2/register`
    Registration,
    /// `api/oauth2/revoke`
    Revocation,
    /// `user/<name>/…`: a server that does not answer. The next segment may be its name; `api` marks a request of a program.
    /// Where a login at an identity provider begins, or comes back from it.
    SignIn,
    Server {
        user: Option<Username>,
        server: Option<String>,
        has_api: bool,
    },
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
    /// `user-redirect/<path>`: the same path at the server of the user who follows the link. `spawn`, where JupyterLab
    /// sends users to start their server again: its first page.
    UserRedirect,
    /// `api/users/<name>/server`, `api/users/<name>/servers/<server>`
    UserServer(Option<Username>, Option<String>),
    /// `api/users`
    Users,
}

impl Route {
    pub(crate) fn of(hub: &HubState, path: &str) -> Self {
        if let Some(issuer) = hub
            .issuer
            .as_ref()
            .filter(|_| is_metadata_path(&hub.base_url, path))
        {
            return Self::Metadata(issuer.clone());
        }
        let Some(below) = hub.hub_url.strip_prefix(path) else {
            return match hub.base_url.strip_prefix(path) {
                Some("" | "hub") => Self::Home,
                Some(below) if below.starts_with("user/") || below.starts_with("user-redirect/") => {
                    Self::OutsideHub
                }
                _ => Self::Unknown { program: false },
            };
        };
        let segments: Vec<&str> = below.split('/').collect();
        match *segments.as_slice() {
            [""] => Self::Home,
            ["home" | "token"] => Self::HomePage,
            ["login"] => Self::Login,
            ["login", _] => Self::SignIn,
            ["logout"] => Self::Logout,
            ["health"] | ["api", "health"] => Self::Health,
            ["error", status] => Self::ProxyError(status.parse().ok()),
            ["user", name, ref rest @ ..] => Self::Server {
                user: username::of_path(name),
                server: rest.first().and_then(|segment| username::decoded(segment)),
                has_api: rest.contains(&"api"),
            },
            ["user-redirect" | "spawn" | "spawn-pending", ..] => Self::UserRedirect,
            ["api"] | ["api", ""] => Self::Api,
            ["api", "oauth2", "authorize"] => Self::Authorize,
            ["api", "oauth2", "introspect"] => Self::Introspection,
            ["api", "oauth2", "register"] => Self::Registration,
            ["api", "oauth2", "revoke"] => Self::Revocation,
            ["api", "oauth2", "token"] => Self::TokenEndpoint,
            ["api", "user"] => Self::User,
            ["api", "users"] => Self::Users,
            ["api", "users", name] => Self::UserByName(username::of_path(name)),
            ["api", "users", name, "server"] => {
                Self::UserServer(username::of_path(name), Some(String::new()))
            }
            ["api", "users", name, "servers", server] => {
                Self::UserServer(username::of_path(name), username::decoded(server))
            }
            ["api", "users", name, "tokens"] => Self::StoredTokens(username::of_path(name)),
            ["api", "users", name, "tokens", id] => Self::StoredToken(username::of_path(name), id.into()),
            ["api", "users", name, "activity"] => Self::Activity(username::of_path(name)),
            ["api", ..] => Self::Unknown { program: true },
            _ => Self::Unknown { program: false },
        }
    }

    /// Whether pages of every origin may send requests and read the responses: an MCP client in a browser does. The client
    /// authenticates itself in the body, or not at all; cookies are not looked at.
    pub(crate) fn is_for_pages_of_every_origin(&self) -> bool {
        matches!(
            self,
            Self::Metadata(_) | Self::Registration | Self::Revocation | Self::TokenEndpoint
        )
    }

    /// Whether a program sent the request, and expects JSON.
    pub(crate) fn is_for_programs(&self, head: RequestHead<'_>) -> bool {
        match self {
            // A request to the API of a server that does not answer, or what is likely to be one.
            Self::OutsideHub | Self::Server { .. } => {
                let has_api = matches!(self, Self::Server { has_api: true, .. });
                let is_read = matches!(*head.method(), Method::GET | Method::HEAD);
                let accepted = head.header(&header_names::ACCEPT).map(HeaderValue::as_bytes);
                let json = accepted.is_some_and(|list| list.starts_with(b"application/json"));
                has_api || !is_read || (json && !is_page_request(head))
            }
            Self::Authorize
            | Self::Home
            | Self::HomePage
            | Self::Login
            | Self::Logout
            | Self::ProxyError(_)
            | Self::SignIn
            | Self::UserRedirect => false,
            Self::Unknown { program: false } => {
                matches!(*head.method(), Method::GET | Method::HEAD) && !is_page_request(head)
            }
            _ => true,
        }
    }
}

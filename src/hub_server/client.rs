//! Who may send users here to log in, and with what credential of its own: services and servers.

use std::fmt;

use super::{
    client_uri::{ClientUri, is_public_redirect, is_redirect_uri},
    scope,
    username::Username,
};
use crate::{
    cookies::escape_path_segment,
    error::ConfigError,
    request::percent,
    secret,
    session::scopes::Scopes,
    token::{PresentedToken, Token, TokenHash},
};

/// A service, a single-user server or an application, as an OAuth client of the hub (RFC 6749 §2).
///
/// A service or a server has one redirect URI, which is compared as a string, and one token, which is the secret that it
/// sends to the token endpoint and the credential that it calls the API with. A [`public`](Self::public) client has no
/// secret, and one or more redirect URIs.
///
/// # Example
///
/// ```
/// use portcullis::{Token, hub_server::OAuthClientConfig};
///
/// let redirect_uri = "http://127.0.0.1:9000/services/whoami/oauth_callback";
/// let whoami = OAuthClientConfig::service("whoami", redirect_uri, &Token::generate())?.skip_consent();
/// assert_eq!(whoami.id(), "service-whoami");
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct OAuthClientConfig {
    pub(crate) id: Box<str>,
    pub(crate) resource: Resource,
    /// None of a public client.
    pub(crate) secret: Option<TokenHash>,
    pub(crate) redirect_uris: Vec<Box<str>>,
    /// The scopes of its own token.
    pub(crate) scopes: Scopes,
    /// The scopes that it may request from users, in addition to access and their identity.
    pub(crate) allowed: Scopes,
    pub(crate) skip_consent: bool,
    pub(crate) pkce_optional: bool,
    pub(crate) refresh_tokens: bool,
    /// Its name is its own claim.
    pub(crate) registered_itself: bool,
}

/// What users reach behind a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    /// Nothing: a program of the user's own.
    Application {
        name: Box<str>,
    },
    Server {
        user: Username,
        server: Box<str>,
    },
    Service {
        name: Box<str>,
    },
}

impl Resource {
    /// The scope that gives a user access, if they need one.
    pub(crate) fn access_scope(&self) -> Option<String> {
        match self {
            Self::Application { .. } => None,
            Self::Server { user, server } => Some(format!("access:servers!server={user}/{server}")),
            Self::Service { name } => Some(format!("access:services!service={name}")),
        }
    }

    /// Its name, as pages show it.
    pub(crate) fn described(&self) -> String {
        match self {
            Self::Server { user, server } if server.is_empty() => format!("{user}'s server"),
            Self::Server { user, server } => format!("{user}'s server \"{server}\""),
            Self::Application { name } | Self::Service { name } => name.to_string(),
        }
    }
}

impl OAuthClientConfig {
    /// A service, as the client `service-<name>`.
    ///
    /// # Errors
    ///
    /// As `client`, if the name is empty or would not fit into a URL's path, or `redirect_uri` is neither an absolute
    /// path nor an `http` or `https` URL without fragment.
    pub fn service(name: &str, redirect_uri: &str, token: &Token) -> Result<Self, ConfigError> {
        let sound = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte));
        if !sound || name.bytes().all(|byte| byte == b'.') {
            return Err(ConfigError::new(
                "client",
                format!("expected a service's name of letters, digits and -_.~, found {name:?}"),
            ));
        }
        let resource = Resource::Service { name: name.into() };
        Self::new(format!("service-{name}"), resource, redirect_uri, token)
    }

    /// The server `server` of a user, empty for the default one, as the client `jupyterhub-user-<user>`; a named
    /// one as `jupyterhub-user-<user>!<server>`, which can be no other user's.
    ///
    /// Its token may report the user's activity and enter the server.
    ///
    /// # Errors
    ///
    /// As [`OAuthClientConfig::service`].
    pub fn server(user: &str, server: &str, redirect_uri: &str, token: &Token) -> Result<Self, ConfigError> {
        let named = Username::parse(user).filter(|parsed| parsed.as_str() == user);
        let Some(user) = named.filter(|_| server.is_empty() || Username::parse(server).is_some()) else {
            return Err(ConfigError::new(
                "client",
                format!("expected a user and a server's name without `/`, found {user:?} and {server:?}"),
            ));
        };
        let mut id = String::from("jupyterhub-user-");
        percent::encode_path(user.as_str().as_bytes(), &mut id);
        if !server.is_empty() {
            id.push('!');
            percent::encode_path(server.as_bytes(), &mut id);
        }
        let scopes = Scopes::from([
            &*format!("access:servers!server={user}/{server}"),
            "users:activity!user",
        ]);
        let resource = Resource::Server {
            user,
            server: server.into(),
        };
        Ok(Self {
            scopes,
            ..Self::new(id, resource, redirect_uri, token)?
        })
    }

    /// An application that cannot keep a secret, because it runs on the machines of users or in browsers: a public client
    /// (RFC 6749 §2.1). MCP clients are.
    ///
    /// Every user may authorize it, and must confirm each time, because any program can send its id. It must send a challenge
    /// by `S256`, and gets the scopes of [`with_allowed_scopes`](Self::with_allowed_scopes) that the user holds. A redirect
    /// URI of `http` on `127.0.0.1`, `[::1]` or `localhost` stands for that URI with any port (RFC 8252 §7.3). A desktop
    /// application may have a scheme of its own, such as `cursor://mcp/callback` (§7.1).
    ///
    /// # Errors
    ///
    /// As `client`, if the id is empty, longer than 255 bytes, or not of visible ASCII; there is no redirect URI; or one is
    /// neither `https`, nor `http` on one of these hosts, nor of a scheme of its own, or has a fragment.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::hub_server::OAuthClientConfig;
    ///
    /// let assistant = OAuthClientConfig::public("assistant", ["http://127.0.0.1/callback"])?
    ///     .with_name("Assistant")
    ///     .with_allowed_scopes(["custom:tools:read"])?;
    /// # Ok::<(), portcullis::ConfigError>(())
    /// ```
    pub fn public<T: AsRef<str>>(
        id: &str,
        redirect_uris: impl IntoIterator<Item = T>,
    ) -> Result<Self, ConfigError> {
        let redirect_uris: Vec<Box<str>> = redirect_uris.into_iter().map(|uri| uri.as_ref().into()).collect();
        let odd = redirect_uris.iter().find(|uri| !is_public_redirect(uri));
        if odd.is_some() || redirect_uris.is_empty() {
            let expected = "expected redirect URIs of https, of http on 127.0.0.1, [::1] or localhost, or with a scheme of the \
                            application, without fragment";
            let found = odd.map_or("none".to_owned(), |uri| format!("{uri:?}"));
            return Err(ConfigError::new("client", format!("{expected}, found {found}")));
        }
        let client = Self {
            id: id.into(),
            resource: Resource::Application { name: id.into() },
            secret: None,
            redirect_uris,
            scopes: Scopes::default(),
            allowed: Scopes::default(),
            skip_consent: false,
            pkce_optional: false,
            refresh_tokens: true,
            registered_itself: false,
        };
        client.with_id(id)
    }

    fn new(id: String, resource: Resource, redirect_uri: &str, token: &Token) -> Result<Self, ConfigError> {
        if !is_redirect_uri(redirect_uri) {
            return Err(ConfigError::new(
                "client",
                format!(
                    "expected a redirect URI that is an http or https URL or an absolute path, without fragment, found {redirect_uri:?}"
                ),
            ));
        }
        Ok(Self {
            id: id.into(),
            resource,
            secret: Some(token.hash()),
            redirect_uris: vec![redirect_uri.into()],
            scopes: Scopes::default(),
            allowed: Scopes::default(),
            skip_consent: false,
            pkce_optional: false,
            refresh_tokens: false,
            registered_itself: false,
        })
    }

    /// Default: see [`OAuthClientConfig::service`] and [`OAuthClientConfig::server`]. The client's identifier, which it has as
    /// `JUPYTERHUB_CLIENT_ID`.
    ///
    /// # Errors
    ///
    /// As `client`, if it is empty, longer than 255 bytes, or not of visible ASCII.
    pub fn with_id(self, id: &str) -> Result<Self, ConfigError> {
        if id.is_empty() || id.len() > 255 || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ConfigError::new(
                "client",
                format!("expected an identifier of 1 to 255 visible ASCII characters, found {id:?}"),
            ));
        }
        Ok(Self {
            id: id.into(),
            ..self
        })
    }

    /// Default: its id. The name of a [`public`](Self::public) client, as users see it. A service and a server have a name
    /// already.
    #[must_use]
    pub fn with_name(self, name: &str) -> Self {
        match self.resource {
            Resource::Application { .. } => Self {
                resource: Resource::Application { name: name.into() },
                ..self
            },
            _ => self,
        }
    }

    /// Default: none for a service. The scopes of the client's own token.
    ///
    /// # Errors
    ///
    /// As `client`, if a scope is not one of JupyterHub's or its filter is broken.
    pub fn with_scopes(self, scopes: impl Into<Scopes>) -> Result<Self, ConfigError> {
        let scopes = scopes.into();
        scope::check("client", &scopes)?;
        Ok(Self { scopes, ..self })
    }

    /// Default: none. The scopes that the client may request from users, in addition to access and their identity.
    ///
    /// # Errors
    ///
    /// As [`OAuthClientConfig::with_scopes`].
    pub fn with_allowed_scopes(self, scopes: impl Into<Scopes>) -> Result<Self, ConfigError> {
        let allowed = scopes.into();
        scope::check("client", &allowed)?;
        Ok(Self { allowed, ..self })
    }

    /// Default: users must consent once, unless it is their own server. Issues codes without the consent of users; of a
    /// public client users must confirm all the same.
    #[must_use]
    pub fn skip_consent(self) -> Self {
        Self {
            skip_consent: !self.is_public(),
            ..self
        }
    }

    /// Default: PKCE is required, by `S256`. Serves a client that sends no challenge, such as those of JupyterHub 5
    /// and older; a public client must send one all the same.
    ///
    /// # Security
    ///
    /// An attacker who steals a code in transit can then exchange it, given the client's secret as well.
    #[must_use]
    pub fn allow_without_pkce(self) -> Self {
        Self {
            pkce_optional: !self.is_public(),
            ..self
        }
    }

    /// Whether the client gets a refresh token with each access token. Default: yes for a public client, no for others,
    /// such as those of JupyterHub.
    ///
    /// The access token is then valid for an hour at most, and the refresh token for
    /// [`HubBuilder::refresh_token_lifetime`](super::HubBuilder::refresh_token_lifetime) after its last use. Each use
    /// replaces it. If one is used a second time, all tokens that came from it are revoked.
    #[must_use]
    pub fn refresh_tokens(self, refresh_tokens: bool) -> Self {
        Self {
            refresh_tokens,
            ..self
        }
    }

    pub(crate) fn registered_itself(self) -> Self {
        Self {
            registered_itself: true,
            ..self
        }
    }

    /// The identifier.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether it has no secret.
    pub(crate) fn is_public(&self) -> bool {
        self.secret.is_none()
    }

    /// Whether `presented` is the client's secret; in constant time.
    pub(crate) fn verify_secret(&self, presented: PresentedToken<'_>) -> bool {
        let same =
            |secret: &TokenHash| secret::constant_time_eq(secret.as_bytes(), presented.hash().as_bytes());
        self.secret.as_ref().is_some_and(same)
    }

    /// The redirect URI of a request that has `sent`, or none if that is not the client's.
    pub(crate) fn redirect_uri<'a>(&'a self, sent: Option<&'a str>) -> Option<&'a str> {
        let Some(sent) = sent else {
            return match &*self.redirect_uris {
                [only] => Some(only),
                _ => None,
            };
        };
        let allows = |registered: &str| {
            let uris = ClientUri::parse(registered).zip(ClientUri::parse(sent));
            self.is_public() && uris.is_some_and(|(registered, sent)| registered.allows(sent))
        };
        let mut known = self.redirect_uris.iter();
        known
            .any(|registered| **registered == *sent || allows(registered))
            .then_some(sent)
    }

    /// The path below the hub's base that its pages are at, if it has any.
    pub(crate) fn prefix(&self) -> String {
        match &self.resource {
            Resource::Application { .. } => String::new(),
            Resource::Server { user, server } if server.is_empty() => {
                format!("user/{}/", escape_path_segment(user.as_str()))
            }
            Resource::Server { user, server } => {
                format!(
                    "user/{}/{}/",
                    escape_path_segment(user.as_str()),
                    escape_path_segment(server)
                )
            }
            Resource::Service { name } => format!("services/{name}/"),
        }
    }
}

impl fmt::Debug for OAuthClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_uri_is_absolute_and_has_no_fragment() {
        let token = Token::generate();
        for (uri, expected) in [
            ("http://127.0.0.1:9000/cb", true),
            ("https://[::1]/cb?x=1", true),
            ("/user/alice/oauth_callback", true),
            ("", false),
            ("cb", false),
            ("//evil.example/cb", false),
            ("http:///cb", false),
            ("javascript:alert(1)", false),
            ("http://a.example/cb#f", false),
            ("http://a.example/c b", false),
            ("http://a.example;x/cb", false),
            ("http://user@a.example/cb", false),
        ] {
            assert_eq!(
                OAuthClientConfig::service("x", uri, &token).is_ok(),
                expected,
                "{uri}"
            );
        }
    }

    #[test]
    fn no_two_servers_have_one_id() {
        let token = Token::generate();
        let id = |user: &str, server: &str| {
            let client = OAuthClientConfig::server(user, server, "/cb", &token);
            client.map(|client| client.id.into_string()).ok()
        };
        assert_eq!(id("alice", "").as_deref(), Some("jupyterhub-user-alice"));
        assert_eq!(id("a@b", "gpu").as_deref(), Some("jupyterhub-user-a%40b!gpu"));
        assert_ne!(id("alice-gpu", ""), id("alice", "gpu"));
        assert_ne!(id("alice!gpu", ""), id("alice", "gpu"));
        assert_eq!(id("a/b", ""), None);
        assert_eq!(id("a", "x/y"), None);
    }
}

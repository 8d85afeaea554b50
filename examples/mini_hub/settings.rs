//! The configuration of `mini_hub`: what may stand in its file, and what it comes to.

use std::{
    collections::HashMap, fs::File, io::Read as _, net::SocketAddr, os::unix::fs::MetadataExt as _,
    path::Path, process::Stdio, sync::Arc, time::Duration,
};

use portcullis::{
    AllowedHosts, AllowedOrigins, BackendError, BaseUrl, EnvSource, FileSource, Grant, Identity, Keyring,
    MaybeFuture, PasswordHash, Scopes, Token, TrustedProxies,
    hub_server::{Hub, HubBuilder, HubUser, OAuthClientConfig},
    request_policy::Origin,
    secret::{SecretSource as _, SourceChain},
    store::{AttemptStore, HubStore, MemoryTokenStore, PostgresTokenStore, SqliteTokenStore},
    verify::{MemoryPasswordStore, StoredPasswords},
};
use serde::Deserialize;
use tokio::{process::Command, time::timeout};

use super::{
    common::{exit::Failure, proxy_api::escaped, startup},
    providers::Provider,
};

/// How long a command that stops a server may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) bind: Vec<SocketAddr>,
    pub(crate) public_url: String,
    #[serde(default = "memory")]
    store: String,
    #[serde(default = "cookie_secret_file")]
    cookie_secret_file: String,
    #[serde(default)]
    container_secrets: bool,
    #[serde(default)]
    trusted_proxies: Vec<String>,
    #[serde(default)]
    hosts: Vec<String>,
    pub(crate) proxy_api_url: Option<String>,
    /// Started and kept running, with the token of its API in its environment.
    #[serde(default)]
    pub(crate) proxy_command: Vec<String>,
    #[serde(default)]
    users: Vec<User>,
    /// Where users log in, besides the password form.
    #[serde(default)]
    providers: Vec<Provider>,
    /// Programs without a secret.
    #[serde(default)]
    applications: Vec<Application>,
    /// How many applications may register themselves; none without it.
    dynamic_registration: Option<u64>,
    #[serde(default)]
    dynamic_client_scopes: Vec<String>,
    /// The resource servers that tokens may be for; any without it.
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    services: Vec<Service>,
    #[serde(default)]
    servers: Vec<Server>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    name: String,
    /// A hash. Without one, the user logs in at a provider.
    password: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    admin: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Application {
    id: String,
    name: Option<String>,
    redirect_uris: Vec<String>,
    /// What it may request from users.
    #[serde(default)]
    scopes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    name: String,
    api_token: Option<String>,
    api_token_env: Option<String>,
    oauth_client_id: Option<String>,
    oauth_redirect_uri: String,
    #[serde(default)]
    oauth_no_confirm: bool,
    #[serde(default)]
    allow_without_pkce: bool,
    #[serde(default)]
    refresh_tokens: bool,
    /// What the service's own token may do.
    #[serde(default)]
    scopes: Vec<String>,
    url: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    user: String,
    #[serde(default)]
    name: String,
    api_token: Option<String>,
    api_token_env: Option<String>,
    oauth_redirect_uri: String,
    #[serde(default)]
    allow_without_pkce: bool,
    url: Option<String>,
    /// Run when a client of the API stops the server.
    #[serde(default)]
    stop_command: Vec<String>,
}

/// A route that a proxy is to have.
pub(crate) struct Route {
    pub(crate) spec: String,
    pub(crate) target: String,
    /// Data of the route, as a JupyterHub stores it.
    pub(crate) data: Vec<(&'static str, String)>,
    /// The user and the name of the server, if it leads to one.
    pub(crate) server: Option<(String, String)>,
}

fn scopes(listed: &[String]) -> Scopes {
    listed.iter().collect()
}

fn memory() -> String {
    "memory:".to_owned()
}

fn cookie_secret_file() -> String {
    "jupyterhub_cookie_secret".to_owned()
}

impl Settings {
    /// What the file at `path` says.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is no TOML, or says something unknown.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let wrong = |what: String| Failure::from(format!("--config {}: {what}", path.display()));
        let mut file = File::open(path).map_err(|error| wrong(error.to_string()))?;
        let metadata = file.metadata().map_err(|error| wrong(error.to_string()))?;
        let mut text = String::new();
        file.read_to_string(&mut text)
            .map_err(|error| wrong(error.to_string()))?;
        // The parser shows the line it stumbled over, and that may hold a token.
        let settings: Self = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(0, |span| {
                text[..span.start.min(text.len())].lines().count().max(1)
            });
            wrong(format!("line {line}: {}", error.message()))
        })?;
        let mode = metadata.mode() & 0o777;
        if mode & 0o077 != 0 && settings.holds_secrets() {
            let shown = path.display();
            tracing::warn!(
                "{shown}: its tokens and password hashes are open to other users (mode {mode:04o}), expected 0600: \
                 run `chmod 600 {shown}`"
            );
        }
        if settings.bind.is_empty() {
            return Err(wrong(
                "bind: expected at least one address, found none".to_owned(),
            ));
        }
        Ok(settings)
    }

    /// What the hub has, in a few words.
    pub(crate) fn summary(&self) -> String {
        let (users, servers, services) = (self.users.len(), self.servers.len(), self.services.len());
        let applications = match self.applications.len() {
            0 => String::new(),
            applications => format!(", applications: {applications}"),
        };
        format!("a hub; users: {users}, servers: {servers}, services: {services}{applications}")
    }

    /// Whether the file holds what others should not read.
    fn holds_secrets(&self) -> bool {
        let services = self.services.iter().map(|service| &service.api_token);
        let servers = self.servers.iter().map(|server| &server.api_token);
        let has_password = self.users.iter().any(|user| user.password.is_some());
        has_password
            || self.providers.iter().any(Provider::holds_secret)
            || services.chain(servers).any(Option::is_some)
    }

    /// The path of `public_url`.
    pub(crate) fn base_url(&self) -> Result<BaseUrl, Failure> {
        let (_, path) = self.public()?;
        path.parse()
            .map_err(|error| format!("public_url: {error}").into())
    }

    /// The origin and the path of `public_url`.
    fn public(&self) -> Result<(Origin, &str), Failure> {
        let url = &self.public_url;
        let rest = url.split_once("://").map_or("", |(_, rest)| rest);
        let end = rest.find('/').unwrap_or(rest.len());
        let (origin, path) = url.split_at(url.len() - rest.len() + end);
        let origin = origin.parse().map_err(|_| {
            format!("public_url: expected a URL such as http://127.0.0.1:8000/, found {url:?}")
        })?;
        Ok((origin, if path.is_empty() { "/" } else { path }))
    }

    /// The hub, which answers at these addresses.
    ///
    /// # Errors
    ///
    /// If something that the file says cannot be, with the name of the setting.
    pub(crate) async fn hub(&self, addresses: &[SocketAddr]) -> Result<Hub, Failure> {
        let (origin, _) = self.public()?;
        let hub = match self.store.split_once(':') {
            Some(("memory", "")) => self.with_store(MemoryTokenStore::new()),
            Some(("sqlite", path)) if !path.is_empty() => {
                let store = SqliteTokenStore::open(path).map_err(|error| format!("store: {error}"))?;
                self.with_store(store)
            }
            Some(("postgres" | "postgresql", _)) => {
                let store = PostgresTokenStore::connect(&self.store).await;
                self.with_store(store.map_err(|error| format!("store: {error}"))?)
            }
            _ => Err(
                "store: expected \"memory:\", \"sqlite:<file>\" or \"postgres://…\", found something else"
                    .into(),
            ),
        }?;
        // A server that listens for other machines answers to addresses, and to names only if configured: a hostile page can
        // make its own name lead here, but not an address.
        let hosts = if addresses.iter().all(|address| address.ip().is_loopback()) {
            AllowedHosts::loopback()
        } else {
            AllowedHosts::any_ip()
        };
        let port = origin.port().map(|port| format!(":{port}")).unwrap_or_default();
        let public = [format!("{}{port}", origin.host())];
        let hosts = AllowedHosts::from_list(public.iter().chain(&self.hosts))
            .map_err(|error| format!("hosts: {error}"))?
            .union(hosts);
        let own = addresses.iter().map(|address| format!("http://{address}"));
        let proxies = match &*self.trusted_proxies {
            [] => TrustedProxies::none(),
            listed => TrustedProxies::parse(&listed.join(","))
                .map_err(|error| format!("trusted_proxies: {error}"))?,
        };
        Ok(hub
            .base_url(self.base_url()?)
            .keyring(self.keyring()?)
            .allowed_hosts(hosts)
            .public_origin(origin)
            .additional_origins(AllowedOrigins::parse(own).map_err(|error| format!("bind: {error}"))?)
            .trusted_proxies(proxies)
            .observer(startup::log)
            .build()?)
    }

    fn with_store(&self, store: impl HubStore + AttemptStore) -> Result<HubBuilder, Failure> {
        let store = Arc::new(store);
        // Hubs that share the store count wrong passwords together.
        let mut hub = Hub::builder(Arc::clone(&store)).shared_rate_limits(store);
        let mut passwords = Vec::new();
        for user in &self.users {
            let wrong =
                |error: &dyn std::fmt::Display| Failure::from(format!("user {:?}: {error}", user.name));
            match &user.password {
                Some(hash) => {
                    let hash: PasswordHash = hash.parse().map_err(|error| wrong(&error))?;
                    passwords.push((Grant::new(Identity::new(&user.name)), hash));
                }
                None if self.providers.is_empty() => {
                    return Err(wrong(
                        &"expected a password, or a provider at which the user logs in, found neither",
                    ));
                }
                None => {}
            }
            let member = HubUser::new(&user.name)
                .and_then(|member| member.with_scopes(scopes(&user.scopes)))
                .map_err(|error| wrong(&error))?
                .with_groups(&user.groups);
            hub = hub.user(if user.admin { member.as_admin() } else { member });
        }
        for provider in &self.providers {
            hub = provider.add_to(hub)?;
        }
        for service in &self.services {
            let wrong =
                |error: &dyn std::fmt::Display| Failure::from(format!("service {:?}: {error}", service.name));
            let token = token(service.api_token.as_deref(), service.api_token_env.as_deref())
                .map_err(|error| wrong(&error))?;
            let mut client = OAuthClientConfig::service(&service.name, &service.oauth_redirect_uri, &token)
                .and_then(|client| client.with_scopes(scopes(&service.scopes)))
                .map_err(|error| wrong(&error))?;
            if let Some(id) = &service.oauth_client_id {
                client = client.with_id(id).map_err(|error| wrong(&error))?;
            }
            if service.oauth_no_confirm {
                client = client.skip_consent();
            }
            if service.allow_without_pkce {
                client = client.allow_without_pkce();
            }
            hub = hub.client(client.refresh_tokens(service.refresh_tokens));
        }
        for application in &self.applications {
            let client = OAuthClientConfig::public(&application.id, &application.redirect_uris)
                .and_then(|client| client.with_allowed_scopes(scopes(&application.scopes)))
                .map_err(|error| format!("application {:?}: {error}", application.id))?;
            hub = hub.client(match &application.name {
                Some(name) => client.with_name(name),
                None => client,
            });
        }
        if let Some(limit) = self.dynamic_registration {
            hub = hub.dynamic_registration(limit);
        }
        hub = hub
            .dynamic_client_scopes(scopes(&self.dynamic_client_scopes))
            .resources(&self.resources);
        for server in &self.servers {
            let wrong = |error: &dyn std::fmt::Display| {
                Failure::from(format!("server of {:?}: {error}", server.user))
            };
            let token = token(server.api_token.as_deref(), server.api_token_env.as_deref())
                .map_err(|error| wrong(&error))?;
            let mut client =
                OAuthClientConfig::server(&server.user, &server.name, &server.oauth_redirect_uri, &token)
                    .map_err(|error| wrong(&error))?;
            if server.allow_without_pkce {
                client = client.allow_without_pkce();
            }
            hub = hub.client(client);
        }
        let with_command = self
            .servers
            .iter()
            .filter(|server| !server.stop_command.is_empty());
        let commands: HashMap<_, _> = with_command
            .map(|server| {
                (
                    (server.user.clone(), server.name.clone()),
                    server.stop_command.clone(),
                )
            })
            .collect();
        if !commands.is_empty() {
            hub = hub.server_stopper(move |user, server| {
                let command = commands.get(&(user.to_owned(), server.to_owned()));
                MaybeFuture::from_future(stop(command.cloned().unwrap_or_default()))
            });
        }
        if passwords.is_empty() && !self.providers.is_empty() {
            return Ok(hub);
        }
        let passwords = MemoryPasswordStore::from_grants(passwords)?;
        Ok(hub.password_verifier(StoredPasswords::new(passwords)))
    }

    /// The keys of the login cookie: `JPY_COOKIE_SECRET`, else the file, which is made if it is missing.
    fn keyring(&self) -> Result<Keyring, Failure> {
        let mut file = FileSource::cookie_secret(&self.cookie_secret_file).or_create();
        if self.container_secrets {
            file = file.container_secret();
        }
        let source = SourceChain::new([Box::new(EnvSource::cookie_secret()), Box::new(file)]);
        Keyring::load(&source).map_err(|error| {
            let setter = "call `FileSource::container_secret`";
            error
                .to_string()
                .replace(setter, "set container_secrets = true")
                .into()
        })
    }

    /// The routes that a proxy needs to lead users to the hub, and on to everything with a `url`.
    pub(crate) fn routes(&self, hub: SocketAddr) -> Result<Vec<Route>, Failure> {
        let base_url = self.base_url()?;
        let mut routes = vec![Route {
            spec: base_url.as_str().to_owned(),
            target: format!("http://{hub}"),
            data: vec![("hub", "true".to_owned())],
            server: None,
        }];
        for service in &self.services {
            routes.extend(service.url.as_ref().map(|url| Route {
                spec: base_url.join(&format!("services/{}/", service.name)),
                target: url.clone(),
                data: vec![("service", service.name.clone())],
                server: None,
            }));
        }
        for server in &self.servers {
            let named = if server.name.is_empty() {
                String::new()
            } else {
                format!("{}/", escaped(&server.name))
            };
            routes.extend(server.url.as_ref().map(|url| Route {
                spec: base_url.join(&format!("user/{}/{named}", escaped(&server.user))),
                target: url.clone(),
                data: vec![
                    ("user", server.user.clone()),
                    ("server_name", server.name.clone()),
                ],
                server: Some((server.user.clone(), server.name.clone())),
            }));
        }
        Ok(routes)
    }
}

/// Runs the command that stops a server.
async fn stop(command: Vec<String>) -> Result<(), BackendError> {
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| BackendError::new("this server has no stop_command"))?;
    let running = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status();
    let status = timeout(PATIENCE, running).await;
    let failed = |why: &dyn std::fmt::Display| BackendError::new(format!("stop_command {program}: {why}"));
    match status {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(failed(&status)),
        Ok(Err(error)) => Err(failed(&error)),
        Err(error) => Err(failed(&error)),
    }
}

/// The token that is written here, or in the variable of this name.
fn token(written: Option<&str>, variable: Option<&str>) -> Result<Token, Failure> {
    match (written, variable) {
        (Some(text), None) => text.parse().map_err(|error| format!("api_token: {error}").into()),
        (None, Some(name)) => {
            let secret = EnvSource::new(name)
                .load()?
                .ok_or_else(|| format!("api_token_env: expected {name} to be set"))?;
            Token::from_secret(secret).map_err(|error| format!("{name}: {error}").into())
        }
        _ => Err("expected one of api_token and api_token_env".into()),
    }
}

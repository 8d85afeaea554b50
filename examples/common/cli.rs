//! The flags and the variables of a server in Jupyter Server's manner, and what they mean.

use std::{env, net::SocketAddr, path::PathBuf};

use clap::Args;
use portcullis::{
    AllowedHosts, AllowedOrigins, BackendError, BaseUrl, EnvSource, FileSource, Keyring, MaybeFuture,
    PasswordHash, Token, TrustedProxies,
    jupyter::ServerConfig,
    password::PasswordHashWriter,
    secret::{SecretError, SecretSource, SourceChain},
};

use tokio::net::TcpListener;

use super::{
    cookie_secret,
    exit::Failure,
    listen::{listen, listen_from},
    room::Limits,
    tls::Tls,
};

#[derive(Args)]
pub(crate) struct Flags {
    /// Address or name of this machine to listen at, `*` for every address.
    #[arg(long, default_value = "127.0.0.1")]
    ip: String,

    /// Port to listen at, 0 for any free one [default: $JUPYTER_PORT, else 8888 or the next free one].
    #[arg(long)]
    port: Option<u16>,

    /// Path below which everything is served.
    #[arg(long, default_value = "/", value_name = "PATH")]
    base_url: String,

    /// Token to log in with; other users of this machine see a command line
    /// [default: $JUPYTER_TOKEN, else the content of $JUPYTER_TOKEN_FILE, else none if there is a password, else a
    /// new one].
    #[arg(long)]
    token: Option<String>,

    /// Hash of the password to log in with, as `password hash` prints it: `argon2:…` [default: what the
    /// configuration file sets].
    #[arg(long, value_name = "HASH")]
    password_hash: Option<String>,

    /// Jupyter's configuration, of which the password's hash is taken
    /// [default: jupyter_server_config.json in $JUPYTER_CONFIG_DIR or ~/.jupyter, if there is one].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// File of the secret that signs cookies, made if it is missing
    /// [default: jupyter_cookie_secret in $JUPYTER_RUNTIME_DIR; gateway_cookie_secret for `gateway`].
    #[arg(long, value_name = "FILE")]
    cookie_secret_file: Option<PathBuf>,

    /// Take the bytes of the cookie secret file as they are: one that Jupyter Server wrote.
    #[arg(long)]
    raw_cookie_secret: bool,

    /// Take secrets that Docker or Kubernetes mounts: files that others may read, and symbolic links. Holds for the cookie
    /// secret file and $JUPYTER_TOKEN_FILE.
    #[arg(long)]
    container_secrets: bool,

    /// Another host name that the server answers to, `name`, `name:port` or `name:*`; may be repeated.
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,

    /// Origin whose pages may use this server, such as `https://example.org`; may be repeated.
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,

    /// Address or network of a proxy whose X-Forwarded headers are trusted; may be repeated.
    #[arg(long, value_name = "CIDR")]
    trusted_proxy: Vec<String>,

    /// Certificate to speak TLS with, in PEM, those that lead to its root behind it; renewed ones are picked up.
    #[arg(long, value_name = "FILE")]
    certfile: Option<PathBuf>,

    /// The certificate's private key, in PEM [default: in the file of the certificate].
    #[arg(long, value_name = "FILE")]
    keyfile: Option<PathBuf>,

    /// Do not open a browser: the link that is printed leads in as well.
    #[arg(long)]
    pub(crate) no_browser: bool,

    #[command(flatten)]
    pub(crate) limits: Limits,
}

/// The credentials with which users and programs log in.
pub(crate) struct Credentials {
    pub(crate) token: Option<Token>,
    pub(crate) password: Option<PasswordHash>,
    /// The token, if none was configured and a new one was generated.
    pub(crate) generated: Option<Token>,
}

impl Flags {
    pub(crate) async fn listen(&self) -> Result<TcpListener, Failure> {
        let port = match (self.port, env::var_os("JUPYTER_PORT")) {
            (Some(port), _) => port,
            (None, None) => return listen_from(&self.ip, 8888).await,
            (None, Some(text)) => text
                .to_str()
                .and_then(|text| text.trim().parse().ok())
                .ok_or_else(|| {
                    format!("JUPYTER_PORT: expected a port number of 0 to 65535, found {text:?}")
                })?,
        };
        listen(&self.ip, port).await
    }

    pub(crate) fn base_url(&self) -> Result<BaseUrl, Failure> {
        let base_url = self.base_url.parse();
        base_url.map_err(|error| format!("--base-url: {error}").into())
    }

    pub(crate) fn tls(&self) -> Result<Option<Tls>, Failure> {
        Tls::load(self.certfile.as_deref(), self.keyfile.as_deref())
    }

    pub(crate) fn has_tls(&self) -> bool {
        self.certfile.is_some()
    }

    /// The keys that sign cookies, from the named file or the file `default` in the runtime directory.
    pub(crate) fn keyring(&self, default: &str) -> Result<Keyring, Failure> {
        cookie_secret::keyring(
            self.cookie_secret_file.as_deref(),
            default,
            self.raw_cookie_secret,
            self.container_secrets,
        )
    }

    pub(crate) fn proxies(&self) -> Result<TrustedProxies, Failure> {
        match &*self.trusted_proxy {
            [] => Ok(TrustedProxies::none()),
            listed => TrustedProxies::parse(&listed.join(","))
                .map_err(|error| format!("--trusted-proxy: {error}").into()),
        }
    }

    pub(crate) fn origins(&self) -> Result<AllowedOrigins, Failure> {
        AllowedOrigins::parse(&self.allow_origin).map_err(|error| format!("--allow-origin: {error}").into())
    }

    /// The hosts that a server answers to that listens at `address`.
    ///
    /// A page of a hostile site can make its own name lead to this server, but not an address. So a server that listens
    /// for other machines answers to addresses, and to names only if they are configured.
    pub(crate) fn hosts(&self, address: SocketAddr) -> Result<AllowedHosts, Failure> {
        let hosts = if address.ip().is_loopback() {
            AllowedHosts::loopback()
        } else {
            AllowedHosts::any_ip()
        };
        match &*self.allow_host {
            [] => Ok(hosts),
            listed => Ok(hosts
                .union(AllowedHosts::from_list(listed).map_err(|error| format!("--allow-host: {error}"))?)),
        }
    }

    /// The same for the operator to read.
    pub(crate) fn hosts_line(&self, address: SocketAddr) -> String {
        let mut hosts = vec!["localhost", "loopback addresses"];
        if !address.ip().is_loopback() {
            hosts.push("every other IP address (it listens beyond this machine)");
        }
        hosts.extend(self.allow_host.iter().map(String::as_str));
        hosts.join(", ")
    }

    pub(crate) fn credentials(&self) -> Result<Credentials, Failure> {
        let (password, configured) = (self.password()?, self.token()?);
        // A configured token is known already and must not appear in a log. With a password no token is needed, unless
        // one is configured.
        let generated = (configured.is_none() && password.is_none()).then(Token::generate);
        Ok(Credentials {
            token: configured.or_else(|| generated.clone()),
            password,
            generated,
        })
    }

    /// The configured token: the flag's, else what `JUPYTER_TOKEN` holds, else what the file that
    /// `JUPYTER_TOKEN_FILE` names holds; `None` if none is configured.
    fn token(&self) -> Result<Option<Token>, Failure> {
        if let Some(token) = &self.token {
            return Ok(Some(token.parse().map_err(|error| format!("--token: {error}"))?));
        }
        let environment = SourceChain::new([
            Box::new(EnvSource::jupyter_token()) as Box<dyn SecretSource>,
            Box::new(cookie_secret::mounted(
                FileSource::jupyter_token(),
                self.container_secrets,
            )),
        ]);
        // What is set and cannot be used is an error, and never a reason to make a token up.
        let Some((place, secret)) = environment
            .load_with_name()
            .map_err(|error| cookie_secret::with_flag(&error))?
        else {
            return Ok(None);
        };
        let token = Token::from_secret(secret).map_err(|error| format!("{place}: {error}"))?;
        Ok(Some(token))
    }

    /// Who keeps a password that was changed by the form: the configuration file, unless the command line says what
    /// the password is, and would say so again.
    pub(crate) fn password_keeper(&self) -> Option<impl PasswordHashWriter + use<>> {
        let path = self.config.clone();
        let keeper = move |hash: &PasswordHash| {
            let (path, hash) = (path.clone(), hash.clone());
            MaybeFuture::from_future(async move {
                // A disk may take its time.
                let written = tokio::task::spawn_blocking(move || {
                    let mut config = config_file(path.as_ref())?;
                    config.set_password(&hash)?;
                    config.write()
                });
                let written = written.await.map_err(BackendError::new)?;
                written.map_err(BackendError::new)
            })
        };
        self.password_hash.is_none().then_some(keeper)
    }

    /// The hash of the configured password: the flag's, else the configuration file's; `None` if none is set.
    fn password(&self) -> Result<Option<PasswordHash>, Failure> {
        if let Some(hash) = &self.password_hash {
            let hash = hash
                .parse()
                .map_err(|error| format!("--password-hash: {error}"))?;
            return Ok(Some(hash));
        }
        if let Some(path) = self.config.as_ref().filter(|path| !path.is_file()) {
            return Err(format!("--config {}: expected a file, found none", path.display()).into());
        }
        let config = match config_file(self.config.as_ref()) {
            // The file cannot be trusted there. Without a password, the server generates a token.
            Err(error) if cfg!(windows) && self.config.is_none() => {
                tracing::warn!("the configured password is not used: {error}");
                return Ok(None);
            }
            config => config?,
        };
        let hash = config.password()?;
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        Ok(hash)
    }
}

/// Jupyter's configuration as it is now.
fn config_file(path: Option<&PathBuf>) -> Result<ServerConfig, SecretError> {
    match path {
        Some(path) => ServerConfig::read(path),
        None => ServerConfig::read_default(),
    }
}

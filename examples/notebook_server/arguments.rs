//! The command line and the environment.

use std::{env, path::PathBuf, sync::Arc};

use clap::Parser;
use portcullis::{
    Answer, EnvSource, FileSource, FirstOf, PasswordHash, PasswordKeeper, SecretError, SecretSource, Token,
    Unavailable, jupyter::ServerConfig,
};

use crate::support::failure::Failure;

/// Jupyter Server's authentication in front of one's own pages.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Arguments {
    /// Address or name of this machine to listen at.
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) ip: String,

    /// Port to listen at, 0 for any free one [default: $JUPYTER_PORT, else 8888].
    #[arg(long)]
    port: Option<u16>,

    /// Path below which everything is served.
    #[arg(long, default_value = "/", value_name = "PATH")]
    pub(crate) base_url: String,

    /// Directory whose files are served.
    #[arg(long, default_value = ".", value_name = "DIRECTORY")]
    pub(crate) root_dir: PathBuf,

    /// Token to log in with; other users of this machine see a command line
    /// [default: $JUPYTER_TOKEN, else the content of $JUPYTER_TOKEN_FILE, else none beside a password, else a
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
    /// [default: jupyter_cookie_secret in $JUPYTER_RUNTIME_DIR].
    #[arg(long, value_name = "FILE")]
    pub(crate) cookie_secret_file: Option<PathBuf>,

    /// Take the bytes of the cookie secret file as they are: one that Jupyter Server wrote.
    #[arg(long)]
    pub(crate) raw_cookie_secret: bool,

    /// Another host name that the server answers to, `name`, `name:port` or `name:*`; may be repeated.
    #[arg(long, value_name = "HOST")]
    pub(crate) allow_host: Vec<String>,

    /// Origin whose pages may use this server, such as `https://example.org`; may be repeated.
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) allow_origin: Vec<String>,

    /// Address or network of a proxy whose X-Forwarded fields are believed; may be repeated.
    #[arg(long, value_name = "CIDR")]
    pub(crate) trusted_proxy: Vec<String>,

    /// Do not open a browser: the link that is printed leads in as well.
    #[arg(long)]
    pub(crate) no_browser: bool,
}

impl Arguments {
    pub(crate) fn port(&self) -> Result<u16, Failure> {
        match (self.port, env::var_os("JUPYTER_PORT")) {
            (Some(port), _) => Ok(port),
            (None, None) => Ok(8888),
            (None, Some(text)) => text
                .to_str()
                .and_then(|text| text.trim().parse().ok())
                .ok_or_else(|| {
                    format!("JUPYTER_PORT: expected a port number of 0 to 65535, found {text:?}").into()
                }),
        }
    }

    /// The configured token: the flag's, else what `JUPYTER_TOKEN` holds, else what the file that
    /// `JUPYTER_TOKEN_FILE` names holds; `None` if nobody configured one.
    pub(crate) fn token(&self) -> Result<Option<Token>, Failure> {
        if let Some(token) = &self.token {
            return Ok(Some(token.parse().map_err(|error| format!("--token: {error}"))?));
        }
        let environment = FirstOf::new([
            Box::new(EnvSource::jupyter_token()) as Box<dyn SecretSource>,
            Box::new(FileSource::jupyter_token()),
        ]);
        // What is set and cannot be used is an error, and never a reason to make a token up.
        let Some((place, secret)) = environment.load_named()? else {
            return Ok(None);
        };
        let token = Token::from_secret(secret).map_err(|error| format!("{place}: {error}"))?;
        Ok(Some(token))
    }

    /// The hash of the configured password: the flag's, else the configuration file's; `None` if nobody set one.
    pub(crate) fn password(&self) -> Result<Option<PasswordHash>, Failure> {
        if let Some(hash) = &self.password_hash {
            let hash = hash
                .parse()
                .map_err(|error| format!("--password-hash: {error}"))?;
            return Ok(Some(hash));
        }
        if let Some(path) = self.config.as_ref().filter(|path| !path.is_file()) {
            return Err(format!("--config {}: expected a file, found none", path.display()).into());
        }
        let config = self.config_file()?;
        let hash = config.password()?;
        for warning in config.warnings() {
            eprintln!("warning: {warning}");
        }
        Ok(hash)
    }

    /// Jupyter's configuration as it is now.
    pub(crate) fn config_file(&self) -> Result<ServerConfig, SecretError> {
        match &self.config {
            Some(path) => ServerConfig::read(path),
            None => ServerConfig::of_user(),
        }
    }

    /// Who keeps a password that was changed by the form: the configuration file, unless the command line says what
    /// the password is, and would say so again.
    pub(crate) fn password_keeper(self: &Arc<Self>) -> Option<impl PasswordKeeper + use<>> {
        let arguments = self.clone();
        let keeper = move |hash: &PasswordHash| {
            let (arguments, hash) = (arguments.clone(), hash.clone());
            Answer::later(async move {
                // A disk may take its time.
                let written = tokio::task::spawn_blocking(move || {
                    let mut config = arguments.config_file()?;
                    config.set_password(&hash)?;
                    config.write()
                });
                written.await.map_err(Unavailable::new)?.map_err(Unavailable::new)
            })
        };
        self.password_hash.is_none().then_some(keeper)
    }
}

//! How a server is reached.

use std::{fmt, time::Duration};

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio::runtime::Handle;
use tokio_postgres::{
    Config, NoTls, Socket,
    config::{Host, SslMode, TargetSessionAttrs},
    tls::{MakeTlsConnect, TlsConnect},
};

use super::{
    error::{PATIENCE, pool_error},
    listening::Listening,
    schema,
    token_store::PostgresTokenStore,
};
use crate::{
    secret::Secret,
    store::{StoreError, StoreErrorKind, row::LookupKey},
};

/// The isolation of statements outside of a transaction: with any other, a statement that meets a concurrent change may
/// fail. Transactions set their own.
const ISOLATION: &str = "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED";
/// How long a connection is idle before it is checked for a server that no longer answers.
const STILL: Duration = Duration::from_secs(30);

/// How a database is reached, if not by the defaults of [`PostgresTokenStore::connect`].
///
/// # Example
///
/// ```no_run
/// use portcullis::{Secret, store::PostgresTokenStore};
///
/// # async fn example() -> Result<(), portcullis::store::StoreError> {
/// let store = PostgresTokenStore::builder("host=/run/postgresql user=hub dbname=hub")
///     .with_key(Secret::from("at least 32 bytes from a secret file"))
///     .max_connections(32)
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresTokenStoreBuilder {
    config: String,
    key: Option<Secret>,
    connections: usize,
}

impl PostgresTokenStore {
    /// Connects to the database of `config`, a connection string or URL, without TLS.
    ///
    /// # Errors
    ///
    /// As [`PostgresTokenStoreBuilder::connect`].
    pub async fn connect(config: &str) -> Result<Self, StoreError> {
        Self::builder(config).connect().await
    }

    /// The settings of the database of `config`, a connection string or URL.
    pub fn builder(config: &str) -> PostgresTokenStoreBuilder {
        PostgresTokenStoreBuilder::new(config)
    }
}

impl PostgresTokenStoreBuilder {
    fn new(config: &str) -> Self {
        Self {
            config: config.to_owned(),
            key: None,
            connections: 16,
        }
    }

    /// Default: a random key that lies in the database. The hashes are keyed with this secret instead, which the
    /// database must have been made with. It has at least 32 bytes.
    ///
    /// A copy of the database then does not even show whether a guessed token is in it. Without the
    /// secret all tokens are lost.
    #[must_use]
    pub fn with_key(self, key: Secret) -> Self {
        Self {
            key: Some(key),
            ..self
        }
    }

    /// Default: 16. The maximum number of connections, at least one.
    #[must_use]
    pub fn max_connections(self, connections: usize) -> Self {
        Self {
            connections: connections.max(1),
            ..self
        }
    }

    /// Connects without TLS.
    ///
    /// # Errors
    ///
    /// `Settings` if the connection string cannot be read, or requires TLS, or names a server beyond this machine
    /// without `sslmode=disable`, or the key is shorter than 32 bytes; `Unavailable` if the server does not answer or refuses;
    /// `Busy` if another session keeps the tables locked for 5 seconds; `Schema` if the tables are of a newer version, may not
    /// be used, or were made with another key.
    pub async fn connect(self) -> Result<PostgresTokenStore, StoreError> {
        let config = config(&self.config, false)?;
        self.open(config, NoTls).await
    }

    /// Connects by TLS, as `tls` makes it.
    ///
    /// With `sslmode=prefer`, the default, a server beyond this machine must have TLS: it is read as `require`. `tls`
    /// verifies the server.
    ///
    /// # Errors
    ///
    /// As [`PostgresTokenStoreBuilder::connect`], except that the connection string may require TLS.
    pub async fn connect_with_tls<T>(self, tls: T) -> Result<PostgresTokenStore, StoreError>
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + Sync,
        T::TlsConnect: Send + Sync,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let config = config(&self.config, true)?;
        self.open(config, tls).await
    }

    async fn open<T>(self, config: Config, tls: T) -> Result<PostgresTokenStore, StoreError>
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send + Sync,
        T::TlsConnect: Send + Sync,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        LookupKey::check_own(self.key.as_ref())?;
        let listening = Listening::new(config.clone(), tls.clone(), Handle::current());
        let recycling_method = RecyclingMethod::Fast;
        let manager = Manager::from_config(config, tls, ManagerConfig { recycling_method });
        let pool = Pool::builder(manager)
            .max_size(self.connections)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(PATIENCE))
            .create_timeout(Some(PATIENCE))
            .post_create(Hook::async_fn(|client, _| {
                Box::pin(async { client.batch_execute(ISOLATION).await.map_err(HookError::Backend) })
            }))
            .build()
            .map_err(|error| {
                StoreError::new(StoreErrorKind::Config, "no connections can be kept").with_source(error)
            })?;
        let mut object = pool.get().await.map_err(pool_error)?;
        let opened = schema::open(&mut object, self.key.as_ref()).await?;
        drop(object);
        Ok(PostgresTokenStore::new(pool, opened, listening))
    }
}

impl fmt::Debug for PostgresTokenStoreBuilder {
    /// The connection string may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSettings")
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

/// Parses `text` and makes it safe: a server that accepts writes, and no plaintext beyond this machine unless it is
/// configured.
fn config(text: &str, tls: bool) -> Result<Config, StoreError> {
    let config_error = |message: &str| StoreError::new(StoreErrorKind::Config, message);
    // The error of the parser may quote the password.
    let mut config: Config = text
        .parse()
        .map_err(|_| config_error("expected a connection string or URL of PostgreSQL's, found neither"))?;
    let away =
        !config.get_hosts().iter().all(is_here) || !config.get_hostaddrs().iter().all(|ip| ip.is_loopback());
    match (tls, config.get_ssl_mode()) {
        (false, SslMode::Disable) => {}
        (false, SslMode::Prefer) if !away => {}
        (false, SslMode::Prefer) => {
            return Err(config_error(
                "expected connect_with_tls, or sslmode=disable, for a database beyond this machine",
            ));
        }
        (false, _) => {
            return Err(config_error(
                "expected connect_with_tls, because sslmode requires TLS",
            ));
        }
        // Who can change what is on the wire could say that the server has no TLS.
        (true, SslMode::Prefer) if away => {
            config.ssl_mode(SslMode::Require);
        }
        (true, _) => {}
    }
    // A read replica would still have revoked tokens for a while.
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(PATIENCE);
    }
    config.keepalives_idle(config.get_keepalives_idle().min(STILL));
    Ok(config)
}

fn is_here(host: &Host) -> bool {
    match host {
        #[cfg(unix)]
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_plaintext_leaves_this_machine_unless_configured() {
        for (text, without, with) in [
            (
                "postgres://hub@localhost/hub",
                Ok(SslMode::Prefer),
                Ok(SslMode::Prefer),
            ),
            (
                "postgres://hub@127.0.0.1/hub",
                Ok(SslMode::Prefer),
                Ok(SslMode::Prefer),
            ),
            (
                "host=/run/postgresql user=hub",
                Ok(SslMode::Prefer),
                Ok(SslMode::Prefer),
            ),
            (
                "postgres://hub@db.example.org/hub",
                Err("expected connect_with_tls, or sslmode=disable, for a database beyond this machine"),
                Ok(SslMode::Require),
            ),
            (
                "postgres://hub@localhost,10.0.0.1/hub",
                Err("expected connect_with_tls, or sslmode=disable, for a database beyond this machine"),
                Ok(SslMode::Require),
            ),
            (
                "host=localhost hostaddr=10.0.0.1 user=hub",
                Err("expected connect_with_tls, or sslmode=disable, for a database beyond this machine"),
                Ok(SslMode::Require),
            ),
            (
                "postgres://hub@db.example.org/hub?sslmode=disable",
                Ok(SslMode::Disable),
                Ok(SslMode::Disable),
            ),
            (
                "postgres://hub@localhost/hub?sslmode=require",
                Err("expected connect_with_tls, because sslmode requires TLS"),
                Ok(SslMode::Require),
            ),
        ] {
            for (tls, expected) in [(false, without), (true, with)] {
                let found = config(text, tls).map(|config| config.get_ssl_mode());
                let found = found.map_err(|error| error.to_string());
                assert_eq!(found, expected.map_err(str::to_owned), "{text}, tls {tls}");
            }
        }
    }

    #[test]
    fn a_url_that_cannot_be_read_is_not_quoted() {
        let error = config("postgres://hub:canary@[", false).expect_err("no URL");
        assert_eq!(error.kind(), StoreErrorKind::Config);
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}

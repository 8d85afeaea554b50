//! How a server is reached.

use std::time::Duration;

use tokio_postgres::{
    Config,
    config::{Host, SslMode, TargetSessionAttrs},
};

use crate::store::{StoreError, StoreErrorKind};

/// So long a server that does not answer is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// So long a connection is still before it is asked whether the other side is there.
const STILL: Duration = Duration::from_secs(30);

/// What `text` says, made safe: an answer from a server that may write, and nothing in clear beyond this machine
/// unless it was asked for.
pub(super) fn config(text: &str, tls: bool) -> Result<Config, StoreError> {
    let fault = |message: &str| StoreError::new(StoreErrorKind::Settings, message);
    // The error of the parser may quote the password.
    let mut config: Config = text
        .parse()
        .map_err(|_| fault("expected a connection string or URL of PostgreSQL's, found neither"))?;
    let away =
        !config.get_hosts().iter().all(is_here) || !config.get_hostaddrs().iter().all(|ip| ip.is_loopback());
    match (tls, config.get_ssl_mode()) {
        (false, SslMode::Disable) => {}
        (false, SslMode::Prefer) if !away => {}
        (false, SslMode::Prefer) => {
            return Err(fault(
                "expected connect_with_tls, or sslmode=disable, for a database beyond this machine",
            ));
        }
        (false, _) => return Err(fault("expected connect_with_tls, for sslmode asks for TLS")),
        // Who can change what is on the wire could say that the server has no TLS.
        (true, SslMode::Prefer) if away => {
            config.ssl_mode(SslMode::Require);
        }
        (true, _) => {}
    }
    // A server that follows another one would tell of revoked tokens for a while.
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(PATIENCE);
    }
    config.keepalives_idle(config.get_keepalives_idle().min(STILL));
    Ok(config)
}

fn is_here(host: &Host) -> bool {
    match host {
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
    fn nothing_goes_in_clear_beyond_this_machine_unless_it_was_asked_for() {
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
                Err("expected connect_with_tls, for sslmode asks for TLS"),
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
        assert_eq!(error.kind(), StoreErrorKind::Settings);
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}

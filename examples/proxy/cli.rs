//! The command line: what a hub passes, and the proxies in front of this one.

use std::path::PathBuf;

use clap::Parser;
use portcullis::TrustedProxies;

use super::common::{exit::Failure, forward::Target, room::Limits};

/// A proxy that a JupyterHub drives through its token-protected API.
///
/// The token is $CONFIGPROXY_AUTH_TOKEN, or a new one.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Arguments {
    /// Address to listen at for browsers; `*` or nothing for every one.
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) ip: String,

    /// Port to listen at for browsers, 0 for any free one.
    #[arg(long, default_value_t = 8000)]
    pub(crate) port: u16,

    /// Address to listen at for the API.
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) api_ip: String,

    /// Port to listen at for the API, 0 for any free one [default: one more than the other].
    #[arg(long)]
    pub(crate) api_port: Option<u16>,

    /// Server for what no route leads to.
    #[arg(long, value_name = "URL")]
    pub(crate) default_target: Option<Target>,

    /// Server of pages for what goes wrong, at `<URL>/404?url=…`.
    #[arg(long, value_name = "URL")]
    pub(crate) error_target: Option<Target>,

    /// Take the host for the first segment of a route's path.
    #[arg(long)]
    pub(crate) host_routing: bool,

    /// Certificate, in PEM, with those that lead to its root behind it.
    #[arg(long, alias = "ssl-cert", value_name = "FILE")]
    pub(crate) certfile: Option<PathBuf>,

    /// Private key of the certificate, in PEM [default: in the same file].
    #[arg(long, alias = "ssl-key", value_name = "FILE")]
    pub(crate) keyfile: Option<PathBuf>,

    /// Network of a proxy whose `X-Forwarded-*` is trusted; may be repeated.
    #[arg(long, value_name = "CIDR")]
    trusted_proxy: Vec<String>,

    #[command(flatten)]
    pub(crate) limits: Limits,
}

impl Arguments {
    /// The proxies whose `X-Forwarded-*` is trusted.
    ///
    /// # Errors
    ///
    /// If one is no network.
    pub(crate) fn trusted_proxies(&self) -> Result<TrustedProxies, Failure> {
        match &*self.trusted_proxy {
            [] => Ok(TrustedProxies::none()),
            listed => TrustedProxies::parse(&listed.join(","))
                .map_err(|error| format!("--trusted-proxy: {error}").into()),
        }
    }
}

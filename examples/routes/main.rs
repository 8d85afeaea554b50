//! The routes of a proxy that has a token-protected API: `configurable-http-proxy`, or the example `proxy`.
//!
//! ```text
//! export CONFIGPROXY_AUTH_TOKEN=…
//! cargo run --example routes -- add /user/alice http://127.0.0.1:9100
//! cargo run --example routes -- list            # or `list --json`
//! cargo run --example routes -- delete /user/alice
//! ```

use std::{env, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use portcullis::{EnvSource, Token, secret::SecretSource as _};
use serde_json::{Map, Value, json};

use common::{
    exit::{self, Failure},
    proxy_api::ProxyApi,
};

#[path = "../common/mod.rs"]
mod common;

/// Where the API of a proxy listens by default.
const USUAL: &str = "http://127.0.0.1:8001";

/// The routes of a proxy that has a token-protected API.
///
/// The API is at $CONFIGPROXY_API_URL, or at http://127.0.0.1:8001; its token is $CONFIGPROXY_AUTH_TOKEN.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sends what lies below a path to a server.
    Add {
        /// The path, such as `/user/alice`.
        spec: String,
        /// The server, such as `http://127.0.0.1:9100`.
        target: String,
        /// A JSON object that is stored with the route.
        #[arg(value_name = "JSON")]
        data: Option<String>,
    },
    /// Takes a route away.
    Delete {
        /// The path, such as `/user/alice`.
        spec: String,
    },
    /// Prints each route: path, target, last activity.
    List {
        /// Print one JSON object: each path with its target, and with `data`, what is stored with it.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    exit::run(run)
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let token = EnvSource::new("CONFIGPROXY_AUTH_TOKEN")
        .load()?
        .ok_or("CONFIGPROXY_AUTH_TOKEN: expected the token of the proxy's API, found none")?;
    let token = Token::from_secret(token).map_err(|error| format!("CONFIGPROXY_AUTH_TOKEN: {error}"))?;
    let url = env::var("CONFIGPROXY_API_URL").unwrap_or_else(|_| USUAL.to_owned());
    let proxy = ProxyApi::new(&url, token, Duration::ZERO)?;
    match arguments.command {
        Command::Add { spec, target, data } => proxy.add(path(&spec)?, &target, read(data.as_deref())?).await,
        Command::Delete { spec } => match proxy.delete(path(&spec)?).await? {
            true => Ok(()),
            false => Err(format!("expected a route of the path {spec}, found none").into()),
        },
        Command::List { json: true } => {
            let routes = proxy.list().await?.into_iter().map(|(spec, mut route)| {
                let target = route.as_object_mut().and_then(|route| route.remove("target"));
                (spec, json!({ "target": target, "data": route }))
            });
            println!("{}", Value::Object(routes.collect()));
            Ok(())
        }
        Command::List { json: false } => {
            for (spec, route) in proxy.list().await? {
                let told = |name| route[name].as_str().unwrap_or("-");
                println!("{spec} {} {}", told("target"), told("last_activity"));
            }
            Ok(())
        }
    }
}

fn path(spec: &str) -> Result<&str, Failure> {
    match spec.starts_with('/') {
        true => Ok(spec),
        false => Err(format!("expected a path such as /user/alice, found {spec:?}").into()),
    }
}

fn read(data: Option<&str>) -> Result<Map<String, Value>, Failure> {
    match data.map(serde_json::from_str) {
        None => Ok(Map::new()),
        Some(Ok(Value::Object(data))) => Ok(data),
        Some(Ok(_)) => Err("expected a JSON object as the data of the route, found another value".into()),
        Some(Err(error)) => Err(format!("expected a JSON object as the data of the route: {error}").into()),
    }
}

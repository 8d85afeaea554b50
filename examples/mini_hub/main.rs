//! A JupyterHub server: users log in here, and services and single-user servers redirect them here to identify them.
//!
//! ```text
//! cargo run --example mini_hub -- --config examples/mini_hub/hub.toml
//! ```
//!
//! Its clients are JupyterHub's: `jupyterhub.services.auth`, `jupyterhub-singleuser`, and the examples `hub_service` and
//! `single_user`. The page at `hub/home` shows what a user holds.

use std::{
    path::PathBuf,
    process::{ExitCode, Stdio},
    time::Duration,
};

use axum::Router;
use clap::Parser;
use portcullis::{EnvSource, Token, hub_server::Hub, secret::SecretSource as _};
use serde_json::{Map, Value};
use tokio::process::Command;

use common::{
    connections::{Protocol, serve},
    exit::{self, Failure},
    listen::{listen, reachable},
    log,
    proxy_api::ProxyApi,
    room::Limits,
    shutdown::Stop,
    startup,
};
use settings::{Route, Settings};

#[path = "../common/mod.rs"]
mod common;
mod providers;
mod settings;

/// A small hub, such as `examples/mini_hub/hub.toml` describes.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Who belongs to the hub, which services and servers there are, and where it listens
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    #[command(flatten)]
    limits: Limits,
}

/// How long a proxy that does not answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the proxy is checked for its routes: one that was restarted has none.
const LOOK: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    exit::serve(run)
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let settings = Settings::read(&arguments.config)?;
    let mut listeners = Vec::new();
    for address in &settings.bind {
        listeners.push(listen(&address.ip().to_string(), address.port()).await?);
    }
    let addresses = listeners
        .iter()
        .map(tokio::net::TcpListener::local_addr)
        .collect::<Result<Vec<_>, _>>()?;
    let hub = settings.hub(&addresses).await?;
    let proxy = proxy(&settings)?;
    let stop = Stop::on_signals()?;

    let base_url = settings.base_url()?;
    for address in &addresses {
        anstream::println!("mini_hub listens on http://{}{base_url}", reachable(*address));
    }
    anstream::println!(
        "serves: {}\nlog in: {}hub/login",
        settings.summary(),
        settings.public_url
    );
    startup::press_ctrl_c();

    let mut tasks = tokio::task::JoinSet::new();
    for listener in listeners {
        let app = Router::new().fallback_service(hub.clone());
        let room = arguments.limits.room(addresses.len());
        tasks.spawn(serve(listener, Protocol::Plain, app, room, stop.clone()));
    }
    if let (Some((proxy, token)), Some(last)) = (proxy, addresses.last()) {
        let routes = settings.routes(reachable(*last))?;
        if !settings.proxy_command.is_empty() {
            tasks.spawn(keep_proxy(settings.proxy_command, token, stop.clone()));
        }
        tasks.spawn(keep_routes(proxy, routes, hub, stop.clone()));
    }
    let ended = tasks.join_next().await;
    stop.request();
    while tasks.join_next().await.is_some() {}
    ended.map_or(Ok(()), |ended| ended?)
}

/// The proxy, if there is one, and the token that it knows: of a proxy that the hub starts, a new one unless one is set.
fn proxy(settings: &Settings) -> Result<Option<(ProxyApi, Token)>, Failure> {
    let Some(url) = &settings.proxy_api_url else {
        return Ok(None);
    };
    let secret = EnvSource::new("CONFIGPROXY_AUTH_TOKEN").load()?;
    let token = match secret {
        Some(secret) => {
            Token::from_secret(secret).map_err(|error| format!("CONFIGPROXY_AUTH_TOKEN: {error}"))?
        }
        None if settings.proxy_command.is_empty() => {
            return Err(
                "CONFIGPROXY_AUTH_TOKEN: expected the token of the proxy at proxy_api_url, and it is not set"
                    .into(),
            );
        }
        None => Token::generate(),
    };
    Ok(Some((ProxyApi::new(url, token.clone(), PATIENCE)?, token)))
}

/// Starts the proxy, and again whenever it has ended. It ends with the hub.
async fn keep_proxy(command: Vec<String>, token: Token, stop: Stop) -> Result<(), Failure> {
    let Some((program, arguments)) = command.split_first() else {
        return Ok(());
    };
    loop {
        let mut child = Command::new(program)
            .args(arguments)
            .env("CONFIGPROXY_AUTH_TOKEN", token.expose())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("proxy_command {program}: {error}"))?;
        log::note(format_args!(
            "the proxy runs as process {}",
            child.id().unwrap_or_default()
        ));
        tokio::select! {
            ended = child.wait() => tracing::warn!("the proxy ended ({}), and is started again", ended?),
            () = stop.clone().requested() => {
                child.kill().await?;
                return Ok(());
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Gives the proxy its routes, and again whenever it has lost one. A server that was stopped loses its route, so that the
/// hub answers in its place.
async fn keep_routes(proxy: ProxyApi, routes: Vec<Route>, hub: Hub, stop: Stop) -> Result<(), Failure> {
    let keeping = async {
        let mut told = false;
        loop {
            let known = proxy.list().await?;
            for route in &routes {
                // It knows them without the slash behind.
                let spec = match route.spec.trim_end_matches('/') {
                    "" => "/",
                    spec => spec,
                };
                if let Some((user, name)) = &route.server {
                    match hub.is_server_running(user, name).await {
                        Ok(true) => {}
                        Ok(false) => {
                            if known.contains_key(spec) {
                                proxy.delete(&route.spec).await?;
                            }
                            continue;
                        }
                        // The route stays as it is until the store answers.
                        Err(error) => {
                            tracing::error!("store: {}", error.cause());
                            continue;
                        }
                    }
                }
                let target = known
                    .get(spec)
                    .and_then(|route| route.get("target"))
                    .and_then(Value::as_str);
                if target == Some(&route.target) {
                    continue;
                }
                let mut data = Map::new();
                data.insert("jupyterhub".to_owned(), true.into());
                data.extend(
                    route
                        .data
                        .iter()
                        .map(|(name, value)| ((*name).to_owned(), value.as_str().into())),
                );
                proxy.add(&route.spec, &route.target, data).await?;
            }
            if !told {
                log::note(format_args!("the proxy has its {} routes", routes.len()));
                told = true;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        ended = keeping => ended,
        () = stop.requested() => Ok(()),
    }
}

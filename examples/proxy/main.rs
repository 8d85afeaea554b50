//! A proxy that a JupyterHub drives through its token-protected API, instead of `configurable-http-proxy`.
//!
//! ```text
//! cargo run --example proxy
//! ```
//!
//! prints the token of the API, unless `CONFIGPROXY_AUTH_TOKEN` sets one; the example `routes` adds a route by it.
//! A JupyterHub starts the program by itself:
//!
//! ```text
//! c.ConfigurableHTTPProxy.command = "target/debug/examples/proxy"
//! ```

use std::{convert::Infallible, process::ExitCode, sync::Arc};

use http::Request;
use hyper::body::Incoming;
use portcullis::{
    AuthLayer, EnvSource, Event, Token, authenticate::TokenSource, middleware::ResponseStyle,
    secret::SecretSource as _,
};
use serde_json::Map;
use tower::{Layer as _, service_fn};

use cli::Arguments;
use common::{
    connections::{Protocol, serve},
    exit::{self, Failure},
    forward::Forward,
    listen::{listen, reachable},
    shutdown::Stop,
    startup,
    tls::Tls,
};
use forward::Traffic;
use route_table::{Route, Table};

mod api;
mod cli;
#[path = "../common/mod.rs"]
mod common;
mod forward;
mod route_table;

fn main() -> ExitCode {
    exit::serve(run)
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let configured = EnvSource::new("CONFIGPROXY_AUTH_TOKEN").load()?;
    let configured = configured.map(Token::from_secret).transpose();
    let configured = configured.map_err(|error| format!("CONFIGPROXY_AUTH_TOKEN: {error}"))?;
    let generated = configured.is_none().then(Token::generate);
    let token = configured.or_else(|| generated.clone());
    let token = token.ok_or("expected a token, found none")?;

    let table = Table::default();
    if let Some(target) = &arguments.default_target {
        let target = ("target".to_owned(), target.to_string().into());
        table.put("/", Route::new(Map::from_iter([target]))?);
    }
    let tls = Tls::load(arguments.certfile.as_deref(), arguments.keyfile.as_deref())?;
    let traffic = Traffic {
        table: table.clone(),
        forward: Forward::new(),
        error_target: arguments.error_target.clone().map(Arc::new),
        host_routing: arguments.host_routing,
        https: tls.is_some(),
        trusted: Arc::new(arguments.trusted_proxies()?),
    };
    let routes = service_fn(move |request: Request<Incoming>| {
        let table = table.clone();
        async move { Ok::<_, Infallible>(api::answer(table, request).await) }
    });

    let listener = listen(&arguments.ip, arguments.port).await?;
    let address = listener.local_addr()?;
    let api_port = arguments.api_port.unwrap_or_else(|| match arguments.port {
        0 => 0,
        port => port.wrapping_add(1),
    });
    let api_listener = listen(&arguments.api_ip, api_port).await?;
    let api_address = api_listener.local_addr()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    anstream::println!("proxy listens on {scheme}://{}/", reachable(address));
    match &arguments.default_target {
        Some(target) => anstream::println!("serves: its routes, and all else from {target}"),
        None => anstream::println!("serves: its routes; a hub or the example `routes` adds them"),
    }
    anstream::println!("its API listens on http://{}/api/routes", reachable(api_address));
    if let Some(token) = &generated {
        anstream::println!(
            "CONFIGPROXY_AUTH_TOKEN is not set; token of the API: {}",
            token.expose()
        );
    }
    startup::press_ctrl_c();

    let stop = Stop::on_signals()?;
    let traffic = service_fn(move |request: Request<Incoming>| traffic.clone().answer(request));
    let (through, api) = tokio::join!(
        serve(listener, tls, traffic, arguments.limits.room(2), stop.clone()),
        serve(
            api_listener,
            Protocol::Plain,
            auth_layer(token)?.layer(routes),
            arguments.limits.room(2),
            stop
        ),
    );
    through.and(api)
}

/// The layer of the API: the token, in its header and nowhere else. No browser comes here.
pub(crate) fn auth_layer(token: Token) -> Result<AuthLayer, Failure> {
    let layer = AuthLayer::builder()
        .token(token)
        .token_sources([TokenSource::Authorization])
        // A hub takes 403, and nothing else, for "your token is not mine".
        .response_style(ResponseStyle::jupyter())
        .observer(|event: &Event<'_>| startup::log(event))
        .build()?;
    Ok(layer)
}

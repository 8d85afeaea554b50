//! A server that a JupyterHub spawns for a user, instead of `jupyterhub-singleuser`: in `jupyterhub_config.py`,
//!
//! ```python
//! c.Spawner.cmd = ["…/single_user"]
//! ```
//!
//! All it needs to know it learns from the hub, by the `JUPYTERHUB_*` environment; the certificates of a hub with
//! `internal_ssl` too.

use std::{process::ExitCode, time::Duration};

use axum::{
    Extension, Json, Router,
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, WebSocket},
    },
    response::Response,
    routing::get,
};
use clap::Parser;
use http::{HeaderName, HeaderValue, header};
use portcullis::{AuthLayer, BaseUrl, Event, HubAuth, Session, hub_client::PROTOCOL_VERSION};
use serde_json::{Value, json};

use common::{
    exit::{self, Failure},
    hub_service,
    page::{Escaped, page},
    room::Limits,
    startup,
};

#[path = "../common/mod.rs"]
mod common;

/// A server that a JupyterHub spawns.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// How long an answer of the hub about a token is cached, and so how long a revoked token may still work
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    cache_max_age: u64,
    #[command(flatten)]
    limits: Limits,
    /// What hubs pass to Jupyter's own server, and means nothing here
    #[arg(hide = true, allow_hyphen_values = true, trailing_var_arg = true)]
    others: Vec<String>,
}

fn main() -> ExitCode {
    exit::serve(run)
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let hub = HubAuth::builder_from_env()?
        .cache_ttl(Duration::from_secs(arguments.cache_max_age))
        .build()?;
    let base = hub.base_url().clone();
    let auth = AuthLayer::builder()
        .hub(hub.clone())
        .observer(|event: &Event<'_>| startup::log(event))
        .build()?
        // The hub looks there whether the server is up.
        .public_paths([&base.join("api")]);
    let at = |path: &str| base.join(path);
    let app = Router::new()
        .without_v07_checks()
        .route(&at(""), get(home))
        .route(&at("api"), get(version))
        .route(&at("api/contents"), get(contents).post(save))
        .route(&at("api/events/subscribe"), get(echo))
        .route(&at("files/hello.txt"), get(|| async { "hello\n" }))
        .layer(auth)
        .with_state(base.clone());
    tokio::spawn(hub.activity_reporter().run());
    hub_service::serve("single_user", base.as_str(), app, arguments.limits).await
}

/// A page that says who is in.
async fn home(State(base): State<BaseUrl>, Extension(session): Extension<Session>) -> Response {
    let name = Escaped(session.identity().username());
    let by = format!("{:?}", session.auth_method()).to_lowercase();
    let (hello, logout) = (base.join("files/hello.txt"), base.join("logout"));
    page(
        "Logged in",
        &format!(
            "<h1>Logged in</h1>\n<p>as <b id=who>{name}</b>, by {by}</p>\n<p><a href=\"{}\">A file</a></p>\n\
             <p><a id=logout href=\"{}\">Log out</a></p>\n",
            Escaped(&hello),
            Escaped(&logout)
        ),
    )
}

/// `GET api`, for anyone.
async fn version() -> ([(HeaderName, HeaderValue); 1], Json<Value>) {
    let spoken = (
        HeaderName::from_static("x-jupyterhub-version"),
        HeaderValue::from_static(PROTOCOL_VERSION),
    );
    ([spoken], Json(json!({ "version": env!("CARGO_PKG_VERSION") })))
}

/// `GET api/contents`.
async fn contents(Extension(session): Extension<Session>) -> Json<Value> {
    let name = session.identity().username();
    Json(json!({ "type": "directory", "name": "", "path": "", "content": [], "user": name }))
}

/// `POST api/contents`.
async fn save() -> ([(HeaderName, &'static str); 1], Json<Value>) {
    let kept = [(header::CACHE_CONTROL, "no-store")];
    (
        kept,
        Json(json!({ "type": "file", "name": "untitled.txt", "path": "untitled.txt" })),
    )
}

/// `GET api/events/subscribe`: a websocket that says everything back.
async fn echo(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket: WebSocket| {
        while let Some(Ok(message)) = socket.recv().await {
            // axum itself answers pings and the close.
            if let Message::Text(_) | Message::Binary(_) = message
                && socket.send(message).await.is_err()
            {
                break;
            }
        }
    })
}

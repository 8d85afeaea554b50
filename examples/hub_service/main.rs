//! A service of a JupyterHub that says who you are. The hub starts it by these lines of `jupyterhub_config.py`:
//!
//! ```python
//! c.JupyterHub.services = [{"name": "whoami", "url": "http://127.0.0.1:9000", "command": ["…/hub_service"]}]
//! ```
use std::process::ExitCode;

use axum::{Extension, Json, Router, routing::get};
use portcullis::{AuthLayer, HubAuth, Session};
use support::{failure, room::Limits, service_url};

#[path = "../support/mod.rs"]
mod support;

/// A service of a JupyterHub.
#[derive(clap::Parser)]
struct Arguments {
    #[command(flatten)]
    limits: Limits,
}

fn main() -> ExitCode {
    failure::run(run)
}

async fn run(arguments: Arguments) -> Result<(), failure::Failure> {
    let hub = HubAuth::from_env()?;
    let home = hub.base_url().to_string();
    let app = Router::new().without_v07_checks().route(&home, get(whoami));
    service_url::serve(
        "hub_service",
        &home,
        app.layer(AuthLayer::hub(hub)),
        arguments.limits,
    )
    .await
}

async fn whoami(Extension(session): Extension<Session>) -> Json<serde_json::Value> {
    Json(serde_json::json!({ "name": session.identity().username() }))
}

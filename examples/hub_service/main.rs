//! A service of a JupyterHub that says who you are, in which groups, and whether you are an administrator. The hub starts it by these lines of `jupyterhub_config.py`:
//!
//! ```python
//! c.JupyterHub.services = [{"name": "whoami", "url": "http://127.0.0.1:9000", "command": ["…/hub_service"]}]
//! ```
use std::process::ExitCode;

use axum::{Extension, Json, Router, routing::get};
use common::{exit, hub_service, room::Limits, startup};
use portcullis::{AuthLayer, HubAuth, Session};

#[path = "../common/mod.rs"]
mod common;

/// A service of a JupyterHub.
#[derive(clap::Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    limits: Limits,
}

fn main() -> ExitCode {
    exit::serve(run)
}

async fn run(arguments: Arguments) -> Result<(), exit::Failure> {
    let hub = HubAuth::from_env()?;
    let home = hub.base_url().to_string();
    let app = Router::new().without_v07_checks().route(&home, get(whoami));
    let auth = AuthLayer::builder().hub(hub).observer(startup::log).build()?;
    hub_service::serve("hub_service", &home, app.layer(auth), arguments.limits).await
}

async fn whoami(Extension(session): Extension<Session>) -> Json<serde_json::Value> {
    let (grant, name) = (session.grant(), session.identity().username());
    let groups: Vec<_> = grant.groups().collect();
    Json(serde_json::json!({ "name": name, "groups": groups, "admin": grant.is_admin() }))
}

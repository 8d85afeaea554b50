//! An MCP server whose users log in at an OAuth server: two tools, one of which needs a further scope.
//!
//! ```text
//! cargo run --example mini_hub -- --config examples/mcp_server/hub.toml
//! CLIENT_SECRET=2c5d0a9be1f7436d8a01c2e4f6b8d0a3 cargo run --example mcp_server -- --introspect-with service-mcp
//! ```
//!
//! Then connect an MCP client to <http://127.0.0.1:3000/mcp>. Without `--introspect-with` the tokens of the issuer are JWTs.

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use axum::{Router, http::Uri, middleware};
use clap::Parser;
use portcullis::{
    AllowedHosts, AllowedOrigins, AuthLayer, EnvSource, FileSource,
    middleware::ProtectedResource,
    secret::SecretSource as _,
    verify::{IntrospectionVerifier, JwtVerifier},
};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
};

use common::{
    connections::{Protocol, serve},
    exit::{self, Failure},
    listen::listen,
    room::Limits,
    shutdown::Stop,
    startup,
    unread_body::drained,
};
use step_up::StepUp;
use tools::{READ, RUN, Tools};

#[path = "../common/mod.rs"]
mod common;
mod step_up;
mod tools;

/// An MCP server.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The OAuth server that issues the tokens
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8000")]
    issuer: String,
    /// Accept JWTs of any type, not only at+jwt: many issuers name none
    #[arg(long)]
    allow_any_type: bool,
    /// Introspect tokens as this client of the OAuth server, whose secret is in CLIENT_SECRET; otherwise tokens are JWTs
    #[arg(long, value_name = "CLIENT_ID")]
    introspect_with: Option<String>,
    /// A file with the secret, instead of CLIENT_SECRET
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    /// Where to introspect tokens; by default where a hub does
    #[arg(long, value_name = "URL")]
    introspection_url: Option<String>,
    /// For how many seconds an introspected token is remembered, and so accepted after it was revoked
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    cache_max_age: u64,
    /// The URL that clients connect to, and that tokens must be for; by default the one of this machine
    #[arg(long, value_name = "URL")]
    resource: Option<String>,
    /// Port to listen at on 127.0.0.1, 0 for any free one; it is part of the default --resource
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// An origin whose pages may connect, such as http://localhost:6274 of the MCP Inspector; may be repeated
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,

    #[command(flatten)]
    limits: Limits,
}

fn main() -> ExitCode {
    exit::serve(run)
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let listener = listen("127.0.0.1", arguments.port).await?;
    let address = listener.local_addr()?;
    let resource = arguments
        .resource
        .clone()
        .unwrap_or_else(|| format!("http://{address}/mcp"));
    let origins =
        AllowedOrigins::parse(&arguments.allow_origin).map_err(|error| format!("--allow-origin: {error}"))?;
    let metadata = ProtectedResource::new(&resource)
        .authorization_server(&arguments.issuer)
        .scopes([READ, RUN]);
    let auth = AuthLayer::builder()
        .protected_resource(metadata)
        .allowed_hosts(hosts(&resource)?)
        .allowed_origins(origins)
        .observer(startup::log);
    let auth = match introspection(&arguments, &resource)? {
        Some(verifier) => auth.bearer_tokens(verifier),
        None => {
            let jwt = JwtVerifier::builder(&arguments.issuer).audience(&resource);
            let jwt = match arguments.allow_any_type {
                true => jwt.allow_any_type(),
                false => jwt,
            };
            let verifier = jwt.observer(startup::log).build()?;
            let fetched = verifier.fetch_keys().await;
            fetched.map_err(|error| format!("--issuer: {}", error.cause()))?;
            auth.bearer_tokens(verifier)
        }
    };
    let auth = auth.build()?.require_scope(READ);

    // No sessions: each request has its own token, and no id of a session that another user could send. The layer has checked
    // the host.
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .disable_allowed_hosts()
        .with_allowed_origins(&arguments.allow_origin)
        .enforce_origin_validation();
    let mcp = StreamableHttpService::new(|| Ok(Tools), Arc::new(NeverSessionManager::default()), config);
    let step_up = StepUp::new([("add", auth.require_scope(RUN))]);
    let app = Router::new()
        .route_service("/mcp", mcp)
        .layer(middleware::from_fn_with_state(step_up, step_up::check))
        .layer(auth)
        .layer(middleware::map_request(drained));

    anstream::println!(
        "mcp_server listens on http://{address}/mcp\nconnect an MCP client to: {resource}\nlog in at: {}",
        arguments.issuer
    );
    startup::press_ctrl_c();
    let room = arguments.limits.room(1);
    serve(listener, Protocol::Plain, app, room, Stop::on_signals()?).await
}

/// The names of this server: those of this machine, and that of its URL.
fn hosts(resource: &str) -> Result<AllowedHosts, Failure> {
    let uri: Uri = resource.parse().map_err(|error| format!("--resource: {error}"))?;
    let named = AllowedHosts::from_list(uri.authority().map(|authority| authority.as_str()))?;
    Ok(AllowedHosts::loopback().union(named))
}

fn introspection(arguments: &Arguments, resource: &str) -> Result<Option<IntrospectionVerifier>, Failure> {
    let Some(client) = &arguments.introspect_with else {
        return Ok(None);
    };
    let secret = match &arguments.client_secret_file {
        Some(file) => FileSource::new(file).load()?,
        None => EnvSource::new("CLIENT_SECRET").load()?,
    };
    let secret = secret.ok_or_else(|| {
        format!("expected the secret of {client:?} in CLIENT_SECRET or --client-secret-file, found none")
    })?;
    let default = || {
        format!(
            "{}/hub/api/oauth2/introspect",
            arguments.issuer.trim_end_matches('/')
        )
    };
    let verifier =
        IntrospectionVerifier::builder(arguments.introspection_url.clone().unwrap_or_else(default))
            .client(client, &secret)
            .audience(resource)
            .cache_ttl(Duration::from_secs(arguments.cache_max_age));
    Ok(Some(verifier.build()?))
}

//! Jupyter Server's authentication in front of one's own pages.
//!
//! ```text
//! cargo run --example notebook_server -- --root-dir .
//! ```
//!
//! prints a link that logs a browser in. A program sends the token instead: `Authorization: token …`.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    process::ExitCode,
    sync::Arc,
};

use axum::{
    Router,
    routing::{get, post},
};
use portcullis::{
    AuthLayer, BaseUrl, CookieJar, CookieScope, Event, Hosts, Keyring, Origins, Responses, Token,
    TrustedProxies,
};

use arguments::Arguments;
use files::Root;
use support::{
    failure::{self, Failure},
    listen::{listen, peer, reachable, serve},
    runtime,
    stop::Stop,
};

mod api;
mod arguments;
mod files;
mod home;
mod me;
#[path = "../support/mod.rs"]
mod support;

/// What the handlers share.
pub(crate) struct Server {
    pub(crate) auth: AuthLayer,
    /// The gate's login cookie, for the handler that changes what stands in it.
    pub(crate) logins: CookieJar,
    pub(crate) base_url: BaseUrl,
    pub(crate) root: Root,
    pub(crate) stop: Stop,
}

fn main() -> ExitCode {
    failure::run(run)
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let base_url: BaseUrl = arguments
        .base_url
        .parse()
        .map_err(|error| format!("--base-url: {error}"))?;
    let root = &arguments.root_dir;
    let root = Root::new(root).map_err(|error| format!("--root-dir {}: {error}", root.display()))?;
    let configured = arguments.token()?;
    let token = configured.clone().unwrap_or_else(Token::generate);
    let listener = listen(&arguments.ip, arguments.port()?).await?;
    let address = listener.local_addr()?;

    let keyring = runtime::keyring(
        arguments.cookie_secret_file.as_deref(),
        arguments.raw_cookie_secret,
    )?;
    // As the gate does: another configured token means other keys, so that it ends every session.
    let login_keys = match &configured {
        Some(token) => keyring.clone().mixed_with_token(token.expose().as_bytes()),
        None => keyring.clone(),
    };

    let server = Arc::new(Server {
        auth: gate(&arguments, token.clone(), keyring, base_url.clone(), address)?,
        logins: CookieJar::signed(&login_keys, CookieScope::server(base_url.as_str())?),
        base_url,
        root,
        stop: Stop::on_signals()?,
    });

    // One's own token is known to whoever configured it; a log should not know it too.
    let shown = if configured.is_some() {
        "..."
    } else {
        token.expose()
    };
    let link = format!("http://{}{}", reachable(address), server.base_url);
    println!(
        "notebook_server listens on http://{address}{}\nhosts: {}\nlog in: {link}?token={shown}",
        server.base_url,
        hosts_line(&arguments, address),
    );

    serve(listener, routes(&server), server.stop.clone()).await
}

/// The gate: who may come in, and by what.
fn gate(
    arguments: &Arguments,
    token: Token,
    keyring: Keyring,
    base_url: BaseUrl,
    address: SocketAddr,
) -> Result<AuthLayer, Failure> {
    // A page of a hostile site can make its own name lead to us, but not an address. So whoever listens for
    // other machines answers to addresses, and to names only when told them.
    let hosts = if address.ip().is_loopback() {
        Hosts::loopback()
    } else {
        Hosts::any_ip()
    };
    let hosts = match &*arguments.allow_host {
        [] => hosts,
        listed => hosts.and(Hosts::listed(listed).map_err(|error| format!("--allow-host: {error}"))?),
    };
    let proxies = match &*arguments.trusted_proxy {
        [] => TrustedProxies::none(),
        listed => {
            TrustedProxies::parse(&listed.join(",")).map_err(|error| format!("--trusted-proxy: {error}"))?
        }
    };
    let origins =
        Origins::parse(&arguments.allow_origin).map_err(|error| format!("--allow-origin: {error}"))?;
    let open = base_url.join("api");
    let auth = AuthLayer::builder()
        .token(token)
        .keyring(keyring)
        .base_url(base_url)
        .hosts(hosts)
        .origins(origins)
        .trusted_proxies(proxies)
        // Jupyter's clients expect Jupyter's words: 403 and its JSON, not 401 and a challenge.
        .responses(Responses::jupyter())
        .peer(peer)
        .observer(|event: &Event<'_>| log(event))
        .build()?;
    Ok(auth.open_paths([&open]))
}

fn routes(server: &Arc<Server>) -> Router {
    let at = |path: &str| server.base_url.join(path);
    Router::new()
        // A base URL may hold `:` and `*`, which older routers took for patterns.
        .without_v07_checks()
        .route(&at(""), get(home::page))
        .route(&at("api"), get(api::version))
        .route(&at("api/events/subscribe"), get(api::echo))
        .route(&at("api/kernelspecs"), get(api::kernelspecs))
        .route(&at("api/me"), get(me::me).patch(me::update))
        .route(&at("api/shutdown"), post(api::shutdown))
        .route(&at("api/status"), get(api::status))
        .route(&at("files/{*path}"), get(files::file))
        // After the routes: a layer wraps what is there when it is added.
        .layer(server.auth.clone())
        .with_state(server.clone())
}

/// Which `Host` fields are answered.
fn hosts_line(arguments: &Arguments, address: SocketAddr) -> String {
    let mut hosts = vec!["localhost", "loopback addresses"];
    if !address.ip().is_loopback() {
        hosts.push("every other IP address (it listens beyond this machine)");
    }
    hosts.extend(arguments.allow_host.iter().map(String::as_str));
    hosts.join(", ")
}

/// A line for the operator. An event holds no secret, so nothing has to be struck out.
fn log(event: &Event<'_>) {
    let mut out = io::stderr();
    // Nobody is refused because the log is full or closed.
    let _ = match event {
        Event::LoggedIn { identity, .. } => writeln!(out, "{} logged in", identity.username()),
        Event::LoggedOut { identity, .. } => writeln!(out, "{} logged out", identity.username()),
        Event::Refused { reason, path, .. } => writeln!(out, "refused {path}: {reason}"),
        Event::Unavailable { error, path } => writeln!(out, "cannot decide on {path}: {error}"),
        _ => Ok(()),
    };
}

//! Jupyter Server's authentication in front of one's own pages.
//!
//! ```text
//! cargo run --example notebook_server -- --root-dir .
//! ```
//!
//! opens a browser that is logged in, and prints a link that does the same once. A program sends the token
//! instead: `Authorization: token …`. With a password, which the example `password` sets, people log in by it,
//! and there is no token unless one is configured.
//!
//! `jupyter server list` finds it, and `jupyter server stop` stops it.

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
    AuthLayer, BaseUrl, Event, Hosts, Origins, PasswordHash, PasswordPolicy, Responses, Token,
    TrustedProxies,
    jupyter::{ServerInfo, ServerInfoFile},
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
mod browser;
mod files;
mod home;
mod me;
mod stop_token;
#[path = "../support/mod.rs"]
mod support;

/// What the handlers share.
pub(crate) struct Server {
    pub(crate) auth: AuthLayer,
    pub(crate) base_url: BaseUrl,
    pub(crate) root: Root,
    /// Whether the login page lets the password be changed.
    pub(crate) password_changes: bool,
    pub(crate) stop: Stop,
}

fn main() -> ExitCode {
    failure::run(run)
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let arguments = Arc::new(arguments);
    let base_url: BaseUrl = arguments
        .base_url
        .parse()
        .map_err(|error| format!("--base-url: {error}"))?;
    let root = &arguments.root_dir;
    let root = Root::new(root).map_err(|error| format!("--root-dir {}: {error}", root.display()))?;
    let password = arguments.password()?;
    let configured = arguments.token()?;
    // One's own token is known to whoever configured it; a log should not know it too. Beside a password nobody
    // needs one that nobody asked for.
    let generated = (configured.is_none() && password.is_none()).then(Token::generate);
    let listener = listen(&arguments.ip, arguments.port()?).await?;
    let address = listener.local_addr()?;

    let keys = Keys {
        has_password: password.is_some(),
        // Beside a password alone, Jupyter's tools get a token that stops the server.
        stop: (configured.is_none() && generated.is_none()).then(Token::generate),
        token: configured.or_else(|| generated.clone()),
    };
    let server = Arc::new(Server {
        auth: gate(&arguments, &keys, password, base_url.clone(), address)?,
        base_url,
        root,
        password_changes: arguments.password_keeper().is_some(),
        stop: Stop::on_signals()?,
    });

    // Gone when the server ends: it is dropped then.
    let _file = tell_jupyter(&arguments, &keys, &server.base_url, address)
        .inspect_err(|error| eprintln!("warning: Jupyter's tools will not find this server: {error}"));
    let home = format!("http://{}{}", reachable(address), server.base_url);
    let link = server.auth.launch_link(&home)?;
    println!(
        "notebook_server listens on http://{address}{}\nhosts: {}\nopen: {}  (once, within a minute)\n\
         log in: {home}login",
        server.base_url,
        hosts_line(&arguments, address),
        link.expose_url(),
    );
    if let Some(token) = &generated {
        println!("token for programs: {}", token.expose());
    }

    let serving = serve(listener, routes(&server), server.stop.clone());
    if arguments.no_browser {
        return serving.await;
    }
    // A link of its own: the printed one is still good when this one was opened.
    let (link, directory) = (server.auth.launch_link(&home)?, runtime::directory()?);
    tokio::select! {
        ended = serving => ended,
        never = browser::open(&link, &directory) => match never {},
    }
}

/// What opens the server, beside the hash of a password.
struct Keys {
    token: Option<Token>,
    stop: Option<Token>,
    has_password: bool,
}

/// Writes `jpserver-<pid>.json`, by which `jupyter server list` and `stop` find the server.
fn tell_jupyter(
    arguments: &Arguments,
    keys: &Keys,
    base_url: &BaseUrl,
    address: SocketAddr,
) -> Result<ServerInfoFile, Failure> {
    let info = ServerInfo::new(address, base_url)
        .with_password(keys.has_password)
        .with_root_dir(arguments.root_dir.canonicalize()?);
    let info = match keys.token.as_ref().or(keys.stop.as_ref()) {
        Some(token) => info.with_token(token.clone()),
        None => info,
    };
    Ok(info.write(runtime::directory()?)?)
}

/// The gate: who may come in, and by what.
fn gate(
    arguments: &Arc<Arguments>,
    keys: &Keys,
    password: Option<PasswordHash>,
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
    let keyring = runtime::keyring(
        arguments.cookie_secret_file.as_deref(),
        arguments.raw_cookie_secret,
    )?;
    let open = base_url.join("api");
    let mut auth = AuthLayer::builder();
    if let Some(token) = &keys.token {
        auth = auth.token(token.clone());
    }
    if let Some(token) = &keys.stop {
        auth = auth
            .tokens(stop_token::verifier(token.clone())?)
            .authorizer(stop_token::rule(base_url.join("api/shutdown")));
    }
    if let Some(password) = password {
        auth = auth.password(password);
    }
    if let Some(keeper) = arguments.password_keeper() {
        // As for `password set`: 8 characters will do.
        let policy = PasswordPolicy::new()
            .with_minimum(8)?
            .with_names(["jupyter", "notebook", "portcullis"]);
        auth = auth.password_change(policy, keeper);
    }
    let auth = auth
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
        Event::PasswordChanged { .. } => writeln!(out, "the password was changed"),
        Event::WeakPassword { .. } => writeln!(out, "warning: the password's hash is weak, set it anew"),
        Event::Refused { reason, path, .. } => writeln!(out, "refused {path}: {reason}"),
        Event::Unavailable { error, path } => writeln!(out, "cannot decide on {path}: {error}"),
        _ => Ok(()),
    };
}

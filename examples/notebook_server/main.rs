//! Jupyter Server's authentication in front of your own pages.
//!
//! ```text
//! cargo run --example notebook_server -- --root-dir .
//! ```
//!
//! opens a browser that is logged in, and prints a link that does the same once. A program sends the token
//! instead: `Authorization: token …`. With a password, which the example `password` sets, users log in by it,
//! and there is no token unless one is configured.
//!
//! If a Jupyter Server has run as the same user, its cookie secret is in the same file: `--raw-cookie-secret` uses it, so each
//! accepts the other's logins, and `--cookie-secret-file FILE` uses another one.
//!
//! `jupyter server list` finds it, and `jupyter server stop` stops it.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    response::Response,
    routing::{get, post},
};
use clap::Parser;
use http::StatusCode;
use portcullis::{
    AuthLayer, BaseUrl, Event, RequestHead, Token,
    jupyter::{ServerInfo, ServerInfoFile},
    middleware::ResponseStyle,
    password::PasswordPolicy,
    request::is_page_request,
};

use common::{
    browser,
    cli::{Credentials, Flags},
    connections, cookie_secret,
    exit::{self, Failure},
    page,
    shutdown::Stop,
    startup,
};
use files::Root;

mod api;
#[path = "../common/mod.rs"]
mod common;
mod directory_page;
mod files;
mod identity_api;
mod stop_token;

/// Jupyter Server's authentication in front of your own pages.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    flags: Flags,

    /// Directory whose files are served.
    #[arg(long, default_value = ".", value_name = "DIRECTORY")]
    root_dir: PathBuf,
}

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
    exit::serve(run)
}

async fn run(Arguments { flags, root_dir }: Arguments) -> Result<(), Failure> {
    let base_url = flags.base_url()?;
    let root = Root::new(&root_dir).map_err(|error| format!("--root-dir {}: {error}", root_dir.display()))?;
    let content = format!("the files in {}", root.path().display());
    let (credentials, tls) = (flags.credentials()?, flags.tls()?);
    let listener = flags.listen().await?;
    let address = listener.local_addr()?;

    // If there is a password alone, Jupyter's tools get a token that stops the server.
    let stop_token = credentials.token.is_none().then(Token::generate);
    let server = Arc::new(Server {
        auth: auth_layer(
            &flags,
            &credentials,
            stop_token.as_ref(),
            base_url.clone(),
            address,
        )?,
        base_url,
        root,
        password_changes: flags.password_keeper().is_some(),
        stop: Stop::on_signals()?,
    });

    // Gone when the server ends: it is dropped then.
    let token = credentials.token.as_ref().or(stop_token.as_ref());
    let info = ServerInfo::new(address, &server.base_url)
        .with_password(credentials.password.is_some())
        .with_root_dir(server.root.path())
        .with_tls(flags.has_tls());
    let _file = tell_jupyter(info, token).inspect_err(|error| {
        tracing::warn!("Jupyter's tools will not find this server: {error}");
    });
    let home = startup::announce(
        "notebook_server",
        &content,
        address,
        &server.base_url,
        &flags,
        &credentials,
        &server.auth,
    )?;

    let serving = connections::serve(
        listener,
        tls,
        routes(&server),
        flags.limits.room(1),
        server.stop.clone(),
    );
    if flags.no_browser {
        return serving.await;
    }
    // A link of its own: the printed one is still good when this one was opened.
    let link = server.auth.launch_link(&home)?.allow_unchecked_permissions();
    let directory = cookie_secret::directory()?;
    tokio::select! {
        ended = serving => ended,
        never = browser::open(&link, &directory) => match never {},
    }
}

/// Writes `jpserver-<pid>.json`, by which `jupyter server list` and `stop` find the server.
fn tell_jupyter(info: ServerInfo, token: Option<&Token>) -> Result<ServerInfoFile, Failure> {
    let info = match token {
        Some(token) => info.with_token(token.clone()),
        None => info,
    };
    // Windows protects the user's profile, which the directory is in.
    let info = info.allow_unchecked_permissions();
    Ok(info.write(cookie_secret::directory()?)?)
}

/// The authentication layer: who has access, and by what.
fn auth_layer(
    flags: &Flags,
    credentials: &Credentials,
    stop_token: Option<&Token>,
    base_url: BaseUrl,
    address: SocketAddr,
) -> Result<AuthLayer, Failure> {
    let open = base_url.join("api");
    let mut auth = AuthLayer::builder();
    if let Some(token) = &credentials.token {
        auth = auth.token(token.clone());
    }
    if let Some(token) = stop_token {
        auth = auth
            .bearer_tokens(stop_token::verifier(token.clone())?)
            .authorizer(stop_token::rule(base_url.join("api/shutdown")));
    }
    if let Some(password) = &credentials.password {
        auth = auth.password(password.clone());
    }
    if flags.has_tls() {
        // Not set without TLS: a proxy that is not configured here may use TLS in front of this server.
        auth = auth.https(true);
    }
    if let Some(keeper) = flags.password_keeper() {
        // As for `password set`: 8 characters will do.
        let policy = PasswordPolicy::new().with_min_length(8)?.with_forbidden_words([
            "jupyter",
            "notebook",
            "portcullis",
        ]);
        auth = auth.allow_password_change(policy, keeper);
    }
    let auth = auth
        .keyring(flags.keyring("jupyter_cookie_secret")?)
        .base_url(base_url)
        .allowed_hosts(flags.hosts(address)?)
        .allowed_origins(flags.origins()?)
        .trusted_proxies(flags.proxies()?)
        // Jupyter's clients expect Jupyter's words: 403 and its JSON, not 401 and a challenge.
        .response_style(ResponseStyle::jupyter())
        .observer(|event: &Event<'_>| startup::log(event))
        .build()?;
    Ok(auth.public_paths([&open]))
}

async fn not_found(State(server): State<Arc<Server>>, request: Request) -> Response {
    server.not_found(RequestHead::new(&request), "There is no such page.")
}

impl Server {
    pub(crate) fn not_found(&self, head: RequestHead<'_>, message: &str) -> Response {
        let is_page = is_page_request(head);
        page::error(is_page, StatusCode::NOT_FOUND, message, self.base_url.as_str())
    }
}

fn routes(server: &Arc<Server>) -> Router {
    let at = |path: &str| server.base_url.join(path);
    Router::new()
        // A base URL may hold `:` and `*`, which older routers took for patterns.
        .without_v07_checks()
        .route(&at(""), get(directory_page::page))
        .route(&at("api"), get(api::version))
        .route(&at("api/events/subscribe"), get(api::echo))
        .route(&at("api/kernelspecs"), get(api::kernelspecs))
        .route(&at("api/me"), get(identity_api::me).patch(identity_api::update))
        .route(&at("api/shutdown"), post(api::shutdown))
        .route(&at("api/status"), get(api::status))
        .route(&at("files/{*path}"), get(files::file))
        .fallback(not_found)
        // After the routes: a layer wraps what is there when it is added.
        .layer(server.auth.clone())
        .with_state(server.clone())
}

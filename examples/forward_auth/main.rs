//! An authentication service for a reverse proxy: nginx (`auth_request`), Traefik (`ForwardAuth`) or Caddy
//! (`forward_auth`) sends it every request for a decision, and it serves the login page.
//!
//! ```text
//! cargo run --example password -- hash
//! cargo run --example forward_auth -- --user alice:argon2:… --allow-host app.example.org
//! ```
//!
//! The manual's chapter "Reverse proxies" has the configuration of the three proxies.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse as _, Redirect, Response},
    routing::{any, get},
};
use clap::Parser;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, uri::PathAndQuery};
use portcullis::{
    AllowedHosts, AuthLayer, Identity, PasswordHash, RequestHead, Session, TrustedProxies,
    authenticate::TokenSource,
    event::{TracingObserver, request_span},
    middleware::Decision,
    request::Peer,
    verify::{MemoryPasswordStore, StoredPasswords},
};

use tower_http::trace::TraceLayer;

use common::{
    connections::{Protocol, serve},
    cookie_secret,
    exit::{self, Failure},
    listen::listen,
    log,
    room::Limits,
    shutdown::Stop,
};

#[path = "../common/mod.rs"]
mod common;

/// An authentication service for a reverse proxy.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Port to listen at on 127.0.0.1, 0 for any free one.
    #[arg(long, default_value_t = 9091)]
    port: u16,

    /// A user and the hash of the password, as `password hash` prints it: `alice:argon2:…`; may be repeated.
    #[arg(long, value_name = "NAME:HASH", required = true)]
    user: Vec<String>,

    /// Address or network of the proxy; may be repeated. Requests from other addresses are refused.
    #[arg(long, value_name = "CIDR", default_value = "127.0.0.1")]
    trusted_proxy: Vec<String>,

    /// Host name under which browsers see the proxy, `name`, `name:port` or `name:*`; may be repeated.
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,

    /// File of the secret that signs cookies, made if it is missing
    /// [default: forward_auth_cookie_secret in $JUPYTER_RUNTIME_DIR].
    #[arg(long, value_name = "FILE")]
    cookie_secret_file: Option<PathBuf>,

    #[command(flatten)]
    limits: Limits,
}

/// What answers the proxy.
#[derive(Clone)]
struct ForwardAuth {
    auth: AuthLayer,
    proxies: Arc<TrustedProxies>,
}

fn main() -> ExitCode {
    exit::run(run)
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    tracing_subscriber::fmt()
        .with_writer(|| log::Stderr)
        .with_ansi(false)
        .init();
    let proxies = TrustedProxies::parse(&arguments.trusted_proxy.join(","))?;
    let auth = auth_layer(&arguments, proxies.clone())?;
    let state = ForwardAuth {
        auth: auth.clone(),
        proxies: Arc::new(proxies),
    };
    let app = Router::new()
        .route("/", get(Redirect::to("/login")))
        // The login page, the logout, and everything else behind them.
        .layer(auth)
        .route("/auth", any(check))
        .route("/auth/nginx", any(check_for_nginx))
        .with_state(state)
        // Each line of the log names the request, without the tokens that its URL may hold.
        .layer(TraceLayer::new_for_http().make_span_with(request_span));

    let listener = listen("127.0.0.1", arguments.port).await?;
    let address: SocketAddr = listener.local_addr()?;
    println!("forward_auth listens on http://{address}/\nasked by proxies at: /auth, /auth/nginx");
    let room = arguments.limits.room(1);
    serve(listener, Protocol::Plain, app, room, Stop::on_signals()?).await
}

fn auth_layer(arguments: &Arguments, proxies: TrustedProxies) -> Result<AuthLayer, Failure> {
    let users = arguments.user.iter().map(|entry| {
        let (name, hash) = entry
            .split_once(':')
            .filter(|(name, _)| HeaderValue::from_str(name).is_ok() && !name.is_empty())
            .ok_or("--user: expected NAME:HASH, the name in visible ASCII characters")?;
        let hash: PasswordHash = hash.parse().map_err(|error| format!("--user {name}: {error}"))?;
        Ok((Identity::new(name), hash))
    });
    let users = MemoryPasswordStore::new(users.collect::<Result<Vec<_>, Failure>>()?)?;
    let mut hosts = AllowedHosts::loopback();
    if !arguments.allow_host.is_empty() {
        let listed = AllowedHosts::from_list(&arguments.allow_host);
        hosts = hosts.union(listed.map_err(|error| format!("--allow-host: {error}"))?);
    }
    Ok(AuthLayer::builder()
        .password_verifier(StoredPasswords::new(users))
        .keyring(cookie_secret::keyring(
            arguments.cookie_secret_file.as_deref(),
            "forward_auth_cookie_secret",
            false,
            false,
        )?)
        .allowed_hosts(hosts)
        .trusted_proxies(proxies)
        // A token in a URL would have to be cleaned out of it, which a proxy cannot pass on.
        .token_sources([TokenSource::Authorization])
        // The pages are the application's, and do not have the layer's `_xsrf`.
        .csrf_by_origin()
        .observer(TracingObserver)
        .build()?)
}

/// Traefik and Caddy pass every answer but 2xx on to the browser, redirects included.
async fn check(State(state): State<ForwardAuth>, request: Request) -> Response {
    state.check(request).await
}

/// nginx knows 2xx, 401 and 403 only, so a redirect to the login page is a 401 with `Location`.
async fn check_for_nginx(State(state): State<ForwardAuth>, request: Request) -> Response {
    let mut response = state.check(request).await;
    if response.status().is_redirection() {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
    }
    response
}

impl ForwardAuth {
    /// Decides about the request that the proxy describes: 204 with the user in `Remote-User`, or a denial.
    async fn check(&self, request: Request) -> Response {
        // Another client could claim any method and path.
        let peer = request.extensions().get::<Peer>();
        if !peer.is_some_and(|peer| self.proxies.contains(*peer)) {
            return text(
                StatusCode::FORBIDDEN,
                "this address is not a trusted proxy: see --trusted-proxy",
            );
        }
        let original = match original_request(&request) {
            Ok(original) => original,
            Err(expected) => return text(StatusCode::BAD_REQUEST, expected),
        };
        match self.auth.decide(RequestHead::new(&original)).await {
            Decision::Allow {
                session: Some(session),
                afterwards,
            } => {
                let mut response = admitted(&session);
                afterwards.apply_to(response.headers_mut());
                response
            }
            Decision::Respond(response) if !response.status().is_success() => response.map(Body::new),
            // A page of the layer with 200 would let the request pass.
            _ => text(
                StatusCode::FORBIDDEN,
                "the proxy has to lead /login and /logout to the authentication service itself",
            ),
        }
    }
}

/// The request that a browser sent to the proxy: with its own method and target, and the headers that were copied.
fn original_request(request: &Request) -> Result<http::Request<()>, &'static str> {
    const METHOD: &str =
        "expected one X-Forwarded-Method with the method of the request: set it in the proxy";
    const URI: &str = "expected one X-Forwarded-Uri with path and query of the request: set it in the proxy";

    let headers = request.headers();
    let method = single(headers, "x-forwarded-method").and_then(|method| Method::from_bytes(method).ok());
    let uri = single(headers, "x-forwarded-uri")
        .filter(|uri| uri.starts_with(b"/"))
        .and_then(|uri| PathAndQuery::try_from(uri).ok());
    let mut original = http::Request::new(());
    *original.method_mut() = method.ok_or(METHOD)?;
    *original.uri_mut() = uri.ok_or(URI)?.into();
    *original.headers_mut() = headers.clone();
    *original.extensions_mut() = request.extensions().clone();
    // Proxies drop `Upgrade`. Without it a handshake would look like a harmless GET, and any site could open a websocket.
    if headers.contains_key(header::SEC_WEBSOCKET_KEY) {
        let websocket = HeaderValue::from_static("websocket");
        original.headers_mut().insert(header::UPGRADE, websocket);
    }
    Ok(original)
}

/// The value of a header field that came exactly once.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    values
        .next()
        .filter(|_| values.next().is_none())
        .map(HeaderValue::as_bytes)
}

/// Who it is, for the proxy to hand to the application.
fn admitted(session: &Session) -> Response {
    match HeaderValue::from_str(session.identity().username()) {
        Ok(username) => (StatusCode::NO_CONTENT, [("remote-user", username)]).into_response(),
        Err(_) => text(
            StatusCode::FORBIDDEN,
            "the user's name does not fit into a header field",
        ),
    }
}

fn text(status: StatusCode, text: &'static str) -> Response {
    (status, [(header::CACHE_CONTROL, "no-store")], format!("{text}\n")).into_response()
}

//! A web application for a team: users in a table, an administrator, sessions that can be ended.
//!
//! `cargo run --example team_server` starts it on SQLite; README.md shows two replicas behind nginx.

mod users;

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{ConnectInfo, Path, State},
    http::request::Parts,
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use clap::Parser;
use portcullis::{
    AllowedHosts, AuthLayer, FileSource, Keyring, PasswordHash, RequestHead, Secret, Session, Token,
    TrustedProxies,
    request::Peer,
    store::{PostgresTokenStore, SessionStore, SqliteTokenStore},
    verify::StoredPasswords,
};

use self::users::Users;

/// A web application for a team.
#[derive(Parser)]
struct Arguments {
    /// Where users, sessions and the cookie secret are kept
    #[arg(long, default_value = "team-data")]
    data: PathBuf,
    /// The port on 127.0.0.1; 0 for any free one
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// The PostgreSQL database that replicas share for their sessions, such as `host=/run/postgresql dbname=team`
    #[arg(long)]
    database: Option<String>,
    /// Another host name that browsers use, such as that of a reverse proxy on this machine
    #[arg(long)]
    host: Vec<String>,
    /// Address or network of a proxy whose X-Forwarded headers are trusted, such as 127.0.0.1; may be repeated
    #[arg(long, value_name = "CIDR")]
    trusted_proxy: Vec<String>,
    /// After how many seconds a session checks whether its user is still in the table; 0 for each request
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    refresh: u64,
}

#[derive(Clone)]
struct App {
    auth: AuthLayer,
    users: Users,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    portcullis::jupyter::create_directory(&arguments.data)?;
    let users = Users::open(&arguments.data.join("users.sqlite"))?;
    // The first start. A user who was removed later does not come back.
    if users.names()?.is_empty() {
        for (name, admin) in [("alice", true), ("bob", false)] {
            let password = Token::generate();
            let hash = PasswordHash::hash(&Secret::from(password.expose()))?;
            users.add(name, &hash, admin)?;
            println!("Added {name}, password {}", password.expose());
        }
    }

    let sessions: Arc<dyn SessionStore> = match &arguments.database {
        Some(database) => Arc::new(PostgresTokenStore::connect(database).await?),
        None => Arc::new(SqliteTokenStore::open(arguments.data.join("sessions.sqlite"))?),
    };
    let passwords = StoredPasswords::new(users.clone());
    let secret = FileSource::cookie_secret(arguments.data.join("cookie_secret")).or_create();
    let hosts = match &arguments.host[..] {
        [] => AllowedHosts::loopback(),
        others => AllowedHosts::loopback().union(AllowedHosts::from_list(others)?),
    };
    let proxies = match &arguments.trusted_proxy[..] {
        [] => TrustedProxies::none(),
        listed => {
            TrustedProxies::parse(&listed.join(",")).map_err(|error| format!("--trusted-proxy: {error}"))?
        }
    };
    let auth = AuthLayer::builder()
        .password_verifier(passwords.clone()) // the login page
        .user_lookup(passwords) // is the user still there, with which scopes, and the same password?
        .refresh_interval(Duration::from_secs(arguments.refresh))
        .sessions(sessions) // a logout and an ended session hold for every replica
        .sessions_page() // each user's own, at /sessions
        .keyring(Keyring::load(&secret)?)
        .allowed_hosts(hosts)
        .peer_extractor(|extensions| Some(Peer::Ip(extensions.get::<ConnectInfo<SocketAddr>>()?.0)))
        .trusted_proxies(proxies)
        .build()?;

    let app = App {
        auth: auth.clone(),
        users,
    };
    let admin = Router::new()
        .route("/admin", get(list))
        .route("/admin/remove/{name}", post(remove))
        .layer(auth.require_scope("admin"));
    let app = Router::new()
        .route("/", get(home))
        .merge(admin)
        .with_state(app)
        .layer(auth);

    let listener = tokio::net::TcpListener::bind(("127.0.0.1", arguments.port)).await?;
    println!(
        "Open http://{}/ and log in. Press Ctrl-C to stop.",
        listener.local_addr()?
    );
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, service).await?)
}

async fn home(session: Session) -> Html<String> {
    let admin = match session.has_scope("admin") {
        true => " <a href=\"/admin\">Users</a>",
        false => "",
    };
    Html(format!(
        "<!doctype html><title>Team</title><h1>Hello, {}</h1><p><a href=\"/sessions\">Your sessions</a>{admin} \
         <a href=\"/logout\">Log out</a></p>",
        escape(session.identity().username())
    ))
}

/// The users, each with a button that removes them.
async fn list(State(app): State<App>, parts: Parts) -> Result<Response, Failure> {
    let xsrf = app
        .auth
        .csrf_token(RequestHead::from_parts(&parts))
        .map_err(|denial| denial.to_string())?;
    let mut page = String::from("<!doctype html><title>Users</title><h1>Users</h1>");
    for name in app.users.names().map_err(|error| error.to_string())? {
        let action = format!("/admin/remove/{}?_xsrf={}", segment(&name), segment(xsrf.value()));
        page += &format!(
            "<form method=\"post\" action=\"{action}\">{} <button>Remove</button></form>",
            escape(&name)
        );
    }
    Ok((xsrf.into_set_cookies(), Html(page)).into_response())
}

/// Removes a user, and ends their sessions at once: without this they would end at the next refresh.
async fn remove(State(app): State<App>, Path(name): Path<String>) -> Result<Redirect, Failure> {
    app.users.remove(&name).map_err(|error| error.to_string())?;
    if let Some(sessions) = app.auth.sessions() {
        sessions.end_all(&name).await.map_err(|error| error.to_string())?;
    }
    Ok(Redirect::to("/admin"))
}

/// An error of the application: the log has it, the browser does not.
struct Failure(String);

impl From<String> for Failure {
    fn from(error: String) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        eprintln!("{}", self.0);
        (
            axum::http::StatusCode::INTERNAL_SERVER_ERROR,
            "Something went wrong. Please try again.\n",
        )
            .into_response()
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

fn segment(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

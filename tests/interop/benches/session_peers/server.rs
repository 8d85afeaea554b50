//! An axum server with portcullis, whose sessions are in SQLite or PostgreSQL.

use std::{collections::HashMap, error::Error, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::request::Parts,
    response::IntoResponse,
    routing::{get, post},
};
use portcullis::{
    AuthLayer, BackendError, Grant, Identity, Keyring, MaybeFuture, RequestHead, Session,
    store::{PostgresTokenStore, SessionStore, SqliteTokenStore},
    verify::UserLookup,
};
use rustix::time::{ClockId, clock_gettime};

use super::client::STATUS_PATH;

/// Serves until the process ends.
pub(crate) async fn serve(kind: &str, database: &str) -> Result<(), Box<dyn Error>> {
    let store: Arc<dyn SessionStore> = match kind {
        "sqlite" => Arc::new(SqliteTokenStore::open(database)?),
        _ => Arc::new(PostgresTokenStore::connect(database).await?),
    };
    let grant = Grant::new(Identity::new("alice"));
    let auth = AuthLayer::builder()
        .custom_login_page()
        .keyring(Keyring::generate())
        .user_lookup(Users(HashMap::from([("alice".to_owned(), grant)])))
        .sessions(store)
        .build()?;
    let router = Router::new()
        .route(STATUS_PATH, get(status))
        .route("/login", post(log_in))
        .with_state(auth.clone())
        .layer(auth)
        .route("/cpu", get(cpu_time));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("Listening on {}", listener.local_addr()?);
    Ok(axum::serve(listener, router).await?)
}

async fn status(session: Session) -> String {
    format!("hello, {}", session.identity().username())
}

async fn log_in(State(auth): State<AuthLayer>, parts: Parts) -> impl IntoResponse {
    let grant = Grant::new(Identity::new("alice"));
    let login = auth.login(RequestHead::from_parts(&parts), grant).await;
    (login.expect("a session in the store"), "logged in")
}

/// The CPU time of the process so far, of all its threads, in nanoseconds.
async fn cpu_time() -> String {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    (time.tv_sec * 1_000_000_000 + time.tv_nsec).to_string()
}

/// The users, in memory.
struct Users(HashMap<String, Grant>);

impl UserLookup for Users {
    fn current(&self, username: &str) -> MaybeFuture<Result<Option<Grant>, BackendError>> {
        MaybeFuture::Ready(Ok(self.0.get(username).cloned()))
    }
}

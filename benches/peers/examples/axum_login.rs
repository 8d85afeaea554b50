//! An axum server with axum-login, whose sessions are in SQLite or PostgreSQL: `axum_login sqlite FILE` or
//! `axum_login postgres URL`. The bench `session_peers` of tests/interop measures it.

use std::{collections::HashMap, convert::Infallible, error::Error, sync::Arc};

use axum::{
    Router,
    http::StatusCode,
    routing::{get, post},
};
use axum_login::{
    AuthManagerLayerBuilder, AuthSession, AuthUser, AuthnBackend, login_required,
    tower_sessions::{SessionManagerLayer, SessionStore},
};
use rustix::time::{ClockId, clock_gettime};
use tower_sessions_sqlx_store::{
    PostgresStore, SqliteStore,
    sqlx::{
        PgPool, SqlitePool,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
    },
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let router = match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["sqlite", file] => {
            // As portcullis opens its own.
            let options = SqliteConnectOptions::new()
                .filename(file)
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full);
            let store = SqliteStore::new(SqlitePool::connect_with(options).await?);
            store.migrate().await?;
            router(store)
        }
        ["postgres", url] => {
            let store = PostgresStore::new(PgPool::connect(url).await?);
            store.migrate().await?;
            router(store)
        }
        others => return Err(format!("expected sqlite FILE or postgres URL, found {others:?}").into()),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("Listening on {}", listener.local_addr()?);
    Ok(axum::serve(listener, router).await?)
}

fn router(store: impl SessionStore + Clone) -> Router {
    let status = async |session: AuthSession<Users>| match session.user {
        Some(user) => Ok(format!("hello, {}", user.name)),
        None => Err(StatusCode::UNAUTHORIZED),
    };
    let login = async |mut session: AuthSession<Users>| {
        let user = session.authenticate(()).await.expect("users in memory");
        let user = user.expect("a known user");
        session.login(&user).await.expect("a session in the store");
        "logged in"
    };
    let user = User {
        name: "alice".to_owned(),
        password_hash: vec![7; 97],
    };
    let users = Users(Arc::new(HashMap::from([("alice".to_owned(), user)])));
    let sessions = SessionManagerLayer::new(store);
    Router::new()
        .route("/api/status", get(status).route_layer(login_required!(Users)))
        .route("/login", post(login))
        .layer(AuthManagerLayerBuilder::new(users, sessions).build())
        .route("/cpu", get(cpu_time))
}

/// The CPU time of the process so far, of all its threads, in nanoseconds.
async fn cpu_time() -> String {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    (time.tv_sec * 1_000_000_000 + time.tv_nsec).to_string()
}

/// The users, in memory.
#[derive(Clone)]
struct Users(Arc<HashMap<String, User>>);

#[derive(Clone, Debug)]
struct User {
    name: String,
    password_hash: Vec<u8>,
}

impl AuthUser for User {
    type Id = String;

    fn id(&self) -> String {
        self.name.clone()
    }

    fn session_auth_hash(&self) -> &[u8] {
        &self.password_hash
    }
}

impl AuthnBackend for Users {
    type User = User;
    type Credentials = ();
    type Error = Infallible;

    async fn authenticate(&self, (): ()) -> Result<Option<User>, Infallible> {
        Ok(self.0.get("alice").cloned())
    }

    async fn get_user(&self, name: &String) -> Result<Option<User>, Infallible> {
        Ok(self.0.get(name).cloned())
    }
}

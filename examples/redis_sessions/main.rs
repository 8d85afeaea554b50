//! A session store over Redis or Valkey, and an application that keeps its sessions there: a worked example of
//! [`SessionStore`](portcullis::store::SessionStore).
//!
//! ```text
//! redis-server --port 6379 --save ''
//! cargo run --example redis_sessions -- --redis redis://127.0.0.1/0
//! ```
//!
//! prints the password of alice. She logs in, sees her sessions at `/sessions` and ends them there.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use axum::{Router, extract::ConnectInfo, routing::get};
use clap::Parser;
use portcullis::{
    AuthLayer, FileSource, Identity, Keyring, PasswordHash, Secret, Session, Token,
    request::Peer,
    verify::{MemoryPasswordStore, StoredPasswords},
};

use common::exit::{self, Failure};
use store::RedisSessionStore;

#[path = "../common/mod.rs"]
mod common;
mod store;

/// An application with its sessions in Redis or Valkey.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// URL of the server: redis://HOST:PORT/DATABASE or redis+unix:///PATH.
    #[arg(long, default_value = "redis://127.0.0.1:6379/0")]
    redis: String,
    /// The port on 127.0.0.1; 0 for any free one
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// The file of the cookie secret, which is created if there is none. With another secret no session is found
    #[arg(long, default_value = "redis_sessions_cookie_secret")]
    cookie_secret: PathBuf,
}

fn main() -> ExitCode {
    exit::run(run)
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let store = RedisSessionStore::connect(&arguments.redis).await;
    let store = store.map_err(|error| format!("--redis: {error}"))?;
    let password = Token::generate();
    println!("alice's password: {}", password.expose());
    let hash = PasswordHash::hash(&Secret::from(password.expose()))?;
    let users = MemoryPasswordStore::new([(Identity::new("alice"), hash)])?;
    let secret = FileSource::cookie_secret(arguments.cookie_secret).or_create();
    let auth = AuthLayer::builder()
        .password_verifier(StoredPasswords::new(users))
        .keyring(Keyring::load(&secret)?)
        .sessions(store)
        .sessions_page()
        .peer_extractor(|extensions| Some(Peer::Ip(extensions.get::<ConnectInfo<SocketAddr>>()?.0)))
        .build()?;
    let app = Router::new().route("/", get(hello)).layer(auth);

    let listener = tokio::net::TcpListener::bind(("127.0.0.1", arguments.port)).await?;
    println!(
        "Open http://{}/ and log in. Press Ctrl-C to stop.",
        listener.local_addr()?
    );
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, service).await?)
}

async fn hello(session: Session) -> String {
    let name = session.identity().username();
    format!("Hello, {name}! Your sessions are at /sessions.\n")
}

//! Users with a name and a password, and a page for administrators: `cargo run --example users`.

use std::net::SocketAddr;

use axum::{Router, extract::ConnectInfo, routing::get};
use portcullis::verify::{MemoryPasswordStore, StoredPasswords};
use portcullis::{AuthLayer, Grant, Identity, PasswordHash, Secret, Session, Token, request::Peer};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let admin = Grant::new(Identity::new("alice")).with_scopes(["admin"]);
    let user = Grant::new(Identity::new("bob"));
    let mut users = Vec::new();
    for grant in [admin, user] {
        // A real server reads the hashes from its database: implement `PasswordStore`.
        let password = Token::generate();
        println!("{}: {}", grant.identity().username(), password.expose());
        users.push((grant, PasswordHash::hash(&Secret::from(password.expose()))?));
    }
    let passwords = StoredPasswords::new(MemoryPasswordStore::from_grants(users)?);
    let auth = AuthLayer::builder()
        .password_verifier(passwords)
        .peer_extractor(|extensions| Some(Peer::Ip(extensions.get::<ConnectInfo<SocketAddr>>()?.0))) // for rate limits
        .build()?;
    let app = Router::new()
        .route("/admin", get(hello).layer(auth.require_scope("admin")))
        .route("/", get(hello))
        .layer(auth); // around all routes, so that it serves /login and /logout

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?; // port 0: any free port
    let address = listener.local_addr()?;
    println!("Open http://{address}/ and http://{address}/admin");
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}

async fn hello(session: Session) -> String {
    format!("Hello, {}!\n", session.identity().username())
}

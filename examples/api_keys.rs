//! An API whose clients send `Authorization: Bearer KEY`: `cargo run --example api_keys`.
//!
//! The variable `API_KEYS` holds the name, scopes and key of each client: `alice:admin=KEY,ci=KEY`.

use axum::{Router, routing::get};
use portcullis::{AuthLayer, EnvSource, Secret, Session, Token, TokenSet, secret::SecretSource};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let keys = EnvSource::new("API_KEYS").load()?.unwrap_or_else(generate);
    let auth = AuthLayer::bearer_tokens(TokenSet::from_named_list(&keys)?);
    let app = Router::new()
        .route("/admin", get(whoami).layer(auth.require_scope("admin")))
        .route("/", get(whoami))
        .layer(auth);

    let listener = TcpListener::bind("127.0.0.1:0").await?; // port 0: any free port
    let address = listener.local_addr()?;
    println!("Try: curl -H 'Authorization: Bearer KEY' http://{address}/  # or /admin");
    Ok(axum::serve(listener, app).await?)
}

fn generate() -> Secret {
    let (alice, ci) = (Token::generate(), Token::generate());
    let keys = format!("alice:admin={},ci={}", alice.expose(), ci.expose());
    println!("API_KEYS is not set. Generated keys: {keys}");
    Secret::from(keys)
}

async fn whoami(session: Session) -> String {
    format!("Hello, {}!\n", session.identity().username())
}

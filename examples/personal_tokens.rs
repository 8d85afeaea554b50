//! Users create, list and revoke tokens of their account: `cargo run --example personal_tokens`.

use axum::extract::{Path, State};
use axum::{Router, http::StatusCode, routing::get};
use portcullis::store::{MemoryTokenStore, RecordId, TokenFilter};
use portcullis::{AuthLayer, Grant, Identity, Session, Token, TokenSet, verify::StoredTokens};

type Tokens = State<StoredTokens<MemoryTokenStore>>; // `SqliteTokenStore` survives a restart
const UNAVAILABLE: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (tokens, login) = (StoredTokens::new(MemoryTokenStore::new()), Token::generate());
    let alice = Grant::new(Identity::new("alice")).with_scopes(["tokens"]);
    let first = TokenSet::new([(login.clone(), alice)])?; // creates the others
    let auth = AuthLayer::builder()
        .bearer_tokens(first)
        .bearer_tokens(tokens.clone())
        .build()?;
    let app = Router::new()
        .route("/tokens", get(list).post(create))
        .route("/tokens/{id}", axum::routing::delete(revoke))
        .layer(auth.require_scope("tokens")) // the new tokens do not have this scope
        .route("/", get("Hello!\n").layer(auth));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?; // port 0: any free port
    let (address, login) = (listener.local_addr()?, login.expose());
    println!("Try: curl -X POST -H 'Authorization: Bearer {login}' http://{address}/tokens");
    Ok(axum::serve(listener, app.with_state(tokens)).await?)
}

async fn create(session: Session, State(tokens): Tokens) -> Result<String, StatusCode> {
    let grant = Grant::new(session.identity().clone());
    let (token, record) = tokens.issue(grant).await.map_err(|_| UNAVAILABLE)?;
    Ok(format!("Token {}, shown once: {}\n", record.id(), token.expose()))
}

async fn list(session: Session, State(tokens): Tokens) -> Result<String, StatusCode> {
    let own = TokenFilter::owner(session.identity().username());
    let own = tokens.list(own).await.map_err(|_| UNAVAILABLE)?;
    Ok(own
        .iter()
        .map(|token| format!("Token {}\n", token.id()))
        .collect())
}

async fn revoke(session: Session, State(tokens): Tokens, Path(id): Path<u64>) -> Result<String, StatusCode> {
    let own = TokenFilter::owner(session.identity().username());
    let revoked = tokens.revoke(own.and_id(RecordId::from(id))).await;
    Ok(format!("Revoked {}\n", revoked.map_err(|_| UNAVAILABLE)?))
}

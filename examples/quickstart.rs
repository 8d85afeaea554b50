//! A page behind a token: `cargo run --example quickstart`, then open the link that it prints.

use axum::{Router, routing::get};
use portcullis::{AuthLayer, Session, Token};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let token = Token::generate();
    let app = Router::new()
        .route("/", get(home))
        .layer(AuthLayer::token(token.clone()));

    let listener = TcpListener::bind("127.0.0.1:0").await?; // port 0: any free port
    let address = listener.local_addr()?;
    println!("Open http://{address}/?token={}", token.expose());
    Ok(axum::serve(listener, app).await?)
}

/// All users share the token, so they are anonymous: the name is an invented one.
async fn home(session: Session) -> String {
    format!("Hello, {}!\n", session.identity().display_name())
}

//! Users log in at an OpenID provider: `cargo run --example sign_in`.
//!
//! The provider of the tests serves for a try; it accepts any name and password:
//! `npm --prefix tests/interop ci && node tests/interop/peers/openid_provider.mjs 4000 3000`.

use axum::{Router, routing::get};
use portcullis::{AuthLayer, Secret, Session, sign_in::OpenIdConnect};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let setting = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let issuer = setting("ISSUER", "http://127.0.0.1:4000");
    let secret = Secret::from(setting("CLIENT_SECRET", "the secret of the example"));
    let provider = OpenIdConnect::discover(&issuer, &setting("CLIENT_ID", "example"), secret).await?;
    let auth = AuthLayer::builder()
        .sign_in_with("Test provider", provider, |claims| Ok(claims.grant()))
        .build()?;
    let app = Router::new().route("/", get(home)).layer(auth);

    // The redirect URI of the client is http://127.0.0.1:3000/login/callback.
    let listener = tokio::net::TcpListener::bind(setting("LISTEN", "127.0.0.1:3000")).await?;
    println!("Open http://{}/", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

async fn home(session: Session) -> String {
    let identity = session.identity();
    format!("Hello, {} ({})!\n", identity.name(), identity.username())
}

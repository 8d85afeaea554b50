//! A gate in front of a tower service that knows who is knocking.
//!
//! Tokens, login cookies and the guards around them, as Jupyter Server and JupyterHub have them, for axum, hyper
//! and tonic alike.
//!
//! ```
//! use axum::{Extension, Router, routing::get};
//! use portcullis::{AuthLayer, Session, Token};
//!
//! async fn status(Extension(session): Extension<Session>) -> String {
//!     format!("hello, {}", session.identity().display_name())
//! }
//!
//! # async fn serve() -> std::io::Result<()> {
//! let token = Token::generate();
//! println!("open http://127.0.0.1:8888/?token={}", token.expose());
//!
//! let app = Router::new().route("/api/status", get(status)).layer(AuthLayer::token(token));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8888").await?;
//! axum::serve(listener, app).await
//! # }
//! ```
//!
//! # What happens to which request
//!
//! | request | answer |
//! |---|---|
//! | `Authorization: Bearer <token>` or `token <token>` | let in; never sets a cookie |
//! | a page opened with `?token=<token>` | a login cookie, then 303 to the same address without the token |
//! | the login cookie | let in, if no other site can have caused the request |
//! | the token, or the password, in the form at `login` | the cookie, then 302 to where the person wanted to go |
//! | a launch link | the cookie, once, within a minute |
//! | a wrong token, a changed or old cookie, nothing | a person is sent to the login page, a program gets 401, gRPC status 16 |
//! | two credentials that differ, a broken one | 400 or 401, and no other is tried |
//! | a `Host` that is not listed | 403, before anything else is looked at |
//! | a POST, or a websocket, that another site caused | 403 |
//!
//! The handler finds a [`Session`] in the request's extensions; a refusal carries a [`Denial`] in those of its
//! answer.
//!
//! # Where to look
//!
//! - [`AuthLayer`] and its [builder](AuthLayerBuilder): the gate.
//! - [`TokenSet`], [`TokenVerifier`], [`Authenticator`], [`authenticator_fn`]: who is let in.
//! - [`FileSource`], [`EnvSource`], [`SourceChain`]: where secrets come from.
//! - [`CookieJar`], [`Keyring`]: cookies of one's own, signed or encrypted.
//! - `hub_server::Hub` (feature `hub-server`): being the hub that services and single-user servers send people to.
//! - [`guard`]: the decision table that every browser's request passes.
//! - `jupyter`, of the feature so called: the files by which Jupyter's tools find a server and its password.
//! - [`manual`]: architecture, Jupyter, threats, defaults, migrating, contributing.

pub mod authenticate;
mod authorizer;
pub mod clock;
pub mod cookies;
mod deadline;
mod denial;
mod digest;
mod error;
pub mod event;
#[cfg(feature = "axum")]
pub mod extract;
#[cfg(feature = "grpc")]
pub mod grpc;
mod html;
#[cfg(feature = "hub-client")]
pub mod hub_client;
#[cfg(feature = "hub-server")]
pub mod hub_server;
#[cfg(feature = "jupyter")]
pub mod jupyter;
pub mod launch_link;
mod layer;
mod login;
pub mod manual;
mod maybe_future;
pub mod middleware;
#[cfg(feature = "oauth")]
pub mod oauth;
#[cfg(feature = "password")]
pub mod password;
mod random;
pub mod rate_limit;
pub mod redirect;
pub mod request;
pub mod request_policy;
pub mod secret;
pub mod session;
pub mod store;
mod swappable;
#[cfg(feature = "testing")]
pub mod testing;
pub mod token;
pub mod verify;

pub use authenticate::{Authenticator, Outcome, authenticator_fn};
pub use authorizer::Authorizer;
pub use cookies::Keyring;
pub use denial::{Denial, Reason};
pub use error::{BackendError, ConfigError};
pub use event::{Event, Observer};
#[cfg(feature = "hub-client")]
pub use hub_client::HubAuth;
pub use layer::{AuthLayer, AuthLayerBuilder};
pub use maybe_future::MaybeFuture;
#[cfg(feature = "password")]
pub use password::PasswordHash;
pub use request::{BaseUrl, RequestHead};
pub use request_policy::{AllowedHosts, AllowedOrigins, TrustedProxies};
pub use secret::{EnvSource, FileSource, Secret};
pub use session::{AuthMethod, Grant, Identity, Scopes, Session};
pub use token::Token;
pub use verify::{PasswordVerifier, TokenSet, TokenVerifier, Verification};

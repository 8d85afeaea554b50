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
//! The names that most programs need are here; each of the rest is in the module of its subject.
//!
//! | module | what it is about |
//! |---|---|
//! | [`AuthLayer`], [`AuthLayerBuilder`] | the layer and all its settings |
//! | [`authenticate`] | who sent a request: tokens, login cookies, closures |
//! | [`verify`] | is this token or password valid: verifiers over one secret, a list, a store |
//! | [`session`] | what a handler gets: identity, grant, scopes |
//! | [`middleware`] | the tower service, its decision, and how a denial is answered |
//! | [`request_policy`] | for which host a request is, and whether another site caused it |
//! | [`rate_limit`] | how often a password may be tried |
//! | [`cookies`] | signed and encrypted cookies, their scopes and keys |
//! | [`secret`], [`token`], `password` | secrets, where they come from, tokens, password hashes |
//! | [`store`] | tokens and sessions in memory, SQLite, PostgreSQL |
//! | [`launch_link`] | links that log a browser in once |
//! | [`event`] | what an operator is told |
//! | [`request`], [`redirect`], [`clock`] | values that the rest is made of |
//! | `extract`, `grpc` | extractors for axum, status codes for gRPC |
//! | `hub_client` | a service or a single-user server behind a JupyterHub |
//! | `hub_server` | being the hub that services and single-user servers send people to |
//! | `oauth` | the messages that both sides of OAuth exchange |
//! | `jupyter` | the files by which Jupyter's tools find a server and its password |
//! | `testing` | a clock, identities, and what every store must be able to do |
//! | [`manual`] | architecture, Jupyter, threats, defaults, deploying, migrating, contributing |

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
mod oneshot;
#[cfg(feature = "password")]
pub mod password;
mod random;
pub mod rate_limit;
pub mod redirect;
pub mod request;
pub mod request_policy;
pub mod secret;
#[cfg(feature = "serde")]
mod serde_values;
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

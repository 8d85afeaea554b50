//! Authentication middleware for tower: bearer tokens, a login page with passwords, login cookies, and protection
//! against cross-site requests.
//!
//! The layer authenticates each request, serves its own login page, and gives handlers a [`Session`]. It works with
//! axum, hyper and tonic, and is compatible with Jupyter Server and JupyterHub.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use portcullis::{AuthLayer, Session, Token};
//! use tokio::net::TcpListener;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let token = Token::generate();
//!     let app = Router::new()
//!         .route("/", get(home))
//!         .layer(AuthLayer::token(token.clone()));
//!
//!     let listener = TcpListener::bind("127.0.0.1:0").await?; // port 0: any free port
//!     let address = listener.local_addr()?;
//!     println!("Open http://{address}/?token={}", token.expose());
//!     Ok(axum::serve(listener, app).await?)
//! }
//!
//! /// All users share the token, so they are anonymous: the name is an invented one.
//! async fn home(session: Session) -> String {
//!     format!("Hello, {}!\n", session.identity().display_name())
//! }
//! ```
//!
//! The example needs the feature `axum`. Without it, handlers find the [`Session`] in the extensions of the request:
//! [`Session::from_extensions`].
//!
//! # Which constructor do I want?
//!
//! | the server has | constructor |
//! |---|---|
//! | one token, printed when it starts; users with a browser | [`AuthLayer::token`] |
//! | one password that all users share | `AuthLayer::password` |
//! | an API with a fixed list of keys, no browser | [`AuthLayer::bearer_tokens`] with a [`TokenSet`] |
//! | users with names and passwords | [`AuthLayerBuilder::password_verifier`] with `verify::StoredPasswords` |
//! | users who log in at Keycloak, Google or another OpenID provider | `AuthLayerBuilder::sign_in_with` with `sign_in::OpenIdConnect` |
//! | users in a database, whose sessions end at a logout or a removal, on every replica | [`AuthLayerBuilder::password_verifier`] with [`sessions`](AuthLayerBuilder::sessions), [`user_lookup`](AuthLayerBuilder::user_lookup) and the same [`keyring`](AuthLayerBuilder::keyring) on every replica |
//! | keys that are created and revoked while the server runs | [`AuthLayer::bearer_tokens`] with [`verify::StoredTokens`] |
//! | access tokens that an OAuth server issues | [`AuthLayer::bearer_tokens`] with `verify::JwtVerifier` |
//! | a credential of its own | [`AuthLayer::new`] with an [`Authenticator`] or [`authenticator_fn`] |
//! | a JupyterHub that starts or proxies it | `AuthLayer::hub` |
//!
//! [`AuthLayer::builder`] combines them and has all settings. [`AuthLayer::optional`], [`AuthLayer::require_scope`]
//! and [`AuthLayer::public_paths`] return the same layer with another rule for some routes.
//!
//! The constructors for browsers accept requests to `localhost` and loopback addresses only, and their logins end with the
//! process. On a server set [`allowed_hosts`](AuthLayerBuilder::allowed_hosts) and [`keyring`](AuthLayerBuilder::keyring);
//! with passwords also [`peer_extractor`](AuthLayerBuilder::peer_extractor), or an attacker can lock a user out.
//! [`AuthLayer::bearer_tokens`] accepts every host and has no logins.
//!
//! An *identity* says who the user is, a *scope* is the name of a permission, and a *grant* is an identity with scopes and
//! perhaps an expiry. A [`Session`] is the grant of one request, and how it was authenticated.
//!
//! # How requests are handled
//!
//! | request | response |
//! |---|---|
//! | `Authorization: Bearer <token>` or `token <token>` | accepted; no cookie is set |
//! | a page opened with `?token=<token>` | sets a login cookie and redirects (303) to the URL without the token |
//! | the login cookie | accepted, unless a page of another site caused the request; a link that a user follows is accepted |
//! | the token or the password, sent by the form at `login` | sets the cookie and redirects (302) to the page that was requested |
//! | a launch link | valid once, for one minute; sets the cookie |
//! | an invalid token in a header | 401 |
//! | a modified or expired cookie, an invalid `?token=`, no credential | a browser is redirected to the login page, other clients get 401, gRPC clients status 16 |
//! | two different tokens, or a malformed one | 400 or 401; the cookie is not used |
//! | a `Host` that is not allowed | 403, checked first |
//! | a POST with the login cookie | needs the `_xsrf` value of the session: in the query, in the header `X-XSRFToken`, or in a form field on a route with `csrf_in_form`. Without it 403, also from your own pages: [`AuthLayer::csrf_token`] |
//! | a POST or a WebSocket with the login cookie that another site caused | 403 |
//!
//! A rejected request has a [`Denial`] in the extensions of its response.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `password` (default) | hashing and verifying passwords with argon2 |
//! | `encrypted-cookies` (default) | `CookieJar::encrypted` |
//! | `axum` | extractors [`Session`] and `Option<Session>`; [`Denial`] and `SetCookies` as responses |
//! | `grpc` | the gRPC status code of a [`Denial`] |
//! | `hub-client` | `AuthLayer::hub`, with an HTTP client of your own |
//! | `hub-client-hyper` | an HTTP client with TLS for it |
//! | `oauth` | the messages of the OAuth code flow |
//! | `openid` | `AuthLayerBuilder::sign_in_with`, and `HubBuilder::sign_in_with` with `hub-server`: users log in at an identity provider |
//! | `jupyter` | the files by which Jupyter's tools find a server and its password |
//! | `jwt` | `verify::JwtVerifier`, `verify::IntrospectionVerifier`: access tokens of an OAuth server |
//! | `hub-server` | a hub: login, OAuth provider, token API |
//! | `serde` | `Serialize` and `Deserialize` for values that are not secret |
//! | `sqlite`, `postgres` | stores of tokens and sessions that survive a restart; `sqlite-bundled` compiles SQLite instead of linking the system's |
//! | `testing` | test identities, a clock that tests control, conformance tests for stores |
//! | `tracing` | events as `tracing` records, and a span of each request without its token |
//!
//! # Modules
//!
//! The names that most programs need are at the crate root. Each of the others is in the module of its subject.
//!
//! | module | subject |
//! |---|---|
//! | [`AuthLayer`], [`AuthLayerBuilder`] | the layer and all its settings |
//! | [`authenticate`] | who sent a request: tokens, login cookies, closures |
//! | [`verify`] | whether a token or password is valid: one secret, a list, a store |
//! | [`session`] | what a handler gets: identity, grant, scopes |
//! | [`middleware`] | the tower service, its decision, and the response to a denial |
//! | [`request_policy`] | the host of a request, and whether another site caused it |
//! | [`rate_limit`] | how often a password may be tried |
//! | [`cookies`] | signed and encrypted cookies, their scopes and keys |
//! | [`secret`], [`token`], `password` | secrets, their sources, tokens, password hashes |
//! | [`store`] | tokens and sessions in memory, SQLite, PostgreSQL |
//! | [`launch_link`] | links that log a browser in once |
//! | [`event`] | events for logs and metrics |
//! | [`request`], [`redirect`], [`clock`] | values that the other modules use |
//! | `extract`, `grpc` | extractors for axum, status codes for gRPC |
//! | `hub_client` | a service or a single-user server behind a JupyterHub |
//! | `hub_server` | a hub that services and single-user servers authenticate users at |
//! | `sign_in` | providers at which users log in by OpenID Connect |
//! | `oauth` | the messages that both sides of OAuth exchange |
//! | `jupyter` | the files by which Jupyter's tools find a server and its password |
//! | `testing` | a clock, identities, and conformance tests for stores |
//!
//! # Where to go next
//!
//! The [`manual`]: [sessions](manual::sessions) that the server can end, [sign-in](manual::sign_in) at an identity provider,
//! [resource servers](manual::resource_servers) that accept JWTs and MCP clients, [mounting](manual::mounting) in routers, [deploying](manual::deploying) with TLS,
//! [reverse proxies](manual::reverse_proxies), [migrating](manual::migrating) from other libraries,
//! [defaults](manual::defaults), the [threat model](manual::threats), and the [architecture](manual::architecture).
//! The folder `examples` of the repository has a small program for each constructor.

#![cfg_attr(docsrs, feature(doc_cfg))]

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
#[cfg(any(feature = "hub-client", feature = "jwt", feature = "openid"))]
mod http_client;
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
#[cfg(feature = "openid")]
pub mod sign_in;
pub mod store;
mod swappable;
#[cfg(feature = "testing")]
pub mod testing;
pub mod token;
pub mod verify;

/// Compiles the programs of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

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

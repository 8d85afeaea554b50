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
mod base_url;
mod challenge;
mod clock;
pub mod cookie;
mod deadline;
mod denial;
mod digest;
mod error;
mod event;
#[cfg(feature = "axum")]
pub mod extract;
mod fields;
mod gate;
mod grant;
#[cfg(feature = "grpc")]
pub mod grpc;
pub mod guard;
mod head;
mod html;
#[cfg(feature = "hub-client")]
pub mod hub;
#[cfg(feature = "hub-server")]
pub mod hub_server;
mod identity;
#[cfg(feature = "jupyter")]
pub mod jupyter;
mod launch_link;
mod layer;
mod login;
pub mod manual;
mod maybe_future;
#[cfg(feature = "oauth")]
pub mod oauth;
#[cfg(feature = "password")]
mod password;
mod peer;
mod percent;
mod query;
mod random;
mod redirect;
mod scopes;
pub mod secret;
mod session;
pub mod store;
mod swappable;
#[cfg(feature = "testing")]
pub mod testing;
mod token;
pub mod verify;

pub use authenticate::{Authenticator, Outcome, TokenSource, authenticator_fn};
pub use authorizer::Authorizer;
pub use base_url::BaseUrl;
pub use challenge::Challenge;
pub use clock::{Clock, MonotonicTime, SystemClock, UnixTime};
pub use cookie::{CookieJar, CookieName, CookieScope, Keyring, Lifetime, RequestCookies, SetCookies};
pub use denial::{Denial, Reason};
pub use error::{BackendError, BoxError, ConfigError};
#[cfg(feature = "tracing")]
pub use event::TracingObserver;
pub use event::{Event, Observer, RedactedPath};
pub use gate::{
    AuthBody, AuthService, CsrfToken, Decision, FormSubmission, LoginSuccess, ResponseAdditions,
    ResponseFuture, ResponseStyle,
};
pub use grant::Grant;
pub use guard::{AllowedHosts, AllowedOrigins, LoginAttempt, LoginRateLimiter, RateLimited, TrustedProxies};
pub use head::RequestHead;
#[cfg(feature = "hub-client")]
pub use hub::HubAuth;
pub use identity::{Identity, IdentityError, IdentityErrorKind};
pub use launch_link::{LaunchLink, LaunchLinkStore, LaunchPageFile, LaunchTarget, LinkAction};
pub use layer::{AuthLayer, AuthLayerBuilder};
pub use maybe_future::{BoxFuture, MaybeFuture};
#[cfg(feature = "password")]
pub use password::PasswordHashWriter;
#[cfg(feature = "password")]
pub use password::{HashCost, PasswordError, PasswordErrorKind, PasswordHash, PasswordPolicy};
#[cfg(feature = "password")]
pub use password::{HashingError, HashingErrorKind, HashingPool, PasswordCheck};
pub use peer::{Peer, Scheme};
pub use query::{Query, TokenBuffer, redact_query};
pub use redirect::{NextUrl, RedirectPolicy};
pub use scopes::{Scope, Scopes};
pub use secret::{BytesSource, EnvSource, FileSource, SecretSource, SourceChain};
pub use secret::{Secret, SecretError, SecretErrorKind};
pub use session::{AuthMethod, Session};
pub use store::{MemoryTokenStore, StoreError, StoreErrorKind, TokenStore};
pub use token::{PresentedToken, Token, TokenHash};
#[cfg(feature = "password")]
pub use verify::{MemoryPasswordStore, PasswordStore, SharedPassword, StoredPasswords};
pub use verify::{PasswordVerifier, StoredTokens, TokenSet, TokenVerifier, Verification};

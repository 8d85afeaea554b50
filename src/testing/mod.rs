//! Utilities for the tests of your own application: feature `testing`.
//!
//! - [`TestIdentity`]: an identity on a request, instead of a login.
//! - [`TestClock`]: a clock that the test sets and advances.
//! - `fast_password_hash` (feature `password`): the hash of a password that is checked in no time.
//! - [`token_store_conformance`]: what every store of tokens must be able to do, and [`session_store_conformance`] every
//!   store of sessions, [`attempt_store_conformance`] every store of password attempts; with the feature `hub-server` also `hub_store_conformance`.
//!
//! Enable the feature in `[dev-dependencies]` alone: `portcullis = { version = "…", features = ["testing"] }`. Nothing here
//! gives access from outside: what it adds to a request can only be added within the process.
//!
//! # Example
//!
//! A handler of your own, alone and behind its layer:
//!
//! ```
//! use axum::{Router, body::Body, http::Request, routing::post};
//! use portcullis::{AuthLayer, Denial, Session, Token, testing::TestIdentity};
//! use tower::ServiceExt;
//!
//! // What is to be tested.
//! async fn publish(session: Session) -> Result<String, Denial> {
//!     session.require_scope("write")?;
//!     Ok(format!("published by {}", session.identity().username()))
//! }
//!
//! fn app(auth: &AuthLayer) -> Router {
//!     Router::new().route("/publish", post(publish)).layer(auth.clone())
//! }
//!
//! // The tests.
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let alice = TestIdentity::new("alice").with_scopes(["write"]);
//! let request = || Request::post("/publish").body(Body::empty()).unwrap();
//!
//! // The handler alone: no layer is involved.
//! let routes = Router::new().route("/publish", post(publish));
//! assert_eq!(routes.oneshot(alice.insert_into(request())).await?.status(), 200);
//!
//! // The whole application: its layer takes alice as authenticated, and keeps all its other rules.
//! let auth = AuthLayer::token(Token::generate());
//! let let_in = alice.authenticate(&auth, request());
//! assert_eq!(app(&auth).oneshot(let_in).await?.status(), 200);
//!
//! let bob = TestIdentity::new("bob").authenticate(&auth, request());
//! assert_eq!(app(&auth).oneshot(bob).await?.status(), 403);
//! # Ok(()) }
//! ```

mod attempt_store;
mod clock;
mod ended_sessions;
#[cfg(feature = "hub-server")]
mod hub_store;
mod identity;
#[cfg(feature = "password")]
mod password;
mod session_steps;
mod session_store;
mod token_store;

#[cfg(feature = "hub-server")]
pub use self::hub_store::hub_store_conformance;
#[cfg(feature = "password")]
pub use self::password::fast_password_hash;
pub use self::{
    attempt_store::attempt_store_conformance, clock::TestClock, identity::TestIdentity,
    session_store::session_store_conformance, token_store::token_store_conformance,
};

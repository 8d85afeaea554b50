//! The authorization code flow of OAuth 2.0, as values: nothing here sends or keeps anything.
//!
//! Both ends are spoken: what a client writes, a provider reads, and back. Everything is strict: a parameter
//! that comes twice, a malformed escape, text that is not UTF-8 or a verifier of another form is an
//! [`OAuthError`], and PKCE knows `S256` alone.
//!
//! Source: RFC 6749, RFC 7636, RFC 9700.

mod client;
mod error;
mod json;
mod message;
mod parameters;
mod pkce;
mod state_cookie;

#[cfg(feature = "hub-client")]
pub(crate) use self::json::object;
#[cfg(feature = "openid")]
pub(crate) use self::state_cookie::{StateCookie, StateStore};
pub use self::{
    client::{CallbackError, LoginRedirect, OAuthCallback, OAuthClient, PendingLogin},
    error::{OAuthError, OAuthErrorKind},
    message::{AuthorizationRequest, AuthorizationResponse, TokenRequest, TokenResponse},
    pkce::{CodeChallenge, CodeVerifier},
};

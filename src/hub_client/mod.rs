//! A client of a JupyterHub: a service, or a server that the hub spawned for a user.
//!
//! [`HubAuth`] holds the settings that the hub gave this process, by its environment or by a [`HubAuthBuilder`];
//! `AuthLayer::hub` creates a layer from it.
//!
//! | request | answer |
//! |---|---|
//! | a page, without a session | 302 to the hub's login, and back to the page |
//! | anything else, without a session | 403, as JupyterHub answers |
//! | a token of the hub, in `Authorization` | checked at the hub's `/user`, allowed if it has access here |
//! | the token cookie of a login | the same, if a page of this server can have caused the request |
//! | `<prefix>oauth_callback` | the hub's answer to a login: the cookie, and 302 to the page |
//! | `<prefix>logout` | the cookie is gone, 302 to the hub's logout |
//!
//! What the hub says of a token is remembered for [`HubAuthBuilder::cache_ttl`] (a refusal for a few seconds),
//! in a bounded cache whose key is the token's hash and the browser's session id; so is how long a token that was
//! revoked may still work. While one request queries the hub for a token, all others that need the same answer wait for it.
//!
//! A logout ends every login whose cookie came with the request: copies of these cookies are refused from then on. It
//! also forgets every answer about their tokens, whatever session id a copy is sent with, and no answer to an earlier
//! question is stored.
//!
//! A token cookie that was decrypted is known by its hash for as long, and not decrypted again; the removal of a key from
//! the keyring takes effect after that time.
//!
//! # When the hub does not answer
//!
//! A cached answer is used until it expires. All other clients get 503 (an API request 502, because JupyterLab takes 503
//! for "your server is not running") with `Retry-After`, and keep their cookie. They never get 403, which the hub alone
//! decides. After five failures in a row the hub gets one request in five seconds only.
//! A readable answer that is no use, and this server's own limits, are no failures of the hub. The limits on requests
//! in progress are separate for known logins, for unknown tokens and for the end of a login, so a flood of the one kind does
//! not stop the others.

mod activity;
mod answers;
mod api;
mod authenticator;
mod build;
mod builder;
mod cookie_cache;
mod cookie_options;
mod env;
mod hub_auth;
mod internal_tls;
mod oauth_callback;
mod revoked_logins;
mod shares;
#[cfg(feature = "hub-client-hyper")]
mod tls;
mod token_cache;

pub use self::{
    activity::ActivityReporter,
    builder::HubAuthBuilder,
    hub_auth::{HubAuth, PROTOCOL_VERSION},
};

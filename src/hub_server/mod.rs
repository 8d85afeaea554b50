//! A JupyterHub server: users log in once, and services and single-user servers redirect them here to identify them.
//!
//! The API is JupyterHub's, so `jupyterhub.services.auth`, `jupyterhub-singleuser` and `AuthLayer::hub` of this crate
//! are clients of it. [`Hub`] is a tower service; [`Hub::builder`] takes a [`HubStore`](crate::store::HubStore), the
//! [`HubUser`]s or a [`UserLookup`](crate::verify::UserLookup) that knows them, and a [`OAuthClientConfig`] for each service
//! and server.

mod activity;
mod activity_log;
mod api_auth;
mod authorize_endpoint;
mod browser_session;
mod builder;
mod client;
mod client_auth;
mod client_registry;
mod client_uri;
mod date;
mod expanded_scopes;
mod home_page;
mod hub;
mod issuer;
mod login_page;
mod logout;
mod members;
mod metadata;
mod notice;
mod providers;
mod refresh_token;
mod registration;
mod registration_endpoint;
mod request;
mod response;
mod route;
mod scope;
mod sign_in;
#[cfg(feature = "openid")]
mod sign_in_setting;
mod state;
mod token_endpoint;
mod token_status;
mod tokens_api;
mod user;
mod user_list;
mod username;
mod users_api;

pub use builder::HubBuilder;
pub use client::OAuthClientConfig;
pub use hub::Hub;
pub use user::{HubUser, HubUsers};
pub use username::Username;

//! Being the hub: people log in once, and services and single-user servers send them here to know who they are.
//!
//! The wire is JupyterHub's, so `jupyterhub.services.auth`, `jupyterhub-singleuser` and `AuthLayer::hub` of this crate
//! are clients of it. [`Hub`] is a tower service; [`Hub::builder`] takes a [`HubStore`](crate::store::HubStore), the
//! [`HubUser`]s, and a [`OAuthClientConfig`] for each service and server.

mod activities;
mod activity;
mod authorize;
mod builder;
mod call;
mod caller;
mod client;
mod date;
mod exchange;
mod expanded;
mod home;
mod hub;
mod login;
mod logout;
mod member;
mod registry;
mod route;
mod scope;
mod shared;
mod tokens;
mod told;
mod username;
mod users;
mod visitor;

pub use builder::HubBuilder;
pub use client::OAuthClientConfig;
pub use hub::Hub;
pub use member::{HubUser, HubUsers};
pub use username::Username;

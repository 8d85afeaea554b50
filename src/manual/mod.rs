//! The manual: how to use, deploy and check the crate, and why it is built as it is.
//!
//! For users:
//!
//! - [`sessions`]: sessions in a store: listed, ended, re-checked, shared by replicas.
//! - [`sign_in`]: users log in at an identity provider, by OpenID Connect.
//! - [`resource_servers`]: access tokens of an OAuth server, and MCP.
//! - [`mounting`]: in routers, nested routers and behind prefixes, and several layers on one host.
//! - [`deploying`]: with TLS, behind a proxy, behind a JupyterHub, and as a proxy.
//! - [`reverse_proxies`]: which headers nginx, Caddy and Traefik must set, and forward authentication.
//! - [`migrating`]: from a bearer layer, a closure, an interceptor, and together with axum-login.
//! - [`defaults`]: every default with its reason.
//!
//! To evaluate it:
//!
//! - [`threats`]: attackers, security guarantees, and the test of each requirement.
//! - [`work_before_proof`]: what a request costs before its client is authenticated, and the limits of it.
//! - [`jupyter`]: what is compatible with Jupyter Server and JupyterHub, and what differs.
//! - [`compatibility`]: the third-party software that the tests run.
//!
//! To change it:
//!
//! - [`architecture`]: modules, how a request is processed, design decisions and their cost.
//! - [`contributing`]: how to test, measure and fuzz.

#[doc = include_str!("architecture.md")]
pub mod architecture {}
#[doc = include_str!("compatibility.md")]
pub mod compatibility {}
#[doc = include_str!("contributing.md")]
pub mod contributing {}
#[doc = include_str!("defaults.md")]
pub mod defaults {}
#[doc = include_str!("deploying.md")]
pub mod deploying {}
#[doc = include_str!("jupyter.md")]
pub mod jupyter {}
#[doc = include_str!("migrating.md")]
pub mod migrating {}
#[doc = include_str!("mounting.md")]
pub mod mounting {}
#[doc = include_str!("resource_servers.md")]
pub mod resource_servers {}
#[doc = include_str!("reverse_proxies.md")]
pub mod reverse_proxies {}
#[doc = include_str!("sessions.md")]
pub mod sessions {}
#[doc = include_str!("sign_in.md")]
pub mod sign_in {}
#[doc = include_str!("threats.md")]
pub mod threats {}
#[doc = include_str!("work_before_proof.md")]
pub mod work_before_proof {}

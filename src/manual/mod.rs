//! The manual: why the crate is as it is.
//!
//! - [`architecture`]: floors and rooms, how a request walks, what decisions cost.
//! - [`jupyter`]: what is matched of Jupyter Server and JupyterHub, and where we differ.
//! - [`threats`]: against whom, what is promised, and the test of each requirement.
//! - [`work_before_proof`]: what a request costs before its client has proved anything, and where that is bounded.
//! - [`defaults`]: every default with its reason.
//! - [`deploying`]: by TLS, behind a proxy, and as one.
//! - [`reverse_proxies`]: which headers nginx, Caddy and Traefik must set, and forward authentication.
//! - [`migrating`]: from a bearer layer, a closure, an interceptor, and beside axum-login.
//! - [`contributing`]: how to test, measure and fuzz.

#[doc = include_str!("architecture.md")]
pub mod architecture {}
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
#[doc = include_str!("reverse_proxies.md")]
pub mod reverse_proxies {}
#[doc = include_str!("threats.md")]
pub mod threats {}
#[doc = include_str!("work_before_proof.md")]
pub mod work_before_proof {}

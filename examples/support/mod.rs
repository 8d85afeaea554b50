//! What every example needs and none is about: how it fails, where it listens, when it stops.
#![allow(dead_code, reason = "each example takes what it needs")]
#![warn(clippy::print_stderr)]

pub(crate) mod browser;
pub(crate) mod connections;
pub(crate) mod console;
pub(crate) mod failure;
pub(crate) mod flags;
pub(crate) mod forward;
pub(crate) mod listen;
pub(crate) mod log;
pub(crate) mod page;
pub(crate) mod proxy_api;
pub(crate) mod room;
#[cfg(feature = "jupyter")]
pub(crate) mod runtime;
pub(crate) mod service_url;
pub(crate) mod stop;
pub(crate) mod tls;
pub(crate) mod until;

//! What every example needs and none is about: how it fails, where it listens, when it stops.
#![allow(dead_code, reason = "each example takes what it needs")]
#![warn(clippy::print_stderr)]

pub(crate) mod browser;
pub(crate) mod cli;
pub(crate) mod connections;
#[cfg(feature = "jupyter")]
pub(crate) mod cookie_secret;
pub(crate) mod exit;
pub(crate) mod forward;
pub(crate) mod hub_service;
pub(crate) mod listen;
pub(crate) mod log;
pub(crate) mod page;
pub(crate) mod proxy_api;
pub(crate) mod room;
pub(crate) mod shutdown;
pub(crate) mod startup;
pub(crate) mod tls;
pub(crate) mod unread_body;
pub(crate) mod until;

//! What the tests against real peers share: an example as a process, a plain HTTP client, and the peers.

pub mod browser;
pub mod cookie_client;
pub mod example;
pub mod headless_browser;
pub mod http;
pub mod install;
pub mod jupyter_server;
pub mod jupyterhub;
pub mod mini_hub;
pub mod openid_provider;
pub mod postgres;
pub mod redis;
pub mod reverse_proxy;
pub mod tls;

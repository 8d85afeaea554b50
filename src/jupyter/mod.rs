//! The files by which Jupyter's tools and servers find each other, and where they lie.
//!
//! | file | in | type |
//! |---|---|---|
//! | `jpserver-<pid>.json`: a running server, for `jupyter server list` and `stop` | [`runtime_directory`] | [`ServerInfo`] |
//! | `jupyter_server_config.json`: the hashed password that `jupyter server password` set | [`config_directory`] | [`ServerConfig`] |
//!
//! Programs read and write them while they start and end, and may block.

#[cfg(unix)]
mod config_file;
#[cfg(not(unix))]
#[path = "config_file_unchecked.rs"]
mod config_file;
mod paths;
mod server_config;
mod server_info;

pub use self::{
    paths::{config_directory, create_directory, runtime_directory},
    server_config::ServerConfig,
    server_info::{ServerInfo, ServerInfoFile},
};

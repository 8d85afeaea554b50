//! Secret files on Unix: every rule is checked on an open descriptor.

mod atomic_create;
mod directory;
#[cfg(any(feature = "jupyter", feature = "sqlite"))]
mod host;
mod links;
mod permissions;

#[cfg(feature = "jupyter")]
pub(super) use rustix::fs::Stat as FileStatus;

pub(super) use self::directory::Directory;
#[cfg(feature = "sqlite")]
pub(crate) use self::host::create_database;
#[cfg(feature = "jupyter")]
pub(crate) use self::host::{FileIdentity, create_directories, identity, process_is_running};

//! Secret files on a system where this crate cannot check who has access to them, such as Windows.
//!
//! Every file is rejected and none is created, unless the caller allows that.
#![cfg_attr(
    unix,
    allow(dead_code, unused_imports, reason = "on Unix only the tests use it")
)]

mod directory;
#[cfg(any(feature = "jupyter", feature = "sqlite"))]
mod host;

pub(super) use self::directory::Directory;
#[cfg(feature = "jupyter")]
pub(super) use self::directory::FileStatus;
#[cfg(feature = "sqlite")]
pub(crate) use self::host::create_database;
#[cfg(feature = "jupyter")]
pub(crate) use self::host::{FileIdentity, create_directories, identity, process_is_running};

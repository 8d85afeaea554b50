//! How a database is opened.

use std::{
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use super::{SqliteTokenStore, fault::fault, schema, threads::Threads};
use crate::{
    secret::Secret,
    store::{StoreError, StoreErrorKind},
};

/// So long another process is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// More threads that read wait for each other's turns on the disk.
const READERS: usize = 4;
/// KiB of pages that one connection keeps.
const CACHE: i64 = 16 * 1_024;
/// More statements than there are.
const STATEMENTS: usize = 64;

/// How a database is opened, if not by the defaults of [`SqliteTokenStore::open`].
///
/// # Example
///
/// ```
/// use portcullis::{Secret, store::SqliteTokenStore};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("tokens.sqlite");
/// let store = SqliteTokenStore::at(&path)
///     .with_key(Secret::from("at least 32 octets from a secret file"))
///     .with_size_limit(64 * 1024 * 1024)
///     .open()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SqliteSettings {
    path: PathBuf,
    key: Option<Secret>,
    size_limit: Option<u64>,
}

impl SqliteSettings {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            key: None,
            size_limit: None,
        }
    }

    /// Default: a random key that lies in the database. The hashes are keyed with this secret instead, which the
    /// database must have been made with.
    ///
    /// A copy of the database then does not even tell whether a token that somebody guesses is in it. Without the
    /// secret all tokens are lost.
    #[must_use]
    pub fn with_key(self, key: Secret) -> Self {
        Self {
            key: Some(key),
            ..self
        }
    }

    /// Default: what the disk has room for. The database grows no larger than this many octets; what finds no room is
    /// refused as [`StoreErrorKind::Full`].
    #[must_use]
    pub fn with_size_limit(self, octets: u64) -> Self {
        Self {
            size_limit: Some(octets),
            ..self
        }
    }

    /// Opens the database, or makes it.
    ///
    /// # Errors
    ///
    /// As [`SqliteTokenStore::open`].
    pub fn open(self) -> Result<SqliteTokenStore, StoreError> {
        // Its owner's alone from birth; the files beside it take its mode.
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.path);
        if let Err(error) = file {
            let message = format!("database {} cannot be opened for writing", self.path.display());
            return Err(StoreError::new(StoreErrorKind::Unavailable, message).with_source(error));
        }
        let mut writer = self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        self.prepare(&writer).map_err(fault)?;
        let opened = schema::open(&mut writer, self.key.as_ref())?;
        let readers = thread::available_parallelism()
            .map_or(1, usize::from)
            .min(READERS);
        let readers = (0..readers).map(|_| self.connect(OpenFlags::SQLITE_OPEN_READ_ONLY));
        let threads = Threads::start(writer, readers.collect::<Result<_, _>>()?)?;
        Ok(SqliteTokenStore::new(threads, opened))
    }

    fn connect(&self, access: OpenFlags) -> Result<Connection, StoreError> {
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(fault)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.busy_timeout(PATIENCE).map_err(fault)?;
        connection
            .pragma_update(None, "cache_size", -CACHE)
            .map_err(fault)?;
        connection
            .pragma_update(None, "trusted_schema", false)
            .map_err(fault)?;
        Ok(connection)
    }

    fn prepare(&self, writer: &Connection) -> Result<(), rusqlite::Error> {
        // Readers and the writer do not wait for each other; what is acknowledged is on the disk.
        writer.pragma_update(None, "journal_mode", "wal")?;
        writer.pragma_update(None, "synchronous", "full")?;
        if let Some(octets) = self.size_limit {
            let page: u32 = writer.pragma_query_value(None, "page_size", |row| row.get(0))?;
            writer.pragma_update(
                None,
                "max_page_count",
                i64::try_from(octets / u64::from(page.max(1))).unwrap_or(i64::MAX),
            )?;
        }
        Ok(())
    }
}

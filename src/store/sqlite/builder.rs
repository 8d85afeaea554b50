//! How a database is opened.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags};

use super::{error::store_error, schema, token_store::SqliteTokenStore, workers::Threads};
use crate::{
    secret::{AllowedPermissions, Secret, create_database},
    store::{StoreError, StoreErrorKind, row::LookupKey},
};

/// How long a lock of another process is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pause before a busy file is opened again.
const PAUSE: Duration = Duration::from_millis(10);
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
/// let store = SqliteTokenStore::builder(&path)
///     .hash_key(Secret::from("at least 32 bytes from a secret file"))
///     .max_size(64 * 1024 * 1024)
///     .open()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SqliteTokenStoreBuilder {
    path: PathBuf,
    key: Option<Secret>,
    size_limit: Option<u64>,
    allowed: AllowedPermissions,
}

impl SqliteTokenStore {
    /// The store in the file at `path`, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// `Config` if the path is one of SQLite's special names such as `:memory:`, if others than the owner can write to the
    /// file or that cannot be checked on this system, or if the key is shorter than 32 bytes; `Unavailable` if the file cannot be opened for writing; `Schema` if it is
    /// no database, or of a newer version, or made with another key; `Busy` if another process holds it for more than
    /// 5 seconds.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::builder(path).open()
    }

    /// The settings to open the file at `path` with.
    pub fn builder(path: impl AsRef<Path>) -> SqliteTokenStoreBuilder {
        SqliteTokenStoreBuilder::new(path.as_ref())
    }
}

impl SqliteTokenStoreBuilder {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            key: None,
            size_limit: None,
            allowed: AllowedPermissions::strict("SqliteTokenStoreBuilder::allow_unchecked_permissions"),
        }
    }

    /// Default: a random key that lies in the database. The hashes are keyed with this secret instead, which the
    /// database must have been made with. It has at least 32 bytes.
    ///
    /// A copy of the database then does not even show whether a guessed token is in it. Without the
    /// secret all tokens are lost.
    #[must_use]
    pub fn hash_key(self, key: Secret) -> Self {
        Self {
            key: Some(key),
            ..self
        }
    }

    /// Default: the size of the disk. The maximum size of the database in bytes; a write beyond it fails with
    /// [`StoreErrorKind::Full`].
    #[must_use]
    pub fn max_size(self, bytes: u64) -> Self {
        Self {
            size_limit: Some(bytes),
            ..self
        }
    }

    /// Opens the file on a system where this crate cannot check who may change it, such as Windows.
    ///
    /// By default, the database is rejected there. On Unix this setter changes nothing.
    ///
    /// # Security
    ///
    /// Use it for a directory that only the server's user may write to. A program that writes to the file can make tokens.
    #[must_use]
    pub fn allow_unchecked_permissions(mut self) -> Self {
        self.allowed.unchecked = true;
        self
    }

    /// Opens the database, or makes it.
    ///
    /// # Errors
    ///
    /// As [`SqliteTokenStore::open`].
    pub fn open(self) -> Result<SqliteTokenStore, StoreError> {
        LookupKey::check_own(self.key.as_ref())?;
        self.check_file()?;
        let start = Instant::now();
        loop {
            // SQLite answers "busy" at once, and does not wait, where two connections that open the same file would wait
            // for each other.
            match self.open_once() {
                Err(error) if error.kind() == StoreErrorKind::Busy && start.elapsed() < PATIENCE => {
                    thread::sleep(PAUSE);
                }
                opened => return opened,
            }
        }
    }

    fn open_once(&self) -> Result<SqliteTokenStore, StoreError> {
        let mut writer = self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        self.prepare(&writer).map_err(store_error)?;
        let opened = schema::open(&mut writer, self.key.as_ref())?;
        let readers = thread::available_parallelism()
            .map_or(1, usize::from)
            .min(READERS);
        let readers = (0..readers).map(|_| self.connect(OpenFlags::SQLITE_OPEN_READ_ONLY));
        let threads = Threads::start(writer, readers.collect::<Result<_, _>>()?)?;
        Ok(SqliteTokenStore::new(threads, opened))
    }

    /// Makes the file if it is not there, and judges who may write to it.
    fn check_file(&self) -> Result<(), StoreError> {
        let settings = |message| StoreError::new(StoreErrorKind::Config, message);
        let path = self.path.display();
        // To SQLite these are no files, or other files than the one that is made here.
        let text = self.path.to_string_lossy();
        if text.starts_with(':') || text.starts_with("file:") {
            return Err(settings(format!(
                "expected the path of a file, found {path}: use MemoryTokenStore for tokens that end with the process"
            )));
        }
        let unavailable = |error: io::Error| {
            let message = format!("database {path} cannot be opened for writing");
            StoreError::new(StoreErrorKind::Unavailable, message).with_source(error)
        };
        // Created with access for its owner alone; the files next to it get the same mode.
        let writers = create_database(&self.path, self.allowed).map_err(unavailable)?;
        if fs::metadata(&self.path).is_ok_and(|file| !file.is_file()) {
            return Err(settings(format!(
                "expected a regular file at {path}, found another kind"
            )));
        }
        writers.map_err(|wrong| settings(format!("database {path} {wrong}")))?;
        Ok(())
    }

    fn connect(&self, access: OpenFlags) -> Result<Connection, StoreError> {
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(store_error)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.busy_timeout(PATIENCE).map_err(store_error)?;
        connection
            .pragma_update(None, "cache_size", -CACHE)
            .map_err(store_error)?;
        connection
            .pragma_update(None, "trusted_schema", false)
            .map_err(store_error)?;
        Ok(connection)
    }

    fn prepare(&self, writer: &Connection) -> Result<(), rusqlite::Error> {
        // Readers and the writer do not wait for each other; what is acknowledged is on the disk.
        writer.pragma_update(None, "journal_mode", "wal")?;
        writer.pragma_update(None, "synchronous", "full")?;
        if let Some(bytes) = self.size_limit {
            let page: u32 = writer.pragma_query_value(None, "page_size", |row| row.get(0))?;
            writer.pragma_update(
                None,
                "max_page_count",
                i64::try_from(bytes / u64::from(page.max(1))).unwrap_or(i64::MAX),
            )?;
        }
        Ok(())
    }
}

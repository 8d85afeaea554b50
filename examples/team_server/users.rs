//! Users in a table of SQLite.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use portcullis::{
    BackendError, Grant, Identity, MaybeFuture, PasswordHash,
    verify::{PasswordLookup, PasswordStore},
};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

/// The table of users. Another program may change it while the server runs.
#[derive(Clone)]
pub(crate) struct Users(Arc<Mutex<Connection>>);

impl Users {
    pub(crate) fn open(file: &Path) -> Result<Self, rusqlite::Error> {
        let connection = Connection::open(file)?;
        connection.execute(
            "CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, password TEXT NOT NULL, admin INTEGER NOT NULL)",
            (),
        )?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    pub(crate) fn add(
        &self,
        name: &str,
        password: &PasswordHash,
        admin: bool,
    ) -> Result<(), rusqlite::Error> {
        let insert = "INSERT INTO users VALUES (?, ?, ?)";
        self.with(|users| {
            users
                .execute(insert, params![name, password.expose(), admin])
                .map(drop)
        })
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), rusqlite::Error> {
        self.with(|users| {
            users
                .execute("DELETE FROM users WHERE name = ?", [name])
                .map(drop)
        })
    }

    pub(crate) fn names(&self) -> Result<Vec<String>, rusqlite::Error> {
        self.with(|users| {
            let mut select = users.prepare("SELECT name FROM users ORDER BY name")?;
            select.query_map((), |row| row.get(0))?.collect()
        })
    }

    fn with<T>(
        &self,
        then: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, rusqlite::Error> {
        then(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// By this the login page checks passwords, and each session whether its user is still there.
impl PasswordStore for Users {
    fn find(&self, username: &str) -> MaybeFuture<PasswordLookup> {
        let (users, username) = (self.clone(), username.to_owned());
        // A query waits for the disk, so it has a thread of its own.
        MaybeFuture::from_future(async move {
            let found = tokio::task::spawn_blocking(move || users.with(|users| read(users, &username)));
            found.await.map_err(BackendError::new)?.map_err(BackendError::new)
        })
    }
}

fn read(users: &Connection, username: &str) -> Result<Option<(Arc<PasswordHash>, Grant)>, rusqlite::Error> {
    let select = "SELECT name, password, admin FROM users WHERE name = ?";
    let user = |row: &Row<'_>| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, bool>(2)?,
        ))
    };
    let Some((name, password, admin)) = users.query_row(select, [username], user).optional()? else {
        return Ok(None);
    };
    let unreadable =
        |error| rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(error));
    let password = password.parse::<PasswordHash>().map_err(unreadable)?;
    let grant = Grant::new(Identity::new(&name));
    let grant = if admin {
        grant.with_scopes(["admin"])
    } else {
        grant
    };
    Ok(Some((Arc::new(password), grant)))
}

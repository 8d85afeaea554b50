//! Files below one directory, and no others.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    body::Body,
    extract::{self, Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use portcullis::RequestHead;
use tokio::fs::{self, File};
use tokio_util::io::ReaderStream;

use crate::Server;

/// The directory whose files are served.
pub(crate) struct Root(PathBuf);

/// One line of a listing.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) is_directory: bool,
}

impl Root {
    /// The directory at `path`, with every symbolic link resolved.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        if path.is_dir() {
            Ok(Self(path))
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The path of the file `name`, or `None` if it must not be shown. `name` is decoded.
    ///
    /// Refused by their look: hidden names (`..` is one of them, and so are the places where keys are kept),
    /// empty ones, and backslashes, which are separators elsewhere. Refused by where they lead: links out of
    /// the directory. A user who may write into it can still replace a link in between; that is its owner.
    async fn find(&self, name: &str) -> Option<PathBuf> {
        let mut path = self.0.clone();
        for part in name.split('/') {
            if part.is_empty() || part.starts_with('.') || part.contains(['\\', '\0']) {
                return None;
            }
            path.push(part);
        }
        let real = fs::canonicalize(path).await.ok()?;
        real.starts_with(&self.0).then_some(real)
    }

    /// The file called `name`.
    async fn open(&self, name: &str) -> Option<File> {
        let path = self.find(name).await?;
        // Before it is opened: opening a pipe would wait for a program to write into it.
        if !fs::metadata(&path).await.ok()?.is_file() {
            return None;
        }
        File::open(&path).await.ok()
    }

    /// What lies in the directory called `name` (`""` is the root itself), sorted: directories first.
    pub(crate) async fn list(&self, name: &str) -> Option<Vec<Entry>> {
        let path = match name {
            "" => self.0.clone(),
            name => self.find(name).await?,
        };
        let mut read = fs::read_dir(path).await.ok()?;
        let mut entries = Vec::new();
        while let Ok(Some(entry)) = read.next_entry().await {
            // A name that is no text cannot stand in a link.
            let Ok(entry) = entry.file_name().into_string() else {
                continue;
            };
            let within = if name.is_empty() {
                entry.clone()
            } else {
                format!("{name}/{entry}")
            };
            // What could not be opened is not listed either.
            let Some(path) = self.find(&within).await else {
                continue;
            };
            let Ok(metadata) = fs::metadata(path).await else {
                continue;
            };
            if metadata.is_dir() || metadata.is_file() {
                entries.push(Entry {
                    name: entry,
                    is_directory: metadata.is_dir(),
                });
            }
        }
        entries.sort_by(|a, b| {
            b.is_directory
                .cmp(&a.is_directory)
                .then_with(|| a.name.cmp(&b.name))
        });
        Some(entries)
    }
}

/// `GET files/<path>`: a file.
pub(crate) async fn file(
    State(server): State<Arc<Server>>,
    extract::Path(name): extract::Path<String>,
    request: Request,
) -> Response {
    // A cookie goes along when a page of any site embeds a picture or a script. The user's own files are for
    // the user's own pages: check which page caused the request.
    let head = RequestHead::new(&request);
    if let Err(denial) = server.auth.require_same_origin(head) {
        return denial.into_response::<Body>(head);
    }
    let Some(file) = server.root.open(&name).await else {
        return server.not_found(head, "There is no such file.");
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type(&name))),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        // A file may be a page with scripts. Sandboxed, it has an origin of its own and none of our powers.
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("frame-ancestors 'self'; sandbox allow-scripts"),
        ),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, no-cache"),
        ),
    ];
    (headers, Body::from_stream(ReaderStream::new(file))).into_response()
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "css" => "text/css; charset=utf-8",
        "csv" | "log" | "md" | "py" | "rs" | "toml" | "txt" => "text/plain; charset=utf-8",
        "gif" => "image/gif",
        "htm" | "html" => "text/html; charset=utf-8",
        "ipynb" | "json" => "application/json",
        "jpeg" | "jpg" => "image/jpeg",
        "js" => "text/javascript; charset=utf-8",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

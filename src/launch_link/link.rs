//! A launch link as it is passed to the user.

use std::{
    fmt,
    path::{Component, Path},
    time::Duration,
};

use crate::{
    html,
    request::percent,
    secret::{
        AllowedPermissions, PrivateFile,
        value::{Secret, SecretError},
    },
};

/// A link that opens once.
///
/// # Security
///
/// The URL is a secret until it is opened. `Debug` prints the type's name only; the text is wiped when dropped.
pub struct LaunchLink {
    url: Secret,
    life: Duration,
    allowed: AllowedPermissions,
}

impl LaunchLink {
    pub(super) fn new(url: String, life: Duration) -> Self {
        Self {
            url: url.into(),
            life,
            allowed: AllowedPermissions::strict("LaunchLink::allow_unchecked_permissions"),
        }
    }

    /// The URL, to hand it to its user. Every call is a place to review: a command line is read by every user of
    /// the machine, so open [`LaunchLink::write_page`]'s file instead.
    pub fn expose_url(&self) -> &str {
        self.url.expose_str().expect("a launch URL is visible ASCII")
    }

    /// How long it lives from its issue on.
    pub fn ttl(&self) -> Duration {
        self.life
    }

    /// Lets [`write_page`](Self::write_page) write the file on a system where this crate cannot check who may read or
    /// change it, such as Windows.
    ///
    /// By default, no file is written there. On Unix this setter changes nothing.
    ///
    /// # Security
    ///
    /// Use it for a directory that only its owner has access to, such as one in the user's profile.
    #[must_use]
    pub fn allow_unchecked_permissions(mut self) -> Self {
        self.allowed.unchecked = true;
        self
    }

    /// A page in `directory` that leads a browser to the link. It is removed when the value is dropped: keep
    /// that until the browser had the time to start, and at most for [`LaunchLink::ttl`].
    ///
    /// # Errors
    ///
    /// `SecretErrorKind::Missing` without that directory, `Permissions` if others may change what is in it, or that
    /// cannot be checked on this system, `System` for what the system refused.
    ///
    /// # Security
    ///
    /// The file is the owner's alone (mode 0600), is created under a random name, and never opened through a
    /// link. Choose a directory that no server gives out: a runtime directory, never one of notebooks.
    pub fn write_page(&self, directory: impl AsRef<Path>) -> Result<LaunchPageFile, SecretError> {
        let page = self.page();
        let file = PrivateFile::create(
            directory.as_ref(),
            "launch-",
            ".html",
            page.expose(),
            self.allowed,
        )?;
        Ok(LaunchPageFile(file))
    }

    fn page(&self) -> Secret {
        let mut url = String::with_capacity(2 * self.url.len());
        html::push_escaped(&mut url, self.expose_url());
        let html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n\
             <meta http-equiv=\"refresh\" content=\"0;url={url}\">\n<title>Opening server…</title>\n</head>\n\
             <body>\n<p><a href=\"{url}\" rel=\"noreferrer\">Open server</a></p>\n</body>\n</html>\n"
        );
        drop(Secret::from(url));
        html.into()
    }
}

impl fmt::Debug for LaunchLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LaunchLink")
    }
}

/// The file of a page that leads to a launch link; removed when dropped.
#[derive(Debug)]
pub struct LaunchPageFile(PrivateFile);

impl LaunchPageFile {
    /// Where the file lies, from the root.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The `file:` URL to open a browser with. It holds no secret.
    pub fn url(&self) -> String {
        let mut url = "file://".to_owned();
        for component in self.path().components() {
            let part = component.as_os_str().as_encoded_bytes();
            match component {
                // A drive of Windows, such as `C:`.
                Component::Prefix(_) => {
                    url.push('/');
                    url.push_str(&String::from_utf8_lossy(part));
                }
                Component::RootDir => {}
                _ => {
                    url.push('/');
                    percent::encode_path(part, &mut url);
                }
            }
        }
        url
    }
}

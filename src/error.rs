//! Errors of configuration, and of backends that do not respond.

use std::{error::Error, fmt, time::Duration};

/// Any error that may move between threads.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// An invalid configuration: the setting, what was expected, and what was found.
///
/// It never contains a secret: of an invalid secret only the form is described.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {message}")]
pub struct ConfigError {
    setting: &'static str,
    message: String,
    source: Option<BoxError>,
}

impl ConfigError {
    pub(crate) fn new(setting: &'static str, message: impl Into<String>) -> Self {
        Self {
            setting,
            message: message.into(),
            source: None,
        }
    }

    /// Returns the name of the setting, such as `allowed_hosts`.
    pub fn setting(&self) -> &'static str {
        self.setting
    }
}

impl From<crate::secret::SecretError> for ConfigError {
    fn from(error: crate::secret::SecretError) -> Self {
        Self {
            setting: "secret",
            message: error.to_string(),
            source: Some(error.into()),
        }
    }
}

/// A store, a hub or a hashing queue that did not respond.
///
/// It never authenticates a request, and is never reported as an invalid credential: the client receives 503.
///
/// As an [`Error`] it has a constant message, and [`source`](Error::source) is the cause.
///
/// # Example
///
/// ```
/// use portcullis::BackendError;
/// use std::error::Error;
///
/// let error = BackendError::new("connection refused");
/// assert_eq!(error.to_string(), "the backend did not respond");
/// assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("connection refused"));
/// ```
pub struct BackendError {
    error: BoxError,
    retry_after: Option<Duration>,
}

impl BackendError {
    /// Creates an error with its cause, for the log. The client does not see it.
    pub fn new(error: impl Into<BoxError>) -> Self {
        Self {
            error: error.into(),
            retry_after: None,
        }
    }

    /// Sets when the client may try again, sent as `Retry-After`. Defaults to 5 seconds.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = Some(retry_after);
        self
    }

    /// Returns when the client may try again.
    pub fn retry_after(&self) -> Duration {
        self.retry_after.unwrap_or(Duration::from_secs(5))
    }

    /// Returns the cause.
    pub fn cause(&self) -> &BoxError {
        &self.error
    }
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the backend did not respond")
    }
}

impl Error for BackendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.error)
    }
}

impl fmt::Debug for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unavailable")
            .field("retry_after", &self.retry_after)
            .finish_non_exhaustive()
    }
}

//! Why a request was denied.

use std::{fmt, sync::Arc, time::Duration};

use http::StatusCode;

/// Why a request was denied: for metrics, logs and tests.
///
/// The discriminants count up from zero without a gap, so a table of counters can be indexed by `reason as usize`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// A cookie came with a request that another site may have caused.
    CrossSite,
    /// The cookie has expired.
    ExpiredCookie,
    /// The token has expired.
    ExpiredToken,
    /// The `Host` is not one of the allowed hosts.
    DisallowedHost,
    /// The user is authenticated, but a required scope is missing.
    InsufficientScope,
    /// The cookie was not issued by this server, or was changed, or two cookies name two users.
    InvalidCookie,
    /// The request is malformed: two credentials, an unreadable one, or no `Host`.
    Malformed,
    /// The token has the prefix of a generated token and a wrong checksum: it was mistyped or truncated.
    TokenChecksumMismatch,
    /// The request has no credential.
    MissingCredential,
    /// There were too many failed attempts.
    RateLimited,
    /// The cookies or the query exceed their limits.
    TooLarge,
    /// The backend that verifies the credential did not respond.
    Unavailable,
    /// The token is well-formed, but unknown.
    UnknownToken,
    /// A token longer than this server's own, such as a JWT that a proxy added. An optional route accepts the
    /// request as anonymous.
    UnsupportedToken,
    /// The username or the password is wrong. Which of the two is not reported.
    IncorrectPassword,
}

impl Reason {
    /// Every reason, in the order of the discriminants.
    #[cfg(any(feature = "serde", test))]
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::CrossSite,
        Self::ExpiredCookie,
        Self::ExpiredToken,
        Self::DisallowedHost,
        Self::InsufficientScope,
        Self::InvalidCookie,
        Self::Malformed,
        Self::TokenChecksumMismatch,
        Self::MissingCredential,
        Self::RateLimited,
        Self::TooLarge,
        Self::Unavailable,
        Self::UnknownToken,
        Self::UnsupportedToken,
        Self::IncorrectPassword,
    ];

    /// The number of reasons.
    pub(crate) const COUNT: usize = Self::IncorrectPassword as usize + 1;

    /// Returns the HTTP status of the response.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::CrossSite | Self::DisallowedHost | Self::InsufficientScope => StatusCode::FORBIDDEN,
            Self::ExpiredCookie
            | Self::ExpiredToken
            | Self::InvalidCookie
            | Self::TokenChecksumMismatch
            | Self::MissingCredential
            | Self::UnknownToken
            | Self::UnsupportedToken
            | Self::IncorrectPassword => StatusCode::UNAUTHORIZED,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Returns the reason as a short text that is safe to log and to show.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CrossSite => "cross-site request",
            Self::ExpiredCookie => "expired cookie",
            Self::ExpiredToken => "expired token",
            Self::DisallowedHost => "host not allowed",
            Self::InsufficientScope => "insufficient scope",
            Self::InvalidCookie => "invalid cookie",
            Self::Malformed => "malformed request",
            Self::TokenChecksumMismatch => "invalid token checksum",
            Self::MissingCredential => "missing credentials",
            Self::RateLimited => "too many attempts",
            Self::TooLarge => "too large",
            Self::Unavailable => "unavailable",
            Self::UnknownToken => "unknown token",
            Self::UnsupportedToken => "unsupported token",
            Self::IncorrectPassword => "incorrect username or password",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A denied request: the reason, the status, and what the client may know.
///
/// The layer inserts it into the extensions of its own responses, where logs and metrics find it. It cannot contain a
/// secret: its texts are constants.
///
/// # Example
///
/// ```
/// use portcullis::{Denial, Reason};
///
/// let denial = Denial::new(Reason::UnknownToken);
/// assert_eq!(denial.status(), http::StatusCode::UNAUTHORIZED);
/// assert_eq!(denial.to_string(), "unknown token");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    detail: &'static str,
    scopes: Option<Arc<[Box<str>]>>,
    retry_after: Option<Duration>,
    status: StatusCode,
    reason: Reason,
}

impl Denial {
    /// Creates a denial with the status of the reason.
    pub const fn new(reason: Reason) -> Self {
        Self {
            reason,
            status: reason.status(),
            detail: "",
            retry_after: None,
            scopes: None,
        }
    }

    /// Creates the denial of an authenticated request that lacks `scope`.
    pub fn insufficient_scope(scope: &str) -> Self {
        Self {
            scopes: Some(Arc::new([scope.into()])),
            ..Self::new(Reason::InsufficientScope)
        }
    }

    /// Sets the scopes that the client needs.
    pub(crate) fn with_scopes(mut self, scopes: Arc<[Box<str>]>) -> Self {
        self.scopes = Some(scopes).filter(|scopes| !scopes.is_empty());
        self
    }

    /// Sets a sentence that is added to the response and to the log. Defaults to none.
    #[must_use]
    pub const fn with_detail(mut self, detail: &'static str) -> Self {
        self.detail = detail;
        self
    }

    /// Sets how long to wait before the next attempt. Defaults to none.
    #[must_use]
    pub const fn with_retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = Some(retry_after);
        self
    }

    pub(crate) const fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Returns `true` if it has only a reason, with the status of the reason.
    pub(crate) fn is_reason_alone(&self) -> bool {
        self.detail.is_empty()
            && self.scopes.is_none()
            && self.retry_after.is_none()
            && self.status == self.reason.status()
    }

    /// Returns the reason.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Returns the HTTP status of the response.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the sentence that is added to the reason, or an empty text.
    pub fn detail(&self) -> &'static str {
        self.detail
    }

    /// Returns how long the client should wait before the next attempt, if known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns the first of [`scopes`](Self::scopes).
    pub fn scope(&self) -> Option<&str> {
        self.scopes().next()
    }

    /// Returns the scopes that the client needs.
    ///
    /// These are all that the route requires for `Reason::InsufficientScope`, the missing ones first, and for
    /// `Reason::MissingCredential`. A denial by [`insufficient_scope`](Self::insufficient_scope) has that one. Other
    /// reasons have none.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::{Denial, Reason};
    ///
    /// assert!(Denial::insufficient_scope("write").scopes().eq(["write"]));
    /// assert_eq!(Denial::new(Reason::UnknownToken).scopes().count(), 0);
    /// ```
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scopes
            .iter()
            .flat_map(|scopes| scopes.iter())
            .map(|scope| &**scope)
    }
}

impl From<Reason> for Denial {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.as_str())?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for Denial {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_reasons_has_each_at_its_place() {
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
        }
    }

    #[test]
    fn denials_are_equal_if_the_client_learns_the_same() {
        let denial = Denial::insufficient_scope("write");
        assert_eq!(denial, Denial::insufficient_scope("write"));
        assert_ne!(denial, Denial::insufficient_scope("read"));
        assert_ne!(denial, Denial::new(Reason::InsufficientScope));
        assert_ne!(denial, denial.clone().with_detail("contact the owner"));
        assert_ne!(denial, denial.clone().with_retry_after(Duration::from_secs(1)));
    }
}

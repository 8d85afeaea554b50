//! Which guard refused.

use http::StatusCode;

use crate::denial::{Denial, Reason};

/// The guard that refused a request, read back from its [`Denial`].
///
/// # Example
///
/// ```
/// use portcullis::{request_policy::{PolicyRule, RequestPolicy}, Denial, RequestHead};
///
/// let request = http::Request::builder().header("host", "evil.example").body(()).unwrap();
/// let denial = RequestPolicy::new().check_target(RequestHead::new(&request)).unwrap_err();
/// assert_eq!(PolicyRule::from_denial(&denial), Some(PolicyRule::Host));
/// assert_eq!(PolicyRule::from_denial(&Denial::new(portcullis::Reason::MissingCredential)), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PolicyRule {
    /// Fetch Metadata reports another site.
    FetchMetadata,
    /// The host is not one this server answers for, or cannot be read.
    Host,
    /// A method that is never answered.
    Method,
    /// The Origin or the Referer is another site's, missing where one is required, or cannot be read.
    Origin,
    /// The scheme that a trusted proxy reported is not the public origin's, or cannot be read.
    Scheme,
    /// The `_xsrf` argument is missing or not valid for the session. The response should carry a fresh cookie.
    Csrf,
}

impl PolicyRule {
    /// The guard that made `denial`, or `None` if no guard did.
    pub fn from_denial(denial: &Denial) -> Option<Self> {
        PolicyViolation::ALL
            .into_iter()
            .find(|refusal| refusal.detail() == denial.detail())
            .map(PolicyViolation::rule)
    }
}

/// Every denial of the request checks, with its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PolicyViolation {
    FetchMetadata,
    DisallowedHost,
    DisallowedOrigin,
    DisallowedReferer,
    SchemeMismatch,
    WebSocketOrigin,
    MalformedHost,
    MalformedOrigin,
    MalformedScheme,
    Method,
    MissingOrigin,
    CsrfFormat,
    XsrfMismatch,
    XsrfMissing,
}

impl PolicyViolation {
    const ALL: [Self; 14] = [
        Self::FetchMetadata,
        Self::DisallowedHost,
        Self::DisallowedOrigin,
        Self::DisallowedReferer,
        Self::SchemeMismatch,
        Self::WebSocketOrigin,
        Self::MalformedHost,
        Self::MalformedOrigin,
        Self::MalformedScheme,
        Self::Method,
        Self::MissingOrigin,
        Self::CsrfFormat,
        Self::XsrfMismatch,
        Self::XsrfMissing,
    ];

    const fn rule(self) -> PolicyRule {
        match self {
            Self::FetchMetadata => PolicyRule::FetchMetadata,
            Self::DisallowedHost | Self::MalformedHost => PolicyRule::Host,
            Self::DisallowedOrigin
            | Self::DisallowedReferer
            | Self::WebSocketOrigin
            | Self::MalformedOrigin
            | Self::MissingOrigin => PolicyRule::Origin,
            Self::SchemeMismatch | Self::MalformedScheme => PolicyRule::Scheme,
            Self::Method => PolicyRule::Method,
            Self::CsrfFormat | Self::XsrfMismatch | Self::XsrfMissing => PolicyRule::Csrf,
        }
    }

    /// The texts about `_xsrf` and sockets are Jupyter Server's, word for word: its clients look for them.
    const fn detail(self) -> &'static str {
        match self {
            Self::FetchMetadata => "Sec-Fetch-Site reports another site",
            Self::DisallowedHost => "host is not in the allowed hosts",
            Self::DisallowedOrigin => "origin not allowed",
            Self::DisallowedReferer => "referer not allowed",
            Self::SchemeMismatch => "scheme does not match the public origin",
            Self::WebSocketOrigin => "Cross origin websockets not allowed",
            Self::MalformedHost => "missing, duplicate or malformed Host header",
            Self::MalformedOrigin => "duplicate or malformed Origin or Sec-Fetch-Site header",
            Self::MalformedScheme => "expected one X-Forwarded-Proto that begins with http, https, ws or wss",
            Self::Method => "TRACE and CONNECT are not supported",
            Self::MissingOrigin => "missing Origin or Sec-Fetch-Site header",
            Self::CsrfFormat => "'_xsrf' argument has invalid format",
            Self::XsrfMismatch => "XSRF cookie does not match POST argument",
            Self::XsrfMissing => XSRF_MISSING,
        }
    }
}

/// The detail of a denial for a missing `_xsrf`.
pub(crate) const XSRF_MISSING: &str = "'_xsrf' argument missing from POST";

impl From<PolicyViolation> for Denial {
    #[cold]
    fn from(refusal: PolicyViolation) -> Self {
        let denial = match refusal {
            PolicyViolation::MalformedHost | PolicyViolation::MalformedScheme => Self::new(Reason::Malformed),
            PolicyViolation::Method => {
                Self::new(Reason::Malformed).with_status(StatusCode::METHOD_NOT_ALLOWED)
            }
            PolicyViolation::DisallowedHost | PolicyViolation::SchemeMismatch => {
                Self::new(Reason::DisallowedHost)
            }
            _ => Self::new(Reason::CrossSite),
        };
        denial.with_detail(refusal.detail())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_read_back_as_the_rule_that_made_it() {
        for refusal in PolicyViolation::ALL {
            let denial = Denial::from(refusal);
            assert_eq!(
                PolicyRule::from_denial(&denial),
                Some(refusal.rule()),
                "{refusal:?}"
            );
        }
        assert_eq!(PolicyRule::from_denial(&Denial::new(Reason::CrossSite)), None);
    }
}

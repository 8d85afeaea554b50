//! Which guard refused.

use http::StatusCode;

use crate::denial::{Denial, Reason};

/// The guard that refused a request, read back from its [`Denial`].
///
/// # Example
///
/// ```
/// use portcullis::{Denial, Head, guard::{GuardRule, Guards}};
///
/// let request = http::Request::builder().header("host", "evil.example").body(()).unwrap();
/// let denial = Guards::new().surroundings(Head::of(&request)).unwrap_err();
/// assert_eq!(GuardRule::that_refused(&denial), Some(GuardRule::Host));
/// assert_eq!(GuardRule::that_refused(&Denial::new(portcullis::Reason::NoCredential)), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GuardRule {
    /// Fetch Metadata tells of another site.
    FetchMetadata,
    /// The host is not one this server answers for, or cannot be read.
    Host,
    /// A method that is never answered.
    Method,
    /// The Origin or the Referer is another site's, missing where one is required, or cannot be read.
    Origin,
    /// The scheme that a trusted proxy reported is not the public origin's, or cannot be read.
    Scheme,
    /// The `_xsrf` argument is missing or not good for the session. The answer should carry a fresh cookie.
    Xsrf,
}

impl GuardRule {
    /// The guard that made `denial`, or `None` if no guard did.
    pub fn that_refused(denial: &Denial) -> Option<Self> {
        Refusal::ALL
            .into_iter()
            .find(|refusal| refusal.detail() == denial.detail())
            .map(Refusal::rule)
    }
}

/// Every refusal of the guards, with the sentence that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    CrossSite,
    ForeignHost,
    ForeignOrigin,
    ForeignReferer,
    ForeignScheme,
    ForeignSocket,
    MalformedHost,
    MalformedOrigin,
    MalformedScheme,
    Method,
    UnprovenOrigin,
    XsrfFormat,
    XsrfMismatch,
    XsrfMissing,
}

impl Refusal {
    const ALL: [Self; 14] = [
        Self::CrossSite,
        Self::ForeignHost,
        Self::ForeignOrigin,
        Self::ForeignReferer,
        Self::ForeignScheme,
        Self::ForeignSocket,
        Self::MalformedHost,
        Self::MalformedOrigin,
        Self::MalformedScheme,
        Self::Method,
        Self::UnprovenOrigin,
        Self::XsrfFormat,
        Self::XsrfMismatch,
        Self::XsrfMissing,
    ];

    const fn rule(self) -> GuardRule {
        match self {
            Self::CrossSite => GuardRule::FetchMetadata,
            Self::ForeignHost | Self::MalformedHost => GuardRule::Host,
            Self::ForeignOrigin
            | Self::ForeignReferer
            | Self::ForeignSocket
            | Self::MalformedOrigin
            | Self::UnprovenOrigin => GuardRule::Origin,
            Self::ForeignScheme | Self::MalformedScheme => GuardRule::Scheme,
            Self::Method => GuardRule::Method,
            Self::XsrfFormat | Self::XsrfMismatch | Self::XsrfMissing => GuardRule::Xsrf,
        }
    }

    /// The texts about `_xsrf` and sockets are Jupyter Server's, word for word: its clients look for them.
    const fn detail(self) -> &'static str {
        match self {
            Self::CrossSite => "Sec-Fetch-Site tells of another site",
            Self::ForeignHost => "this server does not answer for that Host",
            Self::ForeignOrigin => "the Origin is another site's",
            Self::ForeignReferer => "the Referer is another site's",
            Self::ForeignScheme => "the scheme is not the public origin's",
            Self::ForeignSocket => "Cross origin websockets not allowed",
            Self::MalformedHost => "expected one well-formed Host",
            Self::MalformedOrigin => "expected at most one Origin and Sec-Fetch-Site, well-formed",
            Self::MalformedScheme => "expected one X-Forwarded-Proto that begins with http, https, ws or wss",
            Self::Method => "neither TRACE nor a CONNECT tunnel is answered",
            Self::UnprovenOrigin => "nothing shows that a page of this server caused the request",
            Self::XsrfFormat => "'_xsrf' argument has invalid format",
            Self::XsrfMismatch => "XSRF cookie does not match POST argument",
            Self::XsrfMissing => "'_xsrf' argument missing from POST",
        }
    }
}

impl From<Refusal> for Denial {
    #[cold]
    fn from(refusal: Refusal) -> Self {
        let denial = match refusal {
            Refusal::MalformedHost | Refusal::MalformedScheme => Self::new(Reason::Malformed),
            Refusal::Method => Self::new(Reason::Malformed).with_status(StatusCode::METHOD_NOT_ALLOWED),
            Refusal::ForeignHost | Refusal::ForeignScheme => Self::new(Reason::ForeignHost),
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
        for refusal in Refusal::ALL {
            let denial = Denial::from(refusal);
            assert_eq!(
                GuardRule::that_refused(&denial),
                Some(refusal.rule()),
                "{refusal:?}"
            );
        }
        assert_eq!(GuardRule::that_refused(&Denial::new(Reason::CrossSite)), None);
    }
}

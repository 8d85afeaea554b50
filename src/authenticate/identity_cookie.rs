//! The login cookie that holds who somebody is.

use super::{Authenticator, Outcome, login_payload};
use crate::{
    answer::Answer,
    cookie::{CookieJar, OpenError, Read, RequestCookies},
    denial::{Denial, Reason},
    head::Head,
    session::{Credential, Session},
};

/// Whoever the login cookie of a request names: Jupyter Server's way, where nothing is kept on the server.
///
/// The payload is that of [`Identity::to_payload`](crate::Identity::to_payload), with the scopes and the end of the grant
/// where it has them. A cookie that cannot be opened, or names nobody, is
/// `Rejected`; the gate removes it from the browser.
///
/// # Security
///
/// Without anything kept on the server, a copied cookie is good until its time is over or the key changes.
///
/// # Example
///
/// ```
/// use portcullis::{CookieJar, CookieScope, Keyring, authenticate::IdentityCookie};
///
/// let jar = CookieJar::signed(&Keyring::generate(), CookieScope::server("/")?);
/// let authenticator = IdentityCookie::new(jar);
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct IdentityCookie {
    jar: CookieJar,
}

impl IdentityCookie {
    /// Reads the cookie of `jar`.
    pub fn new(jar: CookieJar) -> Self {
        Self { jar }
    }

    /// The jar it reads.
    pub fn jar(&self) -> &CookieJar {
        &self.jar
    }

    fn outcome(&self, head: Head<'_>) -> Outcome {
        let cookies = match RequestCookies::of_head(head) {
            Ok(cookies) => cookies,
            Err(_) => {
                return Outcome::Malformed(
                    Denial::new(Reason::TooLarge)
                        .with_detail("the cookies are more than 16384 octets or 256 pairs"),
                );
            }
        };
        if cookies.is_empty() {
            return Outcome::Absent;
        }
        let jar = self.jar.at(head.host().unwrap_or_default());
        let who = |payload: &[u8]| login_payload::from_payload(payload);
        jar.read_with(
            &cookies,
            || head.now(),
            who,
            |read| match read {
                Read::Absent => Outcome::Absent,
                Read::Ambiguous | Read::Refused(OpenError::Invalid) => {
                    Outcome::Rejected(Reason::InvalidCookie)
                }
                Read::Refused(OpenError::Expired) => Outcome::Rejected(Reason::ExpiredCookie),
                Read::Opened(opened) => match who(opened.payload()) {
                    Some(grant) => Outcome::Accepted(Session::new(grant, Credential::Cookie)),
                    None => Outcome::Rejected(Reason::InvalidCookie),
                },
            },
        )
    }
}

impl Authenticator for IdentityCookie {
    fn authenticate(&self, head: Head<'_>) -> Answer<Outcome> {
        Answer::Now(self.outcome(head))
    }
}

//! The login cookie that holds who somebody is.

use std::{fmt, sync::Arc};

use super::{Authenticator, Outcome, login_payload};
use crate::{
    answer::Answer,
    cookie::{CookieJar, OpenError, Read, RequestCookies},
    denial::{Denial, Reason},
    head::Head,
    session::{Credential, Session},
    token::TokenHash,
    verify::{TokenVerifier, Verdict},
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
#[derive(Clone)]
pub struct IdentityCookie {
    jar: CookieJar,
    /// Who knows the tokens that logins were made with.
    verifiers: Vec<Arc<dyn TokenVerifier>>,
}

impl IdentityCookie {
    /// Reads the cookie of `jar`.
    pub fn new(jar: CookieJar) -> Self {
        Self {
            jar,
            verifiers: Vec::new(),
        }
    }

    /// The same, which asks these verifiers whether the token of a login is still good.
    pub(crate) fn with_verifiers(self, verifiers: Vec<Arc<dyn TokenVerifier>>) -> Self {
        Self { verifiers, ..self }
    }

    /// The jar it reads.
    pub fn jar(&self) -> &CookieJar {
        &self.jar
    }

    fn outcome(&self, head: Head<'_>) -> Answer<Outcome> {
        let cookies = match RequestCookies::of_head(head) {
            Ok(cookies) => cookies,
            Err(_) => {
                let denial = Denial::new(Reason::TooLarge)
                    .with_detail("the cookies are more than 16384 octets or 256 pairs");
                return Outcome::Malformed(denial).into();
            }
        };
        if cookies.is_empty() {
            return Outcome::Absent.into();
        }
        let jar = self.jar.at(head.host().unwrap_or_default());
        let who = |payload: &[u8]| login_payload::from_payload(payload);
        let read = |read: Read<'_>| match read {
            Read::Absent => Outcome::Absent.into(),
            Read::Ambiguous | Read::Refused(OpenError::Invalid) => {
                Outcome::Rejected(Reason::InvalidCookie).into()
            }
            Read::Refused(OpenError::Expired) => Outcome::Rejected(Reason::ExpiredCookie).into(),
            Read::Opened(opened) => match who(opened.payload()) {
                Some(login) => match login.token {
                    None => Outcome::Accepted(Session::new(login.grant, Credential::Cookie)).into(),
                    Some(token) => self.ask(token),
                },
                None => Outcome::Rejected(Reason::InvalidCookie).into(),
            },
        };
        jar.read_with(&cookies, || head.now(), who, read)
    }

    /// What a login is worth that was made with the token of this hash: what the token is worth now.
    #[cold]
    fn ask(&self, token: TokenHash) -> Answer<Outcome> {
        let mut answers = Vec::new();
        for verifier in &self.verifiers {
            match verifier.verify_hash(token) {
                // Nothing has to be waited for, as long as nobody before has to be.
                Answer::Now(Verdict::Known(grant)) if answers.is_empty() => {
                    return Outcome::Accepted(Session::new(grant, Credential::Cookie)).into();
                }
                Answer::Now(Verdict::Unknown | Verdict::Refused(_)) => {}
                answer => answers.push(answer),
            }
        }
        if answers.is_empty() {
            return Outcome::Rejected(Reason::ExpiredCookie).into();
        }
        Answer::later(async move {
            let mut outcome = Outcome::Rejected(Reason::ExpiredCookie);
            for answer in answers {
                match answer.await {
                    Verdict::Known(grant) => {
                        return Outcome::Accepted(Session::new(grant, Credential::Cookie));
                    }
                    Verdict::Unavailable(unavailable) => outcome = Outcome::Unavailable(unavailable),
                    Verdict::Refused(_) | Verdict::Unknown => {}
                }
            }
            outcome
        })
    }
}

impl Authenticator for IdentityCookie {
    fn authenticate(&self, head: Head<'_>) -> Answer<Outcome> {
        self.outcome(head)
    }
}

impl fmt::Debug for IdentityCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityCookie")
            .field("jar", &self.jar)
            .finish_non_exhaustive()
    }
}

//! Who comes in by a password: those who know it, the throttle before them, and a login by a handler of one's own.

use std::{fmt, net::IpAddr, sync::Arc};

use super::{gate::Gate, passage::Passage};
use crate::{
    answer::Answer,
    cookie::SetCookies,
    denial::{Denial, Reason},
    event::{Event, LoggedPath},
    grant::Grant,
    guard::{Permit, Throttle, Throttled},
    head::Head,
    identity::Identity,
    secret::Secret,
    session::{Credential, Session},
    verify::{PasswordVerifier, Verdict},
};

/// Who knows passwords, and how often they are asked.
pub(crate) struct Passwords {
    pub(crate) verifier: Option<Arc<dyn PasswordVerifier>>,
    /// Whether people have names here, or share one password.
    pub(crate) ask_for_username: bool,
    pub(crate) throttle: Throttle,
}

impl Passwords {
    pub(crate) fn new(verifier: Option<Arc<dyn PasswordVerifier>>, ask_for_username: bool) -> Self {
        Self {
            verifier,
            ask_for_username,
            throttle: Throttle::new(),
        }
    }
}

impl Gate {
    /// Whether somebody may try a password for `username` now. Of the first client whose address is not known the
    /// operator is told, once.
    ///
    /// # Errors
    ///
    /// Not now, and when.
    pub(crate) fn may_try(&self, username: &str, client: Option<IpAddr>) -> Result<Permit, Throttled> {
        let passwords = &self.passwords;
        if passwords.throttle.is_first_unknown(client) {
            self.tell(&Event::UnknownClient);
        }
        passwords.throttle.check(username, client, self.clock.moment())
    }

    /// The grant of somebody who proved it by a password.
    pub(crate) fn granted(&self, grant: Grant) -> Grant {
        let passwords = &self.passwords;
        let grant = if passwords.ask_for_username {
            grant
        } else {
            // Who shares a password has no name: each login is somebody new, with a session of its own.
            Grant::new(Identity::anonymous())
        };
        if passwords
            .verifier
            .as_ref()
            .is_some_and(|verifier| verifier.keeps_weak_hash())
        {
            let identity = grant.identity();
            self.tell(&Event::WeakPasswordHash { identity });
        }
        grant
    }
}

/// Somebody who proved by a password who they are: what [`AuthLayer::verify_password`] gives.
///
/// [`AuthLayer::verify_password`]: crate::AuthLayer::verify_password
#[must_use = "a browser is logged in by the cookies"]
pub struct Login {
    session: Session,
    cookies: SetCookies,
}

impl Login {
    /// Who, and what they may do.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The cookies of the login, the session first: to be put on the answer.
    pub fn set_cookies(self) -> SetCookies {
        self.cookies
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl Passage {
    /// See [`AuthLayer::verify_password`](crate::AuthLayer::verify_password).
    pub(crate) fn verify_password(
        &self,
        head: Head<'_>,
        username: &str,
        password: &Secret,
    ) -> Answer<Result<Login, Denial>> {
        let gate = &self.gate;
        let surroundings = match gate.guards.surroundings(head) {
            Ok(surroundings) => surroundings,
            Err(denial) => return Err(denial).into(),
        };
        let attempt = Attempt {
            gate: Arc::clone(gate),
            host: head.host().unwrap_or_default().into(),
            path: head.uri().path().into(),
            client: gate.guards.client(&surroundings, head),
            https: super::login_cookie::is_https(&surroundings),
        };
        if gate.guards.shows_another_site(&surroundings, head) {
            return Err(attempt.refused(Reason::CrossSite)).into();
        }
        let Some(verifier) = gate.passwords.verifier.as_ref() else {
            return Err(attempt.refused(Reason::WrongPassword)).into();
        };
        let username = if gate.passwords.ask_for_username {
            username
        } else {
            ""
        };
        match gate.may_try(username, attempt.client) {
            Ok(permit) => verifier
                .verify(username, password)
                .map(|verdict| attempt.settle(verdict, permit)),
            Err(throttled) => {
                attempt.refused(Reason::Throttled);
                Err(throttled.into()).into()
            }
        }
    }
}

/// A password on its way, sent to a handler of one's own.
struct Attempt {
    gate: Arc<Gate>,
    host: Box<[u8]>,
    path: Box<str>,
    client: Option<IpAddr>,
    https: bool,
}

impl Attempt {
    fn settle(self, verdict: Verdict, permit: Permit) -> Result<Login, Denial> {
        let gate = &*self.gate;
        let now = gate.clock.moment();
        match verdict {
            Verdict::Known(grant) => {
                gate.passwords.throttle.succeeded(permit, now);
                let grant = gate.granted(grant);
                let session = Session::new(grant.clone(), Credential::Password);
                let mut cookies = SetCookies::default();
                gate.log_in(grant, &self.host, self.client, self.https, &mut cookies)
                    .map_err(|error| {
                        gate.did_not_fit(&error, &self.path);
                        Denial::new(Reason::TooLarge)
                            .with_detail("what this login holds is too long for a cookie")
                    })?;
                Ok(Login { session, cookies })
            }
            Verdict::Unavailable(unavailable) => {
                gate.passwords.throttle.withdraw(permit, now);
                Err(gate.unavailable(&unavailable, &self.path))
            }
            Verdict::Refused(_) | Verdict::Unknown => Err(self.refused(Reason::WrongPassword)),
        }
    }

    fn refused(&self, reason: Reason) -> Denial {
        let path = LoggedPath::of(&self.path);
        self.gate.tell(&Event::Refused {
            reason,
            label: None,
            path,
            client: self.client,
        });
        Denial::new(reason)
    }
}

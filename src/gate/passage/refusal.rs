//! Whoever is not let in: why, and how they are told.

use super::Passage;
use crate::{
    authenticate::Outcome,
    cookie::SetCookies,
    denial::{Denial, Reason},
    event::{Event, LoggedPath},
    gate::{
        decision::Additions,
        login_cookie::is_https,
        responses::{OwnResponse, login_would_help},
    },
    guard::{GuardRule, Surroundings},
    head::Head,
    session::Session,
};

impl Passage {
    /// Somebody whom nobody accepted.
    #[inline(never)]
    pub(super) fn turn_away(
        &self,
        denial: Denial,
        head: &Head<'_>,
        surroundings: &Surroundings<'_>,
    ) -> OwnResponse {
        let mut cookies = SetCookies::default();
        if is_of_a_cookie(denial.reason()) {
            self.remove_login_cookie(head, is_https(surroundings), &mut cookies);
        }
        self.refuse(denial, head, Some(surroundings), None, cookies)
    }

    /// Somebody known who may not do this.
    #[cold]
    pub(super) fn forbid(
        &self,
        denial: Denial,
        session: &Session,
        head: &Head<'_>,
        surroundings: &Surroundings<'_>,
    ) -> OwnResponse {
        let mut cookies = SetCookies::default();
        if GuardRule::that_refused(&denial) == Some(GuardRule::Xsrf) {
            let https = is_https(surroundings);
            self.gate.xsrf_cookie.renew(session, https, &mut cookies);
        }
        self.refuse(denial, head, Some(surroundings), session.grant().label(), cookies)
    }

    /// Why an outcome that accepted nobody is refused.
    pub(super) fn denial_of(&self, outcome: Outcome, head: &Head<'_>) -> Denial {
        match outcome {
            Outcome::Accepted(_) | Outcome::Absent => Denial::new(Reason::NoCredential),
            Outcome::Malformed(denial) => denial,
            Outcome::Rejected(reason) => Denial::new(reason),
            Outcome::Unavailable(unavailable) => self.gate.unavailable(&unavailable, head.uri().path()),
        }
    }

    /// How `denial` is told, with `cookies`.
    pub(super) fn refuse(
        &self,
        denial: Denial,
        head: &Head<'_>,
        surroundings: Option<&Surroundings<'_>>,
        label: Option<&str>,
        cookies: SetCookies,
    ) -> OwnResponse {
        let gate = &*self.gate;
        if gate.observer.is_some() {
            self.tell_of_refusal(&denial, head, surroundings, label);
        }
        let elsewhere = match &gate.elsewhere {
            Some(elsewhere) if login_would_help(denial.reason()) => {
                elsewhere.login(*head, surroundings.is_some_and(is_https))
            }
            _ => None,
        };
        let mut response = match elsewhere {
            Some(mut answer) => {
                answer.extensions_mut().insert(denial);
                answer
            }
            None => gate.telling.refuse(denial, *head),
        };
        let additions = Additions {
            set_cookies: cookies,
            ..self.additions(head)
        };
        additions.apply_to(response.headers_mut());
        response
    }

    #[cold]
    fn tell_of_refusal(
        &self,
        denial: &Denial,
        head: &Head<'_>,
        surroundings: Option<&Surroundings<'_>>,
        label: Option<&str>,
    ) {
        let gate = &*self.gate;
        let client = surroundings.and_then(|surroundings| gate.guards.client(surroundings, *head));
        let path = LoggedPath::of(head.uri().path());
        gate.tell(&Event::Refused {
            reason: denial.reason(),
            label,
            path,
            client,
        });
    }

    pub(super) fn remove_login_cookie(&self, head: &Head<'_>, https: bool, cookies: &mut SetCookies) {
        if let Some(login_cookie) = &self.gate.login_cookie {
            login_cookie.remove(*head, https, cookies);
        }
        if let Some(elsewhere) = &self.gate.elsewhere {
            elsewhere.remove(*head, https, false, cookies);
        }
    }
}

/// Whether it is the cookie of a login that is not good.
pub(super) fn is_of_a_cookie(reason: Reason) -> bool {
    matches!(reason, Reason::ExpiredCookie | Reason::InvalidCookie)
}

//! The chain rule: several authenticators asked as one.

use std::mem;

use crate::{
    answer::{Answer, BoxFuture},
    authenticate::{Authenticator, Glance, Outcome, TokenAuthenticator},
    denial::Reason,
    head::Head,
    session::{Credential, Session},
    time::UnixTime,
    verify::SharedToken,
};

/// Authenticators in the order they are asked; see the rule on the page of this room.
#[derive(Default)]
pub(crate) struct Chain {
    /// Asked first, and by name: what its answer costs is nearly all that the request of a program costs.
    shared_token: Option<TokenAuthenticator<SharedToken>>,
    others: Vec<Box<dyn Authenticator>>,
}

impl Chain {
    pub(crate) fn new(
        shared_token: Option<TokenAuthenticator<SharedToken>>,
        others: Vec<Box<dyn Authenticator>>,
    ) -> Self {
        Self { shared_token, others }
    }

    /// What a glance tells of the shared token.
    #[inline(always)]
    pub(crate) fn glance(&self, head: &Head<'_>) -> Glance<'_> {
        match &self.shared_token {
            Some(first) => Glance::of(first, head),
            None => Glance::Unknown(None),
        }
    }

    /// What the chain says, after a glance at the same head.
    pub(crate) fn authenticate(&self, glance: Glance<'_>, head: &Head<'_>) -> Answer<Outcome> {
        self.tell(glance, head, Listens)
    }

    /// What `hearer` makes of what the chain says.
    #[inline(always)]
    pub(crate) fn tell<H: Hearer>(&self, glance: Glance<'_>, head: &Head<'_>, hearer: H) -> H::Verdict {
        let rejection = match glance {
            Glance::Unknown(rejection) => rejection,
            Glance::Known(grant) => return hearer.accepted(Session::new(grant.clone(), Credential::Token)),
            Glance::Unclear(first) => match first.by_any_source(head) {
                Answer::Now(Outcome::Absent) => None,
                Answer::Now(Outcome::Rejected(reason)) => Some(reason),
                Answer::Now(Outcome::Accepted(session)) => match unexpired(session, || head.now()) {
                    Ok(session) => return hearer.accepted(session),
                    Err(reason) => Some(reason),
                },
                Answer::Later(future) => return hearer.told(ask_beside(None, future, &self.others, head)),
                last => return hearer.told(last),
            },
        };
        ask(rejection, &self.others, head, hearer)
    }
}

/// Whoever is told what a chain says.
///
/// The usual words come to methods of their own, in line where they fall: what is known there need not be asked for
/// again, nor copied on its way.
pub(crate) trait Hearer {
    /// What is made of it.
    type Verdict;

    /// Somebody knows them.
    fn accepted(self, session: Session) -> Self::Verdict;

    /// Nobody does, and the first who has seen a credential of theirs says this of it.
    fn nobody(self, rejection: Option<Reason>) -> Self::Verdict;

    /// Anything, those two as well.
    fn told(self, answer: Answer<Outcome>) -> Self::Verdict;
}

/// Makes nothing of it.
struct Listens;

impl Hearer for Listens {
    type Verdict = Answer<Outcome>;

    fn accepted(self, session: Session) -> Answer<Outcome> {
        Answer::Now(Outcome::Accepted(session))
    }

    fn nobody(self, rejection: Option<Reason>) -> Answer<Outcome> {
        Answer::Now(rejection.map_or(Outcome::Absent, Outcome::Rejected))
    }

    fn told(self, answer: Answer<Outcome>) -> Answer<Outcome> {
        answer
    }
}

/// What is made of the chain's word if these are left to be asked. The first rejection is the one that is told.
#[inline(always)]
fn ask<H: Hearer>(
    mut rejection: Option<Reason>,
    authenticators: &[Box<dyn Authenticator>],
    head: &Head<'_>,
    hearer: H,
) -> H::Verdict {
    let mut left = authenticators;
    while let [authenticator, others @ ..] = left {
        left = others;
        let answer = authenticator.authenticate(*head);
        if matches!(answer, Answer::Now(Outcome::Absent)) {
            // It holds nothing to be dropped, which costs more than to say so.
            mem::forget(answer);
            continue;
        }
        match answer {
            Answer::Now(Outcome::Accepted(session)) => match unexpired(session, || head.now()) {
                Ok(session) => return hearer.accepted(session),
                Err(reason) => rejection = rejection.or(Some(reason)),
            },
            Answer::Now(Outcome::Rejected(reason)) => {
                mem::forget(answer);
                rejection = rejection.or(Some(reason));
            }
            Answer::Later(future) => return hearer.told(ask_beside(rejection, future, left, head)),
            last => return hearer.told(last),
        }
    }
    hearer.nobody(rejection)
}

/// A future cannot hold the head, so the others are asked now and their word is kept.
#[inline(never)]
fn ask_beside(
    rejection: Option<Reason>,
    future: BoxFuture<Outcome>,
    others: &[Box<dyn Authenticator>],
    head: &Head<'_>,
) -> Answer<Outcome> {
    // The head cannot wait; what counts is that the credential was good when the request came.
    let now = head.now();
    Answer::Later(wait(rejection, now, future, ask(None, others, head, Listens)))
}

fn wait(
    rejection: Option<Reason>,
    now: UnixTime,
    future: BoxFuture<Outcome>,
    others: Answer<Outcome>,
) -> BoxFuture<Outcome> {
    Box::pin(async move {
        let rejection = match future.await {
            Outcome::Absent => rejection,
            Outcome::Rejected(reason) => rejection.or(Some(reason)),
            Outcome::Accepted(session) => match unexpired(session, || now) {
                Ok(session) => return Outcome::Accepted(session),
                Err(reason) => rejection.or(Some(reason)),
            },
            last => return last,
        };
        let others = match others {
            Answer::Now(outcome) => outcome,
            Answer::Later(future) => future.await,
        };
        match (others, rejection) {
            (Outcome::Absent | Outcome::Rejected(_), Some(first)) => Outcome::Rejected(first),
            (word, _) => word,
        }
    })
}

/// The session, unless its grant has expired: the one place where that is judged.
pub(crate) fn unexpired(session: Session, now: impl FnOnce() -> UnixTime) -> Result<Session, Reason> {
    if !session.grant().has_expired(now) {
        return Ok(session);
    }
    Err(match session.credential() {
        Credential::Cookie => Reason::ExpiredCookie,
        _ => Reason::ExpiredToken,
    })
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU64, Ordering},
        task::{Context, Poll, Waker},
        time::Duration,
    };

    use super::*;
    use crate::{error::Unavailable, grant::Grant, identity::Identity, time::Clock};

    /// One letter a step: `-` absent, `a` `b` accepted as such, `x` `y` rejected, `m` malformed, `u`
    /// unavailable; a capital says the same later.
    struct Step(char);

    impl Authenticator for Step {
        fn authenticate(&self, _: Head<'_>) -> Answer<Outcome> {
            let letter = self.0;
            let say = move || match letter.to_ascii_lowercase() {
                '-' | '_' => Outcome::Absent,
                'm' => Outcome::malformed("m"),
                'u' => Outcome::Unavailable(Unavailable::new("u")),
                'x' => Outcome::Rejected(Reason::UnknownToken),
                'y' => Outcome::Rejected(Reason::InvalidCookie),
                name => Outcome::Accepted(Session::new(
                    Grant::new(Identity::new(&name.to_string())),
                    Credential::Other { ambient: false },
                )),
            };
            if letter.is_ascii_uppercase() || letter == '_' {
                Answer::later(async move { say() })
            } else {
                say().into()
            }
        }
    }

    #[track_caller]
    fn check(steps: &str, expected: &str) {
        let steps_of = steps
            .chars()
            .map(|letter| Box::new(Step(letter)) as Box<dyn Authenticator>)
            .collect();
        let request = http::Request::new(());
        let outcome =
            match Chain::new(None, steps_of).authenticate(Glance::Unknown(None), &Head::of(&request)) {
                Answer::Now(outcome) => outcome,
                Answer::Later(mut future) => {
                    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                        Poll::Ready(outcome) => outcome,
                        Poll::Pending => panic!("{steps}: nothing here waits"),
                    }
                }
            };
        let found = match outcome {
            Outcome::Absent => "-".to_owned(),
            Outcome::Accepted(session) => session.identity().username().to_owned(),
            Outcome::Malformed(_) => "m".to_owned(),
            Outcome::Rejected(Reason::UnknownToken) => "x".to_owned(),
            Outcome::Rejected(_) => "y".to_owned(),
            Outcome::Unavailable(_) => "u".to_owned(),
        };
        assert_eq!(found, expected, "chain {steps}");
    }

    #[test]
    fn the_chain_rule_holds_for_answers_now_and_later() {
        for (steps, expected) in [
            ("", "-"),
            ("-", "-"),
            ("--a", "a"),
            ("ab", "a"),
            ("xa", "a"),
            ("x-", "x"),
            ("xy", "x"),
            ("yx", "y"),
            ("ma", "m"),
            ("xm", "m"),
            ("ua", "u"),
            ("xu", "u"),
            ("am", "a"),
            // Later: the others are asked at once and their word is kept.
            ("A", "a"),
            ("_", "-"),
            ("Ab", "a"),
            ("_b", "b"),
            ("Xb", "b"),
            ("X-", "x"),
            ("Xy", "x"),
            ("yX", "y"),
            ("_x", "x"),
            ("_m", "m"),
            ("Xm", "m"),
            ("Mb", "m"),
            ("Ub", "u"),
            ("Xu", "u"),
            ("_B", "b"),
            ("XB", "b"),
            ("XY", "x"),
            ("_U", "u"),
            ("x_Y", "x"),
        ] {
            check(steps, expected);
        }
    }

    /// Counts how often it is read.
    struct Counted(AtomicU64, u64);

    impl Clock for Counted {
        fn now(&self) -> UnixTime {
            self.0.fetch_add(1, Ordering::Relaxed);
            UnixTime::from_secs(self.1)
        }
    }

    /// Accepts every request, now or later.
    struct Accepts(Session, bool);

    impl Authenticator for Accepts {
        fn authenticate(&self, _: Head<'_>) -> Answer<Outcome> {
            let outcome = Outcome::Accepted(self.0.clone());
            if self.1 {
                Answer::later(async move { outcome })
            } else {
                outcome.into()
            }
        }
    }

    #[tokio::test]
    async fn expired_grant_is_rejected_whatever_the_credential() {
        let end = UnixTime::from_secs(1000);
        let alice = Grant::new(Identity::new("alice"));
        for (credential, expected) in [
            (Credential::Token, Reason::ExpiredToken),
            (Credential::Cookie, Reason::ExpiredCookie),
            (Credential::Other { ambient: true }, Reason::ExpiredToken),
        ] {
            for later in [false, true] {
                for (grant, time, accepted) in [
                    (alice.clone(), 1000, true),
                    (alice.clone().expires_at(end), 999, true),
                    (alice.clone().expires_at(end), 1000, false),
                    (
                        alice.clone().expires_at(end.after(Duration::from_secs(1))),
                        1000,
                        true,
                    ),
                ] {
                    let clock = Counted(AtomicU64::new(0), time);
                    let request = http::Request::new(());
                    let head = Head::at(&request, &clock);
                    let ends = grant.expiry().is_some();
                    let first: Box<dyn Authenticator> =
                        Box::new(Accepts(Session::new(grant, credential), later));
                    let chain = Chain::new(None, vec![first]);
                    let outcome = chain.authenticate(Glance::Unknown(None), &head).await;
                    match outcome {
                        Outcome::Accepted(_) => assert!(accepted, "{credential:?} at {time}"),
                        Outcome::Rejected(reason) => {
                            assert!(!accepted, "{credential:?} at {time}");
                            assert_eq!(reason, expected);
                        }
                        other => panic!("{other:?}"),
                    }
                    if !later {
                        assert_eq!(
                            clock.0.into_inner() > 0,
                            ends,
                            "the clock is read only if the grant ends"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn authenticators_after_an_expired_grant_are_asked() {
        let expired = Grant::new(Identity::new("alice")).expires_at(UnixTime::from_secs(1));
        let first = Accepts(Session::new(expired, Credential::Token), false);
        let chain = Chain::new(None, vec![Box::new(first), Box::new(Step('b'))]);
        let request = http::Request::new(());
        match chain.authenticate(Glance::Unknown(None), &Head::of(&request)) {
            Answer::Now(Outcome::Accepted(session)) => assert_eq!(session.identity().username(), "b"),
            other => panic!("{other:?}"),
        }
    }
}

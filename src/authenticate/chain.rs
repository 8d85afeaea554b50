//! The chain rule: several authenticators combined into one.

use crate::{
    authenticate::{Authenticator, Outcome},
    clock::UnixTime,
    denial::Reason,
    maybe_future::{BoxFuture, MaybeFuture},
    request::head::RequestHead,
    session::AuthMethod,
};

/// Authenticators in the order they are called; the rule is in the documentation of this module.
pub(crate) struct AuthenticatorChain(Vec<Box<dyn Authenticator>>);

impl AuthenticatorChain {
    pub(crate) fn new(authenticators: Vec<Box<dyn Authenticator>>) -> Self {
        Self(authenticators)
    }

    /// The outcome for the request with this head.
    pub(crate) fn authenticate(&self, head: &RequestHead<'_>) -> MaybeFuture<Outcome> {
        run(&self.0, None, head)
    }
}

/// Calls these authenticators.
fn run(
    authenticators: &[Box<dyn Authenticator>],
    mut rejection: Option<Reason>,
    head: &RequestHead<'_>,
) -> MaybeFuture<Outcome> {
    let mut left = authenticators;
    while let [authenticator, others @ ..] = left {
        left = others;
        match authenticator.authenticate(*head) {
            MaybeFuture::Ready(outcome) => match unexpired(outcome, || head.now()) {
                Outcome::Absent => {}
                Outcome::Rejected(reason) => rejection = Some(reported(rejection, reason)),
                last => return MaybeFuture::Ready(last),
            },
            // A future cannot hold the head, so the others are called now and their outcome is kept.
            MaybeFuture::Future(future) => {
                return MaybeFuture::Future(wait(rejection, future, head.now(), run(left, None, head)));
            }
        }
    }
    MaybeFuture::Ready(rejection.map_or(Outcome::Absent, Outcome::Rejected))
}

/// The rejection that is reported: the first of a credential that an authenticator takes for one of its kind.
fn reported(first: Option<Reason>, next: Reason) -> Reason {
    first
        .filter(|first| *first != Reason::UnsupportedToken)
        .unwrap_or(next)
}

/// Waits for an authenticator. What counts is that its grant was good at `now`, when the request came.
fn wait(
    rejection: Option<Reason>,
    future: BoxFuture<Outcome>,
    now: UnixTime,
    others: MaybeFuture<Outcome>,
) -> BoxFuture<Outcome> {
    Box::pin(async move {
        let rejection = match unexpired(future.await, || now) {
            Outcome::Absent => rejection,
            Outcome::Rejected(reason) => Some(reported(rejection, reason)),
            last => return last,
        };
        match (others.await, rejection) {
            (Outcome::Absent, Some(first)) => Outcome::Rejected(first),
            (Outcome::Rejected(next), first) => Outcome::Rejected(reported(first, next)),
            (outcome, _) => outcome,
        }
    })
}

/// The outcome; an accepted grant that has expired is rejected. Expiry is checked here only.
pub(crate) fn unexpired(outcome: Outcome, now: impl FnOnce() -> UnixTime) -> Outcome {
    if let Outcome::Authenticated(session) = &outcome
        && session.grant().has_expired(now)
    {
        return Outcome::Rejected(match session.auth_method() {
            AuthMethod::Cookie => Reason::ExpiredCookie,
            _ => Reason::ExpiredToken,
        });
    }
    outcome
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU64, Ordering},
        task::{Context, Poll, Waker},
        time::Duration,
    };

    use super::*;
    use crate::{
        clock::Clock,
        error::BackendError,
        session::{Session, grant::Grant, identity::Identity},
    };

    /// One letter a step: `-` absent, `a` `b` accepted as such, `x` `y` rejected, `m` malformed, `u`
    /// unavailable; a capital says the same later.
    struct Step(char);

    impl Authenticator for Step {
        fn authenticate(&self, _: RequestHead<'_>) -> MaybeFuture<Outcome> {
            let letter = self.0;
            let say = move || match letter.to_ascii_lowercase() {
                '-' | '_' => Outcome::Absent,
                'm' => Outcome::malformed("m"),
                'u' => Outcome::Unavailable(BackendError::new("u")),
                'x' => Outcome::Rejected(Reason::UnknownToken),
                'y' => Outcome::Rejected(Reason::InvalidCookie),
                name => Outcome::Authenticated(Session::new(
                    Grant::new(Identity::new(&name.to_string())),
                    AuthMethod::Other { ambient: false },
                )),
            };
            if letter.is_ascii_uppercase() || letter == '_' {
                MaybeFuture::from_future(async move { say() })
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
        let outcome = match AuthenticatorChain::new(steps_of).authenticate(&RequestHead::new(&request)) {
            MaybeFuture::Ready(outcome) => outcome,
            MaybeFuture::Future(mut future) => {
                match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(outcome) => outcome,
                    Poll::Pending => panic!("{steps}: nothing here waits"),
                }
            }
        };
        let found = match outcome {
            Outcome::Absent => "-".to_owned(),
            Outcome::Authenticated(session) => session.identity().username().to_owned(),
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
            // Later: the others are called at once and their outcome is kept.
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
        fn authenticate(&self, _: RequestHead<'_>) -> MaybeFuture<Outcome> {
            let outcome = Outcome::Authenticated(self.0.clone());
            if self.1 {
                MaybeFuture::from_future(async move { outcome })
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
            (AuthMethod::Token, Reason::ExpiredToken),
            (AuthMethod::Cookie, Reason::ExpiredCookie),
            (AuthMethod::Other { ambient: true }, Reason::ExpiredToken),
        ] {
            for later in [false, true] {
                for (grant, time, accepted) in [
                    (alice.clone(), 1000, true),
                    (alice.clone().with_expiry(end), 999, true),
                    (alice.clone().with_expiry(end), 1000, false),
                    (
                        alice
                            .clone()
                            .with_expiry(end.saturating_add(Duration::from_secs(1))),
                        1000,
                        true,
                    ),
                ] {
                    let clock = Counted(AtomicU64::new(0), time);
                    let request = http::Request::new(());
                    let head = RequestHead::with_clock(&request, &clock);
                    let ends = grant.expires_at().is_some();
                    let first: Box<dyn Authenticator> =
                        Box::new(Accepts(Session::new(grant, credential), later));
                    let chain = AuthenticatorChain::new(vec![first]);
                    let outcome = chain.authenticate(&head).await;
                    match outcome {
                        Outcome::Authenticated(_) => assert!(accepted, "{credential:?} at {time}"),
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
    fn authenticators_after_an_expired_grant_are_called() {
        let expired = Grant::new(Identity::new("alice")).with_expiry(UnixTime::from_secs(1));
        let first = Accepts(Session::new(expired, AuthMethod::Token), false);
        let chain = AuthenticatorChain::new(vec![Box::new(first), Box::new(Step('b'))]);
        let request = http::Request::new(());
        match chain.authenticate(&RequestHead::new(&request)) {
            MaybeFuture::Ready(Outcome::Authenticated(session)) => {
                assert_eq!(session.identity().username(), "b")
            }
            other => panic!("{other:?}"),
        }
    }
}

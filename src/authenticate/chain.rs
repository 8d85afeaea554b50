//! The chain rule: several authenticators asked as one.

use crate::{
    answer::{Answer, BoxFuture},
    authenticate::{Authenticator, Glance, Outcome, TokenAuthenticator},
    denial::Reason,
    head::Head,
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
    pub(crate) fn glance<'g, 'h>(&'g self, head: &Head<'h>) -> Glance<'g, 'h> {
        match &self.shared_token {
            Some(first) => first.glance(head),
            None => Glance::Unclear,
        }
    }

    /// What the chain says, after a glance at the same head.
    #[inline]
    pub(crate) fn authenticate(&self, glance: Glance<'_, '_>, head: &Head<'_>) -> Answer<Outcome> {
        let mut rejection = None;
        if let Some(first) = &self.shared_token {
            match first.answer(glance, head) {
                Answer::Now(Outcome::Absent) => {}
                Answer::Now(Outcome::Rejected(reason)) => rejection = Some(reason),
                Answer::Later(future) => {
                    return Answer::Later(wait(None, future, ask(None, &self.others, head)));
                }
                last => return last,
            }
        }
        ask(rejection, &self.others, head)
    }
}

/// What the chain says if these are left to be asked. The first rejection is the one that is told.
#[inline]
fn ask(
    mut rejection: Option<Reason>,
    authenticators: &[Box<dyn Authenticator>],
    head: &Head<'_>,
) -> Answer<Outcome> {
    let mut authenticators = authenticators.iter();
    while let Some(authenticator) = authenticators.next() {
        match authenticator.authenticate(*head) {
            Answer::Now(Outcome::Absent) => {}
            Answer::Now(Outcome::Rejected(reason)) => rejection = rejection.or(Some(reason)),
            Answer::Later(future) => return ask_beside(rejection, future, authenticators.as_slice(), head),
            last => return last,
        }
    }
    Answer::Now(rejection.map_or(Outcome::Absent, Outcome::Rejected))
}

/// A future cannot hold the head, so the others are asked now and their word is kept.
#[inline(never)]
fn ask_beside(
    rejection: Option<Reason>,
    future: BoxFuture<Outcome>,
    others: &[Box<dyn Authenticator>],
    head: &Head<'_>,
) -> Answer<Outcome> {
    Answer::Later(wait(rejection, future, ask(None, others, head)))
}

fn wait(
    rejection: Option<Reason>,
    future: BoxFuture<Outcome>,
    others: Answer<Outcome>,
) -> BoxFuture<Outcome> {
    Box::pin(async move {
        let rejection = match future.await {
            Outcome::Absent => rejection,
            Outcome::Rejected(reason) => rejection.or(Some(reason)),
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

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::{
        error::Unavailable, grant::Grant, identity::Identity, session::Credential, session::Session,
    };

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
        let outcome = match Chain::new(None, steps_of).authenticate(Glance::Unclear, &Head::of(&request)) {
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
}

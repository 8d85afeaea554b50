//! The chain rule: several authenticators asked as one.

use crate::{
    answer::{Answer, BoxFuture},
    authenticate::{Authenticator, Outcome},
    head::Head,
};

/// Authenticators in the order they are asked; see the rule on the page of this room.
#[derive(Default)]
pub(crate) struct Chain(Vec<Box<dyn Authenticator>>);

impl Chain {
    pub(crate) fn new(authenticators: Vec<Box<dyn Authenticator>>) -> Self {
        Self(authenticators)
    }

    pub(crate) fn authenticate(&self, head: Head<'_>) -> Answer<Outcome> {
        ask(&self.0, head)
    }
}

fn ask(authenticators: &[Box<dyn Authenticator>], head: Head<'_>) -> Answer<Outcome> {
    let mut word = Outcome::Absent;
    for (index, authenticator) in authenticators.iter().enumerate() {
        match authenticator.authenticate(head) {
            Answer::Now(outcome) if is_final(&outcome) => return Answer::Now(outcome),
            Answer::Now(outcome) => word = first_of(word, outcome),
            Answer::Later(future) => {
                // A future cannot hold the head, so the others are asked now and their word is kept.
                let others = ask(authenticators.get(index + 1..).unwrap_or_default(), head);
                return Answer::Later(wait(word, future, others));
            }
        }
    }
    Answer::Now(word)
}

fn wait(word: Outcome, future: BoxFuture<Outcome>, others: Answer<Outcome>) -> BoxFuture<Outcome> {
    Box::pin(async move {
        let outcome = future.await;
        if is_final(&outcome) {
            return outcome;
        }
        let word = first_of(word, outcome);
        let others = match others {
            Answer::Now(outcome) => outcome,
            Answer::Later(future) => future.await,
        };
        if is_final(&others) {
            others
        } else {
            first_of(word, others)
        }
    })
}

/// Whether nobody else is asked after this word.
fn is_final(outcome: &Outcome) -> bool {
    !matches!(outcome, Outcome::Absent | Outcome::Rejected(_))
}

/// The first rejection is the one that is told.
fn first_of(word: Outcome, next: Outcome) -> Outcome {
    if matches!(word, Outcome::Absent) {
        next
    } else {
        word
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::{
        denial::Reason, error::Unavailable, grant::Grant, identity::Identity, session::Credential,
        session::Session,
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
        let outcome = match Chain::new(steps_of).authenticate(Head::of(&request)) {
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

//! Authenticators that protect nothing, and say so where they are typed.

use std::sync::LazyLock;

use crate::{
    authenticate::{Authenticator, Outcome},
    grant::Grant,
    head::Head,
    identity::Identity,
    maybe_future::Answer,
    session::{Credential, Session},
};

/// Everybody is let in, as one anonymous identity that stays the same while the process lives.
///
/// # Security
///
/// Whoever reaches the port is in. For a server that something else protects, and for nothing else. The
/// session counts as ambient, so the cross-site rules still hold: a page of another site reaches the port
/// through the browser of somebody who can.
///
/// # Example
///
/// ```
/// use portcullis::{Answer, Authenticator, Head, Outcome, authenticate::danger::AcceptAnyone};
///
/// let request = http::Request::new(());
/// let answer = AcceptAnyone.authenticate(Head::of(&request));
/// assert!(matches!(answer, Answer::Now(Outcome::Accepted(_))));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct AcceptAnyone;

impl Authenticator for AcceptAnyone {
    fn authenticate(&self, _: Head<'_>) -> Answer<Outcome> {
        static ANYONE: LazyLock<Grant> = LazyLock::new(|| Grant::new(Identity::anonymous()));
        Answer::Now(Outcome::Accepted(Session::new(
            ANYONE.clone(),
            Credential::Anyone,
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anyone_is_the_same_anonymous_for_a_process() {
        let session = || {
            let request = http::Request::new(());
            match AcceptAnyone.authenticate(Head::of(&request)) {
                Answer::Now(Outcome::Accepted(session)) => session,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(session().identity(), session().identity());
        assert_eq!(session().credential(), Credential::Anyone);
        assert!(session().credential().is_ambient());
    }
}

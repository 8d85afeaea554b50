//! Authenticators that protect nothing, and say so where they are typed.

use std::sync::LazyLock;

use crate::{
    authenticate::{Authenticator, Outcome},
    maybe_future::MaybeFuture,
    request::head::RequestHead,
    session::{AuthMethod, Session, grant::Grant, identity::Identity},
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
/// use portcullis::{MaybeFuture, Authenticator, RequestHead, Outcome, authenticate::danger::AllowAnonymous};
///
/// let request = http::Request::new(());
/// let answer = AllowAnonymous.authenticate(RequestHead::new(&request));
/// assert!(matches!(answer, MaybeFuture::Ready(Outcome::Authenticated(_))));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct AllowAnonymous;

impl Authenticator for AllowAnonymous {
    fn authenticate(&self, _: RequestHead<'_>) -> MaybeFuture<Outcome> {
        static ANYONE: LazyLock<Grant> = LazyLock::new(|| Grant::new(Identity::anonymous()));
        MaybeFuture::Ready(Outcome::Authenticated(Session::new(
            ANYONE.clone(),
            AuthMethod::NotRequired,
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
            match AllowAnonymous.authenticate(RequestHead::new(&request)) {
                MaybeFuture::Ready(Outcome::Authenticated(session)) => session,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(session().identity(), session().identity());
        assert_eq!(session().auth_method(), AuthMethod::NotRequired);
        assert!(session().auth_method().is_ambient());
    }
}

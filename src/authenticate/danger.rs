//! Authenticators without protection, as their names say.

use std::sync::LazyLock;

use crate::{
    authenticate::{Authenticator, Outcome},
    maybe_future::MaybeFuture,
    request::head::RequestHead,
    session::{AuthMethod, Session, grant::Grant, identity::Identity},
};

/// Accepts every request as one anonymous identity, which stays the same until the process ends.
///
/// # Security
///
/// Anyone who can reach the port has access. Use it only for a server that is protected otherwise. The session counts
/// as ambient, so cross-site checks still apply: a page of another site can reach the port through a user's browser.
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

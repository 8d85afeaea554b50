//! A closure as an authenticator.

use std::fmt;

use crate::{
    authenticate::{Authenticator, Outcome},
    maybe_future::MaybeFuture,
    request::head::RequestHead,
};

/// Creates an authenticator from a closure that returns an [`Outcome`], or a [`MaybeFuture`] if it must wait.
///
/// # Example
///
/// ```
/// use portcullis::{AuthMethod, Grant, Identity, Outcome, Session, authenticate::authenticator_fn};
///
/// // A proxy in front has checked the client's certificate and names its subject.
/// let by_certificate = authenticator_fn(|head| match head.headers().get("x-client-subject") {
///     None => Outcome::Absent,
///     Some(subject) => match subject.to_str() {
///         Ok(subject) => {
///             let grant = Grant::new(Identity::new(subject));
///             Outcome::Authenticated(Session::new(grant, AuthMethod::Other { ambient: true }))
///         }
///         Err(_) => Outcome::malformed("the subject is not visible ASCII"),
///     },
/// });
/// ```
pub fn authenticator_fn<F, A>(function: F) -> AuthenticatorFn<F>
where
    F: Fn(RequestHead<'_>) -> A + Send + Sync + 'static,
    A: Into<MaybeFuture<Outcome>>,
{
    AuthenticatorFn(function)
}

/// A closure as an authenticator: see [`authenticator_fn`].
#[derive(Clone, Copy)]
pub struct AuthenticatorFn<F>(F);

impl<F, A> Authenticator for AuthenticatorFn<F>
where
    F: Fn(RequestHead<'_>) -> A + Send + Sync + 'static,
    A: Into<MaybeFuture<Outcome>>,
{
    fn authenticate(&self, head: RequestHead<'_>) -> MaybeFuture<Outcome> {
        (self.0)(head).into()
    }
}

impl<F> fmt::Debug for AuthenticatorFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthenticatorFn")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closure_answers_now_or_later() {
        let request = http::Request::new(());
        let now = authenticator_fn(|_| Outcome::Absent);
        assert!(matches!(
            now.authenticate(RequestHead::new(&request)),
            MaybeFuture::Ready(Outcome::Absent)
        ));
        let later = authenticator_fn(|_| MaybeFuture::from_future(async { Outcome::Absent }));
        assert!(matches!(
            later.authenticate(RequestHead::new(&request)),
            MaybeFuture::Future(_)
        ));
    }
}

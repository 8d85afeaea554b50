//! Authenticators: who sent a request?
//!
//! # Order
//!
//! Authenticators run in order. `Absent` continues with the next one, and the first `Authenticated` stops. A
//! `Rejected` is remembered and reported only if no later authenticator accepts the request (one with
//! [`Reason::UnsupportedToken`] only if there is no other). `Malformed` and `Unavailable` stop. If an authenticator
//! returns a future, the remaining ones run at once and their outcome is kept, because a future cannot borrow the
//! request; it is used if the future returns `Absent` or `Rejected`.
//!
//! An accepted grant that has expired counts as `Rejected`: expiry is checked here, whatever the credential.

mod authorization;
mod chain;
mod closure;
pub(crate) mod current_grants;
pub mod danger;
mod login_cookie;
pub(crate) mod login_payload;
pub(crate) mod session_cookie;
mod token_authenticator;
mod token_sources;

use std::sync::Arc;

use crate::{
    denial::{Denial, Reason},
    error::BackendError,
    maybe_future::MaybeFuture,
    request::head::RequestHead,
    session::{AuthMethod, Session},
    verify::Verification,
};

pub use self::{
    authorization::token_in_authorization,
    closure::{AuthenticatorFn, authenticator_fn},
    login_cookie::LoginCookieAuthenticator,
    token_authenticator::TokenAuthenticator,
    token_sources::{FoundToken, TokenSource, TokenSources},
};
pub(crate) use self::{
    chain::{AuthenticatorChain, unexpired},
    token_authenticator::QueryLogin,
};

/// Result of an authenticator.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The request has no credential of this kind. The next authenticator runs.
    Absent,
    /// The credential is valid.
    Authenticated(Session),
    /// The request has a credential of this kind that cannot be read. No other authenticator runs.
    Malformed(Denial),
    /// The credential is invalid. The next authenticator runs, and this is reported if none accepts the request.
    Rejected(Reason),
    /// The credential could not be verified, because a backend did not respond. No other authenticator runs.
    Unavailable(BackendError),
}

impl Outcome {
    /// Creates the outcome for a verified credential.
    ///
    /// `Unknown` becomes an unknown token for [`AuthMethod::Token`], and an incorrect username or password otherwise.
    pub fn from_verification(verification: Verification, credential: AuthMethod) -> Self {
        match verification {
            Verification::Valid(grant) => Self::Authenticated(Session::new(grant, credential)),
            Verification::Rejected(reason) => Self::Rejected(reason),
            Verification::Unavailable(unavailable) => Self::Unavailable(unavailable),
            Verification::Unknown if credential == AuthMethod::Token => Self::Rejected(Reason::UnknownToken),
            Verification::Unknown => Self::Rejected(Reason::IncorrectPassword),
        }
    }

    /// Creates the outcome for a credential that cannot be read: 401, with `detail` in the response.
    pub fn malformed(detail: &'static str) -> Self {
        Self::Malformed(
            Denial::new(Reason::Malformed)
                .with_status(http::StatusCode::UNAUTHORIZED)
                .with_detail(detail),
        )
    }
}

/// Determines who sent a request, from its head.
///
/// # Example
///
/// An authenticator that must wait clones its handle into the future; see [`MaybeFuture`]. One that need not wait can
/// be a closure, by `authenticator_fn`. One with a verifier returns its result:
///
/// ```
/// use portcullis::{token::PresentedToken, MaybeFuture, Authenticator, AuthMethod, RequestHead, Outcome, TokenVerifier};
///
/// /// A key in the first segment of the path, as old clients of a feed send it.
/// struct KeyInPath<V>(V);
///
/// impl<V: TokenVerifier> Authenticator for KeyInPath<V> {
///     fn authenticate(&self, head: RequestHead<'_>) -> MaybeFuture<Outcome> {
///         let key = head.uri().path().split('/').nth(1).and_then(|key| PresentedToken::new(key.as_bytes()));
///         match key {
///             Some(key) => self.0.verify(key).map(|result| Outcome::from_verification(result, AuthMethod::Token)),
///             None => Outcome::Absent.into(),
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an authenticator",
    label = "expected an `Authenticator`",
    note = "a closure becomes one by `authenticator_fn(|head: RequestHead<'_>| … )`"
)]
pub trait Authenticator: Send + Sync + 'static {
    /// Authenticates the request with this head.
    fn authenticate(&self, head: RequestHead<'_>) -> MaybeFuture<Outcome>;
}

impl<A: Authenticator + ?Sized> Authenticator for Arc<A> {
    fn authenticate(&self, head: RequestHead<'_>) -> MaybeFuture<Outcome> {
        (**self).authenticate(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{grant::Grant, identity::Identity};

    #[test]
    fn the_outcome_depends_on_the_credential_that_was_presented() {
        let known = || Verification::Valid(Grant::new(Identity::new("alice")));
        let other = AuthMethod::Other { ambient: true };
        for (verification, credential, expected) in [
            (known(), AuthMethod::Token, "alice by Token"),
            (known(), other, "alice by Other { ambient: true }"),
            (Verification::Unknown, AuthMethod::Token, "unknown token"),
            (
                Verification::Unknown,
                AuthMethod::Password,
                "incorrect username or password",
            ),
            (Verification::Unknown, other, "incorrect username or password"),
            (
                Verification::Rejected(Reason::ExpiredToken),
                other,
                "expired token",
            ),
            (
                Verification::Unavailable(BackendError::new("down")),
                other,
                "unavailable",
            ),
        ] {
            let found = match Outcome::from_verification(verification, credential) {
                Outcome::Authenticated(session) => {
                    format!("{} by {:?}", session.identity().username(), session.auth_method())
                }
                Outcome::Rejected(reason) => reason.to_string(),
                Outcome::Unavailable(_) => "unavailable".to_owned(),
                other => format!("{other:?}"),
            };
            assert_eq!(found, expected, "{credential:?}");
        }
    }
}

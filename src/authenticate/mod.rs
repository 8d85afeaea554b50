//! Who is it: authenticators, and what they answer.
//!
//! # The chain rule
//!
//! Authenticators are asked in order. `Absent` asks the next; the first `Authenticated` wins; a `Rejected` is
//! remembered and reported only if no authenticator accepts (one with [`Reason::UnsupportedToken`] only if there is no other);
//! `Malformed` and `Unavailable` stop. When an answer is to come
//! `Later`, the rest of the chain is asked at once and its word kept (a future cannot hold the head); if the
//! awaited answer is `Absent` or `Rejected`, the kept word counts.
//!
//! An accepted grant that has expired counts as `Rejected`: the chain is where expiry is judged, whatever the
//! credential.

mod authorization;
mod chain;
mod closure;
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

/// What an authenticator says of a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// There is no credential of my kind: ask the next.
    Absent,
    /// I know them.
    Authenticated(Session),
    /// There is a credential of my kind that cannot be read: ask nobody else.
    Malformed(Denial),
    /// There is a credential of my kind and it is not good: ask the next, and tell this if nobody accepts.
    Rejected(Reason),
    /// I cannot tell, for something did not answer: ask nobody else.
    Unavailable(BackendError),
}

impl Outcome {
    /// What a verifier's word says of a request whose sender proved it by `auth_method`.
    ///
    /// What nobody knows is told as an unknown token, where it was a token, and else as a wrong user or password.
    pub fn from_verification(verdict: Verification, credential: AuthMethod) -> Self {
        match verdict {
            Verification::Valid(grant) => Self::Authenticated(Session::new(grant, credential)),
            Verification::Rejected(reason) => Self::Rejected(reason),
            Verification::Unavailable(unavailable) => Self::Unavailable(unavailable),
            Verification::Unknown if credential == AuthMethod::Token => Self::Rejected(Reason::UnknownToken),
            Verification::Unknown => Self::Rejected(Reason::IncorrectPassword),
        }
    }

    /// A credential that cannot be read: 401, and `detail` tells the client why.
    pub fn malformed(detail: &'static str) -> Self {
        Self::Malformed(
            Denial::new(Reason::Malformed)
                .with_status(http::StatusCode::UNAUTHORIZED)
                .with_detail(detail),
        )
    }
}

/// Somebody who can tell from a request's head who sent it.
///
/// # Example
///
/// One that cannot answer at once clones its handle into the future; see [`MaybeFuture`]. One that can is a closure, by
/// `authenticator_fn`. One that asks a verifier hands its word on:
///
/// ```
/// use portcullis::{token::PresentedToken, MaybeFuture, Authenticator, AuthMethod, RequestHead, Outcome, TokenVerifier};
///
/// /// A key at the head of the path, as old clients of a feed send it.
/// struct KeyInPath<V>(V);
///
/// impl<V: TokenVerifier> Authenticator for KeyInPath<V> {
///     fn authenticate(&self, head: RequestHead<'_>) -> MaybeFuture<Outcome> {
///         let key = head.uri().path().split('/').nth(1).and_then(|key| PresentedToken::new(key.as_bytes()));
///         match key {
///             Some(key) => self.0.verify(key).map(|verdict| Outcome::from_verification(verdict, AuthMethod::Token)),
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
    /// Who sent the request with this head.
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
    fn a_verifiers_word_is_told_by_what_was_presented() {
        let known = || Verification::Valid(Grant::new(Identity::new("alice")));
        let other = AuthMethod::Other { ambient: true };
        for (verdict, credential, expected) in [
            (known(), AuthMethod::Token, "alice by Token"),
            (known(), other, "alice by Other { ambient: true }"),
            (Verification::Unknown, AuthMethod::Token, "unknown token"),
            (
                Verification::Unknown,
                AuthMethod::Password,
                "wrong user or password",
            ),
            (Verification::Unknown, other, "wrong user or password"),
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
            let found = match Outcome::from_verification(verdict, credential) {
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

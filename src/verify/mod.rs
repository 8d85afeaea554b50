//! Verifiers: is a token or a password valid? Where it is in a request does not matter here.

#[cfg(feature = "jwt")]
mod jwt;
#[cfg(feature = "password")]
mod password;
mod shared_token;
mod stored_tokens;
mod token_set;
mod user_lookup;

use std::sync::Arc;

use crate::{
    denial::Reason,
    error::BackendError,
    maybe_future::MaybeFuture,
    secret::Secret,
    session::grant::Grant,
    token::{PresentedToken, TokenHash},
};

#[cfg(feature = "jwt")]
pub use self::jwt::{JwtVerifier, JwtVerifierBuilder};
#[cfg(feature = "password")]
pub use self::password::{
    MemoryPasswordStore, PasswordLookup, PasswordStore, SharedPassword, StoredPasswords,
};
pub use self::{
    shared_token::SharedToken, stored_tokens::StoredTokens, token_set::TokenSet, user_lookup::UserLookup,
};

/// Result of verifying a credential.
#[derive(Debug)]
#[non_exhaustive]
pub enum Verification {
    /// The credential is valid and has this grant. The caller checks its expiry, at every use.
    Valid(Grant),
    /// The credential is known to be invalid, for this reason.
    Rejected(Reason),
    /// The credential could not be verified, because a backend did not respond.
    Unavailable(BackendError),
    /// The credential is unknown.
    Unknown,
}

/// Verifies tokens.
///
/// See [`MaybeFuture`] for one that queries a database.
pub trait TokenVerifier: Send + Sync + 'static {
    /// Verifies `token`, which has 1 to 8,000 visible ASCII characters and may be a JWT.
    ///
    /// Return [`Reason::UnsupportedToken`] for a token of another system, such as a JWT that a proxy added: an
    /// optional route then accepts the request as anonymous.
    fn verify(&self, token: PresentedToken<'_>) -> MaybeFuture<Verification>;

    /// Verifies the token with this hash. By default it is unknown.
    ///
    /// Called at each use of a login that was made by typing a token, so that the login ends when the token does: see
    /// `AuthLayerBuilder::allow_token_login`. With a verifier that does not implement this, no token logs in by the
    /// form.
    fn verify_hash(&self, hash: TokenHash) -> MaybeFuture<Verification> {
        let _ = hash;
        MaybeFuture::Ready(Verification::Unknown)
    }
}

impl<V: TokenVerifier + ?Sized> TokenVerifier for Arc<V> {
    fn verify(&self, token: PresentedToken<'_>) -> MaybeFuture<Verification> {
        (**self).verify(token)
    }

    fn verify_hash(&self, hash: TokenHash) -> MaybeFuture<Verification> {
        (**self).verify_hash(hash)
    }
}

/// Returns the result of the first of these verifiers that knows the token with this hash.
pub(crate) fn verify_hash(
    verifiers: &[Arc<dyn TokenVerifier>],
    token: TokenHash,
) -> MaybeFuture<Verification> {
    let mut answers = Vec::new();
    for verifier in verifiers {
        match verifier.verify_hash(token) {
            // Available now, unless an earlier verifier must be awaited.
            MaybeFuture::Ready(valid @ Verification::Valid(_)) if answers.is_empty() => return valid.into(),
            MaybeFuture::Ready(Verification::Unknown | Verification::Rejected(_)) => {}
            answer => answers.push(answer),
        }
    }
    if answers.is_empty() {
        return Verification::Unknown.into();
    }
    MaybeFuture::from_future(async move {
        let mut said = Verification::Unknown;
        for answer in answers {
            match answer.await {
                valid @ Verification::Valid(_) => return valid,
                unavailable @ Verification::Unavailable(_) => said = unavailable,
                Verification::Rejected(_) | Verification::Unknown => {}
            }
        }
        said
    })
}

/// Verifies passwords.
///
/// With the feature `password` there are verifiers that keep hashes: `SharedPassword` and `StoredPasswords`. A
/// verifier of your own may query a directory.
///
/// # Security
///
/// An incorrect password, an unknown user, a locked user and a user without a password must all be reported as
/// [`Reason::IncorrectPassword`], after the same time, so that accounts cannot be enumerated.
///
/// # Example
///
/// ```
/// use portcullis::{
///     MaybeFuture, Grant, Identity, Reason, Secret, Verification,
///     verify::PasswordVerifier,
/// };
///
/// struct Directory;
///
/// impl PasswordVerifier for Directory {
///     fn verify(&self, username: &str, password: &Secret) -> MaybeFuture<Verification> {
///         let (username, password) = (username.to_owned(), password.clone());
///         MaybeFuture::from_future(async move {
///             match bind(&username, &password).await {
///                 true => Verification::Valid(Grant::new(Identity::new(&username))),
///                 false => Verification::Rejected(Reason::IncorrectPassword),
///             }
///         })
///     }
/// }
/// # async fn bind(username: &str, password: &Secret) -> bool { false }
/// ```
pub trait PasswordVerifier: Send + Sync + 'static {
    /// Verifies the password of the user with this name.
    fn verify(&self, username: &str, password: &Secret) -> MaybeFuture<Verification>;

    /// Returns `true` if passwords are checked against a weak hash that a login does not replace.
    ///
    /// Each login then reports [`Event::WeakPasswordHash`](crate::Event::WeakPasswordHash). Defaults to `false`.
    fn has_weak_hash(&self) -> bool {
        false
    }
}

impl<V: PasswordVerifier + ?Sized> PasswordVerifier for Arc<V> {
    fn verify(&self, username: &str, password: &Secret) -> MaybeFuture<Verification> {
        (**self).verify(username, password)
    }

    fn has_weak_hash(&self) -> bool {
        (**self).has_weak_hash()
    }
}

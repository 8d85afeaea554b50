//! Is it good: verifiers of credentials, apart from where in a request they stand.

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

#[cfg(feature = "password")]
pub use self::password::{
    MemoryPasswordStore, PasswordLookup, PasswordStore, SharedPassword, StoredPasswords,
};
pub use self::{
    shared_token::SharedToken, stored_tokens::StoredTokens, token_set::TokenSet, user_lookup::UserLookup,
};

/// What a verifier says of a credential.
#[derive(Debug)]
#[non_exhaustive]
pub enum Verification {
    /// I know it, and this is what it is worth. Its expiry is checked by whoever asked, at every use.
    Valid(Grant),
    /// I know it is not good, and why.
    Rejected(Reason),
    /// I cannot tell, for something did not answer.
    Unavailable(BackendError),
    /// I do not know it.
    Unknown,
}

/// Somebody who knows tokens.
///
/// See [`MaybeFuture`] for one that asks a database.
pub trait TokenVerifier: Send + Sync + 'static {
    /// What `token` is worth: 1 to 8,000 visible ASCII characters, so a JWT as well. One that is of another system, such
    /// as a JWT that a proxy added, is [`Reason::UnsupportedToken`]: an optional route admits the request as anonymous.
    fn verify(&self, token: PresentedToken<'_>) -> MaybeFuture<Verification>;

    /// What the token with this hash is worth. Default: it is not known.
    ///
    /// Asked at each use of a login that was made by typing a token, so that the login ends when the token does; see
    /// `AuthLayerBuilder::allow_token_login`. A verifier that cannot tell lets nobody in by a form.
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

/// Returns what the first of these verifiers that knows the token with this hash says of it.
pub(crate) fn verify_hash(
    verifiers: &[Arc<dyn TokenVerifier>],
    token: TokenHash,
) -> MaybeFuture<Verification> {
    let mut answers = Vec::new();
    for verifier in verifiers {
        match verifier.verify_hash(token) {
            // Nothing has to be waited for, as long as none before has to be.
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

/// Somebody who knows passwords.
///
/// With the feature `password` there are verifiers that keep hashes: `SharedPassword` and `StoredPasswords`.
/// One of one's own may ask a directory.
///
/// # Security
///
/// A wrong password, an unknown user, one who is locked out and one without a password are all told as
/// [`Reason::IncorrectPassword`], and after the same time: whoever asks must not learn who has an account here.
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
    /// What `password` is worth, from somebody who calls themselves `username`.
    fn verify(&self, username: &str, password: &Secret) -> MaybeFuture<Verification>;

    /// Default: no. Whether passwords are checked against a weak hash that no login makes anew, so that the operator
    /// is to be warned at each: [`Event::WeakPasswordHash`](crate::Event::WeakPasswordHash).
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

//! An answer that is there now, or comes later.

use std::{
    fmt,
    future::{Future, IntoFuture, ready},
    pin::Pin,
};

/// A boxed future that may move between threads and borrows nothing.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What can be told at once, or must be waited for.
///
/// What needs no waiting is told as `Now` and costs no box: a token compared with another, a cookie opened.
/// Only what asks the outside, such as a database or a hub, is `Later`.
///
/// # Example
///
/// `Later` cannot borrow from the request: clone the handle, take a `Copy` value, move both.
///
/// ```
/// use portcullis::{Answer, Grant, PresentedToken, TokenHash, TokenVerifier, Unavailable, Verdict};
///
/// #[derive(Clone)]
/// struct Database;
///
/// impl Database {
///     async fn grant(&self, hash: TokenHash) -> Result<Option<Grant>, std::io::Error> {
///         Ok(None)
///     }
/// }
///
/// impl TokenVerifier for Database {
///     fn verify(&self, token: PresentedToken<'_>) -> Answer<Verdict> {
///         let (database, hash) = (self.clone(), token.hash());
///         Answer::later(async move {
///             match database.grant(hash).await {
///                 Ok(Some(grant)) => Verdict::Known(grant),
///                 Ok(None) => Verdict::Unknown,
///                 Err(error) => Verdict::Unavailable(Unavailable::new(error)),
///             }
///         })
///     }
/// }
/// ```
#[expect(clippy::exhaustive_enums, reason = "there is no third time")]
pub enum Answer<T> {
    /// The answer.
    Now(T),
    /// The answer, once something else has answered.
    Later(BoxFuture<T>),
}

impl<T> Answer<T> {
    /// An answer that `future` will give.
    pub fn later(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self::Later(Box::pin(future))
    }

    /// The answer `change` makes of this one, at the same time as this one.
    pub fn map<U>(self, change: impl FnOnce(T) -> U + Send + 'static) -> Answer<U>
    where
        T: 'static,
    {
        match self {
            Self::Now(answer) => Answer::Now(change(answer)),
            Self::Later(future) => Answer::later(async move { change(future.await) }),
        }
    }
}

impl<T> From<T> for Answer<T> {
    fn from(answer: T) -> Self {
        Self::Now(answer)
    }
}

impl<T: Send + 'static> IntoFuture for Answer<T> {
    type Output = T;
    type IntoFuture = BoxFuture<T>;

    fn into_future(self) -> BoxFuture<T> {
        match self {
            Self::Now(answer) => Box::pin(ready(answer)),
            Self::Later(future) => future,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(answer) => f.debug_tuple("Now").field(answer).finish(),
            Self::Later(_) => f.write_str("Later"),
        }
    }
}

//! A value that is available now, or later.

use std::{
    fmt,
    future::{Future, IntoFuture, ready},
    pin::Pin,
};

/// A boxed future that may move between threads and borrows nothing.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A value that is available now, or must be awaited.
///
/// A value that needs no I/O, such as the result of comparing tokens or reading a cookie, is `Ready` and is not
/// boxed. A lookup in a database or at a hub is a `Future`.
///
/// # Example
///
/// A future cannot borrow from the request: clone the handle, take a `Copy` value, move both.
///
/// ```
/// use portcullis::{token::{PresentedToken, TokenHash}, MaybeFuture, Grant, TokenVerifier, BackendError, Verification};
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
///     fn verify(&self, token: PresentedToken<'_>) -> MaybeFuture<Verification> {
///         let (database, hash) = (self.clone(), token.hash());
///         MaybeFuture::from_future(async move {
///             match database.grant(hash).await {
///                 Ok(Some(grant)) => Verification::Valid(grant),
///                 Ok(None) => Verification::Unknown,
///                 Err(error) => Verification::Unavailable(BackendError::new(error)),
///             }
///         })
///     }
/// }
/// ```
#[expect(clippy::exhaustive_enums, reason = "there is no third time")]
pub enum MaybeFuture<T> {
    /// The value.
    Ready(T),
    /// A future that returns the value.
    Future(BoxFuture<T>),
}

impl<T> MaybeFuture<T> {
    /// Creates a value that `future` returns.
    pub fn from_future(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self::Future(Box::pin(future))
    }

    /// Applies `change` to the value, now or when it is available.
    pub fn map<U>(self, change: impl FnOnce(T) -> U + Send + 'static) -> MaybeFuture<U>
    where
        T: 'static,
    {
        match self {
            Self::Ready(answer) => MaybeFuture::Ready(change(answer)),
            Self::Future(future) => MaybeFuture::from_future(async move { change(future.await) }),
        }
    }
}

impl<T> From<T> for MaybeFuture<T> {
    fn from(answer: T) -> Self {
        Self::Ready(answer)
    }
}

impl<T: Send + 'static> IntoFuture for MaybeFuture<T> {
    type Output = T;
    type IntoFuture = BoxFuture<T>;

    fn into_future(self) -> BoxFuture<T> {
        match self {
            Self::Ready(answer) => Box::pin(ready(answer)),
            Self::Future(future) => future,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for MaybeFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(answer) => f.debug_tuple("Ready").field(answer).finish(),
            Self::Future(_) => f.write_str("Future"),
        }
    }
}

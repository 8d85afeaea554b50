//! May they: what somebody known is allowed to do.

use crate::{denial::Denial, head::Head, session::Session};

/// Somebody who decides what a session may do. Every closure of the right shape is one.
///
/// # Example
///
/// ```
/// use portcullis::{Authorizer, Denial, Head, Session};
///
/// fn by_method() -> impl Authorizer {
///     |head: Head<'_>, session: &Session| -> Result<(), Denial> {
///         session.require(if head.method().is_safe() { "read" } else { "write" })
///     }
/// }
/// ```
pub trait Authorizer: Send + Sync + 'static {
    /// Nothing if `session` may do what the request asks.
    ///
    /// # Errors
    ///
    /// The denial to answer with; see [`Session::require`].
    fn authorize(&self, head: Head<'_>, session: &Session) -> Result<(), Denial>;
}

impl<F> Authorizer for F
where
    F: Fn(Head<'_>, &Session) -> Result<(), Denial> + Send + Sync + 'static,
{
    fn authorize(&self, head: Head<'_>, session: &Session) -> Result<(), Denial> {
        self(head, session)
    }
}

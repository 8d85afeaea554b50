//! Authorization: what an authenticated user may do.

use crate::{
    denial::{Denial, Reason},
    request::head::RequestHead,
    session::Session,
};

/// Decides what a session may do. Implemented for closures with this signature.
///
/// # Example
///
/// ```
/// use portcullis::{Authorizer, Denial, RequestHead, Session};
///
/// fn by_method() -> impl Authorizer {
///     |head: RequestHead<'_>, session: &Session| -> Result<(), Denial> {
///         session.require_scope(if head.method().is_safe() { "read" } else { "write" })
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an authorizer",
    label = "expected an `Authorizer`, or a closure with its types written out",
    note = "a closure looks like `|head: RequestHead<'_>, session: &Session| -> Result<(), Denial> {{ … }}`"
)]
pub trait Authorizer: Send + Sync + 'static {
    /// Checks that `session` may do what the request is for.
    ///
    /// # Errors
    ///
    /// The denial to answer with; see [`Session::require_scope`].
    fn authorize(&self, head: RequestHead<'_>, session: &Session) -> Result<(), Denial>;

    /// Allows or denies a request without a session, on routes that are [`optional`](crate::AuthLayer::optional).
    ///
    /// Defaults to a denial, so that an authorizer is never passed by leaving the credential out.
    ///
    /// # Errors
    ///
    /// `Reason::MissingCredential` by default: 401, or the login page.
    fn authorize_anonymous(&self, head: RequestHead<'_>) -> Result<(), Denial> {
        let _ = head;
        Err(Denial::new(Reason::MissingCredential))
    }
}

impl<F> Authorizer for F
where
    F: Fn(RequestHead<'_>, &Session) -> Result<(), Denial> + Send + Sync + 'static,
{
    fn authorize(&self, head: RequestHead<'_>, session: &Session) -> Result<(), Denial> {
        self(head, session)
    }
}

//! The `_xsrf` value for a form of your own.

use std::fmt;

use super::{endpoint::EndpointRequest, route::RouteAuth};
use crate::{
    authenticate::Outcome, cookies::SetCookies, denial::Denial, maybe_future::MaybeFuture,
    request::head::RequestHead, session::Session,
};

/// The `_xsrf` value for a form of your own, returned by [`AuthLayer::csrf_token`].
///
/// [`AuthLayer::csrf_token`]: crate::AuthLayer::csrf_token
pub struct CsrfToken {
    value: String,
    cookies: SetCookies,
}

impl CsrfToken {
    /// The value: letters and digits alone, so it needs no escaping anywhere.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The cookie that belongs to it, if the browser has none that does: to be put on the answer with the form.
    pub fn into_set_cookies(self) -> SetCookies {
        self.cookies
    }
}

impl fmt::Debug for CsrfToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CsrfToken")
    }
}

impl RouteAuth {
    /// See [`AuthLayer::csrf_token`](crate::AuthLayer::csrf_token).
    pub(crate) fn xsrf_token(&self, head: RequestHead<'_>) -> Result<CsrfToken, Denial> {
        self.request(head, |request| {
            let mut cookies = SetCookies::default();
            let value = request.xsrf(request.session.as_ref(), &mut cookies);
            Ok(CsrfToken { value, cookies })
        })
    }

    /// See [`AuthLayer::verify_csrf`](crate::AuthLayer::verify_csrf).
    pub(crate) fn check_xsrf(&self, head: RequestHead<'_>, field: &str) -> Result<(), Denial> {
        self.request(head, |request| {
            request.check_xsrf(request.session.as_ref(), field)
        })
    }

    fn request<T>(
        &self,
        head: RequestHead<'_>,
        then: impl FnOnce(&EndpointRequest<'_>) -> Result<T, Denial>,
    ) -> Result<T, Denial> {
        let head = head.replace_clock(self.clock());
        // The session that the layer admitted, or on an open path that of the cookie.
        let session =
            Session::from_extensions(head.extensions())
                .cloned()
                .or_else(|| match self.authenticate(&head) {
                    MaybeFuture::Ready(Outcome::Authenticated(session)) => Some(session),
                    _ => None,
                });
        then(&EndpointRequest {
            state: self.state(),
            head,
            target: self.state.guards.check_target(head)?,
            session,
            is_permitted: false,
        })
    }
}

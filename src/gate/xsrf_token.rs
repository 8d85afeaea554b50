//! The `_xsrf` value for a form of one's own.

use std::fmt;

use super::{endpoint::Visit, passage::Passage};
use crate::{
    authenticate::Outcome, cookie::SetCookies, denial::Denial, head::Head, maybe_future::Answer,
    session::Session,
};

/// The `_xsrf` value for a form of one's own: what [`AuthLayer::csrf_token`] gives.
///
/// [`AuthLayer::csrf_token`]: crate::AuthLayer::csrf_token
pub struct XsrfToken {
    value: String,
    cookies: SetCookies,
}

impl XsrfToken {
    /// The value: letters and digits alone, so it needs no escaping anywhere.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The cookie that belongs to it, if the browser has none that does: to be put on the answer with the form.
    pub fn set_cookies(self) -> SetCookies {
        self.cookies
    }
}

impl fmt::Debug for XsrfToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("XsrfToken")
    }
}

impl Passage {
    /// See [`AuthLayer::csrf_token`](crate::AuthLayer::csrf_token).
    pub(crate) fn xsrf_token(&self, head: Head<'_>) -> Result<XsrfToken, Denial> {
        self.visit(head, |visit| {
            let mut cookies = SetCookies::default();
            let value = visit.xsrf(visit.session.as_ref(), &mut cookies);
            Ok(XsrfToken { value, cookies })
        })
    }

    /// See [`AuthLayer::verify_csrf`](crate::AuthLayer::verify_csrf).
    pub(crate) fn check_xsrf(&self, head: Head<'_>, field: &str) -> Result<(), Denial> {
        self.visit(head, |visit| visit.check_xsrf(visit.session.as_ref(), field))
    }

    fn visit<T>(
        &self,
        head: Head<'_>,
        then: impl FnOnce(&Visit<'_>) -> Result<T, Denial>,
    ) -> Result<T, Denial> {
        let head = head.with_clock(self.clock());
        // The session that the layer let in, or else the one of the cookie, on an open path.
        let session = Session::of(head.extensions())
            .cloned()
            .or_else(|| match self.authenticate(&head) {
                Answer::Now(Outcome::Accepted(session)) => Some(session),
                _ => None,
            });
        then(&Visit {
            gate: self.gate(),
            head,
            surroundings: self.gate.guards.surroundings(head)?,
            session,
            is_permitted: false,
        })
    }
}

//! What the gate decided of a request, and what it adds to the answer.

use http::{
    HeaderMap, HeaderValue,
    header::{CACHE_CONTROL, REFERRER_POLICY, VARY},
};

use crate::{
    cookie::SetCookies,
    gate::endpoint::FormRequest,
    gate::responses::{NO_REFERRER, NO_STORE, OwnResponse},
    guard::Cors,
    session::Session,
};

/// What the gate decided of a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Decision {
    /// Let in. The handler runs, and `afterwards` is applied to its answer.
    Admitted {
        /// Who, or `None` on a route that does not ask.
        session: Option<Session>,
        /// What the gate adds to the handler's answer.
        afterwards: Afterwards,
    },
    /// Answered by the gate itself: a refusal, a redirect, a preflight, a page.
    Answered(Box<OwnResponse>),
    /// Sent to one of the gate's own paths with a form: the body is to be read, and handed over.
    WantsForm(Box<FormRequest>),
}

/// What the gate adds to the handler's answer: cookies, and header fields that keep secrets out of caches and
/// referrers.
#[derive(Debug, Default)]
pub struct Afterwards {
    more: Option<Box<Additions>>,
    /// The answer depends on a cookie: all that most requests of browsers need.
    by_cookie: bool,
}

/// Additions to an answer, as they are gathered.
#[derive(Debug, Default)]
pub(crate) struct Additions {
    pub(crate) set_cookies: SetCookies,
    /// The answer depends on a cookie.
    pub(crate) by_cookie: bool,
    /// The URL of the request held a token.
    pub(crate) token_in_url: bool,
    /// What pages of other origins may know of the answer.
    pub(crate) cors: Cors,
}

impl From<Additions> for Afterwards {
    #[inline]
    fn from(additions: Additions) -> Self {
        let few = !additions.token_in_url && additions.set_cookies.is_empty() && additions.cors.is_nothing();
        Self {
            by_cookie: additions.by_cookie,
            more: (!few).then(|| Box::new(additions)),
        }
    }
}

impl Afterwards {
    #[inline]
    pub(crate) fn is_nothing(&self) -> bool {
        self.more.is_none() && !self.by_cookie
    }

    /// Adds to `headers`: appended, so that nothing of the handler's is lost.
    pub fn apply_to(self, headers: &mut HeaderMap) {
        match self.more {
            Some(additions) => additions.apply_to(headers),
            None if self.by_cookie => vary_by_cookie(headers),
            None => {}
        }
    }
}

impl Additions {
    /// Adds to `headers`: see [`Afterwards::apply_to`].
    pub(crate) fn apply_to(self, headers: &mut HeaderMap) {
        if self.token_in_url {
            headers.insert(CACHE_CONTROL, NO_STORE);
            headers.insert(REFERRER_POLICY, NO_REFERRER);
        } else if self.by_cookie {
            vary_by_cookie(headers);
        }
        self.cors.write_to(headers);
        self.set_cookies.append_to(headers);
    }
}

/// An answer without any field gives a cache no reason to keep it.
fn vary_by_cookie(headers: &mut HeaderMap) {
    if !headers.is_empty() {
        headers.append(VARY, HeaderValue::from_static("Cookie"));
    }
}

//! What the layer adds to the handler's answer.

use std::{mem, sync::Arc};

use http::{
    HeaderMap, HeaderValue, Response,
    header::{CACHE_CONTROL, REFERRER_POLICY, VARY},
};

use crate::{
    cookies::SetCookies,
    middleware::error_response::{ErrorResponder, NO_REFERRER, NO_STORE},
    request_policy::CorsHeaders,
};

/// What the layer adds to the handler's answer: cookies, and header fields that keep secrets out of caches and
/// referrers.
#[derive(Debug, Default)]
pub struct ResponseAdditions {
    pub(crate) set_cookies: SetCookies,
    /// The answer depends on a cookie.
    pub(crate) by_cookie: bool,
    /// The answer depends on the `Authorization` field.
    pub(crate) by_authorization: bool,
    /// The URL of the request held a token.
    pub(crate) token_in_url: bool,
    /// Which parts of the response pages of other origins may read.
    pub(crate) cors: CorsHeaders,
    /// Completes a denial that the handler returned.
    pub(crate) error_responder: Option<Arc<ErrorResponder>>,
}

impl ResponseAdditions {
    /// Adds to the handler's answer, as [`apply_to`](Self::apply_to) does. If the handler made it of a
    /// [`Denial`](crate::Denial), its status and `WWW-Authenticate` become those of the layer.
    #[inline]
    pub fn apply_to_response<B>(mut self, response: &mut Response<B>) {
        self.complete(response);
    }

    /// Adds to `headers`: appended, so that nothing of the handler's is lost.
    #[inline]
    pub fn apply_to(mut self, headers: &mut HeaderMap) {
        self.add_to(headers);
    }

    /// As [`apply_to_response`](Self::apply_to_response), in place: what was added is taken out.
    #[inline]
    pub(crate) fn complete<B>(&mut self, response: &mut Response<B>) {
        if let Some(error_responder) = &self.error_responder {
            error_responder.complete(response);
        }
        self.add_to(response.headers_mut());
    }

    fn add_to(&mut self, headers: &mut HeaderMap) {
        if self.token_in_url {
            headers.insert(CACHE_CONTROL, NO_STORE);
            headers.insert(REFERRER_POLICY, NO_REFERRER);
        } else if self.by_cookie && !headers.is_empty() {
            // An answer without any field gives a cache no reason to keep it.
            let fields = if self.by_authorization {
                "Cookie, Authorization"
            } else {
                "Cookie"
            };
            headers.append(VARY, HeaderValue::from_static(fields));
        }
        mem::take(&mut self.cors).apply_to(headers);
        mem::take(&mut self.set_cookies).append_to(headers);
    }
}

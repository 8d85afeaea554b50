//! A request that is not admitted: the one place where a denial becomes an answer.

use super::route::RouteAuth;
use crate::{
    cookies::SetCookies,
    denial::{Denial, Reason},
    middleware::{
        cookies::is_https,
        error_response::{FullResponse, is_authentication_error},
    },
    request::{head::RequestHead, page_request::is_page_request},
    request_policy::PolicyRule,
    session::Session,
};

/// Why a request is not admitted, and the session that it has.
pub(crate) struct Denied {
    denial: Denial,
    /// Boxed, so that what is passed on with each admitted request stays small.
    session: Option<Box<Session>>,
}

impl Denied {
    pub(super) fn with_session(denial: Denial, session: Session) -> Self {
        let session = Some(Box::new(session));
        Self { denial, session }
    }
}

impl From<Denial> for Denied {
    fn from(denial: Denial) -> Self {
        let session = None;
        Self { denial, session }
    }
}

impl RouteAuth {
    /// The answer to a request that is not admitted.
    pub(super) fn refuse(&self, Denied { denial, session }: Denied, head: &RequestHead<'_>) -> FullResponse {
        let state = &*self.state;
        let target = || state.guards.check_target(*head).ok();
        let https = || target().is_some_and(|target| is_https(&target, *head));
        if state.observer.is_some() {
            state.report_refusal(denial.reason(), session.as_deref(), *head, target().as_ref());
        }
        let mut additions = self.additions(head, false);
        let cookies = &mut additions.set_cookies;
        if is_about_a_cookie(denial.reason()) {
            self.remove_bad_cookie(head, https, cookies);
        }
        if let Some(session) = session
            && PolicyRule::from_denial(&denial) == Some(PolicyRule::Csrf)
        {
            state.xsrf_cookie.renew(&session, https(), cookies);
        }
        let elsewhere = state.external_login.as_ref();
        let login = elsewhere.filter(|_| is_authentication_error(denial.reason()));
        let mut response = match login.and_then(|elsewhere| elsewhere.login_redirect(*head, https())) {
            Some(mut response) => {
                response.extensions_mut().insert(denial);
                response
            }
            None => state.error_responder.refuse(denial, *head),
        };
        additions.apply_to(response.headers_mut());
        response
    }

    /// Removes a login cookie that is not good any more, on the answer to a page request alone: the late answer to a
    /// script's earlier request would remove the cookie of a newer login.
    pub(super) fn remove_bad_cookie(
        &self,
        head: &RequestHead<'_>,
        https: impl FnOnce() -> bool,
        cookies: &mut SetCookies,
    ) {
        let has_cookie = self.state.login_cookie.is_some() || self.state.external_login.is_some();
        if !has_cookie || !is_page_request(*head) {
            return;
        }
        let https = https();
        if let Some(login_cookie) = &self.state.login_cookie {
            login_cookie.remove(*head, https, cookies);
        }
        if let Some(elsewhere) = &self.state.external_login {
            elsewhere.remove_cookies(*head, https, false, cookies);
        }
    }
}

/// Whether a login cookie is not good any more.
pub(super) fn is_about_a_cookie(reason: Reason) -> bool {
    matches!(reason, Reason::ExpiredCookie | Reason::InvalidCookie)
}

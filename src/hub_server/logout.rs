//! The end of a login: of this one, or of all that a user has.
//!
//! | request | answer |
//! |---|---|
//! | GET by which a user opens the page, from this site, logged in | ends the logins and all tokens made in them; 302 to the login page; removes the cookies and what pages stored |
//! | any other GET, HEAD, logged in | 200, a page with a button; nothing changes |
//! | GET, not logged in | 302 to the login page; nothing ends, whatever session id was sent |
//! | POST with the `_xsrf` of a login | as GET; with `everywhere` all logins of the user end |
//! | POST otherwise | 403 |
//! | cookies too large to be read | 431; nothing ends |
//! | POST from this site with such cookies and `remove_cookies`, the button of the page that says 431 | removes the hub's cookies; no login ends |
//!
//! Every login ends whose cookie came with the request, of every user: another host of the domain, or another port, can
//! plant cookies of the same name, and none of them may keep the user's own login alive.

use http::{HeaderName, HeaderValue};

use super::{
    browser_session::{BrowserSession, missing_xsrf, session_of},
    request::{HubRequest, HubResult},
    response,
};
use crate::{
    cookies::SetCookies,
    denial::Reason,
    event::Event,
    html::Page,
    middleware::{
        denial_page::REMOVE_COOKIES,
        error_response::{FullResponse, page_response},
        form::UrlEncodedForm,
    },
    request::page_request::is_urlencoded,
    session::identity::Identity,
    store::{RecordId, SessionFilter, SessionRecord},
};

static CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

impl HubRequest<'_> {
    pub(crate) async fn logout_page(&self) -> HubResult {
        let is_opened = self.hub.guards.logs_out_by_get(&self.target, self.head);
        let logins = self.logins().await?;
        let Some(first) = logins.first() else {
            let stale = is_opened && matches!(self.visitor().await?, BrowserSession::Expired);
            let mut response = response::redirect_found(&self.hub.hub_url.join("login"));
            if stale {
                let mut cookies = SetCookies::default();
                self.remove_bad_login(&mut cookies);
                cookies.append_to(response.headers_mut());
            }
            return Ok(response);
        };
        if !is_opened {
            let mut cookies = SetCookies::default();
            let xsrf = self.xsrf_of_session(&session_of(first), &mut cookies);
            let page = Page::new(&self.hub.page_style, "Log out?")
                .paragraph("Do you want to log out of this browser?")
                .form(&self.hub.hub_url.join("logout"), "Log out", |fields| {
                    fields.hidden("_xsrf", &xsrf)
                });
            let mut response = page_response(page);
            cookies.append_to(response.headers_mut());
            return Ok(response);
        }
        self.end(&logins, &[]).await
    }

    pub(crate) async fn log_out(&self) -> HubResult {
        // A script posts without a body; its `_xsrf` is in the query or a header field.
        let form = if is_urlencoded(self.head) {
            self.form()?
        } else {
            UrlEncodedForm::default()
        };
        let logins = match self.logins().await {
            Err(trouble) if trouble.is_unread() && form.field(REMOVE_COOKIES).is_some() => {
                if self.hub.guards.is_cross_site(&self.target, self.head) {
                    return Err(Reason::CrossSite.into());
                }
                return Ok(self.without_cookies());
            }
            logins => logins?,
        };
        let (mut proven, mut denied) = (Vec::new(), missing_xsrf());
        for login in &logins {
            match self.check_xsrf(&session_of(login), &form) {
                Ok(()) => proven.push(login.id()),
                Err(denial) => denied = denial.into(),
            }
        }
        if proven.is_empty() {
            return Err(denied);
        }
        if form.field("everywhere").is_none() {
            proven.clear();
        }
        self.end(&logins, &proven).await
    }

    /// Ends `logins`, and for those in `everywhere` all other logins of the same user.
    async fn end(&self, logins: &[SessionRecord], everywhere: &[RecordId]) -> HubResult {
        let hub = self.hub;
        // The cookies are removed only after the logins have ended: without them the browser could not try again.
        for login in logins {
            let owner = login.owner();
            let ended = if everywhere.contains(&login.id()) {
                SessionFilter::owner(owner)
            } else {
                SessionFilter::owner(owner).and_session(login.session_id())
            };
            hub.store.end_sessions(ended).await?;
            hub.emit(&Event::LoggedOut {
                identity: &Identity::new(owner),
                client: hub.guards.client_ip(&self.target, self.head),
            });
        }
        let mut response = self.without_cookies();
        response.headers_mut().insert(
            &CLEAR_SITE_DATA,
            HeaderValue::from_static("\"cache\", \"storage\""),
        );
        Ok(response)
    }

    /// Removes the hub's cookies, on the way to the login page.
    fn without_cookies(&self) -> FullResponse {
        let hub = self.hub;
        let mut response = response::redirect_found(&hub.hub_url.join("login"));
        let mut cookies = SetCookies::default();
        let host = self.head.host().unwrap_or_default();
        if let Some(line) = hub.session_scope.removal_cookie(host, self.https()) {
            cookies.push_overriding(line);
        }
        self.remove_login(&mut cookies);
        if let Some(line) = hub.services_scope.removal_cookie(host, self.https()) {
            cookies.push_overriding(line);
        }
        hub.xsrf_cookie.remove(self.https(), &mut cookies);
        cookies.append_to(response.headers_mut());
        response
    }
}

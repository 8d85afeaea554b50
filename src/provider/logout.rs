//! The end of a login: of this one, or of all that a user has.
//!
//! | request | answer |
//! |---|---|
//! | GET, somebody | ends the login and all tokens made in it; 302 to the login page; every cookie is taken away, and what pages kept |
//! | GET that another site caused | 200, a page with a button |
//! | GET, nobody | 302 to the login page; nothing ends, whatever session id was sent |
//! | POST with the `_xsrf` of the session | as GET; with `everywhere` all logins of the user end |
//! | POST otherwise | 403 |

use http::{HeaderName, HeaderValue};

use super::{
    call::{Answered, Call},
    told,
    visitor::{Sight, Visitor},
};
use crate::{
    cookie::SetCookies, event::Event, gate::responses::page_response, identity::Identity, page::Page,
    store::Logins,
};

static CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

impl Call<'_> {
    pub(crate) async fn logout_page(&self) -> Answered {
        match self.visitor().await? {
            Sight::Known(visitor) if self.hub.guards.shows_another_site(&self.surroundings, self.head) => {
                let mut cookies = SetCookies::default();
                let xsrf = self.xsrf_of(&visitor, &mut cookies);
                let page = Page::new("Log out?")
                    .paragraph("A link or a page somewhere else led here. Log out only if you meant to.")
                    .form(&self.hub.hub_url.join("logout"), "Log out", |fields| {
                        fields.hidden("_xsrf", &xsrf)
                    });
                let mut response = page_response(page.finish());
                cookies.append_to(response.headers_mut());
                Ok(response)
            }
            Sight::Known(visitor) => self.end(&visitor, false).await,
            Sight::Nobody => Ok(told::found(&self.hub.hub_url.join("login"))),
            Sight::Stale => {
                let mut response = told::found(&self.hub.hub_url.join("login"));
                let mut cookies = SetCookies::default();
                self.remove_login(&mut cookies);
                cookies.append_to(response.headers_mut());
                Ok(response)
            }
        }
    }

    pub(crate) async fn log_out(&self) -> Answered {
        let (visitor, form) = self.visitor_by_form().await?;
        self.end(&visitor, form.field("everywhere").is_some()).await
    }

    async fn end(&self, visitor: &Visitor, everywhere: bool) -> Answered {
        let hub = self.hub;
        let owner = visitor.member.name();
        let ended = if everywhere {
            Logins::of(owner)
        } else {
            Logins::of(owner).in_session(visitor.login.session_id())
        };
        // The cookies go only when the login is gone: a browser that has none could not ask again.
        hub.store.end_logins(ended).await?;
        hub.tell(&Event::LoggedOut {
            identity: &Identity::new(owner),
            client: hub.guards.client(&self.surroundings, self.head),
        });
        let mut response = told::found(&hub.hub_url.join("login"));
        response.headers_mut().insert(
            &CLEAR_SITE_DATA,
            HeaderValue::from_static("\"cache\", \"storage\""),
        );
        let mut cookies = SetCookies::default();
        let host = self.head.host().unwrap_or_default();
        for line in hub.session_scope.removals(host, self.https()) {
            cookies.push_own(line);
        }
        self.remove_login(&mut cookies);
        if let Some(line) = hub.services_scope.removals(host, self.https()).last() {
            cookies.push_own(line);
        }
        hub.xsrf_cookie.remove(self.https(), &mut cookies);
        cookies.append_to(response.headers_mut());
        Ok(response)
    }
}

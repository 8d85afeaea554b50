//! The logout.
//!
//! | request | answer |
//! |---|---|
//! | GET by which a user opens the page, from this site | logs out: see `RequestPolicy::logs_out_by_get` |
//! | any other GET, HEAD | a page with a button; nothing changes |
//! | POST with the `_xsrf` of the session in the form, the query or a header field, or without a session | logs out |
//! | POST that another site may have caused | 403, the page with the button |
//! | any of them with cookies that are too large to read | 431, nothing is ended |
//! | POST from this site with `remove_cookies`, the button of the page that says 431 | as far as the cookies can be read, logs out; else removes the cookies of this server, and no login ends |
//!
//! Logging out ends every login whose cookie came with the request: copies of the cookies are rejected from then on, and
//! [`AuthLayer::session_ended`](crate::AuthLayer::session_ended) completes. Cookies that cannot be decrypted, or that
//! another host planted next to them, do not matter; a request with too many cookies to read is rejected, and ends
//! nothing. It removes the cookies on every path they may have, and asks the browser by `Clear-Site-Data` to forget the
//! pages and the data it kept. Cookies are not named there: other servers on the same host, whatever their port, would
//! lose theirs.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, StatusCode, header::SET_COOKIE};

use crate::{
    cookies::SetCookies,
    denial::{Denial, Reason},
    event::Event,
    html::Page,
    maybe_future::MaybeFuture,
    middleware::{
        cookies::is_https,
        denial_page::{REMOVE_COOKIES, with_cookie_removal},
        endpoint::{Endpoint, EndpointRequest},
        error_response::{FullResponse, page_response, redirect, retry_after},
        form::UrlEncodedForm,
        provider_logout::ProviderLogout,
        state::AuthState,
    },
};

/// See the module documentation.
pub(crate) struct LogoutEndpoint {
    pub(crate) path: Box<str>,
    pub(crate) login_path: Box<str>,
    /// Whether a store keeps the sessions.
    pub(crate) is_stored: bool,
    /// The identity providers at which a logout goes on.
    pub(crate) providers: Option<Arc<dyn ProviderLogout>>,
}

static CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

impl Endpoint for LogoutEndpoint {
    /// A logout must not depend on a hub that does not answer, but a store has to answer to end the session in any case.
    /// Without a session, Fetch Metadata and Origin show whether another site caused it.
    fn waits_for_session(&self) -> bool {
        self.is_stored
    }

    /// A script logs out by a POST without a body; its `_xsrf` is in the query or a header field.
    fn needs_form(&self) -> bool {
        false
    }

    fn get(&self, request: &EndpointRequest<'_>) -> MaybeFuture<FullResponse> {
        if request
            .state()
            .guards
            .logs_out_by_get(&request.target, request.head)
        {
            return self.log_out(request, false);
        }
        self.confirmation_page(request, StatusCode::OK).into()
    }

    fn post(&self, request: &EndpointRequest<'_>, form: &UrlEncodedForm) -> MaybeFuture<FullResponse> {
        let state = request.state();
        let permitted = match request.session_by_cookie() {
            Some(session) => state.xsrf_cookie.check(
                &state.guards,
                &request.target,
                request.head,
                session,
                Some(form.text("_xsrf").trim()),
            ),
            // Cookies that another host planted may hide a login, and it would be ended as well.
            None if state.guards.is_cross_site(&request.target, request.head) => {
                Err(Denial::new(Reason::CrossSite))
            }
            None => Ok(()),
        };
        match permitted {
            Ok(()) => self.log_out(request, form.field(REMOVE_COOKIES).is_some()),
            Err(denial) => {
                state.log_denied(denial.reason(), request.head, &request.target);
                self.confirmation_page(request, StatusCode::FORBIDDEN).into()
            }
        }
    }
}

impl LogoutEndpoint {
    /// Logs out here, and then at the provider.
    fn log_out(&self, request: &EndpointRequest<'_>, removes_unread: bool) -> MaybeFuture<FullResponse> {
        let response = self.log_out_here(request, removes_unread);
        let providers = self.providers.as_ref();
        let Some(elsewhere) = providers.and_then(|providers| providers.logout(request)) else {
            return response;
        };
        MaybeFuture::from_future(async move {
            let mut response = response.await;
            if !response.headers().contains_key(&CLEAR_SITE_DATA) {
                return response;
            }
            elsewhere.cookies.append_to(response.headers_mut());
            let Some(url) = elsewhere.url.await else {
                return response;
            };
            let mut redirected = redirect(StatusCode::FOUND, url);
            for name in [&SET_COOKIE, &CLEAR_SITE_DATA] {
                for value in response.headers().get_all(name) {
                    redirected.headers_mut().append(name, value.clone());
                }
            }
            redirected
        })
    }

    fn log_out_here(&self, request: &EndpointRequest<'_>, removes_unread: bool) -> MaybeFuture<FullResponse> {
        let state = request.state();
        let https = is_https(&request.target, request.head);
        if let (Some(_), Some(session)) = (&state.external_login, request.session_by_cookie()) {
            state.emit(&Event::LoggedOut {
                identity: session.identity(),
                client: request.client(),
            });
        }
        match state.logout(request.head, request.client(), https) {
            MaybeFuture::Ready(Ok(cookies)) => logged_out(state, &self.login_path, cookies).into(),
            MaybeFuture::Ready(Err(_)) if removes_unread => self.remove_unread(request, https).into(),
            MaybeFuture::Ready(Err(denial)) => self.refuse_unread(request, &denial).into(),
            MaybeFuture::Future(cookies) => {
                let (state, login_path) = (Arc::clone(state), self.login_path.clone());
                MaybeFuture::from_future(async move {
                    match cookies.await {
                        Ok(cookies) => logged_out(&state, &login_path, cookies),
                        Err(denial) => not_logged_out(&state, &denial),
                    }
                })
            }
        }
    }

    /// The answer where the cookies are too large to read: no login could be ended, so no cookie is removed.
    fn refuse_unread(&self, request: &EndpointRequest<'_>, denial: &Denial) -> FullResponse {
        request
            .state()
            .log_denied(denial.reason(), request.head, &request.target);
        let page = Page::new(&request.state().error_responder.page_style, "Logout failed").paragraph(
            "The cookies of this request are too large to read. Delete the cookies of this site, and try again.",
        );
        let mut response = page_response(with_cookie_removal(page, &self.path));
        *response.status_mut() = denial.status();
        response
    }

    /// Removes cookies that are too large to read. The logins that they hold do not end.
    fn remove_unread(&self, request: &EndpointRequest<'_>, https: bool) -> FullResponse {
        let mut cookies = SetCookies::default();
        request.state().remove_cookies(request.head, https, &mut cookies);
        let page = Page::new(&request.state().error_responder.page_style, "Cookies removed")
            .paragraph("The cookies of this server were removed from this browser.")
            .muted(
                "If the server still refuses them as too large, delete all cookies of this site in the settings of \
                 your browser.",
            );
        let mut response = page_response(page.link(&self.login_path, "Log in"));
        cookies.append_to(response.headers_mut());
        response
    }

    fn confirmation_page(&self, request: &EndpointRequest<'_>, status: StatusCode) -> FullResponse {
        let https = is_https(&request.target, request.head);
        let mut cookies = SetCookies::default();
        let xsrf = request.session_by_cookie().map(|session| {
            request
                .state()
                .xsrf_cookie
                .session_token(session, request.head, https, &mut cookies)
        });
        let page = Page::new(&request.state().error_responder.page_style, "Log out?")
            .paragraph("Do you want to log out of this browser?")
            .form(&self.path, "Log out", |fields| {
                if let Some(xsrf) = &xsrf {
                    fields.hidden("_xsrf", xsrf);
                }
            });
        let mut response = page_response(page);
        *response.status_mut() = status;
        cookies.append_to(response.headers_mut());
        response
    }
}
/// The answer to a logout.
fn logged_out(state: &AuthState, login_path: &str, cookies: SetCookies) -> FullResponse {
    if let Some(elsewhere) = &state.external_login {
        // The pages and the data that the browser keeps are those of its other servers as well.
        let mut response = redirect(StatusCode::FOUND, elsewhere.logout_url());
        cookies.append_to(response.headers_mut());
        return response;
    }
    let page = Page::new(&state.error_responder.page_style, "You are logged out")
        .paragraph("Your session in this browser has ended.");
    let mut response = page_response(page.link(login_path, "Log in again"));
    response.headers_mut().insert(
        &CLEAR_SITE_DATA,
        HeaderValue::from_static("\"cache\", \"storage\""),
    );
    cookies.append_to(response.headers_mut());
    response
}

/// The answer where the store of the sessions does not answer: the session has not ended, and the browser keeps its cookie.
fn not_logged_out(state: &AuthState, denial: &Denial) -> FullResponse {
    let page = Page::new(&state.error_responder.page_style, "Logout failed")
        .paragraph("The server could not end your session. Please try again.")
        .link("", "Try again");
    let mut response = page_response(page);
    *response.status_mut() = denial.status();
    retry_after(response, denial)
}

//! Logins of a hub at an identity provider.
//!
//! The pages are those of [`sign_in`](crate::sign_in), below the hub: `hub/login/<name>` and `hub/login/callback`. The user
//! must be a member, by the username of the grant.

#[cfg(feature = "openid")]
use http::{Method, StatusCode};

use super::{
    request::{HubRequest, HubResult},
    response::HubError,
};
#[cfg(feature = "openid")]
use crate::{
    denial::Reason,
    event::{Event, RedactedPath},
    html::Page,
    middleware::error_response::page_response,
    sign_in::{SignInFailure, SignInOutcome, SignInRequest, SignInResult},
};

#[cfg(not(feature = "openid"))]
impl HubRequest<'_> {
    pub(crate) async fn sign_in(&self) -> HubResult {
        Err(HubError::no_page())
    }
}

#[cfg(feature = "openid")]
impl HubRequest<'_> {
    /// The pages of the providers.
    pub(crate) async fn sign_in(&self) -> HubResult {
        let (hub, path) = (self.hub, self.head.uri().path());
        let Some(providers) = &hub.sign_in.providers else {
            return Err(HubError::no_page());
        };
        let provider = providers.provider_at(path);
        if provider.is_none() && !providers.is_callback(path) {
            return Err(HubError::no_page());
        }
        // A code is used once, and only by a browser.
        if *self.head.method() != Method::GET {
            return Err(HubError::NotAllowed("GET"));
        }
        let request = SignInRequest {
            head: self.head,
            https: self.https(),
            origin: hub.guards.own_origin(&self.target, self.head),
            is_logged_in: self.visitor().await?.known().is_some(),
            clock: &hub.clock,
            page_style: &hub.page_style,
        };
        let outcome = match provider {
            Some(provider) => providers.start(provider, &request),
            None => providers.callback(&request),
        };
        let SignInOutcome { result, cookies } = outcome.await;
        let mut response = match result {
            SignInResult::Redirect(response) => response,
            SignInResult::LogIn { grant, next, .. } => {
                match self.members.find(grant.identity().username()).await? {
                    Some(member) => {
                        hub.record_activity(member.name(), [(None, self.head.now())])
                            .await?;
                        self.begin_login(member, next.as_str()).await?
                    }
                    None => {
                        self.refused(Reason::InsufficientScope);
                        let page = Page::new(&hub.page_style, "Login failed");
                        let page = page
                            .paragraph("Your account is not a user of this hub. Contact the administrator.");
                        let mut response =
                            page_response(page.link(&hub.hub_url.join("login"), "Log in again"));
                        *response.status_mut() = StatusCode::FORBIDDEN;
                        response
                    }
                }
            }
            SignInResult::Failed(page, SignInFailure::Denied(reason)) => {
                self.refused(reason);
                *page
            }
            SignInResult::Failed(page, SignInFailure::Provider(error)) => {
                hub.emit(&Event::Unavailable {
                    error: &**error.cause(),
                    path: RedactedPath::new(path),
                });
                *page
            }
        };
        cookies.append_to(response.headers_mut());
        Ok(response)
    }
}

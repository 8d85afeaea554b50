//! Where launch links lead.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};

use super::{LaunchLinkStore, LinkAction};
use crate::{
    denial::Reason,
    html::{Page, PageStyle},
    maybe_future::MaybeFuture,
    middleware::{
        Browser,
        endpoint::{Endpoint, EndpointRequest},
        error_response::{FullResponse, page_response, redirect},
        form::UrlEncodedForm,
    },
    request::query::{Query, TokenBuffer},
    session::{grant::Grant, identity::Identity},
};

impl Endpoint for Arc<LaunchLinkStore> {
    fn get(&self, request: &EndpointRequest<'_>) -> MaybeFuture<FullResponse> {
        match LinkAction::from_head(request.head) {
            LinkAction::Redeem => self.open(request),
            LinkAction::Confirm => confirm(&request.state().error_responder.page_style).into(),
        }
    }

    fn post(&self, request: &EndpointRequest<'_>, _: &UrlEncodedForm) -> MaybeFuture<FullResponse> {
        self.get(request)
    }
}

impl LaunchLinkStore {
    fn expiry_text(&self, style: &PageStyle) -> String {
        match self.life.as_secs() {
            60 => style.text("Launch links work once, for one minute.").to_owned(),
            seconds => style.text_with_number("Launch links work once, for {} seconds.", seconds),
        }
    }

    fn open(self: &Arc<Self>, request: &EndpointRequest<'_>) -> MaybeFuture<FullResponse> {
        let state = request.state();
        let mut buffer = TokenBuffer::default();
        let token = Query::from_uri(request.head.uri())
            .token(&mut buffer)
            .ok()
            .flatten()
            .filter(|token| !token.is_oversized());
        let taken = token.map(|token| token.hash());
        let taken = taken.and_then(|hash| Some((hash, self.take(hash, &*state.clock)?)));
        let Some((hash, issued)) = taken else {
            // The browser that the link has logged in opens it again.
            let session = request.permitted_session();
            let next = token
                .zip(session)
                .and_then(|(token, session)| self.next_of_used(token, session.identity(), &*state.clock));
            if let Some(next) = next {
                return redirect(StatusCode::SEE_OTHER, HeaderValue::from(&next)).into();
            }
            state.log_denied(Reason::UnknownToken, request.head, &request.target);
            let page = Page::new(&state.error_responder.page_style, "This link has expired")
                .paragraph(&self.expiry_text(&state.error_responder.page_style))
                .muted("Open the most recent link printed by the server, or log in.");
            let mut response = page_response(page.link(&self.base_url.join("login"), "Log in"));
            *response.status_mut() = StatusCode::FORBIDDEN;
            return response.into();
        };
        let launch = issued.launch.clone();
        let identity = launch.identity().cloned().unwrap_or_else(Identity::anonymous);
        let (username, next) = (Box::<str>::from(identity.username()), launch.next().clone());
        let browser = Browser::of(state, request.head, &request.target);
        let target = HeaderValue::from(&next);
        let answer =
            browser.log_in_and_redirect(state, Some(Grant::new(identity)), StatusCode::SEE_OTHER, target);
        let (links, clock) = (Arc::clone(self), Arc::clone(&state.clock));
        answer.map(move |response| {
            match response.status().is_redirection() {
                true => links.record_use(hash, &username, next, &*clock),
                // No user was logged in, so the link stays valid.
                false => links.put(hash, issued, &*clock),
            }
            response
        })
    }
}

/// Opening the page does not use up the link; pressing its button does. The form posts to the page's own URL, so
/// the page need not hold the token.
fn confirm(style: &PageStyle) -> FullResponse {
    let page = Page::new(style, "Open server").paragraph("You will be logged in on this browser.");
    page_response(page.form("", "Continue", |_| {}))
}

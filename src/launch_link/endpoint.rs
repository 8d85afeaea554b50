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
    fn get(&self, visit: &EndpointRequest<'_>) -> MaybeFuture<FullResponse> {
        match LinkAction::from_head(visit.head) {
            LinkAction::Redeem => self.open(visit),
            LinkAction::Confirm => confirm(&visit.gate().error_responder.page_style).into(),
        }
    }

    fn post(&self, visit: &EndpointRequest<'_>, _: &UrlEncodedForm) -> MaybeFuture<FullResponse> {
        self.get(visit)
    }
}

impl LaunchLinkStore {
    fn open(self: &Arc<Self>, visit: &EndpointRequest<'_>) -> MaybeFuture<FullResponse> {
        let gate = visit.gate();
        let mut buffer = TokenBuffer::default();
        let token = Query::from_uri(visit.head.uri())
            .token(&mut buffer)
            .ok()
            .flatten();
        let taken = token.map(|token| token.hash());
        let taken = taken.and_then(|hash| Some((hash, self.take(hash, &*gate.clock)?)));
        let Some((hash, issued)) = taken else {
            // The browser that the link has logged in opens it again.
            let session = visit.permitted_session();
            let next = token
                .zip(session)
                .and_then(|(token, session)| self.next_of_used(token, session.identity(), &*gate.clock));
            if let Some(next) = next {
                return redirect(StatusCode::SEE_OTHER, HeaderValue::from(&next)).into();
            }
            gate.log_denied(Reason::UnknownToken, visit.head, &visit.target);
            let page = Page::new(&gate.error_responder.page_style, "This link was used already")
                .paragraph("A launch link opens once, and only for a short time.")
                .muted("Open the newest link that the server printed, or log in.");
            let mut response = page_response(page.link(&self.base_url.join("login"), "Log in"));
            *response.status_mut() = StatusCode::FORBIDDEN;
            return response.into();
        };
        let launch = issued.launch.clone();
        let identity = launch.identity().cloned().unwrap_or_else(Identity::anonymous);
        let (username, next) = (Box::<str>::from(identity.username()), launch.next().clone());
        let browser = Browser::of(gate, visit.head, &visit.target);
        let target = HeaderValue::from(&next);
        let answer =
            browser.log_in_and_redirect(gate, Some(Grant::new(identity)), StatusCode::SEE_OTHER, target);
        let (links, clock) = (Arc::clone(self), Arc::clone(&gate.clock));
        answer.map(move |response| {
            match response.status().is_redirection() {
                true => links.record_use(hash, &username, next, &*clock),
                // Nobody was logged in, so the link stays valid.
                false => links.put(hash, issued, &*clock),
            }
            response
        })
    }
}

/// Nothing is burned by whoever only looks: a person presses the button. The form posts to the page's own URL, so
/// the page need not hold the token.
fn confirm(style: &PageStyle) -> FullResponse {
    let page = Page::new(style, "Open the server").paragraph("This link logs this browser in, once.");
    page_response(page.form("", "Open", |_| {}))
}

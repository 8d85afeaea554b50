//! The pages of the providers in a layer.

use std::sync::Arc;

use http::{Method, StatusCode};

use super::{
    configured::{ConfiguredProvider, SignIn},
    flow::{SignInFailure, SignInOutcome, SignInRequest, SignInResult},
};
use crate::{
    maybe_future::{BoxFuture, MaybeFuture},
    middleware::{
        Browser,
        cookies::is_https,
        endpoint::{Endpoint, EndpointRequest, not_allowed},
        error_response::FullResponse,
        form::UrlEncodedForm,
    },
    request::head::RequestHead,
};

/// Where a login at one provider begins.
pub(super) struct StartEndpoint {
    pub(super) shared: Arc<SignIn>,
    pub(super) provider: Arc<ConfiguredProvider>,
}

impl Endpoint for StartEndpoint {
    fn get(&self, request: &EndpointRequest<'_>) -> MaybeFuture<FullResponse> {
        if *request.head.method() != Method::GET {
            return not_allowed().into();
        }
        let is_logged_in = request.permitted_session().is_some();
        let outcome = self
            .shared
            .start(&self.provider, &sign_in_request(request, is_logged_in));
        respond(request, outcome)
    }

    fn post(&self, _: &EndpointRequest<'_>, _: &UrlEncodedForm) -> MaybeFuture<FullResponse> {
        not_allowed().into()
    }
}

/// Where the providers send browsers back to.
pub(super) struct CallbackEndpoint(pub(super) Arc<SignIn>);

impl Endpoint for CallbackEndpoint {
    fn get(&self, request: &EndpointRequest<'_>) -> MaybeFuture<FullResponse> {
        // A code is used once, and only by a browser.
        if *request.head.method() != Method::GET {
            return not_allowed().into();
        }
        let outcome = self
            .0
            .callback(&sign_in_request(request, request.session.is_some()));
        respond(request, outcome)
    }

    fn post(&self, _: &EndpointRequest<'_>, _: &UrlEncodedForm) -> MaybeFuture<FullResponse> {
        not_allowed().into()
    }
}

fn sign_in_request<'a>(request: &EndpointRequest<'a>, is_logged_in: bool) -> SignInRequest<'a> {
    let state = request.state;
    SignInRequest {
        head: request.head,
        https: is_https(&request.target, request.head),
        origin: state.guards.own_origin(&request.target, request.head),
        is_logged_in,
        clock: &state.clock,
        page_style: &state.error_responder.page_style,
    }
}

/// Makes the login, or reports why there is none.
fn respond(request: &EndpointRequest<'_>, outcome: BoxFuture<SignInOutcome>) -> MaybeFuture<FullResponse> {
    let state = Arc::clone(request.state());
    let (mut browser, head) = (
        Browser::of(&state, request.head, &request.target),
        request.head.to_request(),
    );
    MaybeFuture::from_future(async move {
        let SignInOutcome { result, mut cookies } = outcome.await;
        let mut response = match result {
            SignInResult::Redirect(response) => response,
            SignInResult::LogIn {
                grant,
                next,
                provider_session,
                marker,
            } => {
                browser.provider_session = provider_session;
                let response = browser
                    .log_in_and_redirect(&state, Some(grant), StatusCode::FOUND, (&next).into())
                    .await;
                if let Some(line) = marker.filter(|_| response.status() == StatusCode::FOUND) {
                    cookies.push_overriding(line);
                }
                response
            }
            SignInResult::Failed(page, SignInFailure::Denied(reason)) => {
                let head = RequestHead::new(&head);
                let target = state.guards.check_target(head).ok();
                state.report_refusal(reason, None, head, target.as_ref());
                *page
            }
            SignInResult::Failed(page, SignInFailure::Provider(error)) => {
                state.backend_error(&error, head.uri().path());
                *page
            }
        };
        cookies.append_to(response.headers_mut());
        response
    })
}

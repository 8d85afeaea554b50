//! Requests to the built-in paths: a page, or a form that must be read first.

use std::sync::Arc;

use http::{Method, StatusCode};

use super::{decide::Step, route::RouteAuth};
use crate::{
    authenticate::Outcome,
    denial::{Denial, Reason},
    maybe_future::MaybeFuture,
    middleware::{
        endpoint::{EndpointRequest, not_allowed},
        error_response::FullResponse,
        form::UrlEncodedForm,
    },
    request::{head::RequestHead, page_request::is_urlencoded},
};

impl RouteAuth {
    /// What happens with a request to one of the layer's own paths.
    pub(super) fn at_own_path(self: &Arc<Self>, head: &RequestHead<'_>) -> Step {
        match *head.method() {
            Method::GET | Method::HEAD => {
                let additions = self.additions(head, false);
                let finish = |mut response: FullResponse| {
                    additions.apply_to(response.headers_mut());
                    response
                };
                self.serve(*head, None).map(finish).into()
            }
            Method::POST => Step::ReadForm,
            Method::OPTIONS => {
                let endpoint = self.endpoints.at(head.uri().path());
                Step::Answer(Box::new(
                    endpoint.map_or_else(not_allowed, |endpoint| endpoint.options()),
                ))
            }
            _ => Step::Answer(Box::new(not_allowed())),
        }
    }

    /// The response to a form that was sent to one of the built-in paths.
    pub(crate) fn submit_form(
        self: &Arc<Self>,
        head: RequestHead<'_>,
        body: &[u8],
    ) -> MaybeFuture<FullResponse> {
        let endpoint = self.endpoints.at(head.uri().path());
        let form = if is_urlencoded(head) {
            UrlEncodedForm::parse(body)
        } else if endpoint.is_some_and(|endpoint| !endpoint.needs_form()) {
            Some(UrlEncodedForm::default())
        } else {
            let denial = Denial::new(Reason::Malformed)
                .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
                .with_detail(UrlEncodedForm::EXPECTED_TYPE);
            return MaybeFuture::Ready(self.refuse(denial.into(), &head));
        };
        match form {
            Some(form) => self.serve(head, Some(form)),
            None => MaybeFuture::Ready(self.malformed_form(head)),
        }
    }

    fn malformed_form(&self, head: RequestHead<'_>) -> FullResponse {
        let denial = Denial::new(Reason::Malformed).with_detail("malformed form data");
        self.refuse(denial.into(), &head)
    }

    /// The response at one of the built-in paths, once the session of the request is known.
    fn serve(
        self: &Arc<Self>,
        head: RequestHead<'_>,
        form: Option<UrlEncodedForm>,
    ) -> MaybeFuture<FullResponse> {
        let head = head.replace_clock(&*self.state.clock);
        match self.authenticate(&head) {
            MaybeFuture::Ready(outcome) => self.serve_to(outcome, head, form.as_ref()),
            MaybeFuture::Future(_) if !self.waits_for_session(head) => {
                self.serve_to(Outcome::Absent, head, form.as_ref())
            }
            MaybeFuture::Future(outcome) => {
                let (route, request) = (Arc::clone(self), head.to_request());
                MaybeFuture::from_future(async move {
                    let outcome = outcome.await;
                    let head = RequestHead::with_clock(&request, &*route.state.clock);
                    route.serve_to(outcome, head, form.as_ref()).await
                })
            }
        }
    }

    fn waits_for_session(&self, head: RequestHead<'_>) -> bool {
        let endpoint = self.endpoints.at(head.uri().path());
        endpoint.is_some_and(|endpoint| endpoint.waits_for_session())
    }

    fn serve_to(
        &self,
        outcome: Outcome,
        head: RequestHead<'_>,
        form: Option<&UrlEncodedForm>,
    ) -> MaybeFuture<FullResponse> {
        let target = match self.state.guards.check_target(head) {
            Ok(target) => target,
            Err(denial) => return MaybeFuture::Ready(self.refuse(denial.into(), &head)),
        };
        let Some(endpoint) = self.endpoints.at(head.uri().path()) else {
            return MaybeFuture::Ready(self.malformed_form(head));
        };
        let session = match outcome {
            Outcome::Authenticated(session) => Some(session),
            _ => None,
        };
        let is_permitted = session
            .as_ref()
            .is_some_and(|session| self.check_scopes(session, &head).is_ok());
        let endpoint_request = EndpointRequest {
            state: &self.state,
            head,
            target,
            session,
            is_permitted,
        };
        match form {
            Some(form) => endpoint.post(&endpoint_request, form),
            None => endpoint.get(&endpoint_request),
        }
    }
}

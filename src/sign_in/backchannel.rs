//! The logout that a provider sends: OpenID Connect Back-Channel Logout 1.0.
//!
//! | request | response |
//! |---|---|
//! | POST `login/<name>/logout` with a logout token of the provider | 200; the sessions that began by its session have ended |
//! | a token that is not valid | 400 |
//! | the provider does not respond, and its keys are needed; or the store does not | 503, `Retry-After` |

use std::sync::Arc;

use http::{HeaderValue, Response, StatusCode, header::CACHE_CONTROL};
use http_body_util::Full;

use super::{configured::ConfiguredProvider, error::SignInError};
use crate::{
    error::BackendError,
    maybe_future::MaybeFuture,
    middleware::{
        Sessions,
        endpoint::{Endpoint, EndpointRequest, not_allowed},
        error_response::{FullResponse, retry_after},
        form::UrlEncodedForm,
    },
    store::SessionCredential,
};

/// Where one provider reports the end of its sessions.
pub(super) struct BackchannelEndpoint(pub(super) Arc<ConfiguredProvider>);

impl Endpoint for BackchannelEndpoint {
    /// The provider has no session here.
    fn waits_for_session(&self) -> bool {
        false
    }

    fn get(&self, _: &EndpointRequest<'_>) -> MaybeFuture<FullResponse> {
        not_allowed().into()
    }

    fn post(&self, request: &EndpointRequest<'_>, form: &UrlEncodedForm) -> MaybeFuture<FullResponse> {
        let (provider, state) = (Arc::clone(&self.0), Arc::clone(request.state()));
        let stored = state
            .login_cookie
            .as_ref()
            .and_then(|cookie| cookie.stored.clone());
        let (token, path) = (
            form.text("logout_token").into_owned(),
            Box::<str>::from(request.head.uri().path()),
        );
        MaybeFuture::from_future(async move {
            let ended = provider.provider.ended_session(&token, state.clock.now()).await;
            let (status, error) = match (ended, stored) {
                (Ok(session), Some(stored)) => {
                    let sessions = Sessions::new(stored, Arc::clone(&state.clock));
                    match sessions
                        .end_from(SessionCredential::ProviderSession(session))
                        .await
                    {
                        Ok(_) => return respond(StatusCode::OK),
                        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error),
                    }
                }
                (Ok(_), None) => return respond(StatusCode::OK),
                (Err(error @ SignInError::Rejected(_)), _) => {
                    (StatusCode::BAD_REQUEST, BackendError::new(error.to_string()))
                }
                (Err(error), _) => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    BackendError::new(error.to_string()),
                ),
            };
            let denial = state.backend_error(&error, &path);
            match status {
                StatusCode::BAD_REQUEST => respond(status),
                _ => retry_after(respond(status), &denial),
            }
        })
    }
}

/// The response to the provider: section 2.8.
fn respond(status: StatusCode) -> FullResponse {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}

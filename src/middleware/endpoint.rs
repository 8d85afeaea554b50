//! The built-in paths of the layer: login page, logout, launch link.

use std::{net::IpAddr, sync::Arc};

use http::{HeaderValue, Response, StatusCode, header::ALLOW};
use http_body_util::Full;

use crate::{
    cookies::SetCookies,
    denial::Denial,
    maybe_future::MaybeFuture,
    middleware::{cookies::is_https, error_response::FullResponse, form::UrlEncodedForm, state::AuthState},
    request::head::RequestHead,
    request_policy::EffectiveTarget,
    session::{AuthMethod, Session},
};

/// An endpoint at one of the built-in paths.
pub(crate) trait Endpoint: Send + Sync {
    /// Whether the response waits for a session that an authenticator returns only later, such as one that queries a hub.
    ///
    /// Defaults to `true`.
    fn waits_for_session(&self) -> bool {
        true
    }

    /// Whether a POST must have a form in its body.
    ///
    /// Defaults to `true`.
    fn needs_form(&self) -> bool {
        true
    }

    /// The response to OPTIONS.
    ///
    /// Defaults to 405.
    fn options(&self) -> FullResponse {
        not_allowed()
    }

    /// The response to a request without a form: GET and HEAD.
    fn get(&self, request: &EndpointRequest<'_>) -> MaybeFuture<FullResponse>;

    /// The answer to a form: POST.
    fn post(&self, request: &EndpointRequest<'_>, form: &UrlEncodedForm) -> MaybeFuture<FullResponse>;
}

/// The layer's own paths, and what answers there.
pub(crate) struct Endpoints(Vec<(Box<str>, Box<dyn Endpoint>)>);

impl Endpoints {
    pub(crate) fn new(endpoints: Vec<(Box<str>, Box<dyn Endpoint>)>) -> Self {
        Self(endpoints)
    }

    /// The paths at which something answers.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(path, _)| &**path)
    }

    /// What answers at `path`.
    pub(crate) fn at(&self, path: &str) -> Option<&dyn Endpoint> {
        let mut own = self.0.iter();
        own.find(|(own, _)| **own == *path)
            .map(|(_, endpoint)| &**endpoint)
    }
}

/// A request to one of the built-in paths. Its `Host` has been checked.
pub(crate) struct EndpointRequest<'a> {
    pub(crate) state: &'a Arc<AuthState>,
    pub(crate) head: RequestHead<'a>,
    pub(crate) target: EffectiveTarget<'a>,
    /// The session of the request, whatever it may do.
    pub(crate) session: Option<Session>,
    /// Whether the session may use these routes, by its scopes and the authorizers.
    pub(crate) is_permitted: bool,
}

impl EndpointRequest<'_> {
    /// The state that all routes of the layer share.
    pub(crate) fn state(&self) -> &Arc<AuthState> {
        self.state
    }

    /// The session, if it may use these routes.
    pub(crate) fn permitted_session(&self) -> Option<&Session> {
        self.session.as_ref().filter(|_| self.is_permitted)
    }

    /// The session of a client that is logged in by a cookie.
    pub(crate) fn session_by_cookie(&self) -> Option<&Session> {
        let session = self.session.as_ref();
        session.filter(|session| session.auth_method() == AuthMethod::Cookie)
    }

    /// The `_xsrf` value for a form: of the login, or of before it.
    pub(crate) fn xsrf(&self, session: Option<&Session>, cookies: &mut SetCookies) -> String {
        let (xsrf, https) = (&self.state().xsrf_cookie, is_https(&self.target, self.head));
        match session.filter(|session| session.auth_method() == AuthMethod::Cookie) {
            Some(session) => xsrf.session_token(session, self.head, https, cookies),
            None => xsrf.anonymous_token(self.head, https, cookies),
        }
    }

    /// Whether the form with this `_xsrf` field came from a page of this server.
    ///
    /// # Errors
    ///
    /// `Reason::CrossSite`.
    pub(crate) fn check_xsrf(&self, session: Option<&Session>, field: &str) -> Result<(), Denial> {
        let (state, target) = (&**self.state(), &self.target);
        let xsrf = &state.xsrf_cookie;
        match session {
            Some(session) => xsrf.check(&state.guards, target, self.head, session, Some(field.trim())),
            None => xsrf.check_login_form(&state.guards, target, self.head, field.trim()),
        }
    }

    /// The address of the client.
    pub(crate) fn client(&self) -> Option<IpAddr> {
        self.state().guards.client_ip(&self.target, self.head)
    }
}

/// The answer to a method that an endpoint does not have.
pub(crate) fn not_allowed() -> FullResponse {
    let mut response = status_response(StatusCode::METHOD_NOT_ALLOWED);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
    response
}

/// An answer of a status and nothing else.
pub(crate) fn status_response(status: StatusCode) -> FullResponse {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

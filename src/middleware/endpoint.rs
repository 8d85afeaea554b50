//! The gate's own paths: a login page, a logout, a launch link.

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

/// One of the gate's own paths.
pub(crate) trait Endpoint: Send + Sync {
    /// Whether the answer waits for a session that an authenticator tells only later, such as one that asks a hub.
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

    /// The answer to OPTIONS.
    ///
    /// Defaults to 405.
    fn options(&self) -> FullResponse {
        not_allowed()
    }

    /// The answer to a visitor who brings no form: GET and HEAD.
    fn get(&self, visit: &EndpointRequest<'_>) -> MaybeFuture<FullResponse>;

    /// The answer to a form: POST.
    fn post(&self, visit: &EndpointRequest<'_>, form: &UrlEncodedForm) -> MaybeFuture<FullResponse>;
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

/// A request to one of the gate's own paths; its Host is good.
pub(crate) struct EndpointRequest<'a> {
    pub(crate) gate: &'a Arc<AuthState>,
    pub(crate) head: RequestHead<'a>,
    pub(crate) target: EffectiveTarget<'a>,
    /// The session of the request, whatever it may do.
    pub(crate) session: Option<Session>,
    /// Whether the session may use these routes, by its scopes and the authorizers.
    pub(crate) is_permitted: bool,
}

impl EndpointRequest<'_> {
    /// What all routes of the gate share.
    pub(crate) fn gate(&self) -> &Arc<AuthState> {
        self.gate
    }

    /// The session, if it may use these routes.
    pub(crate) fn permitted_session(&self) -> Option<&Session> {
        self.session.as_ref().filter(|_| self.is_permitted)
    }

    /// The session of a visitor who is logged in by a cookie.
    pub(crate) fn session_by_cookie(&self) -> Option<&Session> {
        let session = self.session.as_ref();
        session.filter(|session| session.auth_method() == AuthMethod::Cookie)
    }

    /// The `_xsrf` value for a form: of the login, or of before it.
    pub(crate) fn xsrf(&self, session: Option<&Session>, cookies: &mut SetCookies) -> String {
        let (xsrf, https) = (&self.gate().xsrf_cookie, is_https(&self.target, self.head));
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
        let (gate, target) = (&**self.gate(), &self.target);
        let xsrf = &gate.xsrf_cookie;
        match session {
            Some(session) => xsrf.check(&gate.guards, target, self.head, session, Some(field.trim())),
            None => xsrf.check_login_form(&gate.guards, target, self.head, field.trim()),
        }
    }

    /// Where the visitor comes from.
    pub(crate) fn client(&self) -> Option<IpAddr> {
        self.gate().guards.client_ip(&self.target, self.head)
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

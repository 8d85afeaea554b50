//! The gate's own paths: a login page, a logout, a launch link.

use std::{net::IpAddr, sync::Arc, time::Duration};

use http::{
    HeaderValue, Request, Response, StatusCode,
    header::{ALLOW, CONNECTION},
};
use http_body::Body;
use http_body_util::{BodyExt as _, Full, Limited};

use crate::{
    answer::Answer,
    cookie::SetCookies,
    deadline::within,
    denial::Denial,
    error::BoxError,
    gate::{form::Form, gate::Gate, login_cookie::is_https, passage::Passage, responses::OwnResponse},
    guard::Surroundings,
    head::Head,
    session::{Credential, Session},
};

/// One of the gate's own paths.
pub(crate) trait Endpoint: Send + Sync {
    /// The answer to a visitor who brings no form: GET and HEAD.
    fn visit(&self, visit: &Visit<'_>) -> Answer<OwnResponse>;

    /// The answer to a form: POST.
    fn submit(&self, visit: &Visit<'_>, form: &Form) -> Answer<OwnResponse>;
}

/// The gate's own paths, and who is there.
pub(crate) struct Endpoints {
    all: Vec<(Box<str>, Box<dyn Endpoint>)>,
    /// A bit for each length that a path has, the last one for all longer ones: most requests are told apart
    /// by it.
    lengths: u64,
}

impl Endpoints {
    /// Who is at `path`.
    #[inline(always)]
    pub(crate) fn at(&self, path: &str) -> Option<&dyn Endpoint> {
        if self.lengths & length_bit(path) == 0 {
            return None;
        }
        self.find(path)
    }

    #[inline(never)]
    fn find(&self, path: &str) -> Option<&dyn Endpoint> {
        self.all
            .iter()
            .find(|(own, _)| **own == *path)
            .map(|(_, endpoint)| &**endpoint)
    }
}

impl From<Vec<(Box<str>, Box<dyn Endpoint>)>> for Endpoints {
    fn from(all: Vec<(Box<str>, Box<dyn Endpoint>)>) -> Self {
        let lengths = all
            .iter()
            .fold(0, |lengths, (path, _)| lengths | length_bit(path));
        Self { all, lengths }
    }
}

#[inline(always)]
fn length_bit(path: &str) -> u64 {
    1 << path.len().min(63)
}

/// A request to one of the gate's own paths; its Host is good.
pub(crate) struct Visit<'a> {
    pub(crate) passage: &'a Passage,
    pub(crate) head: Head<'a>,
    pub(crate) surroundings: Surroundings<'a>,
    /// The session of the request, whatever it may do.
    pub(crate) session: Option<Session>,
}

impl Visit<'_> {
    /// What all routes of the gate share.
    pub(crate) fn gate(&self) -> &Arc<Gate> {
        self.passage.gate()
    }

    /// The session, if it may use these routes.
    pub(crate) fn permitted_session(&self) -> Option<&Session> {
        let session = self.session.as_ref();
        session.filter(|session| self.passage.allows(session, self.head))
    }

    /// The session of a visitor who is logged in by a cookie.
    pub(crate) fn session_by_cookie(&self) -> Option<&Session> {
        let session = self.session.as_ref();
        session.filter(|session| session.credential() == Credential::Cookie)
    }

    /// The `_xsrf` value for a form: of the login, or of before it.
    pub(crate) fn xsrf(&self, session: Option<&Session>, cookies: &mut SetCookies) -> String {
        let (xsrf, https) = (&self.gate().xsrf_cookie, is_https(&self.surroundings));
        match session.filter(|session| session.credential() == Credential::Cookie) {
            Some(session) => xsrf.of_session(session, self.head, https, cookies),
            None => xsrf.before_login(self.head, https, cookies),
        }
    }

    /// Whether the form with this `_xsrf` field came from a page of this server.
    ///
    /// # Errors
    ///
    /// `Reason::CrossSite`.
    pub(crate) fn check_xsrf(&self, session: Option<&Session>, field: &str) -> Result<(), Denial> {
        let (gate, surroundings) = (&**self.gate(), &self.surroundings);
        let xsrf = &gate.xsrf_cookie;
        match session {
            Some(session) => xsrf.check(&gate.guards, surroundings, self.head, session, Some(field.trim())),
            None => xsrf.check_login_form(&gate.guards, surroundings, self.head, field.trim()),
        }
    }

    /// Where the visitor comes from.
    pub(crate) fn client(&self) -> Option<IpAddr> {
        self.gate().guards.client(&self.surroundings, self.head)
    }
}

/// A form that is to be read before the gate can answer.
///
/// Whoever serves requests without tower hands the body over, by [`FormRequest::read`]; the service that the layer
/// makes does so by itself.
pub struct FormRequest {
    passage: Arc<Passage>,
    head: Request<()>,
}

impl FormRequest {
    /// The longest form that is read, in octets.
    pub const LIMIT: usize = 16 * 1024;

    /// The default of [`form_timeout`](crate::AuthLayerBuilder::form_timeout).
    pub const TIMEOUT: Duration = Duration::from_secs(30);

    pub(crate) fn new(passage: Arc<Passage>, head: Head<'_>) -> Self {
        Self {
            passage,
            head: head.to_request(),
        }
    }

    /// The gate's answer to the form with this body.
    pub fn answer(self, body: &[u8]) -> Answer<OwnResponse> {
        self.passage.take_form(Head::of(&self.head), body)
    }

    /// The gate's answer to the form in `body`, of which no more than [`FormRequest::LIMIT`] octets are read.
    ///
    /// A body that has not arrived whole within [`form_timeout`](crate::AuthLayerBuilder::form_timeout) is answered as by
    /// [`answer_late`](Self::answer_late).
    pub async fn read<B>(self, body: B) -> OwnResponse
    where
        B: Body<Data: Send, Error: Into<BoxError>> + Send,
    {
        let body = Limited::new(body, Self::LIMIT).collect();
        match within(self.passage.form_timeout(), body).await {
            Some(Ok(body)) => self.answer(&body.to_bytes()).await,
            Some(Err(_)) => self.answer_unread(),
            None => self.answer_late(),
        }
    }

    /// The gate's answer to a form that takes too long to arrive: 408, and `Connection: close`, which servers leave out
    /// of HTTP/2.
    pub fn answer_late(self) -> OwnResponse {
        let mut response = plain(StatusCode::REQUEST_TIMEOUT);
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
        response
    }

    /// The gate's answer to a form that is longer than [`FormRequest::LIMIT`], or was never sent whole.
    pub fn answer_unread(self) -> OwnResponse {
        plain(StatusCode::PAYLOAD_TOO_LARGE)
    }
}

impl std::fmt::Debug for FormRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FormRequest")
    }
}

/// The answer to a method that an endpoint does not have.
pub(crate) fn not_allowed() -> OwnResponse {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
    response
}

/// An answer of a status and nothing else.
pub(crate) fn plain(status: StatusCode) -> OwnResponse {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

//! The page on which users see their sessions, and end them.
//!
//! | request | answer |
//! |---|---|
//! | GET | the sessions of the user: device, address, when they began and were last used, and which one this is |
//! | POST `end=<id>` | that session of the user ends, and the page says so |
//! | POST `end=others` | all sessions of the user but this one end |
//! | any of them without a session in the store | the login page, and from there back |

use http::{HeaderValue, StatusCode};

use crate::{
    clock::UnixTime,
    cookies::SetCookies,
    html::{Button, Details, Page, PageStyle},
    maybe_future::MaybeFuture,
    middleware::{
        SessionInfo, Sessions,
        endpoint::{Endpoint, EndpointRequest},
        error_response::{FullResponse, page_response, redirect, retry_after},
        form::UrlEncodedForm,
    },
    request::{percent, query::Query},
    session::{RecordId, Session},
};

/// See the page of this module.
pub(crate) struct SessionsPage {
    pub(crate) path: Box<str>,
    pub(crate) login_path: Box<str>,
    pub(crate) sessions: Sessions,
}

impl Endpoint for SessionsPage {
    fn get(&self, request: &EndpointRequest<'_>) -> MaybeFuture<FullResponse> {
        let Some((session, id)) = current(request) else {
            return self.to_login().into();
        };
        let mut cookies = SetCookies::default();
        let xsrf = request.xsrf(Some(session), &mut cookies);
        let (state, path, now) = (request.state().clone(), self.path.clone(), request.head.now());
        let (sessions, username) = (self.sessions.clone(), session.identity().username().to_owned());
        let url_path: Box<str> = request.head.uri().path().into();
        let done = done(request);
        MaybeFuture::from_future(async move {
            let list = match sessions.list(&username).await {
                Ok(list) => list,
                Err(error) => {
                    let denial = state.backend_error(&error, &url_path);
                    let page = Page::new(&state.error_responder.page_style, "Active sessions")
                        .alert("The server could not read your sessions. Please try again.")
                        .link("", "Try again");
                    let mut response = page_response(page);
                    *response.status_mut() = denial.status();
                    return retry_after(response, &denial);
                }
            };
            let style = &state.error_responder.page_style;
            let mut page = Page::wide(style, "Active sessions").status(done);
            for session in &list {
                let this = session.id == id;
                let button = (!this).then_some(Button {
                    action: &path,
                    label: "Log out",
                    question: "",
                });
                let details = details(session, style, now);
                page = page.item(&name(session, this), &details, button, |fields| {
                    fields.hidden("_xsrf", &xsrf);
                    fields.hidden("end", &session.id.to_string());
                });
            }
            if list.len() > 1 {
                let button = Button {
                    action: &path,
                    label: "Log out all other sessions",
                    question: "You will stay logged in here.",
                };
                page = page.secondary(&button, |fields| {
                    fields.hidden("_xsrf", &xsrf);
                    fields.hidden("end", "others");
                });
            }
            let mut response =
                page_response(page.link(state.error_responder.base_url.as_str(), "Go to home"));
            cookies.append_to(response.headers_mut());
            response
        })
    }

    fn post(&self, request: &EndpointRequest<'_>, form: &UrlEncodedForm) -> MaybeFuture<FullResponse> {
        let Some((session, _)) = current(request) else {
            return self.to_login().into();
        };
        let state = request.state();
        if let Err(denial) = request.check_xsrf(Some(session), &form.text("_xsrf")) {
            state.log_denied(denial.reason(), request.head, &request.target);
            let page = Page::new(&state.error_responder.page_style, "Active sessions")
                .alert("This form has expired. Please try again.")
                .link(&self.path, "Active sessions");
            let mut response = page_response(page);
            *response.status_mut() = denial.status();
            return response.into();
        }
        let which = form.text("end").into_owned();
        let done = |done: &str| {
            let target = HeaderValue::try_from(format!("{}?{DONE}={done}", self.path));
            target.unwrap_or_else(|_| self.here())
        };
        let (one, others, here) = (done("one"), done("others"), self.here());
        let (state, sessions, session) = (state.clone(), self.sessions.clone(), session.clone());
        let url_path: Box<str> = request.head.uri().path().into();
        MaybeFuture::from_future(async move {
            let username = session.identity().username();
            let ended = match which.parse::<RecordId>() {
                Ok(id) => sessions.end(username, id).await.map(|ended| ended.then_some(one)),
                Err(_) if which == "others" => sessions.end_others(&session).await.map(|_| Some(others)),
                // No button of the page sends this.
                Err(_) => Ok(None),
            };
            match ended {
                Ok(done) => redirect(StatusCode::SEE_OTHER, done.unwrap_or(here)),
                Err(error) => {
                    let denial = state.backend_error(&error, &url_path);
                    let page = Page::new(&state.error_responder.page_style, "Active sessions")
                        .alert("The server could not end the session. Please try again.")
                        .link("", "Try again");
                    let mut response = page_response(page);
                    *response.status_mut() = denial.status();
                    retry_after(response, &denial)
                }
            }
        })
    }
}

impl SessionsPage {
    /// Where the page is, below the base of the layer.
    pub(crate) const PATH: &str = "sessions";

    fn here(&self) -> HeaderValue {
        HeaderValue::from_str(&self.path).unwrap_or_else(|_| HeaderValue::from_static("/"))
    }

    fn to_login(&self) -> FullResponse {
        let mut target = format!("{}?next=", self.login_path);
        percent::form_encode(self.path.as_bytes(), &mut target);
        let target = HeaderValue::try_from(target).unwrap_or_else(|_| self.here());
        redirect(StatusCode::FOUND, target)
    }
}

/// The session of this request, if it is in the store.
fn current<'a>(request: &'a EndpointRequest<'_>) -> Option<(&'a Session, RecordId)> {
    let session = request.permitted_session()?;
    Some((session, session.record_id()?))
}

fn name(session: &SessionInfo, this: bool) -> String {
    let device = session.device();
    match this {
        true => format!("{device} (this session)"),
        false => device,
    }
}

fn details(session: &SessionInfo, style: &PageStyle, now: UnixTime) -> Details {
    let address = session.address.map(|address| address.to_string());
    Details::default()
        .text(&address.unwrap_or_default())
        .time(style, "Logged in {}", session.created, now)
        .time(style, "Last used {}", session.last_used, now)
}

/// The parameter of the query that tells what a button did.
const DONE: &str = "done";

/// What the page says after a button was pressed.
fn done(request: &EndpointRequest<'_>) -> &'static str {
    match Query::from_uri(request.head.uri()).parameter(DONE).as_deref() {
        Some(b"one") => "Session logged out.",
        Some(b"others") => "All other sessions logged out.",
        _ => "",
    }
}

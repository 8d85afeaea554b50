//! The page on which users see their sessions, and end them.
//!
//! | request | answer |
//! |---|---|
//! | GET | the sessions of the user: device, address, when they began and were last used, and which one this is |
//! | POST `end=<id>` | that session of the user ends |
//! | POST `end=others` | all sessions of the user but this one end |
//! | any of them without a session in the store | the login page, and from there back |

use http::{HeaderValue, StatusCode};

use crate::{
    clock::UnixTime,
    cookies::SetCookies,
    html::Page,
    maybe_future::MaybeFuture,
    middleware::{
        SessionInfo, Sessions,
        endpoint::{Endpoint, EndpointRequest},
        error_response::{FullResponse, page_response, redirect, retry_after},
        form::UrlEncodedForm,
    },
    request::percent,
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
            let mut page = Page::wide(&state.error_responder.page_style, "Active sessions");
            for session in &list {
                let this = session.id == id;
                let button = (!this).then_some((&*path, "Log out"));
                page = page.item(&name(session, this), &details(session, now), button, |fields| {
                    fields.hidden("_xsrf", &xsrf);
                    fields.hidden("end", &session.id.to_string());
                });
            }
            if list.len() > 1 {
                page = page.secondary_form(&path, "Log out all other sessions", |fields| {
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
                .alert("This form was too old, or came from another site. Please try again.")
                .link(&self.path, "Active sessions");
            let mut response = page_response(page);
            *response.status_mut() = denial.status();
            return response.into();
        }
        let (which, here) = (form.text("end").into_owned(), self.here());
        let (state, sessions, session) = (state.clone(), self.sessions.clone(), session.clone());
        let url_path: Box<str> = request.head.uri().path().into();
        MaybeFuture::from_future(async move {
            let username = session.identity().username();
            let ended = match which.parse::<RecordId>() {
                Ok(id) => sessions.end(username, id).await.map(drop),
                Err(_) if which == "others" => sessions.end_others(&session).await.map(drop),
                // A form of no button of the page: nothing ends, and the list shows so.
                Err(_) => Ok(()),
            };
            match ended {
                Ok(()) => redirect(StatusCode::SEE_OTHER, here),
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

fn details(session: &SessionInfo, now: UnixTime) -> String {
    let address = session
        .address
        .map(|address| format!("{address} · "))
        .unwrap_or_default();
    let (created, used) = (ago(session.created, now), ago(session.last_used, now));
    format!("{address}Logged in {created} · Last used {used}")
}

/// How long ago a time is, in words.
fn ago(time: UnixTime, now: UnixTime) -> String {
    let seconds = now.saturating_duration_since(time).as_secs();
    let (count, unit) = match seconds {
        0..120 => return "just now".to_owned(),
        120..7_200 => (seconds / 60, "minutes"),
        7_200..172_800 => (seconds / 3_600, "hours"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{count} {unit} ago")
}

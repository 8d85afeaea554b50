//! The base page: who you are, how you came in, and what there is to read.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    Extension,
    extract::{Query, Request, State},
    response::Response,
};
use portcullis::{AuthMethod, RequestHead, Session};
use serde::Deserialize;

use crate::{
    Server,
    common::page::{self, Encoded, Escaped},
};

#[derive(Deserialize)]
pub(crate) struct Place {
    /// The directory to list, below the root.
    #[serde(default)]
    dir: String,
}

/// `GET ` of the base URL. The session is from the layer, which rejects requests without one.
pub(crate) async fn page(
    State(server): State<Arc<Server>>,
    Extension(session): Extension<Session>,
    Query(Place { dir }): Query<Place>,
    request: Request,
) -> Response {
    let Some(entries) = server.root.list(&dir).await else {
        return server.not_found(RequestHead::new(&request), "There is no such directory.");
    };
    let base = Escaped(server.base_url.as_str());
    let within = if dir.is_empty() {
        String::new()
    } else {
        format!("{dir}/")
    };

    let mut list = String::new();
    if let Some((above, _)) = dir.rsplit_once('/').or((!dir.is_empty()).then_some(("", ""))) {
        let _ = writeln!(list, "<li><a href=\"{base}?dir={}\">..</a>", Encoded(above));
    }
    for entry in &entries {
        let path = format!("{within}{}", entry.name);
        let (path, name) = (Encoded(&path), Escaped(&entry.name));
        let _ = match entry.is_directory {
            true => writeln!(list, "<li><a href=\"{base}?dir={path}\">{name}/</a>"),
            false => writeln!(list, "<li><a href=\"{base}files/{path}\">{name}</a>"),
        };
    }
    if entries.is_empty() {
        list.push_str("<li class=soft>This directory is empty.\n");
    }

    let how = match session.auth_method() {
        AuthMethod::Cookie => "Login cookie",
        AuthMethod::LaunchLink => "One-time link",
        AuthMethod::Password => "Password",
        AuthMethod::Token => "Token",
        _ => "Other",
    };
    let body = format!(
        "<h1>Logged in</h1>\n\
         <section>\n<dl>\n<dt>User<dd id=who>{who}\n<dt>Logged in with<dd id=how>{how}\n</dl>\n\
         <p><a id=logout href=\"{base}logout\">Log out</a>{change}\n</section>\n\
         <section>\n<h2>Files{of}</h2>\n<ul>\n{list}</ul>\n</section>\n",
        change = if server.password_changes {
            format!(" · <a id=change href=\"{base}login?change=password\">Change password</a>")
        } else {
            String::new()
        },
        who = Escaped(session.identity().display_name()),
        of = if dir.is_empty() {
            String::new()
        } else {
            format!(" in {}", Escaped(&dir))
        },
    );
    page::page("Notebook server", &body)
}

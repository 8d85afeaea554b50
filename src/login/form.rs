//! The page that asks, and the same page as an answer to what was sent by it.

use std::time::Duration;

use http::StatusCode;

use super::own_password::NotChanged;
use crate::{
    cookie::SetCookies,
    denial::{Denial, Reason},
    gate::{
        gate::Gate,
        password_attempts::alert,
        responses::{OwnResponse, page_response, retry_after},
    },
    page::{FieldKind, Page},
};

const ENDS: &str = "Every browser is logged out but this one.";
const FORBIDDEN: &str = "The password cannot be changed here.";
const WRONG: &str = "Invalid credentials. Please try again.";
const NOT_KEPT: &str = "The new password could not be stored. The old one still holds.";

/// What a visitor is shown, with all that the answer to the form needs later.
pub(super) struct LoginForm {
    pub(super) action: String,
    /// Where the other form is, if there are two.
    pub(super) elsewhere: Option<String>,
    pub(super) changes: bool,
    pub(super) xsrf: String,
    pub(super) cookies: SetCookies,
    pub(super) asks_for_username: bool,
    pub(super) label: &'static str,
    pub(super) hint: &'static str,
}

impl LoginForm {
    pub(super) fn answer(self, status: StatusCode, alert: &str) -> OwnResponse {
        let (title, button, other) = if self.changes {
            ("Change the password", "Change the password", "Log in")
        } else {
            ("Log in", "Log in", "Change the password")
        };
        let page = Page::new(title)
            .alert(alert)
            .form(&self.action, button, |fields| {
                fields.hidden("_xsrf", &self.xsrf);
                if self.asks_for_username {
                    fields.field(FieldKind::Username, "username", "User name", true);
                }
                fields.field(
                    FieldKind::Password,
                    "password",
                    self.label,
                    !self.asks_for_username,
                );
                if self.changes {
                    let kind = FieldKind::NewPassword;
                    fields.field(kind, "new_password", "New password", false);
                    fields.field(kind, "new_password_again", "The new password again", false);
                }
            });
        let page = match &self.elsewhere {
            Some(target) => page.link(target, other),
            None => page,
        };
        let hint = if self.changes { ENDS } else { self.hint };
        let mut response = page_response(page.hint(hint).finish());
        *response.status_mut() = status;
        self.cookies.append_to(response.headers_mut());
        response
    }

    pub(super) fn not_changed(self, gate: &Gate, path: &str, why: NotChanged) -> OwnResponse {
        match why {
            NotChanged::Busy => {
                let busy = Denial::new(Reason::Unavailable).with_retry_after(Duration::from_secs(1));
                self.refused(&busy)
            }
            NotChanged::Forbidden => self.answer(StatusCode::FORBIDDEN, FORBIDDEN),
            NotChanged::Refused(text) => self.answer(StatusCode::BAD_REQUEST, &sentence(&text)),
            NotChanged::Unavailable(unavailable) => {
                let denial = gate.unavailable(&unavailable, path);
                retry_after(self.answer(denial.status(), NOT_KEPT), &denial)
            }
        }
    }

    /// The answer to a refused attempt.
    pub(super) fn refused(self, denial: &Denial) -> OwnResponse {
        retry_after(self.answer(denial.status(), alert(denial, WRONG)), denial)
    }
}

/// An error's text as a page says it.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(characters).chain(['.']).collect()
}

//! The login form, and the same form again as the response to a rejected submission.

use std::time::Duration;

use http::StatusCode;

use super::shared_password::PasswordChangeError;
use crate::{
    cookies::SetCookies,
    denial::{Denial, Reason},
    html::{Field, FieldError, FieldKind, Page, PageStyle},
    middleware::{
        error_response::{FullResponse, page_response, retry_after},
        password_attempts::alert,
        state::AuthState,
    },
};

const ENDS: &str = "You will stay logged in here. All other sessions will be logged out.";
const FORBIDDEN: &str = "Changing the password is not enabled on this server.";
const NOT_KEPT: &str = "The new password could not be saved. Your current password has not changed.";

/// The field of the checkbox "Keep me logged in".
pub(super) const REMEMBER: &str = "remember";

/// Which fields are invalid.
#[derive(Clone, Copy)]
struct Errors<'a> {
    credentials: FieldError<'a>,
    new_password: FieldError<'a>,
}

impl Default for Errors<'_> {
    fn default() -> Self {
        Self {
            credentials: FieldError::None,
            new_password: FieldError::None,
        }
    }
}

/// The form of one request, with the state that the response to its submission needs.
pub(super) struct LoginForm {
    pub(super) action: String,
    /// Where the other form is, if there are two.
    pub(super) alternate_url: Option<String>,
    pub(super) is_password_change: bool,
    /// Whether "Keep me logged in" is ticked, where the form has that checkbox.
    pub(super) remember: Option<bool>,
    pub(super) style: PageStyle,
    pub(super) xsrf: String,
    pub(super) cookies: SetCookies,
    pub(super) needs_username: bool,
    /// What was typed as the name, to be shown again.
    pub(super) username: String,
    pub(super) label: &'static str,
    pub(super) hint: &'static str,
}

impl LoginForm {
    /// The form, and `text` above it: what is wrong, or with 200 what happened before.
    pub(super) fn response(self, status: StatusCode, text: &str) -> FullResponse {
        self.response_with_errors(status, text, Errors::default())
    }

    fn response_with_errors(self, status: StatusCode, text: &str, errors: Errors<'_>) -> FullResponse {
        let (title, button, other) = if self.is_password_change {
            ("Change password", "Change password", "Log in")
        } else {
            ("Log in", "Log in", "Change password")
        };
        let page = Page::new(&self.style, title).message(status, text);
        let page = page.form(&self.action, button, |fields| {
            fields.hidden("_xsrf", &self.xsrf);
            let is_first = !self.needs_username || !self.username.is_empty();
            if self.needs_username {
                let username = Field::new(FieldKind::Username, "username", "Username");
                let username = username.filled(&self.username).first(!is_first);
                fields.field(username.with_error(errors.credentials));
            }
            let password = Field::new(FieldKind::Password, "password", self.label);
            fields.field(password.first(is_first).with_error(errors.credentials));
            if self.is_password_change {
                let field = |name, label| Field::new(FieldKind::NewPassword, name, label);
                fields.field(field("new_password", "New password").with_error(errors.new_password));
                fields.field(
                    field("new_password_again", "Confirm new password").with_error(errors.new_password),
                );
            }
            if let Some(ticked) = self.remember {
                fields.checkbox(REMEMBER, "Keep me logged in", ticked);
            }
        });
        let page = match &self.alternate_url {
            Some(target) => page.link(target, other),
            None => page,
        };
        let hint = if self.is_password_change { ENDS } else { self.hint };
        let mut response = page_response(page.muted(hint));
        *response.status_mut() = status;
        self.cookies.append_to(response.headers_mut());
        response
    }

    pub(super) fn change_failed(
        self,
        state: &AuthState,
        path: &str,
        why: PasswordChangeError,
    ) -> FullResponse {
        match why {
            PasswordChangeError::Busy => {
                let busy = Denial::new(Reason::Unavailable).with_retry_after(Duration::from_secs(1));
                self.refused(&busy)
            }
            PasswordChangeError::NotAllowed => self.response(StatusCode::FORBIDDEN, FORBIDDEN),
            PasswordChangeError::Rejected(text) => {
                let errors = Errors {
                    new_password: FieldError::InAlert,
                    ..Errors::default()
                };
                self.response_with_errors(StatusCode::BAD_REQUEST, &sentence(&text), errors)
            }
            PasswordChangeError::Unavailable(unavailable) => {
                let denial = state.backend_error(&unavailable, path);
                retry_after(self.response(denial.status(), NOT_KEPT), &denial)
            }
        }
    }

    /// The answer to a refused attempt.
    pub(super) fn refused(self, denial: &Denial) -> FullResponse {
        let wrong = match (self.needs_username, self.label) {
            (true, _) => "Incorrect username or password.",
            (false, "Password") => "Incorrect password.",
            (false, "Token") => "Incorrect token.",
            (false, _) => "Incorrect password or token.",
        };
        let alert = alert(denial, wrong, &self.style);
        let errors = Errors {
            credentials: match denial.reason() {
                Reason::IncorrectPassword => FieldError::InAlert,
                _ => FieldError::None,
            },
            ..Errors::default()
        };
        retry_after(self.response_with_errors(denial.status(), &alert, errors), denial)
    }
}

/// An error's text as a page says it.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(characters).chain(['.']).collect()
}

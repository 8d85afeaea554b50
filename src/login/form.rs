//! The login form, and the same form again as the response to a rejected submission.

use std::time::Duration;

use http::StatusCode;

use super::shared_password::PasswordChangeError;
use crate::{
    cookies::SetCookies,
    denial::{Denial, Reason},
    html::{FieldKind, Page, PageStyle},
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
    pub(super) label: &'static str,
    pub(super) hint: &'static str,
}

impl LoginForm {
    pub(super) fn response(self, status: StatusCode, alert: &str) -> FullResponse {
        let (title, button, other) = if self.is_password_change {
            ("Change password", "Change password", "Log in")
        } else {
            ("Log in", "Log in", "Change password")
        };
        let page = Page::new(&self.style, title)
            .alert(alert)
            .form(&self.action, button, |fields| {
                fields.hidden("_xsrf", &self.xsrf);
                if self.needs_username {
                    fields.field(FieldKind::Username, "username", "Username", true);
                }
                fields.field(FieldKind::Password, "password", self.label, !self.needs_username);
                if self.is_password_change {
                    let kind = FieldKind::NewPassword;
                    fields.field(kind, "new_password", "New password", false);
                    fields.field(kind, "new_password_again", "Confirm new password", false);
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
            PasswordChangeError::Rejected(text) => self.response(StatusCode::BAD_REQUEST, &sentence(&text)),
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
        retry_after(self.response(denial.status(), &alert), denial)
    }
}

/// An error's text as a page says it.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(characters).chain(['.']).collect()
}

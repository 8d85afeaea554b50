//! A submitted form, while it is checked.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};

use super::{form::LoginForm, shared_password::SharedPasswordControl};
use crate::{
    authenticate::login_payload::LoginPayload,
    event::Event,
    middleware::{Browser, error_response::FullResponse, state::AuthState},
    redirect::NextUrl,
    secret::Secret,
    session::grant::Grant,
};

/// A submitted form, while it is checked.
pub(super) struct LoginSubmission {
    pub(super) state: Arc<AuthState>,
    pub(super) browser: Browser,
    pub(super) form: LoginForm,
    pub(super) next: NextUrl,
    /// Whether the browser forgets the login when it closes.
    pub(super) browser_session: bool,
    pub(super) shared: Option<Arc<dyn SharedPasswordControl>>,
    /// How often the shared password had been changed when the form came.
    pub(super) changes: u64,
    /// The new shared password, if the form has one.
    pub(super) new: Option<Secret>,
}

impl LoginSubmission {
    pub(super) fn is_expired(&self, grant: &Grant) -> bool {
        grant.has_expired(|| self.state.clock.now())
    }

    /// Logs in a client that may use the whole server, and changes the shared password if the form has a new one.
    pub(super) async fn succeed_as_owner(self, owner: Grant) -> FullResponse {
        if let (Some(new), Some(shared)) = (&self.new, &self.shared) {
            if let Err(why) = shared.change(&self.state, new, self.changes).await {
                return self.form.change_failed(&self.state, &self.browser.path, why);
            }
            let client = self.browser.client;
            self.state.emit(&Event::PasswordChanged { client });
        }
        self.succeed(owner).await
    }

    pub(super) async fn succeed(self, login: impl Into<LoginPayload>) -> FullResponse {
        let next = HeaderValue::from(&self.next);
        let login = LoginPayload {
            browser_session: self.browser_session,
            ..login.into()
        };
        self.browser
            .log_in_and_redirect(&self.state, Some(login), StatusCode::FOUND, next)
            .await
    }
}

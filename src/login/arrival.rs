//! Somebody who has sent the form: let in, or told why not.

use std::{net::IpAddr, sync::Arc};

use http::{HeaderValue, StatusCode};

use super::{
    OwnPassword,
    form::{BUSY, LoginForm},
};
use crate::{
    answer::Answer,
    authenticate::login_payload::Login,
    cookie::SetCookies,
    denial::Reason,
    event::{Event, LoggedPath},
    gate::{
        gate::Gate,
        responses::{OwnResponse, redirect},
    },
    grant::Grant,
    guard::Permit,
    next_url::NextUrl,
    secret::Secret,
    verify::Verdict,
};

const WRONG: &str = "Invalid credentials. Please try again.";

/// Somebody who has sent the form, while it is judged.
pub(super) struct Arrival {
    pub(super) gate: Arc<Gate>,
    /// The attempt reserved for the typed account: a failure unless it is settled. `None` once it is.
    pub(super) permit: Option<Permit>,
    pub(super) client: Option<IpAddr>,
    pub(super) form: LoginForm,
    pub(super) next: NextUrl,
    pub(super) shared: Option<Arc<dyn OwnPassword>>,
    /// How often the shared password had been changed when the form came.
    pub(super) changes: u64,
    /// What the shared password is to be from now on.
    pub(super) new: Option<Secret>,
}

impl Arrival {
    pub(super) fn settle(mut self, verdict: Verdict) -> Answer<OwnResponse> {
        match verdict {
            Verdict::Known(grant) => {
                let grant = self.gate.granted(grant);
                match &self.shared {
                    // It is the one before that they know.
                    Some(shared) if shared.changes() != self.changes => self.turn_away().into(),
                    Some(_) => self.let_in_owner(grant),
                    None => self.let_in(grant).into(),
                }
            }
            Verdict::Unavailable(unavailable) => {
                self.withdraw_attempt();
                let denial = self.gate.unavailable(&unavailable, &self.form.path);
                self.form
                    .answer_later(
                        StatusCode::SERVICE_UNAVAILABLE,
                        BUSY,
                        denial.retry_after().unwrap_or_default(),
                    )
                    .into()
            }
            Verdict::Refused(_) | Verdict::Unknown => self.turn_away().into(),
        }
    }

    pub(super) fn is_over(&self, grant: &Grant) -> bool {
        grant.has_expired(|| self.gate.clock.now())
    }

    /// Takes the attempt back. It neither failed nor succeeded, because no password was checked: a token says nothing
    /// about the account whose name was typed.
    pub(super) fn withdraw_attempt(&mut self) {
        if let Some(permit) = self.permit.take() {
            let throttle = &self.gate.passwords.throttle;
            throttle.withdraw(permit, self.gate.clock.moment());
        }
    }

    /// Counts the attempt as a login by the password of the account.
    fn count_success(&mut self) {
        if let Some(permit) = self.permit.take() {
            let throttle = &self.gate.passwords.throttle;
            throttle.succeeded(permit, self.gate.clock.moment());
        }
    }

    /// Whoever has what opens the whole server: they may set its password.
    pub(super) fn let_in_owner(mut self, owner: Grant) -> Answer<OwnResponse> {
        let (Some(new), Some(shared)) = (&self.new, &self.shared) else {
            return self.let_in(owner).into();
        };
        let changed = shared.change(&self.gate, new, self.changes);
        Answer::later(async move {
            match changed.await {
                Ok(()) => {
                    let client = self.client;
                    self.gate.tell(&Event::PasswordChanged { client });
                    self.let_in(owner)
                }
                Err(why) => {
                    self.count_success();
                    self.form.not_changed(&self.gate, why)
                }
            }
        })
    }

    pub(super) fn let_in(mut self, login: impl Into<Login>) -> OwnResponse {
        self.count_success();
        let (gate, form) = (&self.gate, &self.form);
        let mut cookies = SetCookies::default();
        if let Err(error) = gate.log_in(login, &form.host, self.client, form.https, &mut cookies) {
            return gate.did_not_fit(&error, &form.path);
        }
        let mut response = redirect(StatusCode::FOUND, HeaderValue::from(&self.next));
        cookies.append_to(response.headers_mut());
        response
    }

    pub(super) fn turn_away(self) -> OwnResponse {
        let (reason, path) = (Reason::WrongPassword, LoggedPath::of(&self.form.path));
        self.gate.tell(&Event::Refused {
            reason,
            label: None,
            path,
            client: self.client,
        });
        self.form.answer(StatusCode::UNAUTHORIZED, WRONG)
    }
}

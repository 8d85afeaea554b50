//! What all handles of one gate share.

use std::{net::IpAddr, sync::Arc, time::Duration};

use http::StatusCode;

use crate::{
    authenticate::{Chain, login_payload::Login},
    authorizer::Authorizer,
    clock::Clock,
    cookie::{CookieError, Keyring, RequestCookies, SetCookies},
    denial::{Denial, Reason},
    error::Unavailable,
    event::{Event, LoggedPath, Observer},
    gate::{
        PasswordAttempts,
        elsewhere::Elsewhere,
        login_cookie::{LoginCookie, XsrfCookie},
        responses::{OwnResponse, Telling, page_response},
    },
    grant::Grant,
    guard::{Guards, Surroundings},
    head::Head,
    html::Page,
    identity::Identity,
    session::{Exchange, GateId, Session},
    store::EndedLogins,
};

/// What all handles of one gate share.
pub(crate) struct Gate {
    pub(crate) id: GateId,
    pub(crate) guards: Guards,
    pub(crate) chain: Chain,
    pub(crate) authorizers: Vec<Box<dyn Authorizer>>,
    pub(crate) xsrf_cookie: XsrfCookie,
    /// The cookie of a login, where a browser can log in.
    pub(crate) login_cookie: Option<LoginCookie>,
    /// Where people log in, if it is not here.
    pub(crate) elsewhere: Option<Arc<dyn Elsewhere>>,
    pub(crate) ended: Arc<EndedLogins>,
    pub(crate) passwords: Arc<PasswordAttempts>,
    pub(crate) telling: Telling,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) clock: Arc<dyn Clock>,
    /// How long the body of a form may take to arrive.
    pub(crate) form_timeout: Duration,
    pub(crate) gate_only: bool,
}

impl Gate {
    /// The login that a session becomes which came from a token in the query, unless the browser has it already.
    /// The session gets the identity that this login has.
    pub(crate) fn login_for(&self, session: &mut Session, head: Head<'_>) -> Option<Login> {
        let LoginCookie(login_cookie) = self.login_cookie.as_ref()?;
        let token = match session.exchange() {
            Exchange::Never => return None,
            Exchange::SharedToken => None,
            Exchange::Token(hash) => Some(**hash),
        };
        let head = head.with_clock(&*self.clock);
        let logins = RequestCookies::of_head(head).map(|sent| login_cookie.logins(&sent, head));
        let logins = logins.unwrap_or_default();
        let existing = match &*logins {
            [login] if login.token == token => Some(login.grant.clone()),
            _ => None,
        };
        match (token, existing) {
            // A login without a token of its own must have no less rights than the shared token.
            (None, Some(grant)) if grant.is_unlimited() => {
                session.set_grant(grant);
                None
            }
            (Some(_), Some(_)) => None,
            (None, _) => {
                // Clients that share a token have no name: each browser is a user of its own.
                let grant = Grant::new(Identity::anonymous());
                session.set_grant(grant.clone());
                Some(grant.into())
            }
            (Some(_), None) => Some(Login {
                token,
                ..session.grant().clone().into()
            }),
        }
    }

    /// A login: the cookies of its owner for the browser at `host`, the session first.
    ///
    /// # Errors
    ///
    /// If it does not fit into a cookie; then nobody is logged in.
    pub(crate) fn log_in(
        &self,
        login: impl Into<Login>,
        host: &[u8],
        client: Option<IpAddr>,
        https: bool,
        cookies: &mut SetCookies,
    ) -> Result<(), CookieError> {
        let login = login.into();
        if let Some(LoginCookie(login_cookie)) = &self.login_cookie {
            cookies.push_own(login_cookie.line(&login, host, self.clock.now(), https)?);
        }
        let session = login.into_session();
        self.tell(&Event::LoggedIn {
            identity: session.identity(),
            client,
        });
        self.xsrf_cookie.renew(&session, https, cookies);
        Ok(())
    }

    /// Ends every login whose cookie came with this request, and removes the cookies on every path.
    ///
    /// # Errors
    ///
    /// `TooLarge` if the cookies cannot be read: then nothing has ended.
    pub(crate) fn log_out(
        &self,
        head: Head<'_>,
        client: Option<IpAddr>,
        https: bool,
        cookies: &mut SetCookies,
    ) -> Result<(), Denial> {
        let sent = RequestCookies::of_head(head)?;
        if let Some(login_cookie) = &self.login_cookie {
            let logins = login_cookie.end(&sent, head.with_clock(&*self.clock));
            for login in &logins {
                let identity = login.grant.identity();
                self.tell(&Event::LoggedOut { identity, client });
            }
            login_cookie.remove(head, https, cookies);
        }
        if let Some(elsewhere) = &self.elsewhere {
            elsewhere.remove(head, https, true, cookies);
        }
        self.xsrf_cookie.remove(https, cookies);
        Ok(())
    }

    /// Makes and reads cookies with other keys from now on, which ends every login.
    #[cfg_attr(
        not(feature = "password"),
        allow(dead_code, reason = "a change of the password asks for it")
    )]
    pub(crate) fn change_keyring(&self, keyring: &Keyring) {
        self.xsrf_cookie.change_keyring(keyring.clone());
        if let Some(LoginCookie(login_cookie)) = &self.login_cookie {
            login_cookie.change_keyring(keyring);
        }
    }

    /// The answer to somebody whose login does not fit into a cookie: no fault of theirs, and the operator is told.
    pub(crate) fn did_not_fit(&self, error: &CookieError, path: &str) -> OwnResponse {
        let path = LoggedPath::of(path);
        self.tell(&Event::Unavailable { error, path });
        let page = Page::new("Not logged in").paragraph("What this login holds is too long for a cookie.");
        let mut response = page_response(page.finish());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    }

    /// Reports the refusal of a request to one of the layer's own paths.
    pub(crate) fn refused(&self, reason: Reason, head: Head<'_>, surroundings: &Surroundings<'_>) {
        self.report_refusal(reason, None, head, Some(surroundings));
    }

    /// Reports a refusal to the observer.
    pub(crate) fn report_refusal(
        &self,
        reason: Reason,
        label: Option<&str>,
        head: Head<'_>,
        surroundings: Option<&Surroundings<'_>>,
    ) {
        let client = surroundings.and_then(|surroundings| self.guards.client(surroundings, head));
        let path = LoggedPath::of(head.uri().path());
        self.tell(&Event::Refused {
            reason,
            label,
            path,
            client,
        });
    }

    pub(crate) fn tell(&self, event: &Event<'_>) {
        if let Some(observer) = &self.observer {
            observer.observe(event);
        }
    }

    pub(crate) fn unavailable(&self, unavailable: &Unavailable, path: &str) -> Denial {
        let path = LoggedPath::of(path);
        self.tell(&Event::Unavailable {
            error: &**unavailable.error(),
            path,
        });
        Denial::new(Reason::Unavailable).with_retry_after(unavailable.retry_after())
    }
}

//! What all handles of one gate share.

use std::{net::IpAddr, sync::Arc, time::Duration};

use http::StatusCode;

use crate::{
    authenticate::{AuthenticatorChain, login_payload::LoginPayload},
    authorizer::Authorizer,
    clock::Clock,
    cookies::{CookieError, Keyring, RequestCookies, SetCookies},
    denial::{Denial, Reason},
    error::BackendError,
    event::{Event, Observer, RedactedPath},
    html::Page,
    middleware::{
        PasswordAttempts,
        cookies::{CsrfCookie, LoginCookie},
        error_response::{ErrorResponder, FullResponse, page_response},
        external_login::ExternalLogin,
    },
    request::head::RequestHead,
    request_policy::{EffectiveTarget, RequestPolicy},
    session::{Exchange, LayerId, Session, grant::Grant, identity::Identity},
    store::RevokedSessions,
};

/// What all handles of one gate share.
pub(crate) struct AuthState {
    pub(crate) id: LayerId,
    pub(crate) guards: RequestPolicy,
    pub(crate) chain: AuthenticatorChain,
    /// Whether an authenticator may read the `Authorization` field.
    pub(crate) reads_authorization: bool,
    pub(crate) authorizers: Vec<Box<dyn Authorizer>>,
    pub(crate) xsrf_cookie: CsrfCookie,
    /// The cookie of a login, where a browser can log in.
    pub(crate) login_cookie: Option<LoginCookie>,
    /// Where people log in, if it is not here.
    pub(crate) external_login: Option<Arc<dyn ExternalLogin>>,
    pub(crate) revoked: Arc<RevokedSessions>,
    pub(crate) passwords: Arc<PasswordAttempts>,
    pub(crate) error_responder: Arc<ErrorResponder>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) clock: Arc<dyn Clock>,
    /// How long the body of a form may take to arrive.
    pub(crate) form_timeout: Duration,
    pub(crate) skip_session_extension: bool,
}

impl AuthState {
    /// The login that a session becomes which came from a token in the query, unless the browser has it already.
    /// The session gets the identity that this login has.
    pub(crate) fn login_for(&self, session: &mut Session, head: RequestHead<'_>) -> Option<LoginPayload> {
        let LoginCookie(login_cookie) = self.login_cookie.as_ref()?;
        let token = match session.exchange()? {
            Exchange::SharedToken => None,
            Exchange::Token(hash) => Some(**hash),
        };
        let head = head.replace_clock(&*self.clock);
        let logins = RequestCookies::from_head(head).map(|sent| login_cookie.sessions_in(&sent, head));
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
            (Some(_), None) => Some(LoginPayload {
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
    pub(crate) fn login(
        &self,
        login: impl Into<LoginPayload>,
        host: &[u8],
        client: Option<IpAddr>,
        https: bool,
        cookies: &mut SetCookies,
    ) -> Result<(), CookieError> {
        let login = login.into();
        if let Some(LoginCookie(login_cookie)) = &self.login_cookie {
            cookies.push_overriding(login_cookie.set_cookie(&login, host, self.clock.now(), https)?);
        }
        let session = login.into_session();
        self.emit(&Event::LoggedIn {
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
    pub(crate) fn logout(
        &self,
        head: RequestHead<'_>,
        client: Option<IpAddr>,
        https: bool,
        cookies: &mut SetCookies,
    ) -> Result<(), Denial> {
        let sent = RequestCookies::from_head(head)?;
        if let Some(login_cookie) = &self.login_cookie {
            let logins = login_cookie.revoke(&sent, head.replace_clock(&*self.clock));
            for login in &logins {
                let identity = login.grant.identity();
                self.emit(&Event::LoggedOut { identity, client });
            }
        }
        self.remove_cookies(head, https, cookies);
        Ok(())
    }

    /// Removes the cookies of this server, on every path they may live on. No login ends by this.
    pub(crate) fn remove_cookies(&self, head: RequestHead<'_>, https: bool, cookies: &mut SetCookies) {
        if let Some(login_cookie) = &self.login_cookie {
            login_cookie.remove(head, https, cookies);
        }
        if let Some(elsewhere) = &self.external_login {
            elsewhere.remove_cookies(head, https, true, cookies);
        }
        self.xsrf_cookie.remove(https, cookies);
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
    pub(crate) fn cookie_too_large(&self, error: &CookieError, path: &str) -> FullResponse {
        let path = RedactedPath::new(path);
        self.emit(&Event::Unavailable { error, path });
        let page = Page::new(&self.error_responder.page_style, "Not logged in")
            .paragraph("What this login holds is too long for a cookie.");
        let mut response = page_response(page);
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    }

    /// Reports that a request is passed to the service.
    pub(crate) fn report_admitted(
        &self,
        session: &Session,
        head: RequestHead<'_>,
        target: &EffectiveTarget<'_>,
    ) {
        self.emit(&Event::Admitted {
            session,
            method: head.method(),
            path: RedactedPath::new(head.uri().path()),
            client: self.guards.client_ip(target, head),
        });
    }

    /// Reports the refusal of a request to one of the layer's own paths.
    pub(crate) fn log_denied(&self, reason: Reason, head: RequestHead<'_>, target: &EffectiveTarget<'_>) {
        self.report_refusal(reason, None, head, Some(target));
    }

    /// Reports a refusal to the observer.
    pub(crate) fn report_refusal(
        &self,
        reason: Reason,
        session: Option<&Session>,
        head: RequestHead<'_>,
        target: Option<&EffectiveTarget<'_>>,
    ) {
        let client = target.and_then(|target| self.guards.client_ip(target, head));
        let path = RedactedPath::new(head.uri().path());
        self.emit(&Event::Denied {
            reason,
            identity: session.map(Session::identity),
            label: session.and_then(|session| session.grant().label()),
            method: Some(head.method()),
            path,
            client,
        });
    }

    /// Reports the first request whose peer is missing, so that no trusted proxy is recognised.
    pub(crate) fn report_missing_peer(&self, head: RequestHead<'_>) {
        if self.guards.is_first_without_peer(head) {
            self.emit(&Event::PeerAddressMissing);
        }
    }

    pub(crate) fn emit(&self, event: &Event<'_>) {
        if let Some(observer) = &self.observer {
            observer.observe(event);
        }
    }

    pub(crate) fn backend_error(&self, unavailable: &BackendError, path: &str) -> Denial {
        let path = RedactedPath::new(path);
        self.emit(&Event::Unavailable {
            error: &**unavailable.cause(),
            path,
        });
        Denial::new(Reason::Unavailable).with_retry_after(unavailable.retry_after())
    }
}

//! The state that all handles of one layer share.

use std::{sync::Arc, time::Duration};

use crate::{
    authenticate::AuthenticatorChain,
    authorizer::Authorizer,
    clock::Clock,
    cookies::{Keyring, SetCookies},
    denial::{Denial, Reason},
    error::BackendError,
    event::{Event, Observer, RedactedPath},
    middleware::{
        PasswordAttempts,
        cookies::{CsrfCookie, LoginCookie},
        error_response::ErrorResponder,
        external_login::ExternalLogin,
        original_uri::OriginalUri,
    },
    request::head::RequestHead,
    request_policy::{EffectiveTarget, RequestPolicy},
    session::{LayerId, Session},
    store::RevokedSessions,
};

/// The state that all handles of one layer share.
pub(crate) struct AuthState {
    pub(crate) id: LayerId,
    pub(crate) guards: RequestPolicy,
    pub(crate) chain: AuthenticatorChain,
    /// Whether an authenticator may read the `Authorization` field.
    pub(crate) reads_authorization: bool,
    pub(crate) original_uri: OriginalUri,
    pub(crate) authorizers: Vec<Box<dyn Authorizer>>,
    pub(crate) xsrf_cookie: CsrfCookie,
    /// The cookie of a login, where a browser can log in.
    pub(crate) login_cookie: Option<LoginCookie>,
    /// The login at another server, if users log in there.
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
        allow(dead_code, reason = "used when the password changes")
    )]
    pub(crate) fn change_keyring(&self, keyring: &Keyring) {
        self.xsrf_cookie.change_keyring(keyring.clone());
        if let Some(login_cookie) = &self.login_cookie {
            login_cookie.change_keyring(keyring);
        }
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

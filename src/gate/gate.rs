//! What all handles of one gate share.

use std::{net::IpAddr, sync::Arc};

use crate::{
    authenticate::{Chain, login_payload::Login},
    authorize::Authorizer,
    cookie::SetCookies,
    denial::{Denial, Reason},
    error::Unavailable,
    event::{Event, LoggedPath, Observer},
    gate::{
        elsewhere::Elsewhere,
        endpoint::Endpoints,
        login_cookie::{LoginCookie, XsrfCookie},
        responses::Telling,
    },
    guard::{Guards, Surroundings},
    head::Head,
    session::{Credential, GateId, Session},
    time::Clock,
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
    pub(crate) telling: Telling,
    /// The gate's own paths.
    pub(crate) endpoints: Endpoints,
    pub(crate) observer: Option<Box<dyn Observer>>,
    pub(crate) clock: Box<dyn Clock>,
    pub(crate) gate_only: bool,
}

impl Gate {
    /// A login: the cookies of its owner for the browser at `host`, the session first.
    pub(crate) fn log_in(
        &self,
        login: impl Into<Login>,
        host: &[u8],
        client: Option<IpAddr>,
        https: bool,
        cookies: &mut SetCookies,
    ) {
        let login = login.into();
        if let Some(login_cookie) = &self.login_cookie {
            login_cookie.give(&login, host, self.clock.now(), https, cookies);
        }
        let grant = login.grant;
        self.tell(&Event::LoggedIn {
            identity: grant.identity(),
            client,
        });
        self.xsrf_cookie
            .renew(&Session::new(grant, Credential::Cookie), https, cookies);
    }

    /// Takes every cookie of a login away, on every path it may live on.
    pub(crate) fn log_out(&self, head: Head<'_>, https: bool, cookies: &mut SetCookies) {
        if let Some(login_cookie) = &self.login_cookie {
            login_cookie.remove(head, https, cookies);
        }
        if let Some(elsewhere) = &self.elsewhere {
            elsewhere.remove(head, https, true, cookies);
        }
        self.xsrf_cookie.remove(https, cookies);
    }

    /// Tells that a request to one of the gate's own paths was turned away.
    pub(crate) fn refused(&self, reason: Reason, head: Head<'_>, surroundings: &Surroundings<'_>) {
        let client = self.guards.client(surroundings, head);
        let path = LoggedPath::of(head.uri().path());
        self.tell(&Event::Refused {
            reason,
            label: None,
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

//! Who a browser belongs to: the login cookie, and the login behind it.

use std::sync::Arc;

use http::StatusCode;

use super::{expanded_scopes::ExpandedScopes, request::HubRequest, response::HubError, user::HubUser};
use crate::{
    cookies::{CookieName, ReadCookie, RequestCookies, SetCookies},
    denial::Denial,
    middleware::{error_response::FullResponse, form::UrlEncodedForm},
    request::page_request::is_page_request,
    session::{AuthMethod, Session, grant::Grant, identity::Identity},
    store::SessionRecord,
    token::{PresentedToken, TokenHash},
};

/// What is seen of a browser.
pub(crate) enum BrowserSession {
    SignedIn(SignedInUser),
    Anonymous,
    /// It has a login cookie whose session has ended.
    Expired,
}

impl BrowserSession {
    pub(crate) fn known(self) -> Option<SignedInUser> {
        match self {
            Self::SignedIn(visitor) => Some(visitor),
            Self::Anonymous | Self::Expired => None,
        }
    }
}

/// A user who is logged in by a browser.
#[derive(Clone)]
pub(crate) struct SignedInUser {
    pub(crate) login: SessionRecord,
    pub(crate) member: Arc<HubUser>,
}

impl SignedInUser {
    /// All that they may do.
    pub(crate) fn scopes(&self) -> ExpandedScopes {
        ExpandedScopes::of_member(&self.member)
    }

    /// What `_xsrf` is bound to: the session, not the user, so that each login has a value of its own.
    pub(crate) fn session(&self) -> Session {
        session_of(&self.login)
    }
}

/// Returns the session that the `_xsrf` values of `login` are bound to.
pub(crate) fn session_of(login: &SessionRecord) -> Session {
    Session::new(Grant::new(Identity::new(login.session_id())), AuthMethod::Cookie)
}

/// What the login cookie says.
enum SentCookie {
    Nothing,
    Refused,
    Value(TokenHash),
}

impl HubRequest<'_> {
    pub(crate) async fn visitor(&self) -> Result<BrowserSession, HubError> {
        let hash = match self.sent_login()? {
            SentCookie::Nothing => return Ok(BrowserSession::Anonymous),
            SentCookie::Refused => return Ok(BrowserSession::Expired),
            SentCookie::Value(hash) => hash,
        };
        let login = self.hub.store.find_session(hash).await?;
        let login = login.filter(|login| !login.has_expired(self.head.now()));
        let Some(login) = login else {
            return Ok(BrowserSession::Expired);
        };
        Ok(match self.members.find(login.owner()).await? {
            Some(member) => BrowserSession::SignedIn(SignedInUser { login, member }),
            None => BrowserSession::Expired,
        })
    }

    fn sent_login(&self) -> Result<SentCookie, Denial> {
        let cookies = RequestCookies::from_headers(self.head.headers())?;
        Ok(self.hub.login_jar.read(
            &cookies,
            || self.head.now(),
            |payload| Some(payload.to_vec()),
            |read| match read {
                ReadCookie::Missing => SentCookie::Nothing,
                ReadCookie::Ambiguous | ReadCookie::Invalid(_) => SentCookie::Refused,
                ReadCookie::Valid(opened) => match PresentedToken::new(opened.payload()) {
                    Some(value) => SentCookie::Value(value.hash()),
                    None => SentCookie::Refused,
                },
            },
        ))
    }

    /// Returns every login whose cookie came with this request, of every user.
    ///
    /// [`HubRequest::visitor`] returns no user when there are cookies of two logins, or too many to choose from. A logout needs no
    /// choice: it ends all of them.
    pub(crate) async fn logins(&self) -> Result<Vec<SessionRecord>, HubError> {
        let cookies = RequestCookies::from_headers(self.head.headers()).map_err(Denial::from)?;
        let (now, mut hashes) = (self.head.now(), Vec::new());
        self.hub.login_jar.for_host(b"").decode_each(
            &cookies,
            || now,
            |opened| hashes.extend(PresentedToken::new(opened.payload()).map(PresentedToken::hash)),
        );
        let mut logins: Vec<SessionRecord> = Vec::new();
        for hash in hashes {
            let login = self.hub.store.find_session(hash).await?;
            let is_new = |login: &SessionRecord| logins.iter().all(|known| known.id() != login.id());
            logins.extend(login.filter(|login| !login.has_expired(now) && is_new(login)));
        }
        Ok(logins)
    }

    /// Who sent this form by a page of the hub's own, and the form.
    pub(crate) async fn visitor_by_form(&self) -> Result<(SignedInUser, UrlEncodedForm), HubError> {
        let visitor = self.visitor().await?.known().ok_or_else(missing_xsrf)?;
        let form = self.form()?;
        self.check_xsrf(&visitor.session(), &form)?;
        Ok((visitor, form))
    }

    /// Checks that a page of `session` sent the form.
    pub(crate) fn check_xsrf(&self, session: &Session, form: &UrlEncodedForm) -> Result<(), Denial> {
        self.hub.xsrf_cookie.check(
            &self.hub.guards,
            &self.target,
            self.head,
            session,
            Some(form.text("_xsrf").trim()),
        )
    }

    /// The `_xsrf` value for a form of this user; its cookie is set if the one that was sent does not fit.
    pub(crate) fn xsrf_of(&self, visitor: &SignedInUser, cookies: &mut SetCookies) -> String {
        self.xsrf_of_session(&visitor.session(), cookies)
    }

    /// Returns the `_xsrf` value for a form of this session.
    pub(crate) fn xsrf_of_session(&self, session: &Session, cookies: &mut SetCookies) -> String {
        self.hub
            .xsrf_cookie
            .session_token(session, self.head, self.https(), cookies)
    }

    /// Adds the session id of the user's login, unless the browser has it. Any other session id is replaced.
    pub(crate) fn restore_session_id(&self, visitor: &SignedInUser, cookies: &mut SetCookies) {
        let sent = RequestCookies::from_headers(self.head.headers()).is_ok_and(|cookies| {
            let name = CookieName::session_id();
            let mut values = cookies.values(&name);
            values.next() == Some(visitor.login.session_id().as_bytes()) && values.next().is_none()
        });
        if !sent {
            self.set_session_id(visitor.login.session_id(), cookies);
        }
    }

    pub(crate) fn set_session_id(&self, session_id: &str, cookies: &mut SetCookies) {
        let host = self.head.host().unwrap_or_default();
        if let Ok(line) = self
            .hub
            .session_scope
            .set_cookie(host, session_id, None, self.https())
        {
            cookies.push_overriding(line);
        }
    }

    /// Adds the lines that take the login cookie away.
    pub(crate) fn remove_login(&self, cookies: &mut SetCookies) {
        if let Some(line) = self.hub.login_jar.removal_cookie(self.https()) {
            cookies.push_overriding(line);
        }
    }

    /// Adds them for a cookie that is not good any more, on the answer to a page request alone.
    pub(crate) fn remove_bad_login(&self, cookies: &mut SetCookies) {
        if is_page_request(self.head) {
            self.remove_login(cookies);
        }
    }

    /// Redirects to the login page. If the session is `stale`, the page says so, and the cookie is removed.
    pub(crate) fn redirect_to_login(&self, stale: bool) -> FullResponse {
        let mut response = self.login_redirect(stale);
        if stale {
            let mut cookies = SetCookies::default();
            self.remove_bad_login(&mut cookies);
            cookies.append_to(response.headers_mut());
        }
        response
    }
}

/// The answer to a form that no login sent.
pub(crate) fn missing_xsrf() -> HubError {
    HubError::new(StatusCode::FORBIDDEN, "'_xsrf' argument missing from POST")
}

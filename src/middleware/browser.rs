//! The browser that logs in.

use std::net::IpAddr;

use http::{HeaderValue, header::USER_AGENT};

use super::{cookies::is_https, state::AuthState};
use crate::{
    authenticate::{
        login_payload::LoginPayload,
        session_cookie::{NewSession, SentSession, SessionCookie},
    },
    clock::UnixTime,
    error::BackendError,
    request::head::RequestHead,
    request_policy::EffectiveTarget,
    session::Session,
    store::{SessionCredential, SessionRecord},
    token::TokenHash,
};

/// The properties of a request that its login uses.
pub(crate) struct Browser {
    pub(crate) client: Option<IpAddr>,
    pub(crate) path: Box<str>,
    pub(crate) host: Box<[u8]>,
    pub(crate) https: bool,
    /// What becomes of a session that the browser has already.
    pub(crate) existing: ExistingSession,
    /// The session at an identity provider that the login came from.
    pub(crate) provider_session: Option<TokenHash>,
    /// The `User-Agent` field, for lists of sessions.
    user_agent: Option<String>,
    /// The session cookies that came.
    sent: Vec<SentSession>,
}

/// What becomes of a session in a store that the browser has when it logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExistingSession {
    /// It ends.
    Ends,
    /// It ends, and one of the same user says when the new one has begun.
    Continues,
    /// It stays, and no other is made, if it came from the same token.
    Stays,
}

/// The longest `User-Agent` that is kept.
const MAX_USER_AGENT: usize = 256;

impl Browser {
    pub(crate) fn of(state: &AuthState, head: RequestHead<'_>, target: &EffectiveTarget<'_>) -> Self {
        let stored = state
            .login_cookie
            .as_ref()
            .and_then(|cookie| cookie.stored.as_ref());
        let head = head.replace_clock(&*state.clock);
        let sent = stored
            .and_then(|stored| stored.sent(head).ok())
            .unwrap_or_default();
        let user_agent = head.header(&USER_AGENT).filter(|_| stored.is_some());
        let user_agent = user_agent.and_then(|value| value.to_str().ok());
        Self {
            client: state.guards.client_ip(target, head),
            path: head.uri().path().into(),
            host: head.host().unwrap_or_default().into(),
            https: is_https(target, head),
            existing: ExistingSession::Ends,
            provider_session: None,
            user_agent: user_agent.map(|text| text.chars().take(MAX_USER_AGENT).collect()),
            sent,
        }
    }

    /// Begins a session for this browser in the store, and returns it with the line of its cookie; nothing if it has one that
    /// stays.
    pub(super) async fn begin_session(
        &mut self,
        stored: &SessionCookie,
        login: LoginPayload,
        now: UnixTime,
    ) -> Result<Option<(Session, HeaderValue)>, BackendError> {
        let existing = stored.find_valid(std::mem::take(&mut self.sent), now).await?;
        let made_from_same = |record: &SessionRecord| match login.token {
            Some(token) => record.credential() == Some(SessionCredential::Token(token)),
            None => record.credential().is_none() && record.grant().is_unlimited(),
        };
        let mut existing = existing.into_iter().peekable();
        if self.existing == ExistingSession::Stays
            && existing.peek().is_some_and(|(_, had)| made_from_same(had))
        {
            return Ok(None);
        }
        let replaced = existing.next();
        let continued = replaced.as_ref().filter(|(_, replaced)| {
            self.existing == ExistingSession::Continues
                && replaced.owner() == login.grant.identity().username()
        });
        let new = NewSession {
            started: continued.map(|(_, continued)| continued.created()),
            browser_session: login.browser_session
                || continued.is_some_and(|(cookie, _)| cookie.browser_session),
            grant: login.grant,
            token: login.token,
            provider_session: self.provider_session.take(),
            note: self.user_agent.take(),
            address: self.client,
            replaced: replaced.map(|(_, replaced)| replaced),
        };
        let begun = stored.begin(new, &self.host, self.https, now).await?;
        for (_, other) in existing {
            stored.end(&other).await?;
        }
        Ok(Some(begun))
    }
}

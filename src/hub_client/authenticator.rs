//! Authenticates requests by the hub's answer: one authenticator for tokens, one for the token cookie.

use std::sync::{Arc, atomic::Ordering};

use http::Method;
use sha2::{Digest as _, Sha256};

use super::{
    answers::{Key, Word},
    cookie_cache::CookieDigest,
    hub_auth::{HubAuth, HubAuthInner},
};
use crate::{
    authenticate::{Authenticator, Outcome, TokenSource},
    clock::{MonotonicTime, UnixTime},
    cookies::{CookieDecodeError, ReadCookie, RequestCookies},
    denial::{Denial, Reason},
    digest::sha256,
    maybe_future::MaybeFuture,
    request::{head::RequestHead, header_names, query::TokenBuffer},
    session::{AuthMethod, Exchange, LoginId, LoginMark, Session, grant::Grant},
    token::{PresentedToken, Token},
};

/// Authenticates requests that present a token of the hub.
pub(super) struct HubTokenAuthenticator(pub(super) Arc<HubAuthInner>);

/// Authenticates requests that have the cookie of a login here.
pub(super) struct HubCookieAuthenticator(pub(super) Arc<HubAuthInner>);

impl HubAuth {
    /// The authenticators, in the order they are called.
    pub(crate) fn authenticators(&self) -> [Box<dyn Authenticator>; 2] {
        [
            Box::new(HubTokenAuthenticator(Arc::clone(&self.0))),
            Box::new(HubCookieAuthenticator(Arc::clone(&self.0))),
        ]
    }
}

impl Authenticator for HubTokenAuthenticator {
    fn authenticate(&self, head: RequestHead<'_>) -> MaybeFuture<Outcome> {
        let hub = &self.0;
        // Browsers can set no field there, so the hub's own clients put the token into the URL.
        let sources = if head.uri().query().is_some() && is_websocket(head) {
            &hub.websocket_sources
        } else {
            &hub.sources
        };
        let mut buffer = TokenBuffer::default();
        let found = match sources.extract(head, &mut buffer) {
            Ok(Some(found)) => found,
            Ok(None) => return Outcome::Absent.into(),
            Err(denial) => return Outcome::Malformed(denial).into(),
        };
        let Some(answer) = hub.check_token(found.token().as_bytes(), &head, AuthMethod::Token) else {
            return Outcome::Rejected(Reason::UnsupportedToken).into();
        };
        if *found.source() != TokenSource::Query {
            return answer;
        }
        let hash = found.token().hash();
        answer.map(move |outcome| match outcome {
            Outcome::Authenticated(session) => {
                Outcome::Authenticated(session.exchangeable(Exchange::Token(Arc::new(hash))))
            }
            outcome => outcome,
        })
    }
}

impl Authenticator for HubCookieAuthenticator {
    fn authenticate(&self, head: RequestHead<'_>) -> MaybeFuture<Outcome> {
        let hub = &self.0;
        let Ok(cookies) = RequestCookies::from_head(head) else {
            let denial = Denial::new(Reason::TooLarge)
                .with_detail("the cookies are more than 16384 bytes or 512 pairs");
            return Outcome::Malformed(denial).into();
        };
        if cookies.is_empty() || (!hub.websocket_cookies && is_websocket(head)) {
            return Outcome::Absent.into();
        }
        // The usual way: a cookie that was opened before, of a token whose word is remembered.
        let (name, now) = (hub.jar.scope().name(b""), head.monotonic_now());
        let digest = match cookies.distinct_values(&name).as_deref() {
            Some([value]) => CookieDigest::of(value),
            _ => None,
        };
        if let Some(token) = digest.and_then(|digest| hub.opened_cookies.get(digest, now))
            && let Some(word) = hub.verifier.get(&hub.key(token, Some(cookies)), now)
        {
            return hub
                .outcome(word, || head.now(), AuthMethod::Cookie, &token)
                .into();
        }
        hub.open(cookies, digest, head, now)
    }
}

impl HubAuthInner {
    /// What is said of a request with a cookie that has to be opened.
    fn open(
        self: &Arc<Self>,
        cookies: RequestCookies<'_>,
        digest: Option<CookieDigest>,
        head: RequestHead<'_>,
        now: MonotonicTime,
    ) -> MaybeFuture<Outcome> {
        let hub = self;
        hub.jar.read(
            &cookies,
            || head.now(),
            |payload| Some(payload.to_vec()),
            |read| match read {
                ReadCookie::Missing => Outcome::Absent.into(),
                ReadCookie::Ambiguous | ReadCookie::Invalid(CookieDecodeError::Invalid) => {
                    Outcome::Rejected(Reason::InvalidCookie).into()
                }
                ReadCookie::Invalid(CookieDecodeError::Expired) => {
                    Outcome::Rejected(Reason::ExpiredCookie).into()
                }
                ReadCookie::Valid(opened) => {
                    let token = sha256(opened.payload());
                    if hub.ended_logins.hold(&token, &opened, now) {
                        return Outcome::Rejected(Reason::InvalidCookie).into();
                    }
                    if let Some(digest) = digest {
                        hub.opened_cookies.insert(digest, &opened, head.now(), now);
                    }
                    let answer = hub.check_token(opened.payload(), &head, AuthMethod::Cookie);
                    answer.unwrap_or_else(|| Outcome::Rejected(Reason::InvalidCookie).into())
                }
            },
        )
    }

    /// The outcome for a request with these bytes as its token, or `None` if they cannot be a token. The hub was queried
    /// for a valid token only, so the form is checked only if no answer is cached.
    fn check_token(
        self: &Arc<Self>,
        bytes: &[u8],
        head: &RequestHead<'_>,
        credential: AuthMethod,
    ) -> Option<MaybeFuture<Outcome>> {
        if bytes.len() > Token::MAX_LEN {
            return None;
        }
        let hash = sha256(bytes);
        let key = self.key(hash, RequestCookies::from_head(*head).ok());
        let now = head.monotonic_now();
        if let Some(word) = self.verifier.get(&key, now) {
            return Some(self.outcome(word, || head.now(), credential, &hash).into());
        }
        PresentedToken::new(bytes).map(|token| self.fetch_token(token, key, now, head, credential))
    }

    #[cold]
    fn fetch_token(
        self: &Arc<Self>,
        token: PresentedToken<'_>,
        key: Key,
        now: MonotonicTime,
        head: &RequestHead<'_>,
        credential: AuthMethod,
    ) -> MaybeFuture<Outcome> {
        let hash = *token.hash().as_bytes();
        match self.verifier.lookup(token, key, credential, now) {
            MaybeFuture::Ready(Ok(word)) => self.outcome(word, || head.now(), credential, &hash).into(),
            MaybeFuture::Ready(Err(failure)) => Outcome::Unavailable(failure.into()).into(),
            MaybeFuture::Future(said) => {
                let (hub, now) = (Arc::clone(self), head.now());
                MaybeFuture::from_future(async move {
                    match said.await {
                        Ok(word) => hub.outcome(word, || now, credential, &hash),
                        Err(failure) => Outcome::Unavailable(failure.into()),
                    }
                })
            }
        }
    }

    fn outcome(
        &self,
        word: Word,
        now: impl FnOnce() -> UnixTime,
        credential: AuthMethod,
        token: &[u8; 32],
    ) -> Outcome {
        match word {
            Word::Allowed(grant) => {
                if self.activity.is_some() {
                    self.last_activity.fetch_max(now().as_secs(), Ordering::Relaxed);
                }
                Outcome::Authenticated(match credential {
                    AuthMethod::Cookie => session_by_cookie(grant, token),
                    credential => Session::new(grant, credential),
                })
            }
            // Reported as it is, and no other credential is tried: a login would lead here again.
            Word::Forbidden => Outcome::Malformed(
                Denial::new(Reason::InsufficientScope)
                    .with_detail("your account does not have access to this server"),
            ),
            Word::Unknown if credential == AuthMethod::Cookie => Outcome::Rejected(Reason::InvalidCookie),
            Word::Unknown => Outcome::Rejected(Reason::UnknownToken),
        }
    }

    /// The cache key of the answer for the token with this digest and the browser that sent these cookies.
    pub(super) fn key(&self, token: [u8; 32], sent: Option<RequestCookies<'_>>) -> Key {
        let Some(sent) = sent.filter(|sent| !sent.is_empty()) else {
            return Key::new(token, None);
        };
        match sent.distinct_values(&self.session_id).as_deref() {
            Some([]) => Key::new(token, None),
            Some([id]) => Key::new(token, Some(id)),
            // Of several, all count, whatever their order.
            _ => {
                let mut ids: Vec<&[u8]> = sent.values(&self.session_id).collect();
                ids.sort_unstable();
                Key::new(token, Some(&ids.join(&b';')))
            }
        }
    }
}

/// The session of a login whose token has this hash. `_xsrf` values are bound to the login, not to the user: its id is
/// made from the hash, and scripts that read the id learn nothing of it.
pub(super) fn session_by_cookie(grant: Grant, token: &[u8; 32]) -> Session {
    let hash: [u8; 32] = Sha256::new()
        .chain_update(b"_xsrf")
        .chain_update(token)
        .finalize()
        .into();
    Session::new(grant, AuthMethod::Cookie).with_login_mark(LoginMark {
        id: hash.first_chunk().copied().map_or(LoginId::None, LoginId::Cookie),
        ..LoginMark::default()
    })
}

/// Whether a browser says that this is a handshake to WebSocket.
fn is_websocket(head: RequestHead<'_>) -> bool {
    matches!(*head.method(), Method::GET | Method::CONNECT)
        && head
            .header(&header_names::SEC_FETCH_MODE)
            .is_some_and(|mode| mode == "websocket")
}

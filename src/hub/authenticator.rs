//! Who somebody is, by the hub's word: two authenticators, of tokens and of the token cookie.

use std::sync::{Arc, atomic::Ordering};

use http::Method;
use sha2::{Digest as _, Sha256};

use super::{
    answers::{Key, Word},
    config::{Hub, HubAuth},
    opened_cookies::CookieDigest,
};
use crate::{
    authenticate::{Authenticator, Outcome, TokenSource},
    clock::{Moment, UnixTime},
    cookie::{OpenError, Read, RequestCookies},
    denial::{Denial, Reason},
    digest::sha256,
    fields,
    grant::Grant,
    head::Head,
    maybe_future::Answer,
    query::TokenBuffer,
    session::{Credential, Exchange, LoginMark, Session},
    token::{PresentedToken, TOKEN_LIMIT},
};

/// Whoever presents a token of the hub's.
pub(super) struct HubTokens(pub(super) Arc<Hub>);

/// Whoever has the cookie of a login here.
pub(super) struct HubCookie(pub(super) Arc<Hub>);

impl HubAuth {
    /// The authenticators, in the order they are asked.
    pub(crate) fn authenticators(&self) -> [Box<dyn Authenticator>; 2] {
        [
            Box::new(HubTokens(Arc::clone(&self.0))),
            Box::new(HubCookie(Arc::clone(&self.0))),
        ]
    }
}

impl Authenticator for HubTokens {
    fn authenticate(&self, head: Head<'_>) -> Answer<Outcome> {
        let hub = &self.0;
        // Browsers can set no field there, so the hub's own clients put the token into the URL.
        let sources = if head.uri().query().is_some() && is_websocket(head) {
            &hub.websocket_sources
        } else {
            &hub.sources
        };
        let mut buffer = TokenBuffer::default();
        let found = match sources.find(head, &mut buffer) {
            Ok(Some(found)) => found,
            Ok(None) => return Outcome::Absent.into(),
            Err(denial) => return Outcome::Malformed(denial).into(),
        };
        let answer = hub.ask(found.token().as_bytes(), &head, Credential::Token);
        let answer = answer.unwrap_or_else(|| Outcome::Absent.into());
        if *found.source() != TokenSource::Query {
            return answer;
        }
        let hash = found.token().hash();
        answer.map(move |outcome| match outcome {
            Outcome::Accepted(session) => {
                Outcome::Accepted(session.exchangeable(Exchange::Token(Arc::new(hash))))
            }
            outcome => outcome,
        })
    }
}

impl Authenticator for HubCookie {
    fn authenticate(&self, head: Head<'_>) -> Answer<Outcome> {
        let hub = &self.0;
        let Ok(cookies) = RequestCookies::of_head(head) else {
            let denial = Denial::new(Reason::TooLarge)
                .with_detail("the cookies are more than 16384 octets or 256 pairs");
            return Outcome::Malformed(denial).into();
        };
        if cookies.is_empty() || (!hub.websocket_cookies && is_websocket(head)) {
            return Outcome::Absent.into();
        }
        // The usual way: a cookie that was opened before, of a token whose word is remembered.
        let (name, now) = (hub.jar.scope().name(b""), head.moment());
        let digest = match cookies.candidates(&name).as_deref() {
            Some([value]) => CookieDigest::of(value),
            _ => None,
        };
        if let Some(token) = digest.and_then(|digest| hub.opened_cookies.token(digest, now))
            && let Some(word) = hub.verifier.recall(&hub.key(token, Some(cookies)), now)
        {
            return hub
                .outcome(word, || head.now(), Credential::Cookie, &token)
                .into();
        }
        hub.open(cookies, digest, head, now)
    }
}

impl Hub {
    /// What is said of a request with a cookie that has to be opened.
    fn open(
        self: &Arc<Self>,
        cookies: RequestCookies<'_>,
        digest: Option<CookieDigest>,
        head: Head<'_>,
        now: Moment,
    ) -> Answer<Outcome> {
        let hub = self;
        hub.jar.read(
            &cookies,
            || head.now(),
            |payload| Some(payload.to_vec()),
            |read| match read {
                Read::Absent => Outcome::Absent.into(),
                Read::Ambiguous | Read::Refused(OpenError::Invalid) => {
                    Outcome::Rejected(Reason::InvalidCookie).into()
                }
                Read::Refused(OpenError::Expired) => Outcome::Rejected(Reason::ExpiredCookie).into(),
                Read::Opened(opened) => {
                    let token = sha256(opened.payload());
                    if hub.ended_logins.hold(&token, &opened, now) {
                        return Outcome::Rejected(Reason::InvalidCookie).into();
                    }
                    if let Some(digest) = digest {
                        hub.opened_cookies.keep(digest, &opened, head.now(), now);
                    }
                    let answer = hub.ask(opened.payload(), &head, Credential::Cookie);
                    answer.unwrap_or_else(|| Outcome::Rejected(Reason::InvalidCookie).into())
                }
            },
        )
    }

    /// What is said of a request with these octets for a token, or `None` if they are none. Those that the hub has
    /// been asked for are one, so their form is judged only if its word is not remembered.
    fn ask(
        self: &Arc<Self>,
        octets: &[u8],
        head: &Head<'_>,
        credential: Credential,
    ) -> Option<Answer<Outcome>> {
        if octets.len() > TOKEN_LIMIT {
            return None;
        }
        let hash = sha256(octets);
        let key = self.key(hash, RequestCookies::of_head(*head).ok());
        let now = head.moment();
        if let Some(word) = self.verifier.recall(&key, now) {
            return Some(self.outcome(word, || head.now(), credential, &hash).into());
        }
        PresentedToken::new(octets).map(|token| self.ask_hub(token, key, now, head, credential))
    }

    #[cold]
    fn ask_hub(
        self: &Arc<Self>,
        token: PresentedToken<'_>,
        key: Key,
        now: Moment,
        head: &Head<'_>,
        credential: Credential,
    ) -> Answer<Outcome> {
        let hash = *token.hash().as_bytes();
        match self.verifier.ask(token, key, credential, now) {
            Answer::Now(Ok(word)) => self.outcome(word, || head.now(), credential, &hash).into(),
            Answer::Now(Err(failure)) => Outcome::Unavailable(failure.into()).into(),
            Answer::Later(said) => {
                let (hub, now) = (Arc::clone(self), head.now());
                Answer::later(async move {
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
        credential: Credential,
        token: &[u8; 32],
    ) -> Outcome {
        match word {
            Word::Allowed(grant) => {
                if self.activity.is_some() {
                    self.last_activity.fetch_max(now().as_secs(), Ordering::Relaxed);
                }
                Outcome::Accepted(match credential {
                    Credential::Cookie => session_by_cookie(grant, token),
                    credential => Session::new(grant, credential),
                })
            }
            // Told as it is, and no other credential is tried: a login would lead here again.
            Word::Forbidden => Outcome::Malformed(
                Denial::new(Reason::InsufficientScope)
                    .with_detail("your account has no access to this server"),
            ),
            Word::Unknown if credential == Credential::Cookie => Outcome::Rejected(Reason::InvalidCookie),
            Word::Unknown => Outcome::Rejected(Reason::UnknownToken),
        }
    }

    /// Where the word of the token with this digest lies, for the browser that sent these cookies.
    pub(super) fn key(&self, token: [u8; 32], sent: Option<RequestCookies<'_>>) -> Key {
        let Some(sent) = sent else {
            return Key::new(token, None);
        };
        match sent.candidates(&self.session_id).as_deref() {
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
    Session::new(grant, Credential::Cookie).of_login(LoginMark {
        id: hash.first_chunk().copied(),
        ..LoginMark::default()
    })
}

/// Whether a browser says that this is a handshake to WebSocket.
fn is_websocket(head: Head<'_>) -> bool {
    matches!(*head.method(), Method::GET | Method::CONNECT)
        && head
            .field(&fields::SEC_FETCH_MODE)
            .is_some_and(|mode| mode == "websocket")
}

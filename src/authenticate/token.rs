//! Who sent a request, by the token in it.

use super::{
    Authenticator, Outcome,
    authorization::Candidate,
    token_sources::{TokenSource, TokenSources},
};
use crate::{
    answer::Answer,
    denial::Reason,
    grant::Grant,
    head::Head,
    query::TokenBuffer,
    session::{Credential, Session},
    time::UnixTime,
    token::PresentedToken,
    verify::{TokenVerifier, Verdict},
};

/// Who sent a request, told from the token in it and a verifier that knows tokens.
///
/// A token that nobody knows, or whose time is over, is `Rejected`: another authenticator may still accept
/// the request. One that cannot be read, or more than one, is `Malformed`: nobody else is asked.
///
/// # Example
///
/// ```
/// use portcullis::{
///     Grant, Identity, Token,
///     authenticate::{TokenAuthenticator, TokenSource},
///     verify::SharedToken,
/// };
///
/// let token = Token::generate();
/// let verifier = SharedToken::new(token, Grant::new(Identity::new("owner")));
/// let api_only = TokenAuthenticator::new(verifier).with_sources([TokenSource::Authorization]);
/// ```
#[derive(Clone, Debug)]
pub struct TokenAuthenticator<V> {
    sources: TokenSources,
    pub(super) verifier: V,
}

impl<V: TokenVerifier> TokenAuthenticator<V> {
    /// Whoever presents a token that `verifier` knows.
    pub fn new(verifier: V) -> Self {
        Self {
            sources: TokenSources::default(),
            verifier,
        }
    }

    /// Default: `Authorization` and the query. The places where tokens are looked for, instead of those.
    #[must_use]
    pub fn with_sources(self, sources: impl IntoIterator<Item = TokenSource>) -> Self {
        Self {
            sources: TokenSources::new(sources),
            ..self
        }
    }

    /// The places where tokens are looked for.
    pub fn sources(&self) -> &TokenSources {
        &self.sources
    }

    /// What is said of a request that carries `token`, its expiry included.
    #[inline]
    pub fn judge(&self, token: PresentedToken<'_>, head: Head<'_>) -> Answer<Outcome> {
        self.judge_at(token, &head)
    }

    #[inline]
    fn judge_at(&self, token: PresentedToken<'_>, head: &Head<'_>) -> Answer<Outcome> {
        told(self.verifier.verify(token), head)
    }
}

impl<V: TokenVerifier> TokenAuthenticator<V> {
    /// The answer, wherever a token may be.
    #[inline(never)]
    pub(super) fn by_any_source(&self, head: &Head<'_>) -> Answer<Outcome> {
        let mut buffer = TokenBuffer::default();
        match self.sources.find(*head, &mut buffer) {
            Ok(Some(found)) => self.judge_at(found.token(), head),
            Ok(None) => Answer::Now(Outcome::Absent),
            Err(denial) => Answer::Now(Outcome::Malformed(denial)),
        }
    }
}

impl<V: TokenVerifier> Authenticator for TokenAuthenticator<V> {
    fn authenticate(&self, head: Head<'_>) -> Answer<Outcome> {
        let head = &head;
        match self.sources.candidate(head) {
            Some(Candidate::None) => return Answer::Now(Outcome::Absent),
            Some(Candidate::Of(octets)) => {
                if let Some(verdict) = self.verifier.verify_octets(octets) {
                    return told(verdict, head);
                }
            }
            Some(Candidate::Odd) | None => {}
        }
        self.by_any_source(head)
    }
}

/// What a verdict means for the request with this head.
#[inline(always)]
fn told(verdict: Answer<Verdict>, head: &Head<'_>) -> Answer<Outcome> {
    match verdict {
        Answer::Now(Verdict::Known(grant)) if grant.expiry().is_none() => accepted(grant),
        Answer::Now(verdict) => Answer::Now(outcome(verdict, || head.now())),
        Answer::Later(verdict) => {
            // The head cannot wait; what counts is that the token was good when the request came.
            let now = head.now();
            Answer::later(async move { outcome(verdict.await, || now) })
        }
    }
}

#[inline(always)]
fn accepted(grant: Grant) -> Answer<Outcome> {
    Outcome::Accepted(Session::new(grant, Credential::Token)).into()
}

#[inline(never)]
fn outcome(verdict: Verdict, now: impl FnOnce() -> UnixTime) -> Outcome {
    match verdict {
        Verdict::Known(grant) if is_over(&grant, now) => Outcome::Rejected(Reason::ExpiredToken),
        Verdict::Known(grant) => Outcome::Accepted(Session::new(grant, Credential::Token)),
        Verdict::Refused(reason) => Outcome::Rejected(reason),
        Verdict::Unavailable(unavailable) => Outcome::Unavailable(unavailable),
        Verdict::Unknown => Outcome::Rejected(Reason::UnknownToken),
    }
}

/// Whether a good token is worth nothing any more; the clock is read only if its grant has an end.
#[inline]
pub(super) fn is_over(grant: &Grant, now: impl FnOnce() -> UnixTime) -> bool {
    grant.expiry().is_some_and(|end| end <= now())
}

#[cfg(test)]
pub(super) mod tests {
    use std::{
        sync::atomic::{AtomicU64, Ordering},
        time::Duration,
    };

    use http::{HeaderName, Request, header};

    use super::*;
    use crate::{identity::Identity, time::Clock, token::Token, verify::SharedToken};

    pub(in crate::authenticate) fn owner() -> Grant {
        Grant::new(Identity::new("owner"))
    }

    pub(in crate::authenticate) fn token() -> Token {
        "s3cret".parse().expect("a token")
    }

    fn request(uri: &str, fields: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::get(uri);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).expect("a request")
    }

    #[track_caller]
    fn now(answer: Answer<Outcome>) -> Outcome {
        match answer {
            Answer::Now(outcome) => outcome,
            Answer::Later(_) => panic!("a shared token needs no waiting"),
        }
    }

    #[track_caller]
    fn check(sources: &[TokenSource], uri: &str, fields: &[(&str, &str)], expected: &str) {
        let authenticator =
            TokenAuthenticator::new(SharedToken::new(token(), owner())).with_sources(sources.to_vec());
        let request = request(uri, fields);
        let found = told(authenticator.authenticate(Head::of(&request)));
        assert_eq!(found, expected, "{uri} {fields:?}");
    }

    /// An outcome in one word.
    #[track_caller]
    pub(in crate::authenticate) fn told(answer: Answer<Outcome>) -> String {
        match now(answer) {
            Outcome::Accepted(session) => {
                assert_eq!(session.credential(), Credential::Token);
                "accepted".to_owned()
            }
            Outcome::Absent => "absent".to_owned(),
            Outcome::Rejected(reason) => reason.to_string(),
            Outcome::Malformed(denial) => denial.status().as_u16().to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_field_of_ones_own_holds_a_bare_token() {
        let sources = [TokenSource::Header(HeaderName::from_static("x-agent-key"))];
        for (value, expected) in [
            ("s3cret", "accepted"),
            (" s3cret\t", "accepted"),
            ("token s3cret", "401"),
            ("other", "unknown token"),
            ("pcl_other", "mistyped token"),
            ("", "absent"),
        ] {
            check(&sources, "/", &[("x-agent-key", value)], expected);
        }
        check(
            &sources,
            "/?token=s3cret",
            &[("authorization", "token s3cret")],
            "absent",
        );
        check(
            &sources,
            "/",
            &[("x-agent-key", "s3cret"), ("x-agent-key", "s3cret")],
            "400",
        );
        check(
            &sources,
            "/",
            &[("accept", "a"), ("x-agent-key", "s3cret"), ("accept", "b")],
            "accepted",
        );
        let authorization = [TokenSource::Header(header::AUTHORIZATION)];
        check(
            &authorization,
            "/",
            &[("authorization", "Bearer s3cret")],
            "accepted",
        );
    }

    #[test]
    fn a_websocket_handshake_may_carry_the_token_as_a_protocol() {
        let sources = [TokenSource::WebSocketSubprotocol];
        let handshake = |protocols| [("upgrade", "WebSocket"), ("sec-websocket-protocol", protocols)];
        for (protocols, expected) in [
            (
                "v1.token.websocket.jupyter.org, v1.token.websocket.jupyter.org.s3cret",
                "accepted",
            ),
            (
                "v1.kernel.websocket.jupyter.org,v1.token.websocket.jupyter.org.%733cret",
                "accepted",
            ),
            ("v1.token.websocket.jupyter.org.other", "unknown token"),
            ("v1.token.websocket.jupyter.org.a+b", "unknown token"),
            ("v1.token.websocket.jupyter.org.", "absent"),
            ("v1.token.websocket.jupyter.org", "absent"),
            ("V1.token.websocket.jupyter.org.s3cret", "absent"),
            ("v1.token.websocket.jupyter.org.a%20", "401"),
            ("v1.token.websocket.jupyter.org.%", "401"),
            (
                "v1.token.websocket.jupyter.org.s3cret, v1.token.websocket.jupyter.org.s3cret",
                "400",
            ),
            (
                "v1.token.websocket.jupyter.org., v1.token.websocket.jupyter.org.s3cret",
                "400",
            ),
        ] {
            check(&sources, "/", &handshake(protocols), expected);
        }
        let [_, protocol] = handshake("v1.token.websocket.jupyter.org.s3cret");
        check(&sources, "/", &[protocol], "absent");
        check(&sources, "/", &[("upgrade", "h2c"), protocol], "absent");
        check(
            &sources,
            "/",
            &[("upgrade", "websocket"), protocol, protocol],
            "400",
        );
    }

    #[test]
    fn a_request_has_one_token_wherever_it_stands() {
        let all = [
            TokenSource::Query,
            TokenSource::WebSocketSubprotocol,
            TokenSource::Header(HeaderName::from_static("x-agent-key")),
            TokenSource::Authorization,
        ];
        let field = ("authorization", "token s3cret");
        let own = ("x-agent-key", "s3cret");
        let protocol = (
            "sec-websocket-protocol",
            "v1.token.websocket.jupyter.org.s3cre%74",
        );
        let upgrade = ("upgrade", "websocket");
        check(
            &all,
            "/?token=s3c%72et",
            &[field, own, upgrade, protocol],
            "accepted",
        );
        check(&all, "/?token=other", &[field], "400");
        check(&all, "/?token=other", &[own], "400");
        check(&all, "/?token=%6fther", &[upgrade, protocol], "400");
        check(&all, "/", &[field, ("x-agent-key", "other")], "400");
        check(&all, "/?token=", &[field], "accepted");
        check(&all, "/?token=a%20", &[field], "401");
        check(&all, "/?token=s3cret", &[("authorization", "token")], "401");
        check(&all, "/?token=s3cret", &[field, field], "400");
        check(&all, "/", &[], "absent");
        check(&[], "/?token=s3cret", &[field, own], "absent");
    }

    #[test]
    fn the_source_is_the_query_if_the_token_stands_there() {
        let sources = TokenSources::default();
        let field = [("authorization", "token s3cret")];
        for (uri, fields, expected) in [
            ("/?token=s3cret", &[][..], TokenSource::Query),
            ("/?token=s3cret", &field[..], TokenSource::Query),
            ("/", &field[..], TokenSource::Authorization),
        ] {
            let request = request(uri, fields);
            let mut buffer = TokenBuffer::default();
            let found = sources
                .find(Head::of(&request), &mut buffer)
                .expect("readable")
                .expect("a token");
            assert_eq!(*found.source(), expected, "{uri}");
            assert!(!format!("{found:?}").contains("s3cret"));
        }
    }

    /// Counts how often it is read.
    struct Counted(AtomicU64, u64);

    impl Clock for Counted {
        fn now(&self) -> UnixTime {
            self.0.fetch_add(1, Ordering::Relaxed);
            UnixTime::from_secs(self.1)
        }
    }

    #[test]
    fn an_expired_token_is_rejected_and_the_clock_is_read_for_it_alone() {
        let request = request("/", &[("authorization", "token s3cret")]);
        let end = UnixTime::from_secs(1000);
        for (grant, time, accepted, reads) in [
            (owner(), 1000, true, 0),
            (owner().expires_at(end), 999, true, 1),
            (owner().expires_at(end), 1000, false, 1),
            (owner().expires_at(end), 1001, false, 1),
        ] {
            let clock = Counted(AtomicU64::new(0), time);
            let authenticator = TokenAuthenticator::new(SharedToken::new(token(), grant));
            match now(authenticator.authenticate(Head::at(&request, &clock))) {
                Outcome::Accepted(_) => assert!(accepted, "at {time}"),
                Outcome::Rejected(Reason::ExpiredToken) => assert!(!accepted, "at {time}"),
                other => panic!("{other:?}"),
            }
            assert_eq!(clock.0.into_inner(), reads, "at {time}");
        }
    }

    /// Knows every token, later.
    struct Slow(Grant);

    impl TokenVerifier for Slow {
        fn verify(&self, _: PresentedToken<'_>) -> Answer<Verdict> {
            let grant = self.0.clone();
            Answer::later(async move { Verdict::Known(grant) })
        }
    }

    #[tokio::test]
    async fn an_answer_that_comes_later_is_judged_at_the_time_of_the_request() {
        let request = request("/", &[("authorization", "token s3cret")]);
        let clock = Counted(AtomicU64::new(0), 1000);
        for (after, accepted) in [(0, false), (1, true)] {
            let end = UnixTime::from_secs(1000).after(Duration::from_secs(after));
            let authenticator = TokenAuthenticator::new(Slow(owner().expires_at(end)));
            let answer = authenticator.authenticate(Head::at(&request, &clock));
            assert!(matches!(answer, Answer::Later(_)));
            let found = matches!(answer.await, Outcome::Accepted(_));
            assert_eq!(found, accepted, "{after} seconds after");
        }
    }
}

//! Authenticates a request by the token in it.

use std::sync::Arc;

use super::{
    Authenticator, Outcome,
    token_sources::{TokenSource, TokenSources},
};
use crate::{
    maybe_future::MaybeFuture,
    request::{head::RequestHead, query::TokenBuffer},
    session::{AuthMethod, Exchange},
    token::{PresentedToken, TokenHash},
    verify::{TokenVerifier, Verification},
};

/// Authenticates a request by its token and a verifier.
///
/// An unknown token is `Rejected`: another authenticator may still accept the request. A token that cannot be read,
/// or more than one, is `Malformed`: no other authenticator runs. The layer checks whether the grant has expired.
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
    query_login: QueryLogin,
    verifier: V,
}

/// Whether a token found in the query may be exchanged for a login.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum QueryLogin {
    /// No: nothing would end the login with the token.
    #[default]
    Never,
    /// Yes, and the keys of the login cookie depend on the token.
    SharedToken,
    /// Yes, where the verifier finds tokens by their hash: it is called with it at each use of the login.
    ByHash,
}

impl<V: TokenVerifier> TokenAuthenticator<V> {
    /// Creates an authenticator that accepts the tokens that `verifier` knows.
    pub fn new(verifier: V) -> Self {
        Self {
            sources: TokenSources::default(),
            query_login: QueryLogin::Never,
            verifier,
        }
    }

    /// Sets the parts of a request that tokens are taken from. Defaults to `Authorization` and the query.
    #[must_use]
    pub fn with_sources(self, sources: impl IntoIterator<Item = TokenSource>) -> Self {
        Self {
            sources: TokenSources::new(sources),
            ..self
        }
    }

    /// Returns the parts of a request that tokens are taken from.
    pub fn sources(&self) -> &TokenSources {
        &self.sources
    }

    /// Default: never.
    pub(crate) fn with_query_login(self, query_login: QueryLogin) -> Self {
        Self { query_login, ..self }
    }

    /// Returns the outcome for a request with `token`.
    pub fn verify(&self, token: PresentedToken<'_>) -> MaybeFuture<Outcome> {
        let verification = self.verifier.verify(token);
        verification.map(|verification| Outcome::from_verification(verification, AuthMethod::Token))
    }

    /// The outcome for a request that carries `token` in its query: the session may become a login.
    fn verify_in_query(&self, token: PresentedToken<'_>) -> MaybeFuture<Outcome> {
        let by_token = self.verify(token);
        match (self.query_login, &by_token) {
            (QueryLogin::SharedToken, _) => {
                by_token.map(|outcome| exchangeable(outcome, Exchange::SharedToken))
            }
            (QueryLogin::ByHash, MaybeFuture::Ready(Outcome::Authenticated(_)) | MaybeFuture::Future(_)) => {
                let hash = token.hash();
                match (by_token, self.verifier.verify_hash(hash)) {
                    (MaybeFuture::Ready(outcome), MaybeFuture::Ready(by_hash)) => {
                        MaybeFuture::Ready(exchangeable_by_hash(outcome, &by_hash, hash))
                    }
                    (by_token, by_hash) => MaybeFuture::from_future(async move {
                        let outcome = by_token.await;
                        exchangeable_by_hash(outcome, &by_hash.await, hash)
                    }),
                }
            }
            (QueryLogin::Never | QueryLogin::ByHash, _) => by_token,
        }
    }
}

impl<V: TokenVerifier> Authenticator for TokenAuthenticator<V> {
    fn authenticate(&self, head: RequestHead<'_>) -> MaybeFuture<Outcome> {
        let mut buffer = TokenBuffer::default();
        match self.sources.extract(head, &mut buffer) {
            Ok(Some(found)) if *found.source() == TokenSource::Query => self.verify_in_query(found.token()),
            Ok(Some(found)) => self.verify(found.token()),
            Ok(None) => MaybeFuture::Ready(Outcome::Absent),
            Err(denial) => MaybeFuture::Ready(Outcome::Malformed(denial)),
        }
    }
}

fn exchangeable(outcome: Outcome, exchange: Exchange) -> Outcome {
    match outcome {
        Outcome::Authenticated(session) => Outcome::Authenticated(session.exchangeable(exchange)),
        other => other,
    }
}

/// A verifier that cannot answer for the hash now would end the login at its first use.
fn exchangeable_by_hash(outcome: Outcome, by_hash: &Verification, hash: TokenHash) -> Outcome {
    match by_hash {
        Verification::Valid(_) => exchangeable(outcome, Exchange::Token(Arc::new(hash))),
        _ => outcome,
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, Request, header};

    use super::*;
    use crate::{
        session::{grant::Grant, identity::Identity},
        token::Token,
        verify::SharedToken,
    };

    fn owner() -> Grant {
        Grant::new(Identity::new("owner"))
    }

    fn token() -> Token {
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
    fn now(answer: MaybeFuture<Outcome>) -> Outcome {
        match answer {
            MaybeFuture::Ready(outcome) => outcome,
            MaybeFuture::Future(_) => panic!("a shared token needs no waiting"),
        }
    }

    #[track_caller]
    fn check(sources: &[TokenSource], uri: &str, fields: &[(&str, &str)], expected: &str) {
        let authenticator =
            TokenAuthenticator::new(SharedToken::new(token(), owner())).with_sources(sources.to_vec());
        let request = request(uri, fields);
        let found = describe(authenticator.authenticate(RequestHead::new(&request)));
        assert_eq!(found, expected, "{uri} {fields:?}");
    }

    /// An outcome in one word.
    #[track_caller]
    fn describe(answer: MaybeFuture<Outcome>) -> String {
        match now(answer) {
            Outcome::Authenticated(session) => {
                assert_eq!(session.auth_method(), AuthMethod::Token);
                "accepted".to_owned()
            }
            Outcome::Absent => "absent".to_owned(),
            Outcome::Rejected(reason) => reason.to_string(),
            Outcome::Malformed(denial) => denial.status().as_u16().to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_custom_header_holds_a_bare_token() {
        let sources = [TokenSource::Header(HeaderName::from_static("x-agent-key"))];
        for (value, expected) in [
            ("s3cret", "accepted"),
            (" s3cret\t", "accepted"),
            ("token s3cret", "401"),
            ("other", "unknown token"),
            ("pcl_other", "invalid token checksum"),
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
                .extract(RequestHead::new(&request), &mut buffer)
                .expect("readable")
                .expect("a token");
            assert_eq!(*found.source(), expected, "{uri}");
            assert!(!format!("{found:?}").contains("s3cret"));
        }
    }
}

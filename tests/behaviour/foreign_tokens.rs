//! A token that is too long for a token of this crate, such as a JWT that a proxy adds to every request: it counts as no
//! credential of the crate's verifiers, and a custom verifier is called with it.

use std::sync::Arc;

use portcullis::{
    AuthLayer, AuthLayerBuilder, Grant, Identity, MaybeFuture, Reason, Token, TokenSet, TokenVerifier,
    Verification,
    authenticate::TokenSource,
    store::MemoryTokenStore,
    token::PresentedToken,
    verify::{SharedToken, StoredTokens},
};

use crate::common::{Answered, TOKEN, refused_for, request, send};

/// A token of this length in the form of a JWT.
fn jwt(length: usize) -> String {
    format!("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.{:a>1$}", "", length - 37)
}

fn token() -> Token {
    TOKEN.parse().expect("a token")
}

fn grant() -> Grant {
    Grant::new(Identity::new("alice"))
}

/// The cookies of a login by `?token=`.
async fn log_in(layer: &AuthLayer) -> String {
    let answer = send(layer, request(&format!("GET /?token={TOKEN}\naccept: text/html"))).await;
    format!(
        "{}; {}",
        answer.cookie("username-localhost="),
        answer.cookie("_xsrf=")
    )
}

/// One layer for each verifier of the crate.
fn layers() -> Vec<AuthLayer> {
    let set = TokenSet::new([(token(), grant())]).expect("a set");
    let stored = StoredTokens::new(MemoryTokenStore::new());
    let with_cookie = |builder: AuthLayerBuilder| builder.token(token()).build().expect("a layer");
    vec![
        AuthLayer::token(token()),
        with_cookie(AuthLayer::builder().bearer_tokens(set)),
        with_cookie(AuthLayer::builder().bearer_tokens(stored)),
        with_cookie(
            AuthLayer::builder().bearer_tokens(SharedToken::new("other".parse().expect("a token"), grant())),
        ),
    ]
}

#[tokio::test]
async fn a_jwt_counts_as_no_credential_and_is_refused_only_if_no_other_one_is_accepted() {
    for layer in layers() {
        let cookies = log_in(&layer).await;
        for (length, expected) in [(513, Ok(())), (8_000, Ok(())), (8_001, Err(Reason::Malformed))] {
            let field = format!("authorization: Bearer {}", jwt(length));
            let with_cookie = send(&layer, request(&format!("GET /\n{field}\ncookie: {cookies}"))).await;
            let foreign_post = send(
                &layer,
                request(&format!(
                    "POST /\n{field}\ncookie: {cookies}\norigin: https://evil.example"
                )),
            )
            .await;
            let alone = send(&layer, request(&format!("GET /\n{field}"))).await;
            assert!(
                alone
                    .header("www-authenticate")
                    .ends_with("error=\"invalid_token\""),
                "{alone:?}"
            );
            let stale = format!("{field}\ncookie: username-localhost=2|1:0|forged");
            let stale = send(&layer, request(&format!("GET /\n{stale}\naccept: text/html"))).await;
            match expected {
                Ok(()) => {
                    assert!(
                        with_cookie.text.ends_with(" by Cookie"),
                        "{length}: {with_cookie:?}"
                    );
                    refused_for(&foreign_post, 403, Reason::CrossSite);
                    refused_for(&alone, 401, Reason::UnsupportedToken);
                    // As without the JWT: the cookie is removed, and the browser is redirected to the login.
                    refused_for(&stale, 302, Reason::InvalidCookie);
                    assert!(stale.set_cookies()[0].contains("Max-Age=0"), "{stale:?}");
                }
                Err(reason) => {
                    for answer in [with_cookie, alone, foreign_post] {
                        refused_for(&answer, 401, reason);
                    }
                }
            }
        }
        let page = send(
            &layer,
            request(&format!(
                "GET /lab\naccept: text/html\nauthorization: Bearer {}",
                jwt(900)
            )),
        )
        .await;
        assert_eq!(
            (page.status.as_u16(), page.header("location")),
            (302, "/login?next=%2Flab")
        );
        let grpc = format!(
            "POST /a.B/C\ncontent-type: application/grpc\nauthorization: Bearer {}",
            jwt(900)
        );
        assert_eq!(send(&layer, request(&grpc)).await.header("grpc-status"), "16");
    }
}

#[tokio::test]
async fn a_jwt_on_an_optional_route_is_an_anonymous_request() {
    for layer in layers() {
        let field = format!("authorization: Bearer {}", jwt(700));
        let optional = layer.optional();
        let answer = send(&optional, request(&format!("GET /\n{field}"))).await;
        assert_eq!(
            (answer.status.as_u16(), &*answer.text),
            (200, "anonymous"),
            "{answer:?}"
        );
        let scope = send(
            &optional.require_scope("read"),
            request(&format!("GET /\n{field}")),
        )
        .await;
        refused_for(&scope, 401, Reason::UnsupportedToken);
        let malformed = format!("authorization: Bearer {}", jwt(8_001));
        let malformed = send(&optional, request(&format!("GET /\n{malformed}"))).await;
        refused_for(&malformed, 401, Reason::Malformed);
    }
}

/// Knows tokens of one issuer, at once or later; the others it does not know.
struct Jwts {
    later: bool,
}

impl TokenVerifier for Jwts {
    fn verify(&self, token: PresentedToken<'_>) -> MaybeFuture<Verification> {
        let length = token.expose().len();
        let verdict = move || match length {
            8_000 => Verification::Valid(Grant::new(Identity::new("jane"))),
            _ => Verification::Unknown,
        };
        match self.later {
            true => MaybeFuture::from_future(async move { verdict() }),
            false => verdict().into(),
        }
    }
}

#[tokio::test]
async fn a_custom_verifier_is_called_with_a_jwt_of_8000_characters_from_any_header() {
    let sources = [
        TokenSource::Authorization,
        TokenSource::Header(http::HeaderName::from_static("x-agent-key")),
        TokenSource::WebSocketSubprotocol,
    ];
    for (later, first) in [(false, false), (true, false), (false, true), (true, true)] {
        let set = TokenSet::new([(token(), grant())]).expect("a set");
        let jwts = Jwts { later };
        let builder = AuthLayer::builder().token_sources(sources.clone());
        let builder = match first {
            true => builder.bearer_tokens(jwts).bearer_tokens(set),
            false => builder.bearer_tokens(set).bearer_tokens(jwts),
        };
        let layer = builder.build().expect("a layer");
        let sent = async |lines: String| -> Answered { send(&layer, request(&lines)).await };
        let good = jwt(8_000);
        for lines in [
            format!("GET /\nauthorization: Bearer {good}"),
            format!("GET /\nx-agent-key: {good}"),
            format!(
                "GET /\nupgrade: websocket\nconnection: upgrade\n\
                 sec-websocket-protocol: v1.token.websocket.jupyter.org.{good}"
            ),
        ] {
            let answer = sent(lines).await;
            assert_eq!(answer.text, "jane by Token", "{later} {first}: {answer:?}");
        }
        // What the verifier of its kind says is reported, not that it is too long for the set.
        let unknown = sent(format!("GET /\nauthorization: Bearer {}", jwt(900))).await;
        refused_for(&unknown, 401, Reason::UnknownToken);
        let own = sent(format!("GET /\nauthorization: Bearer {TOKEN}")).await;
        assert_eq!(own.text, "alice by Token");
    }
}

#[tokio::test]
async fn the_query_carries_tokens_as_long_as_a_header_does() {
    let escaped = |length| jwt(length).replacen('.', "%2E", 1);
    for layer in layers() {
        let cookies = log_in(&layer).await;
        for (token, expected) in [
            (jwt(513), Ok(())),
            (escaped(513), Ok(())),
            (jwt(8_000), Ok(())),
            (escaped(8_000), Ok(())),
            (jwt(8_001), Err(Reason::Malformed)),
            (escaped(8_001), Err(Reason::Malformed)),
        ] {
            let target = format!("GET /?token={token}");
            let alone = send(&layer, request(&target)).await;
            let with_cookie = send(&layer, request(&format!("{target}\ncookie: {cookies}"))).await;
            match expected {
                Ok(()) => {
                    refused_for(&alone, 401, Reason::UnsupportedToken);
                    assert!(with_cookie.text.ends_with(" by Cookie"), "{with_cookie:?}");
                }
                Err(reason) => {
                    refused_for(&alone, 401, reason);
                    refused_for(&with_cookie, 401, reason);
                }
            }
        }
    }
    let layer = AuthLayer::builder()
        .bearer_tokens(Arc::new(Jwts { later: false }))
        .token_sources([TokenSource::Query, TokenSource::WebSocketSubprotocol])
        .build()
        .expect("a layer");
    for token in [jwt(8_000), escaped(8_000)] {
        let in_query = send(&layer, request(&format!("GET /?token={token}"))).await;
        assert_eq!(in_query.text, "jane by Token", "{in_query:?}");
        let protocol = format!("v1.token.websocket.jupyter.org.{token}");
        let handshake =
            format!("GET /\nupgrade: websocket\nconnection: upgrade\nsec-websocket-protocol: {protocol}");
        let handshake = send(&layer, request(&handshake)).await;
        assert_eq!(handshake.text, "jane by Token", "{handshake:?}");
    }
}

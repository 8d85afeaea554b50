//! What users of the crate come with, each in a few lines of theirs between set-up and assertion.

use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    sync::atomic::{AtomicU64, Ordering},
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{HeaderName, Method, StatusCode};
use portcullis::{
    Answer, AuthLayer, Authenticator, Challenge, Credential, Decision, EnvSource, Event, FileSource, Grant,
    Head, Hosts, Identity, Origins, Outcome, PresentedToken, Reason, Secret, SecretSource, Session, Token,
    TokenHash, TokenSet, TokenSource, TokenVerifier, Unavailable, Verdict,
};

use crate::support::{TOKEN, request, send};

type Outside = Result<(), Box<dyn std::error::Error>>;

fn me(name: &str) -> Grant {
    Grant::new(Identity::new(name))
}

#[tokio::test]
async fn a_notebook_server_generates_its_token_and_prints_a_link() -> Outside {
    let token = Token::generate();
    let link = format!("/?token={}", token.expose());
    let auth = AuthLayer::token(token);
    let answer = send(&auth, request(&format!("GET {link}\naccept: text/html"))).await;
    assert_eq!(answer.header("location"), "/");
    let cookie = answer.cookie("username-localhost=");
    assert_eq!(
        send(&auth, request(&format!("GET /\ncookie: {cookie}")))
            .await
            .status,
        StatusCode::OK
    );
    Ok(())
}

#[tokio::test]
async fn a_kernel_supervisor_reads_its_token_from_a_file_that_is_gone_afterwards() -> Outside {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("handover");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    file.write_all(TOKEN.as_bytes())?;

    let token = Token::load(&FileSource::new(&path).delete_after_read())?;
    let auth = AuthLayer::builder()
        .token(token)
        .token_sources([TokenSource::Authorization, TokenSource::WebSocketSubprotocol])
        .hosts(Hosts::loopback())
        .build()?;

    assert!(!path.exists());
    let plain = send(&auth, request(&format!("GET /\nauthorization: Bearer {TOKEN}"))).await;
    let upgrade = "GET /\nupgrade: websocket\nconnection: upgrade\nsec-websocket-protocol: a, v1.token.websocket.jupyter.org.";
    let socket = send(&auth, request(&format!("{upgrade}{TOKEN}"))).await;
    let wrong = send(&auth, request(&format!("{upgrade}wrong"))).await;
    assert_eq!(
        [
            plain.status.as_u16(),
            socket.status.as_u16(),
            wrong.status.as_u16()
        ],
        [200, 200, 401]
    );
    Ok(())
}

#[tokio::test]
async fn an_app_server_with_its_own_connections_asks_for_the_decision() -> Outside {
    let hash: TokenHash = TOKEN.parse::<Token>()?.hash().to_string().parse()?;
    let auth = AuthLayer::tokens(TokenSet::of_hashes([(hash, me("me"))])?);
    let good = request(&format!("GET /\nauthorization: Bearer {TOKEN}"));
    match auth.decide(Head::of(&good)).await {
        Decision::Admitted { session, afterwards } => {
            afterwards.apply_to(http::Response::new(()).headers_mut());
            assert_eq!(session.expect("a session").identity().username(), "me");
        }
        other => panic!("{other:?}"),
    }
    let session = auth.check(Head::of(&good)).await.expect("let in");
    assert_eq!(session.credential(), Credential::Token);
    let denial = auth
        .check(Head::of(&request("GET /")))
        .await
        .expect_err("turned away");
    assert_eq!(denial.reason(), Reason::NoCredential);
    Ok(())
}

#[tokio::test]
async fn a_model_server_takes_keys_from_the_environment_and_replaces_them_while_it_runs() -> Outside {
    assert!(EnvSource::new("PORTCULLIS_TEST_UNSET").load()?.is_none());
    let keys = TokenSet::parse_list(
        &Secret::from("key-one-0123456789, key-two-0123456789"),
        me("client"),
    )?;
    let auth = AuthLayer::tokens(keys.clone()).open_paths(["/health", "/metrics"]);
    let ask = |key: &str| {
        request(&format!(
            "GET /v1/models\nhost: models.example.org\nauthorization: Bearer {key}"
        ))
    };
    assert_eq!(
        send(&auth, ask("key-two-0123456789")).await.status,
        StatusCode::OK
    );
    keys.replace(TokenSet::parse_list(
        &Secret::from("key-three-0123456789"),
        me("client"),
    )?);
    assert_eq!(
        send(&auth, ask("key-two-0123456789")).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        send(&auth, ask("key-three-0123456789")).await.status,
        StatusCode::OK
    );
    assert_eq!(send(&auth, request("GET /health")).await.status, StatusCode::OK);
    Ok(())
}

#[test]
fn a_compile_cache_sends_its_token_and_neither_side_can_print_it() -> Outside {
    let token: Token = TOKEN.parse()?;
    let mut sent = http::Request::new(());
    sent.headers_mut().insert("authorization", token.authorization());
    let shown = format!("{sent:?} {token:?} {:?}", AuthLayer::token(token.clone()));
    assert!(!shown.contains(TOKEN), "{shown}");
    Ok(())
}

/// HTTP Basic, for a database server: an authenticator of one's own.
struct Basic;

impl Authenticator for Basic {
    fn authenticate(&self, head: Head<'_>) -> Answer<Outcome> {
        let field = head
            .headers()
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        let Some(encoded) = field.and_then(|value| value.strip_prefix("Basic ")) else {
            return Outcome::Absent.into();
        };
        let decoded = BASE64_STANDARD
            .decode(encoded)
            .ok()
            .and_then(|octets| String::from_utf8(octets).ok());
        let Some((user, password)) = decoded.as_deref().and_then(|text| text.split_once(':')) else {
            return Outcome::malformed("expected user:password in base64").into();
        };
        if Secret::from(password) == Secret::from("correct horse") {
            return Outcome::Accepted(Session::new(me(user), Credential::Other { ambient: true })).into();
        }
        Outcome::Rejected(Reason::WrongPassword).into()
    }
}

/// Tokens of one's own store, which answers later.
#[derive(Clone)]
struct Database;

impl Database {
    async fn grant(&self, hash: TokenHash) -> Result<Option<Grant>, std::io::Error> {
        tokio::task::yield_now().await;
        if hash == "broken".parse::<Token>().expect("a token").hash() {
            return Err(std::io::Error::other("the database is down"));
        }
        Ok((hash == TOKEN.parse::<Token>().expect("a token").hash()).then(|| me("token-user")))
    }
}

impl TokenVerifier for Database {
    fn verify(&self, token: PresentedToken<'_>) -> Answer<Verdict> {
        let (database, hash) = (self.clone(), token.hash());
        Answer::later(async move {
            match database.grant(hash).await {
                Ok(Some(grant)) => Verdict::Known(grant),
                Ok(None) => Verdict::Unknown,
                Err(error) => Verdict::Unavailable(Unavailable::new(error)),
            }
        })
    }
}

#[tokio::test]
async fn a_database_server_takes_basic_or_tokens_of_its_own_store() -> Outside {
    let auth = AuthLayer::builder()
        .authenticator(Basic)
        .tokens(Database)
        .build()?;
    for (authorization, expected) in [
        (
            "Basic YWxpY2U6Y29ycmVjdCBob3JzZQ==",
            "alice by Other { ambient: true }",
        ),
        (&format!("Bearer {TOKEN}"), "token-user by Token"),
    ] {
        let answer = send(
            &auth,
            request(&format!("POST /query\nauthorization: {authorization}")),
        )
        .await;
        assert_eq!(answer.text, expected);
    }
    for (authorization, status) in [
        ("Basic YWxpY2U6d3Jvbmc=", 401),
        ("Basic !", 401),
        ("Bearer x", 401),
        ("Bearer broken", 503),
    ] {
        let answer = send(
            &auth,
            request(&format!("POST /query\nauthorization: {authorization}")),
        )
        .await;
        assert_eq!(answer.status.as_u16(), status, "{authorization}");
        assert_eq!(answer.header("retry-after"), if status == 503 { "5" } else { "" });
    }
    Ok(())
}

#[tokio::test]
async fn a_desktop_agent_has_a_header_of_its_own_and_a_few_public_routes() -> Outside {
    let auth = AuthLayer::builder()
        .token(TOKEN.parse()?)
        .token_sources([TokenSource::Header(HeaderName::from_static("x-agent-key"))])
        .hosts(Hosts::loopback())
        .build()?
        .open_paths(["/", "/favicon.ico"]);
    for (lines, status) in [
        (format!("GET /run\nx-agent-key: {TOKEN}"), 200),
        ("GET /run\nx-agent-key: wrong".to_owned(), 401),
        (format!("GET /run\nauthorization: Bearer {TOKEN}"), 401),
        ("GET /".to_owned(), 200),
        (format!("GET /run\nhost: evil.example\nx-agent-key: {TOKEN}"), 403),
    ] {
        assert_eq!(
            send(&auth, request(&lines)).await.status.as_u16(),
            status,
            "{lines}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn an_analytics_engine_counts_refusals_by_reason() -> Outside {
    static REFUSED: [AtomicU64; 16] = [const { AtomicU64::new(0) }; 16];
    assert!(
        TokenSet::parse_list(&Secret::from("a-key,,another"), me("client")).is_err(),
        "an empty key"
    );
    let auth = AuthLayer::builder()
        .tokens(TokenSet::parse_list(&Secret::from("a-key"), me("client"))?)
        .observer(|event: &Event<'_>| {
            if let Event::Refused { reason, .. } = event {
                REFUSED[*reason as usize].fetch_add(1, Ordering::Relaxed);
            }
        })
        .build()?;
    for lines in [
        "GET /",
        "GET /\nauthorization: Bearer x",
        "GET /\nauthorization: Bearer y",
        "GET /\nauthorization: Bearer a-key",
    ] {
        send(&auth, request(lines)).await;
    }
    assert_eq!(REFUSED[Reason::NoCredential as usize].load(Ordering::Relaxed), 1);
    assert_eq!(REFUSED[Reason::UnknownToken as usize].load(Ordering::Relaxed), 2);
    Ok(())
}

#[tokio::test]
async fn a_vector_database_has_a_writing_an_alternative_and_a_reading_key() -> Outside {
    let keys = TokenSet::new([
        (
            "writing-key".parse::<Token>()?,
            me("db").with_scopes(["read", "write"]),
        ),
        (
            "alternative-key".parse()?,
            me("db").with_scopes(["read", "write"]),
        ),
        ("reading-key".parse()?, me("db").with_scopes(["read"])),
    ])?;
    let auth = AuthLayer::builder()
        .tokens(keys)
        .authorizer(|head: Head<'_>, session: &Session| {
            session.require(if *head.method() == Method::GET {
                "read"
            } else {
                "write"
            })
        })
        .build()?;
    for (key, get, put) in [
        ("writing-key", 200, 200),
        ("alternative-key", 200, 200),
        ("reading-key", 200, 403),
    ] {
        for (method, status) in [("GET", get), ("PUT", put)] {
            let answer = send(
                &auth,
                request(&format!("{method} /points\nauthorization: Bearer {key}")),
            )
            .await;
            assert_eq!(answer.status.as_u16(), status, "{method} with {key}");
            assert_eq!(
                answer.header("www-authenticate").contains("insufficient_scope"),
                status == 403
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_mcp_server_guards_host_and_origin_and_points_to_its_metadata() -> Outside {
    let auth = AuthLayer::builder()
        .tokens(TokenSet::parse_list(&Secret::from("mcp-key"), me("client"))?)
        .hosts(Hosts::listed(["mcp.example.org"])?)
        .origins(Origins::parse(["https://app.example.org"])?)
        .challenge(
            Challenge::bearer("mcp")?
                .resource_metadata("https://mcp.example.org/.well-known/oauth-protected-resource".parse()?),
        )
        .build()?;
    let refused = send(&auth, request("POST /mcp\nhost: mcp.example.org")).await;
    assert_eq!(
        refused.header("www-authenticate"),
        "Bearer realm=\"mcp\", resource_metadata=\"https://mcp.example.org/.well-known/oauth-protected-resource\""
    );
    let preflight =
        "OPTIONS /mcp\nhost: mcp.example.org\naccess-control-request-method: POST\norigin: https://";
    let listed = send(&auth, request(&format!("{preflight}app.example.org"))).await;
    assert_eq!(
        listed.header("access-control-allow-origin"),
        "https://app.example.org"
    );
    let other = send(&auth, request(&format!("{preflight}evil.example"))).await;
    assert_eq!(other.header("access-control-allow-origin"), "");
    assert_eq!(
        send(&auth, request("POST /mcp\nhost: rebound.example"))
            .await
            .status,
        StatusCode::FORBIDDEN
    );
    Ok(())
}

#[tokio::test]
async fn a_handler_that_turns_somebody_away_by_itself_answers_as_the_gate_does() -> Outside {
    let head = request("GET /");
    let denial = Session::new(me("db"), Credential::Token)
        .require("write")
        .expect_err("no such scope");
    let answer: http::Response<http_body_util::Full<hyper::body::Bytes>> =
        denial.into_response(Head::of(&head));
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    Ok(())
}

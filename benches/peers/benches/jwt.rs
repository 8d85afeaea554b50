//! CPU time of a request with a JWT, beside oauth-resource-server and jwt-authorizer: `cargo bench --bench jwt`.
//!
//! The same tokens, keys, issuer and audience for each; axum routers in this process, without a connection. The handler names the
//! user, and the answer is asserted. A token that no row had before, or the same again. `-- --quick` takes a tenth of the rounds.
//! jwt-authorizer is for axum 0.7, so its bare router is another one.

use std::{convert::Infallible, env, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    routing::get,
};
use axum07::{Router as Router07, body::Body as Body07, routing::get as get07};
use http::{Request, header::AUTHORIZATION};
use jwt_authorizer::{IntoLayer as _, JwtAuthorizer, JwtClaims, RegisteredClaims, Validation};
use oauth_resource_server::{
    Algorithm, Credential, OAuthValidator, static_token_policy,
    testing::{self, TestAuthority},
};
use portcullis::{AuthLayer, verify::JwtVerifier};
use rand::{rng, seq::SliceRandom as _};
use rustix::time::{ClockId, clock_gettime};
use tower::{ServiceExt as _, service_fn, util::BoxCloneService};

const ROUNDS: usize = 200;
/// Requests to each server in a round.
const REQUESTS: usize = 16;
const USER: &str = "alice";

/// Answers a status and a body.
type Server = BoxCloneService<Request<()>, (u16, Bytes), Infallible>;

fn main() {
    let is_set = |flag: &str| env::args().any(|argument| argument == flag);
    let rounds = match (is_set("--bench"), is_set("--quick")) {
        (true, false) => ROUNDS,
        (true, true) => ROUNDS / 10,
        (false, _) => 1,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(compare(rounds));
}

async fn compare(rounds: usize) {
    let authority = TestAuthority::start().await;
    let servers = [
        ("bare router", server(Router::new().route("/", get(async || USER)))),
        ("portcullis", portcullis(authority.issuer())),
        ("oauth-resource-server", oauth_resource_server(&authority).await),
        (
            "bare router of axum 0.7",
            server07(Router07::new().route("/", get07(|| async { USER }))),
        ),
        ("jwt-authorizer", jwt_authorizer(authority.issuer()).await),
    ];
    println!("| token | server | again, µs | first time, µs |\n|---|---|--:|--:|");
    for (name, algorithm) in [("RS256", Algorithm::RS256), ("ES256", Algorithm::ES256)] {
        let mint = |number: usize| {
            authority
                .token()
                .alg(algorithm)
                .subject(USER)
                .scopes([TestAuthority::SCOPE])
                .typ("at+jwt")
                .claim("jti", format!("{name}-{number}"))
                .sign()
        };
        let known = mint(usize::MAX);
        let mut times = vec![[Vec::new(), Vec::new()]; servers.len()];
        let mut order: Vec<usize> = (0..servers.len()).collect();
        for round in 0..=rounds {
            order.shuffle(&mut rng());
            let fresh: Vec<String> = (0..REQUESTS)
                .map(|number| mint(round * REQUESTS + number))
                .collect();
            for place in &order {
                let server = &servers[*place].1;
                let again = measure(server, (0..REQUESTS).map(|_| &*known)).await;
                let first = measure(server, fresh.iter().map(String::as_str)).await;
                // The first round fills the caches.
                if round > 0 {
                    times[*place][0].push(again);
                    times[*place][1].push(first);
                }
            }
        }
        for ((server, _), times) in servers.iter().zip(times) {
            let [again, first] = times.map(|mut times| {
                times.sort_unstable();
                times[times.len() / 2].as_secs_f64() * 1e6
            });
            println!("| {name} | {server} | {again:.1} | {first:.1} |");
        }
    }
}

/// The processor's time for one of these requests.
async fn measure(server: &Server, tokens: impl Iterator<Item = &str>) -> Duration {
    let requests: Vec<_> = tokens
        .map(|token| {
            let request = Request::get("/").header("host", "localhost");
            let request = request.header(AUTHORIZATION, format!("Bearer {token}"));
            request.body(()).expect("a request")
        })
        .collect();
    let (count, began) = (requests.len() as u32, now());
    let mut answers = Vec::with_capacity(requests.len());
    for request in requests {
        answers.push(server.clone().oneshot(request).await.expect("infallible"));
    }
    let passed = now() - began;
    for answer in answers {
        assert_eq!(answer, (200, Bytes::from_static(USER.as_bytes())));
    }
    passed / count
}

fn now() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn server(router: Router) -> Server {
    BoxCloneService::new(service_fn(move |request: Request<()>| {
        let router = router.clone();
        async move {
            let answer = router.oneshot(request.map(|()| Body::empty())).await?;
            let status = answer.status().as_u16();
            let body = axum::body::to_bytes(answer.into_body(), 100).await;
            Ok((status, body.expect("a body")))
        }
    }))
}

fn server07(router: Router07) -> Server {
    BoxCloneService::new(service_fn(move |request: Request<()>| {
        let router = router.clone();
        async move {
            let answer = router.oneshot(request.map(|()| Body07::empty())).await?;
            let status = answer.status().as_u16();
            let body = axum07::body::to_bytes(answer.into_body(), 100).await;
            Ok((status, body.expect("a body")))
        }
    }))
}

fn portcullis(issuer: &str) -> Server {
    let keys = JwtVerifier::builder(issuer)
        .audience(TestAuthority::AUDIENCE)
        .jwks(testing::jwks_body_all())
        .build()
        .expect("a verifier");
    let layer = AuthLayer::builder()
        .bearer_tokens(keys)
        .build()
        .expect("a layer");
    let handler =
        async |Extension(session): Extension<portcullis::Session>| session.identity().username().to_owned();
    server(Router::new().route("/", get(handler)).layer(layer))
}

async fn oauth_resource_server(authority: &TestAuthority) -> Server {
    let config = authority.config(|_| {});
    let oauth = Arc::new(OAuthValidator::new(&config).expect("a validator"));
    oauth.refresh_now().await.expect("keys");
    let decision = static_token_policy(None, Some(&config), false).expect("a policy");
    let layer =
        oauth_resource_server::axum::AuthLayer::from_decision(decision, Some(oauth)).expect("a layer");
    let handler = async |credential: Credential| match credential {
        Credential::OAuth(token) => token.principal.clone().unwrap_or_default(),
        other => panic!("expected a token, found {other:?}"),
    };
    server(Router::new().route("/", get(handler)).route_layer(layer))
}

async fn jwt_authorizer(issuer: &str) -> Server {
    let validation = Validation::new()
        .iss(&[issuer])
        .aud(&[TestAuthority::AUDIENCE]);
    let keys = testing::jwks_of(&[testing::jwk_rsa_a(), testing::jwk_ec()]);
    let authorizer = JwtAuthorizer::<RegisteredClaims>::from_jwks_text(&keys)
        .validation(validation)
        .build()
        .await
        .expect("an authorizer");
    let handler = |JwtClaims(claims): JwtClaims<RegisteredClaims>| async move { claims.sub.unwrap_or_default() };
    let router = Router07::new().route("/", get07(handler));
    server07(router.layer(authorizer.into_layer()))
}

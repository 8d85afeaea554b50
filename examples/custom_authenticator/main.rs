//! Custom authenticators: a closure, and a type that reads HTTP Basic.
//!
//! ```text
//! cargo run --example custom_authenticator
//! ```
//!
//! prints two commands that get in, one by each.

use std::process::ExitCode;

use axum::{Extension, Router, middleware, response::Response, routing::get};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use clap::Parser;
use http::{
    HeaderValue, StatusCode,
    header::{AUTHORIZATION, WWW_AUTHENTICATE},
};
use portcullis::{
    AllowedHosts, AuthLayer, AuthMethod, Authenticator, Grant, Identity, MaybeFuture, Outcome, Reason,
    RequestHead, Session, Token, TokenSet, TokenVerifier, Verification, authenticator_fn,
    token::PresentedToken,
};

use common::{
    connections::{Protocol, serve},
    exit::{self, Failure},
    listen::listen,
    room::Limits,
    shutdown::Stop,
};

#[path = "../common/mod.rs"]
mod common;

/// Custom authenticators.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Port to listen at, 0 for any free one.
    #[arg(long, default_value_t = 8888)]
    port: u16,

    #[command(flatten)]
    limits: Limits,
}

/// HTTP Basic (RFC 7617) with a token as the password, as `git` and package managers send it.
///
/// This type finds the user and the token in a request; a verifier, which may be a set in memory or a database, checks
/// whether the token is valid.
struct Basic<V>(V);

impl<V: TokenVerifier> Authenticator for Basic<V> {
    fn authenticate(&self, head: RequestHead<'_>) -> MaybeFuture<Outcome> {
        // Another scheme or none: the next authenticator is called.
        let field = head
            .headers()
            .get(AUTHORIZATION)
            .and_then(|field| field.to_str().ok()?.split_once(' '));
        let Some((_, text)) = field.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic")) else {
            return Outcome::Absent.into();
        };
        // Basic, but malformed: no other authenticator is called, and no cookie is tried.
        let text = BASE64_STANDARD
            .decode(text)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = text.as_deref().and_then(|text| text.split_once(':'));
        let Some((user, token)) =
            pair.and_then(|(user, token)| Some((user, PresentedToken::new(token.as_bytes())?)))
        else {
            return Outcome::malformed("expected Basic with user and token").into();
        };
        let (user, now) = (user.to_owned(), head.now());
        self.0.verify(token).map(move |verdict| match verdict {
            // The verifier returns when a grant expires, and its caller checks it.
            Verification::Valid(grant) if grant.expires_at().is_some_and(|end| end <= now) => {
                Outcome::Rejected(Reason::ExpiredToken)
            }
            // Browsers repeat a Basic password by themselves, on requests that other sites cause too. Saying so
            // makes the layer apply its cross-site rules.
            Verification::Valid(grant) if grant.identity().username() == user => {
                Outcome::Authenticated(Session::new(grant, AuthMethod::Other { ambient: true }))
            }
            // A store that does not answer is neither a yes nor a no.
            Verification::Unavailable(unavailable) => Outcome::Unavailable(unavailable),
            Verification::Rejected(reason) => Outcome::Rejected(reason),
            _ => Outcome::Rejected(Reason::UnknownToken),
        })
    }
}

/// A closure: a program that sends its key in a field of its own.
fn agent(key: &Token) -> impl Authenticator + use<> {
    let key = key.hash();
    authenticator_fn(move |head| {
        let Some(field) = head.headers().get("x-agent-key") else {
            return Outcome::Absent;
        };
        match PresentedToken::new(field.as_bytes()) {
            None => Outcome::malformed("expected a key in x-agent-key"),
            // Hashes are compared, so the time reveals nothing about the key.
            Some(presented) if presented.hash() == key => Outcome::Authenticated(Session::new(
                Grant::new(Identity::new("agent")),
                AuthMethod::Token,
            )),
            Some(_) => Outcome::Rejected(Reason::UnknownToken),
        }
    })
}

fn main() -> ExitCode {
    exit::serve(run)
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let (token, key) = (Token::generate(), Token::generate());
    let users = TokenSet::new([(token.clone(), Grant::new(Identity::new("alice")))])?;
    // Called in this order. A browser sends Basic by itself, so the names of this server are restricted as well.
    let auth = AuthLayer::builder()
        .authenticator(agent(&key))
        .authenticator(Basic(users))
        .allowed_hosts(AllowedHosts::loopback())
        .build()?;
    let app = Router::new()
        .route("/", get(whoami))
        .layer(auth)
        // Outside of the layer: its challenge is for Bearer, and a browser shows a password dialog for a Basic one.
        .layer(middleware::map_response(offer_basic));

    let listener = listen("127.0.0.1", arguments.port).await?;
    let address = listener.local_addr()?;
    println!(
        "custom_authenticator listens on http://{address}/\n\
         basic: curl -u alice:{} http://{address}/\n\
         closure: curl -H 'X-Agent-Key: {}' http://{address}/",
        token.expose(),
        key.expose(),
    );
    let room = arguments.limits.room(1);
    serve(listener, Protocol::Plain, app, room, Stop::on_signals()?).await
}

async fn whoami(Extension(session): Extension<Session>) -> String {
    format!("you are {}\n", session.identity().username())
}

async fn offer_basic(mut response: Response) -> Response {
    if response.status() == StatusCode::UNAUTHORIZED {
        let basic = HeaderValue::from_static("Basic realm=\"custom_authenticator\", charset=\"UTF-8\"");
        response.headers_mut().append(WWW_AUTHENTICATE, basic);
    }
    response
}

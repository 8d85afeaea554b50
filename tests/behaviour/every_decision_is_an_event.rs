//! Each decision that an operator wants to know of is told once, with who, where and why.

use std::sync::{Arc, Mutex};

use portcullis::{AuthLayer, Event, Grant, Identity, Peer, Token, TokenSet, Unavailable, Verdict};

use crate::support::{TOKEN, request, send};

/// Writes each event as a line.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn observer(&self) -> impl Fn(&Event<'_>) + Send + Sync + 'static {
        let log = self.clone();
        move |event: &Event<'_>| {
            let line = match event {
                Event::LoggedIn { client, .. } => format!("logged in from {client:?}"),
                Event::Refused {
                    reason,
                    label,
                    path,
                    client,
                } => format!("{reason}, {label:?}, {path}, {client:?}"),
                Event::Unavailable { error, path } => format!("unavailable: {error}, {path}"),
                other => format!("{other:?}"),
            };
            log.0.lock().expect("one at a time").push(line);
        }
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("one at a time"))
    }
}

#[tokio::test]
async fn each_branch_tells_exactly_one_event() {
    let log = Log::default();
    let layer = AuthLayer::builder()
        .token(TOKEN.parse::<Token>().expect("a token"))
        .peer(|_| Some(Peer::Ip(([192, 0, 2, 1], 1).into())))
        .observer(log.observer())
        .build()
        .expect("a gate");
    let client = "Some(192.0.2.1)";
    let login = send(
        &layer,
        request(&format!("GET /?token={TOKEN}\naccept: text/html")),
    )
    .await;
    let (session, xsrf) = (login.cookie("username-"), login.cookie("_xsrf="));
    assert_eq!(log.take(), [format!("logged in from {client}")]);
    for (lines, expected) in [
        (format!("GET /\nauthorization: Bearer {TOKEN}"), None),
        (format!("GET /\ncookie: {session}; {xsrf}"), None),
        (
            "GET /hub?secret=1".to_owned(),
            Some(format!("no credential, None, /hub, {client}")),
        ),
        (
            "GET /\nauthorization: Bearer x".to_owned(),
            Some(format!("unknown token, None, /, {client}")),
        ),
        (
            "GET /\nauthorization: Bearer x y".to_owned(),
            Some(format!("malformed request, None, /, {client}")),
        ),
        (
            "GET /\ncookie: username-localhost=x".to_owned(),
            Some(format!("invalid cookie, None, /, {client}")),
        ),
        (
            "GET /\nhost: evil.example".to_owned(),
            Some("foreign host, None, /, None".to_owned()),
        ),
        (
            format!("POST /\ncookie: {session}"),
            Some(format!("cross-site request, None, /, {client}")),
        ),
    ] {
        send(&layer, request(&lines)).await;
        assert_eq!(log.take(), expected.into_iter().collect::<Vec<_>>(), "{lines}");
    }
}

#[tokio::test]
async fn a_known_key_that_is_refused_is_named_by_its_label() {
    let log = Log::default();
    let grant = Grant::new(Identity::new("me")).labelled("phone");
    let layer = AuthLayer::builder()
        .tokens(TokenSet::new([(TOKEN.parse::<Token>().expect("a token"), grant)]).expect("a set"))
        .observer(log.observer())
        .build()
        .expect("a gate")
        .require("admin");
    send(&layer, request(&format!("GET /\nauthorization: Bearer {TOKEN}"))).await;
    assert_eq!(log.take(), ["insufficient scope, Some(\"phone\"), /, None"]);
}

/// A store that does not answer.
struct Down;

impl portcullis::TokenVerifier for Down {
    fn verify(&self, _: portcullis::PresentedToken<'_>) -> portcullis::Answer<Verdict> {
        portcullis::Answer::later(async { Verdict::Unavailable(Unavailable::new("the store is down")) })
    }
}

#[tokio::test]
async fn what_does_not_answer_is_told_with_its_error_and_lets_nobody_in() {
    let log = Log::default();
    let layer = AuthLayer::builder()
        .tokens(Down)
        .observer(log.observer())
        .build()
        .expect("a gate");
    for layer in [layer.clone(), layer.optional()] {
        let answer = send(&layer, request("GET /\nauthorization: Bearer x")).await;
        assert_eq!(answer.status.as_u16(), 503);
        assert_eq!(
            log.take(),
            ["unavailable: the store is down, /", "unavailable, None, /, None"]
        );
    }
}

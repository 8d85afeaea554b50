//! Each decision that matters to an operator is reported once, with user, client and reason.

use std::sync::{Arc, Mutex};

use http_body_util::Full;
use portcullis::{
    AuthLayer, BackendError, Event, Grant, Identity, PasswordHash, RequestHead, Token, TokenSet,
    TrustedProxies, Verification, hub_server::Hub, request::Peer, store::MemoryTokenStore,
};

use crate::common::{TOKEN, request, send};

/// Writes each event as a line.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn observer(&self) -> impl Fn(&Event<'_>) + Send + Sync + 'static {
        let log = self.clone();
        move |event: &Event<'_>| {
            let line = match event {
                Event::LoggedIn { client, .. } => format!("logged in from {client:?}"),
                Event::Admitted {
                    session,
                    method,
                    path,
                    client,
                } => {
                    let (by, label) = (session.auth_method(), session.grant().label());
                    format!("{method} {path} admitted by {by:?}, {label:?}, {client:?}")
                }
                Event::Denied {
                    reason,
                    label,
                    path,
                    client,
                    ..
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
async fn each_branch_reports_exactly_one_event() {
    let log = Log::default();
    let layer = AuthLayer::builder()
        .token(TOKEN.parse::<Token>().expect("a token"))
        .peer_extractor(|_| Some(Peer::Ip(([192, 0, 2, 1], 1).into())))
        .observer(log.observer())
        .build()
        .expect("a layer");
    let client = "Some(192.0.2.1)";
    let login = send(
        &layer,
        request(&format!("GET /?token={TOKEN}\naccept: text/html")),
    )
    .await;
    let (session, xsrf) = (login.cookie("username-"), login.cookie("_xsrf="));
    assert_eq!(log.take(), [format!("logged in from {client}")]);
    for (lines, expected) in [
        (
            format!("GET /\nauthorization: Bearer {TOKEN}"),
            Some(format!("GET / admitted by Token, None, {client}")),
        ),
        (
            format!("GET /\ncookie: {session}; {xsrf}"),
            Some(format!("GET / admitted by Cookie, None, {client}")),
        ),
        ("GET /login".to_owned(), None),
        (
            "GET /hub?secret=1".to_owned(),
            Some(format!("missing credentials, None, /hub, {client}")),
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
            Some("host not allowed, None, /, None".to_owned()),
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
    let grant = Grant::new(Identity::new("me")).with_label("phone");
    let layer = AuthLayer::builder()
        .bearer_tokens(TokenSet::new([(TOKEN.parse::<Token>().expect("a token"), grant)]).expect("a set"))
        .observer(log.observer())
        .build()
        .expect("a layer")
        .require_scope("admin");
    send(&layer, request(&format!("GET /\nauthorization: Bearer {TOKEN}"))).await;
    assert_eq!(log.take(), ["insufficient scope, Some(\"phone\"), /, None"]);
}

#[tokio::test]
async fn a_refusal_names_the_user_whose_credential_was_known_and_the_method() {
    let reported: Arc<Mutex<Vec<String>>> = Arc::default();
    let lines = Arc::clone(&reported);
    let observer = move |event: &Event<'_>| {
        if let Event::Denied {
            identity,
            method,
            reason,
            ..
        } = event
        {
            let name = identity.map(Identity::username);
            let mut lines = lines.lock().expect("one at a time");
            lines.push(format!("{reason}: {name:?} {method:?}"));
        }
    };
    let grant = Grant::new(Identity::new("me"));
    let layer = AuthLayer::builder()
        .bearer_tokens(TokenSet::new([(TOKEN.parse::<Token>().expect("a token"), grant)]).expect("a set"))
        .observer(observer)
        .build()
        .expect("a layer")
        .require_scope("admin");
    send(
        &layer,
        request(&format!("DELETE /\nauthorization: Bearer {TOKEN}")),
    )
    .await;
    send(&layer, request("PUT /\nauthorization: Bearer wrong")).await;
    assert_eq!(
        *reported.lock().expect("one at a time"),
        [
            "insufficient scope: Some(\"me\") Some(DELETE)",
            "unknown token: None Some(PUT)"
        ]
    );
}

#[tokio::test]
async fn a_request_that_passes_several_handles_of_one_layer_is_admitted_once() {
    let log = Log::default();
    let grant = Grant::new(Identity::new("me"))
        .with_scopes(["read"])
        .with_label("ci");
    let layer = AuthLayer::builder()
        .bearer_tokens(TokenSet::new([(TOKEN.parse::<Token>().expect("a token"), grant)]).expect("a set"))
        .observer(log.observer())
        .build()
        .expect("a layer");
    let service = tower::ServiceBuilder::new()
        .layer(layer.clone())
        .layer(layer.require_scope("read"))
        .service_fn(|_: http::Request<Full<hyper::body::Bytes>>| async {
            Ok::<_, std::convert::Infallible>(http::Response::new(Full::<hyper::body::Bytes>::default()))
        });
    let lines = format!("GET /a\nauthorization: Bearer {TOKEN}");
    tower::ServiceExt::oneshot(service, request(&lines))
        .await
        .expect("infallible");
    assert_eq!(log.take(), ["GET /a admitted by Token, Some(\"ci\"), None"]);
}

/// A store that does not answer.
struct Down;

impl portcullis::TokenVerifier for Down {
    fn verify(&self, _: portcullis::token::PresentedToken<'_>) -> portcullis::MaybeFuture<Verification> {
        portcullis::MaybeFuture::from_future(async {
            Verification::Unavailable(BackendError::new("the store is down"))
        })
    }
}

impl portcullis::PasswordVerifier for Down {
    fn verify(&self, _: &str, _: &portcullis::Secret) -> portcullis::MaybeFuture<Verification> {
        Verification::Unavailable(BackendError::new("the store is down")).into()
    }
}

#[tokio::test]
async fn an_unavailable_backend_is_reported_with_its_error_and_denies() {
    let log = Log::default();
    let layer = AuthLayer::builder()
        .bearer_tokens(Down)
        .observer(log.observer())
        .build()
        .expect("a layer");
    for layer in [layer.clone(), layer.optional()] {
        let answer = send(&layer, request("GET /\nauthorization: Bearer x")).await;
        assert_eq!(answer.status.as_u16(), 503);
        assert_eq!(
            log.take(),
            ["unavailable: the store is down, /", "unavailable, None, /, None"]
        );
    }
}

/// The events of logins by the form with these passwords, one after another.
async fn events_of(layer: &AuthLayer, log: &Log, passwords: &[&str]) -> Vec<String> {
    for password in passwords {
        let page = send(layer, request("GET /login\naccept: text/html")).await;
        let cookie = page.cookie("_xsrf=");
        let lines = format!("POST /login\ncontent-type: application/x-www-form-urlencoded\ncookie: {cookie}");
        let body = format!("{cookie}&password={password}");
        send(layer, request(&lines).map(|_| Full::from(body))).await;
    }
    log.take()
}

#[tokio::test]
async fn a_missing_client_address_is_reported_once_when_a_password_is_tried() {
    for (peer, expected) in [
        (
            None,
            &[
                "ClientAddressUnknown",
                "incorrect username or password, None, /login, None",
            ][..],
        ),
        (
            Some(Peer::Ip(([192, 0, 2, 1], 1).into())),
            &["incorrect username or password, None, /login, Some(192.0.2.1)"],
        ),
    ] {
        let log = Log::default();
        let mut layer = AuthLayer::builder().token(TOKEN.parse::<Token>().expect("a token"));
        if peer.is_some() {
            layer = layer.peer_extractor(|_| Some(Peer::Ip(([192, 0, 2, 1], 1).into())));
        }
        let layer = layer.observer(log.observer()).build().expect("a layer");
        assert_eq!(events_of(&layer, &log, &["wrong"]).await, expected, "{peer:?}");
        let again = events_of(&layer, &log, &["wrong", "wrong"]).await;
        assert!(
            again.len() == 2 && !again.contains(&"ClientAddressUnknown".to_owned()),
            "{again:?}"
        );
    }
}

#[tokio::test]
async fn trusted_proxies_without_a_peer_address_are_reported_once() {
    let peer = Peer::Ip(([192, 0, 2, 1], 1).into());
    for (trusted, is_known, expected) in [
        ("10.0.0.1", false, &["PeerAddressMissing"][..]),
        ("unix", false, &["PeerAddressMissing"]),
        ("10.0.0.1", true, &[]),
        ("", false, &[]),
    ] {
        let log = Log::default();
        let mut layer = AuthLayer::builder().token(TOKEN.parse::<Token>().expect("a token"));
        let mut hub = Hub::builder(Arc::new(MemoryTokenStore::new())).password_verifier(Down);
        if !trusted.is_empty() {
            let proxies = TrustedProxies::parse(trusted).expect("a proxy");
            layer = layer.trusted_proxies(proxies.clone());
            hub = hub.trusted_proxies(proxies);
        }
        let layer = layer.observer(log.observer()).build().expect("a layer");
        let hub = hub.observer(log.observer()).build().expect("a hub");
        let good = || {
            let mut request = request(&format!("GET /hub/api/\nauthorization: Bearer {TOKEN}"));
            if is_known {
                request.extensions_mut().insert(peer);
            }
            request
        };
        // By the service, by a server without tower, on another handle of the same layer.
        send(&layer, good()).await;
        send(&layer.optional(), good()).await;
        layer
            .authenticate(RequestHead::new(&good()))
            .await
            .expect("a session");
        let lines = log.take();
        let warnings: Vec<_> = lines
            .into_iter()
            .filter(|line| !line.contains(" admitted "))
            .collect();
        assert_eq!(warnings, expected, "{trusted}");
        for _ in 0..2 {
            tower::ServiceExt::oneshot(hub.clone(), good())
                .await
                .expect("infallible");
        }
        assert_eq!(log.take(), expected, "a hub, {trusted}");
    }
}

#[tokio::test]
async fn a_weak_hash_is_reported_at_each_login_by_its_password_and_no_other() {
    let weak: PasswordHash = "sha1:0e112c3ddfce:a68df677475c2b47b6e86d0467eec97ac5f4b85a"
        .parse()
        .expect("an older hash");
    let strong = PasswordHash::hash(&"a-long-enough-passphrase".into()).expect("a good password");
    let (in_, warned, wrong) = ("logged in", "WeakPasswordHash", "incorrect username or password");
    for (hash, typed, expected) in [
        (
            &weak,
            ["mypassword", "wrong", "mypassword"],
            &[warned, in_, wrong, warned, in_][..],
        ),
        (&weak, [TOKEN, "wrong", TOKEN], &[in_, wrong, in_]),
        (
            &strong,
            ["a-long-enough-passphrase", "wrong", TOKEN],
            &[in_, wrong, in_],
        ),
    ] {
        let log = Log::default();
        let layer = AuthLayer::builder()
            .token(TOKEN.parse::<Token>().expect("a token"))
            .password(hash.clone())
            .peer_extractor(|_| Some(Peer::Ip(([192, 0, 2, 1], 1).into())))
            .observer(log.observer())
            .build()
            .expect("a layer");
        let reported = events_of(&layer, &log, &typed).await;
        assert_eq!(reported.len(), expected.len(), "{reported:?}");
        for (reported, expected) in reported.iter().zip(expected) {
            assert!(reported.starts_with(expected), "{expected}: {reported}");
        }
    }
}

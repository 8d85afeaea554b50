//! Logins at a certified OpenID provider, npm's `oidc-provider`, whose responses are changed on the way, or which is restarted or
//! gone; its logouts; and a hub whose users log in there.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, RwLock},
    time::Duration,
};

use axum::{Router, body::Body, extract::Request, response::Response, routing::get};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use portcullis::{AuthLayer, Keyring, Secret, sign_in::OpenIdConnect, store::MemoryTokenStore};
use portcullis_interop::{
    example::Example,
    headless_browser::{HeadlessBrowser, wait_until},
    http,
    jupyter_server::free_port,
    mini_hub::MiniHub,
    openid_provider,
};
use serde_json::Value;
use tower::{ServiceExt as _, service_fn};

const SECRET: &str = "the secret of the example";

/// What is done to the response of the token endpoint.
type Change = Box<dyn Fn(&mut Value) + Send>;

/// The responses of the token endpoint, as they were, and what is done to them.
#[derive(Clone, Default)]
struct Responses(Arc<Mutex<(Vec<Value>, Option<Change>)>>);

impl Responses {
    fn change(&self, change: impl Fn(&mut Value) + Send + 'static) {
        self.0.lock().expect("one at a time").1 = Some(Box::new(change));
    }

    fn unchanged(&self) {
        self.0.lock().expect("one at a time").1 = None;
    }

    /// The ID token of the last response.
    fn last_id_token(&self) -> String {
        let state = self.0.lock().expect("one at a time");
        let token = state.0.last().and_then(|response| response["id_token"].as_str());
        token.expect("an ID token").to_owned()
    }

    fn pass(&self, target: &str, body: String) -> String {
        let mut state = self.0.lock().expect("one at a time");
        match (target, serde_json::from_str::<Value>(&body)) {
            ("/token", Ok(mut response)) if response.get("id_token").is_some() => {
                state.0.push(response.clone());
                if let Some(change) = &state.1 {
                    change(&mut response);
                }
                response.to_string()
            }
            _ => body,
        }
    }
}

/// An application in this process. Its layer can be replaced, as by a restart or by another replica.
struct Application {
    port: u16,
    issuer: String,
    client: &'static str,
    responses: Responses,
    store: Arc<MemoryTokenStore>,
    layer: Arc<RwLock<AuthLayer>>,
    runtime: tokio::runtime::Runtime,
}

impl Application {
    fn start(port: u16, issuer: u16, client: &'static str) -> Self {
        let mut application = Self {
            port,
            issuer: format!("http://127.0.0.1:{issuer}"),
            client,
            responses: Responses::default(),
            store: Arc::new(MemoryTokenStore::new()),
            layer: Arc::new(RwLock::new(AuthLayer::danger_allow_anonymous())),
            runtime: tokio::runtime::Runtime::new().expect("a runtime"),
        };
        application.restart();
        let layer = Arc::clone(&application.layer);
        let listener = application
            .runtime
            .block_on(tokio::net::TcpListener::bind(("127.0.0.1", port)));
        let listener = listener.expect("a free port");
        let served = service_fn(move |request: Request| {
            let layer = layer.read().expect("no panic").clone();
            async move {
                let hello =
                    async |session: portcullis::Session| format!("Hello, {}!", session.identity().username());
                let app = Router::new().route("/", get(hello)).layer(layer);
                Ok::<Response, Infallible>(app.oneshot(request).await.expect("infallible"))
            }
        });
        let served = Router::new().fallback_service(served);
        application
            .runtime
            .spawn(async move { axum::serve(listener, served).await });
        application
    }

    fn restart(&mut self) {
        let responses = self.responses.clone();
        let client = service_fn(move |request: ::http::Request<Full<Bytes>>| {
            let responses = responses.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                let sent = tokio::task::spawn_blocking(move || {
                    let uri = &head.uri;
                    let address = uri.authority().map(ToString::to_string).unwrap_or_default();
                    let fields: Vec<_> = head
                        .headers
                        .iter()
                        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()))
                        .collect();
                    let body = String::from_utf8_lossy(&body);
                    let answer =
                        http::try_request_with(&address, head.method.as_str(), uri.path(), &fields, &body)?;
                    let text = responses.pass(uri.path(), answer.body);
                    let response = ::http::Response::builder()
                        .status(answer.status)
                        .header("content-type", "application/json");
                    Ok::<_, std::io::Error>(response.body(Body::from(text)).expect("a response"))
                });
                let sent = sent.await?;
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(sent?)
            }
        });
        let provider = OpenIdConnect::lazy(&self.issuer, self.client, Secret::from(SECRET))
            .expect("an issuer")
            .with_clock_skew(Duration::ZERO)
            .with_http_client(client);
        let provider = match self.client {
            "sessions" => provider.with_backchannel_logout(),
            _ => provider,
        };
        let keyring = Keyring::from_secret(Secret::from("32 bytes that all replicas have in common"));
        let layer = AuthLayer::builder()
            .keyring(keyring.expect("a key"))
            .sessions(Arc::clone(&self.store))
            .sign_in_with("Provider", provider, |claims| Ok(claims.grant()))
            .build();
        *self.layer.write().expect("no panic") = layer.expect("a layer");
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// From the application to the provider, where `name` logs in, and up to the callback.
    #[track_caller]
    fn callback(&self, person: &mut HeadlessBrowser, name: &str) -> String {
        openid_provider::log_in(
            person,
            &self.url("/login/provider"),
            name,
            &self.url("/login/callback"),
        )
    }

    /// The status of the whole login.
    #[track_caller]
    fn log_in(&self, person: &mut HeadlessBrowser, name: &str) -> u16 {
        let callback = self.callback(person, name);
        person.send("GET", &callback, "").status
    }

    fn is_logged_in(&self, person: &HeadlessBrowser) -> bool {
        person
            .clone()
            .send("GET", &self.url("/"), "")
            .body
            .starts_with("Hello, ")
    }
}

fn provider_and_application(client: &'static str) -> (u16, Example, Application) {
    let (issuer, port) = (free_port(), free_port());
    let provider = openid_provider::start(issuer, &[port], false);
    (issuer, provider, Application::start(port, issuer, client))
}

/// An ID token with another header or other claims, and the signature of the first.
fn changed(token: &str, part: usize, change: impl Fn(&mut Value)) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(&parts[part]).expect("base64url");
    let mut value = serde_json::from_slice(&decoded).expect("JSON");
    change(&mut value);
    parts[part] = BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    parts.join(".")
}

#[test]
fn only_an_id_token_of_this_login_for_this_client_that_is_signed_and_valid_logs_in() {
    let (issuer, _provider, application) = provider_and_application("example");
    let mut alice = HeadlessBrowser::default();
    assert_eq!(application.log_in(&mut alice, "alice"), 302);
    assert!(application.is_logged_in(&alice));
    let of_another_login = application.responses.last_id_token();
    // The other application is on the same port, one after the other.
    let of_another_client = {
        let other = Application {
            port: application.port,
            ..Application::start(free_port(), issuer, "another")
        };
        let first = application.layer.read().expect("no panic").clone();
        *application.layer.write().expect("no panic") = other.layer.read().expect("no panic").clone();
        let mut person = HeadlessBrowser::default();
        assert_eq!(other.log_in(&mut person, "alice"), 302);
        *application.layer.write().expect("no panic") = first;
        other.responses.last_id_token()
    };

    let replaced =
        |token: String| -> Change { Box::new(move |response| response["id_token"] = token.clone().into()) };
    let edited = |edit: fn(&str) -> String| -> Change {
        Box::new(move |response| {
            let token = response["id_token"].as_str().expect("an ID token");
            response["id_token"] = edit(token).into();
        })
    };
    let rows: [(&str, Change); 7] = [
        ("the nonce of another login", replaced(of_another_login)),
        ("the audience of another client", replaced(of_another_client)),
        (
            "a changed subject",
            edited(|token| changed(token, 1, |claims| claims["sub"] = "root".into())),
        ),
        (
            "alg none, unsigned",
            edited(|token| {
                let token = changed(token, 0, |header| header["alg"] = "none".into());
                token[..=token.rfind('.').expect("a signature")].to_owned()
            }),
        ),
        (
            "unsigned",
            edited(|token| token[..=token.rfind('.').expect("a signature")].to_owned()),
        ),
        (
            "another algorithm",
            edited(|token| changed(token, 0, |header| header["alg"] = "HS256".into())),
        ),
        (
            "none at all",
            Box::new(|response| response["id_token"] = Value::Null),
        ),
    ];
    for (what, change) in rows {
        application.responses.change(change);
        let mut person = HeadlessBrowser::default();
        let status = application.log_in(&mut person, "alice");
        assert!([403, 503].contains(&status), "{what}: {status}");
        assert!(!application.is_logged_in(&person), "{what}");
    }
    application.responses.unchanged();
    let mut person = HeadlessBrowser::default();
    assert_eq!(application.log_in(&mut person, "alice"), 302);
    assert!(application.is_logged_in(&person));
}

#[test]
fn an_id_token_that_expires_on_the_way_does_not_log_in() {
    let (_, _provider, application) = provider_and_application("short");
    application
        .responses
        .change(|_| std::thread::sleep(Duration::from_secs(3)));
    let mut alice = HeadlessBrowser::default();
    assert_eq!(application.log_in(&mut alice, "alice"), 403);
    assert!(!application.is_logged_in(&alice));
}

#[test]
fn a_login_survives_another_replica_and_a_new_key_of_the_provider_and_fails_clearly_without_it() {
    let (issuer, mut provider, mut application) = provider_and_application("example");
    let mut alice = HeadlessBrowser::default();
    // Another replica, or this one after a restart, completes what the first began.
    let callback = application.callback(&mut alice, "alice");
    application.restart();
    assert_eq!(alice.send("GET", &callback, "").status, 302);
    assert!(application.is_logged_in(&alice));

    // The provider is gone in the middle of a login: the user reads so, and can try again.
    let mut bob = HeadlessBrowser::default();
    let callback = application.callback(&mut bob, "bob");
    provider.signal("KILL");
    let failed = bob.send("GET", &callback, "");
    assert_eq!(failed.status, 503, "{failed:?}");
    assert!(!failed.fields("retry-after").is_empty(), "{failed:?}");
    assert!(
        failed.body.contains("Login is temporarily unavailable"),
        "{failed:?}"
    );
    assert!(
        application.is_logged_in(&alice),
        "who is logged in notices nothing"
    );

    // It comes back with a key that was not known.
    let _provider = openid_provider::start(issuer, &[application.port], true);
    wait_until("a login succeeds", || {
        let mut bob = HeadlessBrowser::default();
        application.log_in(&mut bob, "bob") == 302 && application.is_logged_in(&bob)
    });
}

#[test]
fn a_logout_at_the_provider_ends_the_sessions_that_began_by_its_session() {
    let (issuer, _provider, application) = provider_and_application("sessions");
    let (mut alice, mut bob) = (HeadlessBrowser::default(), HeadlessBrowser::default());
    assert_eq!(application.log_in(&mut alice, "alice"), 302);
    assert_eq!(application.log_in(&mut bob, "bob"), 302);
    assert!(application.is_logged_in(&alice) && application.is_logged_in(&bob));
    let end = format!("http://127.0.0.1:{issuer}/session/end");
    let question = alice.open(&end);
    let xsrf = question.hidden("xsrf");
    let done = alice.submit(
        &question.target("action=\""),
        &[("xsrf", &xsrf), ("logout", "yes")],
    );
    assert_eq!(done.answer.status, 200, "{done:?}");
    wait_until("alice's session ends", || !application.is_logged_in(&alice));
    assert!(application.is_logged_in(&bob));
}

#[test]
fn users_of_mini_hub_log_in_at_the_provider() {
    let issuer = free_port();
    let mut port = 0;
    let hub = MiniHub::start_configured(|address, api_address| {
        port = address
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok())
            .expect("a port");
        format!(
            "bind = [\"{address}\", \"{api_address}\"]
            public_url = \"http://{address}/\"
            store = \"memory:\"
            [[providers]]
            name = \"Provider\"
            issuer = \"http://127.0.0.1:{issuer}\"
            client_id = \"hub\"
            client_secret = \"{SECRET}\"
            [[users]]
            name = \"alice\""
        )
    });
    let _provider = openid_provider::start(issuer, &[port], false);
    let login = hub.url("/hub/login?next=%2Fhub%2Ftoken");
    let mut alice = HeadlessBrowser::default();
    let page = alice.open(&login);
    assert!(
        !page.answer.body.contains("<form"),
        "no user has a password: {page:?}"
    );
    let button = page.target("<a class=\"button\" href=\"");
    let callback = openid_provider::log_in(&mut alice, &button, "alice", &hub.url("/hub/login/callback"));
    let end = alice.open(&callback);
    assert_eq!((end.answer.status, end.url), (200, hub.url("/hub/token")));
    let home = alice.open(&hub.url("/hub/home"));
    assert!(home.answer.body.contains("alice"), "{home:?}");

    // Eve has an account at the provider, and is no user of the hub.
    let mut eve = HeadlessBrowser::default();
    let callback = openid_provider::log_in(&mut eve, &button, "eve", &hub.url("/hub/login/callback"));
    let refused = eve.open(&callback);
    assert_eq!(refused.answer.status, 403, "{refused:?}");
    assert!(
        refused.answer.body.contains("not a user of this hub"),
        "{refused:?}"
    );
    assert!(eve.open(&hub.url("/hub/home")).url.contains("/hub/login"));
}

//! A hub with three users and three clients, and browsers and programs that use it.

mod api;
mod directory;
mod home;
mod login;
mod oauth;
mod oauth_metadata;
mod oauth_public;
mod oauth_refresh;
mod oauth_registration;
mod oauth_resources;
mod oauth_tokens;
mod races;
mod scale;
mod secrets;
mod servers;
mod sign_in;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use portcullis::{
    Grant, Identity, Keyring, MaybeFuture, Reason, Secret, Token, TrustedProxies, Verification,
    clock::UnixTime,
    hub_server::{Hub, HubBuilder, HubUser, OAuthClientConfig},
    request::Peer,
    store::{HubStore, MemoryTokenStore},
    testing::TestClock,
    verify::PasswordVerifier,
};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::common::Answered;

/// The password of all users.
pub(crate) const PASSWORD: &str = "vector-Pw-123";
pub(crate) const SECRET: &str = "b3c678e071572b2a756642510c2b199f";
pub(crate) const OTHER_SECRET: &str = "0f4b6a5f2c1d4e7b8a9c0d1e2f3a4b5c";
pub(crate) const SERVER_TOKEN: &str = "927768d726054367b1deb6cfc1b0ba64";
pub(crate) const REDIRECT_URI: &str = "http://127.0.0.1:9/cb";
/// The pair that the golden values were made with.
pub(crate) const VERIFIER: &str = "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv";
pub(crate) const CHALLENGE: &str = "7w_YNF9DSfIdPf_pRjSq646_kPr-2-o9NAl16JGghdM";
pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_795_312_420);

/// Accepts three users, and one more who is no member of the hub.
struct People;

impl PasswordVerifier for People {
    fn verify(&self, username: &str, password: &Secret) -> MaybeFuture<Verification> {
        let known = matches!(username, "admin" | "alice" | "bob" | "outsider");
        let good = known && password.expose() == PASSWORD.as_bytes();
        MaybeFuture::Ready(if good {
            Verification::Valid(Grant::new(Identity::new(username)))
        } else {
            Verification::Rejected(Reason::IncorrectPassword)
        })
    }
}

/// A hub of three clients, without members.
pub(crate) fn builder(store: impl HubStore, clock: &TestClock) -> HubBuilder {
    let token = |text: &str| text.parse::<Token>().expect("a token");
    let ext = OAuthClientConfig::service("ext", REDIRECT_URI, &token(SECRET))
        .and_then(|client| client.with_scopes(["list:users", "read:users", "tokens"]));
    let managed = OAuthClientConfig::service("managed", "http://127.0.0.1:9/other-cb", &token(OTHER_SECRET));
    let server = OAuthClientConfig::server("alice", "", "/user/alice/oauth_callback", &token(SERVER_TOKEN));
    Hub::builder(store)
        .password_verifier(People)
        .client(ext.expect("a client"))
        .client(managed.expect("a client"))
        .client(server.expect("a client"))
        .trusted_proxies(TrustedProxies::parse("10.0.0.1").expect("an address"))
        .clock(clock.clone())
}

pub(crate) fn with_users(hub: HubBuilder) -> HubBuilder {
    let member = |name| HubUser::new(name).expect("a name");
    hub.user(member("admin").as_admin())
        .user(member("alice"))
        .user(member("bob").with_groups(["staff"]))
}

/// A hub, its clock, and what it keeps.
pub(crate) struct World {
    pub(crate) hub: Hub,
    pub(crate) clock: TestClock,
    pub(crate) store: Arc<MemoryTokenStore>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|hub| hub)
    }

    /// One that is configured further.
    pub(crate) fn with(change: impl FnOnce(HubBuilder) -> HubBuilder) -> Self {
        Self::without_users(|hub| change(with_users(hub)))
    }

    /// One whose members are to be configured.
    pub(crate) fn without_users(change: impl FnOnce(HubBuilder) -> HubBuilder) -> Self {
        let (store, clock) = (Arc::new(MemoryTokenStore::new()), TestClock::new(NOW));
        Self {
            hub: change(builder(Arc::clone(&store), &clock))
                .build()
                .expect("a hub"),
            clock,
            store,
        }
    }

    /// Another hub on the same store, which begins now.
    pub(crate) fn restarted(&self) -> Self {
        let hub = with_users(builder(Arc::clone(&self.store), &self.clock));
        Self {
            hub: hub.build().expect("a hub"),
            clock: self.clock.clone(),
            store: Arc::clone(&self.store),
        }
    }

    /// One with this key for the login cookie.
    pub(crate) fn with_secret(hex: &str) -> Self {
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .map(|place| u8::from_str_radix(&hex[2 * place..2 * place + 2], 16).expect("hexadecimal digits"))
            .collect();
        Self::with(|hub| hub.keyring(Keyring::from_secret(Secret::from(bytes)).expect("long enough")))
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answered {
        let response: Response<_> = self.hub.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let text = body.collect().await.expect("a body").to_bytes();
        assert!(parts.headers.contains_key("x-jupyterhub-version"), "{parts:?}");
        Answered {
            status: parts.status,
            parts,
            text: String::from_utf8_lossy(&text).into_owned(),
        }
    }

    /// What a program is answered.
    pub(crate) async fn call(&self, method: &str, path: &str, token: Option<&str>, body: &str) -> Answered {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/hub/api{path}"))
            .header("host", "localhost")
            .header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header("authorization", format!("token {token}"));
        }
        self.send(request.body(Full::from(body.to_owned())).expect("a request"))
            .await
    }

    /// What the token endpoint answers to a form.
    pub(crate) async fn exchange(&self, fields: &[(&str, &str)]) -> Answered {
        let request = Request::post("/hub/api/oauth2/token")
            .header("host", "localhost")
            .header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(Full::from(form(fields))).expect("a request"))
            .await
    }

    /// A browser in which a user has logged in.
    pub(crate) async fn browser_of(&self, name: &str) -> Browser<'_> {
        let mut browser = self.browser();
        let answer = browser.log_in(name, PASSWORD).await;
        assert_eq!(answer.status, 302, "{answer:?}");
        browser
    }

    pub(crate) fn browser(&self) -> Browser<'_> {
        Browser {
            world: self,
            cookies: BTreeMap::new(),
            fields: Vec::new(),
        }
    }

    /// A code that `browser`'s owner lets a client have, and the question answered if there is one.
    pub(crate) async fn code(&self, browser: &mut Browser<'_>, query: &str) -> Result<String, Answered> {
        let url = format!("/hub/api/oauth2/authorize?{query}");
        let mut answer = browser.get(&url).await;
        if answer.status == 200 {
            let scopes = hidden(&answer.text, "scopes");
            let xsrf = hidden(&answer.text, "_xsrf").remove(0);
            let mut fields = vec![("_xsrf", xsrf.as_str())];
            fields.extend(scopes.iter().map(|scope| ("scopes", scope.as_str())));
            answer = browser.post(&url, &fields).await;
        }
        let location = answer.header("location").to_owned();
        let code = location
            .split(['?', '&'])
            .find_map(|pair| pair.strip_prefix("code="));
        code.map(str::to_owned).ok_or(answer)
    }

    /// The token that such a code is exchanged for.
    pub(crate) async fn oauth_token(&self, browser: &mut Browser<'_>) -> String {
        let code = self.code(browser, &authorize_query()).await.expect("a code");
        let answer = self.exchange(&exchange_fields(&code)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        json(&answer)["access_token"]
            .as_str()
            .expect("a token")
            .to_owned()
    }
}

/// The query of an authorization request of the client `service-ext`.
pub(crate) fn authorize_query() -> String {
    authorize_query_of("service-ext", REDIRECT_URI, "st")
}

/// The query of an authorization request of this client.
pub(crate) fn authorize_query_of(client_id: &str, redirect_uri: &str, state: &str) -> String {
    form(&[
        ("client_id", client_id),
        ("redirect_uri", redirect_uri),
        ("response_type", "code"),
        ("state", state),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ])
}

/// The fields by which it exchanges its code.
pub(crate) fn exchange_fields(code: &str) -> Vec<(&str, &str)> {
    vec![
        ("client_id", "service-ext"),
        ("client_secret", SECRET),
        ("grant_type", "authorization_code"),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", VERIFIER),
        ("code", code),
    ]
}

/// A browser that keeps cookies by path, and posts from pages of the hub.
#[derive(Clone)]
pub(crate) struct Browser<'w> {
    world: &'w World,
    /// By name and path.
    pub(crate) cookies: BTreeMap<(String, String), String>,
    /// Sent with every request.
    pub(crate) fields: Vec<(String, String)>,
}

impl Browser<'_> {
    pub(crate) async fn get(&mut self, url: &str) -> Answered {
        self.send("GET", url, "").await
    }

    pub(crate) async fn post(&mut self, url: &str, fields: &[(&str, &str)]) -> Answered {
        self.send("POST", url, &form(fields)).await
    }

    pub(crate) async fn log_in(&mut self, name: &str, password: &str) -> Answered {
        let page = self.get("/hub/login").await;
        let Some(xsrf) = hidden(&page.text, "_xsrf").into_iter().next() else {
            // The browser is logged in: the form of a page without a session is sent all the same.
            let mut anonymous = self.world.browser();
            let page = anonymous.get("/hub/login").await;
            let xsrf = hidden(&page.text, "_xsrf").remove(0);
            self.cookies
                .insert(("_xsrf".to_owned(), "/hub/".to_owned()), xsrf.clone());
            return self
                .post(
                    "/hub/login",
                    &[("_xsrf", &xsrf), ("username", name), ("password", password)],
                )
                .await;
        };
        self.post(
            "/hub/login",
            &[("_xsrf", &xsrf), ("username", name), ("password", password)],
        )
        .await
    }

    pub(crate) async fn send(&mut self, method: &str, url: &str, body: &str) -> Answered {
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header("accept", "text/html");
        let named = |name: &str| {
            self.fields
                .iter()
                .any(|(field, _)| field.eq_ignore_ascii_case(name))
        };
        if !named("host") {
            request = request.header("host", "localhost");
        }
        if method == "POST" && !named("content-type") {
            request = request.header("content-type", "application/x-www-form-urlencoded");
        }
        if method == "POST" && !named("origin") {
            request = request
                .header("origin", "http://localhost")
                .header("sec-fetch-site", "same-origin");
        }
        let path = url.split('?').next().unwrap_or_default();
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .filter(|((_, of), _)| path.starts_with(of.as_str()))
            .map(|((name, _), value)| format!("{name}={value}"))
            .collect();
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        for (name, value) in &self.fields {
            request = request.header(name, value);
        }
        let mut request = request.body(Full::from(body.to_owned())).expect("a request");
        request
            .extensions_mut()
            .insert(Peer::Ip(([10, 0, 0, 1], 4711).into()));
        let answer = self.world.send(request).await;
        for line in answer.set_cookies() {
            self.keep(&line);
        }
        answer
    }

    pub(crate) fn keep(&mut self, line: &str) {
        let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
        let (name, value) = pair.split_once('=').expect("a pair");
        let path = attributes
            .split(';')
            .find_map(|part| part.trim().strip_prefix("Path="));
        let key = (name.to_owned(), path.unwrap_or("/").to_owned());
        if attributes.contains("Max-Age=0") {
            self.cookies.remove(&key);
        } else {
            self.cookies.insert(key, value.to_owned());
        }
    }

    /// The value of a cookie.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        let found = self.cookies.iter().find(|((known, _), _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The `_xsrf` value of a page's forms.
    pub(crate) async fn xsrf(&mut self) -> String {
        let page = self.get("/hub/home").await;
        hidden(&page.text, "_xsrf")
            .into_iter()
            .next()
            .unwrap_or_else(|| panic!("no form: {page:?}"))
    }
}

/// The values of the hidden fields of a page.
pub(crate) fn hidden(html: &str, name: &str) -> Vec<String> {
    let mark = format!("name=\"{name}\" value=\"");
    let values = html.split(&mark).skip(1);
    values
        .map(|rest| rest.split('"').next().unwrap_or_default().to_owned())
        .collect()
}

pub(crate) fn form(fields: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    pairs.join("&")
}

pub(crate) fn encoded(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes()).collect()
}

#[track_caller]
pub(crate) fn json(answer: &Answered) -> Value {
    serde_json::from_str(&answer.text).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

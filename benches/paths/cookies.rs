//! Layers with cookie logins.

use super::{super::case::Sent, TOKEN, get};
use http::header::{HOST, SET_COOKIE};
use portcullis::{
    AuthLayer, AuthMethod, Authenticator, Grant, Identity, Keyring, MaybeFuture, Outcome, Reason,
    RequestHead, Session, Token,
    cookies::{CookieJar, CookieName, CookieScope, ReadCookie, RequestCookies},
    middleware::Decision,
    store::MemoryTokenStore,
};

/// How the cookie's payload is kept.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    Encrypted,
    Signed,
}

/// Reads the cookie and decodes nothing: what opening it costs.
struct Opens {
    jar: CookieJar,
    grant: Grant,
    credential: AuthMethod,
}

impl Authenticator for Opens {
    fn authenticate(&self, head: RequestHead<'_>) -> MaybeFuture<Outcome> {
        let Ok(cookies) = RequestCookies::from_head(head) else {
            return Outcome::Rejected(Reason::TooLarge).into();
        };
        let who = |payload: &[u8]| Some(payload.len());
        self.jar.read(
            &cookies,
            || head.now(),
            who,
            |read| match read {
                ReadCookie::Valid(_) => {
                    Outcome::Authenticated(Session::new(self.grant.clone(), self.credential)).into()
                }
                ReadCookie::Missing => Outcome::Absent.into(),
                _ => Outcome::Rejected(Reason::InvalidCookie).into(),
            },
        )
    }
}

fn keyring() -> Keyring {
    Keyring::from_secret("0123456789abcdef0123456789abcdef".into()).expect("32 bytes")
}

/// A layer that decrypts the cookie of `form`, and a request with a valid one among `count` cookies.
///
/// Without guards the credential is no ambient one and every host is answered for.
pub(crate) fn opening(form: Form, payload: usize, count: usize, guards: bool) -> (AuthLayer, Sent) {
    let name = CookieName::custom("username-localhost-8888").expect("a token");
    let scope = CookieScope::custom(name, "/").expect("a scope");
    let jar = match form {
        Form::Encrypted => CookieJar::encrypted(&keyring(), scope),
        Form::Signed => CookieJar::signed(&keyring(), scope),
    };
    let now = RequestHead::new(&http::Request::new(())).now();
    let line = jar
        .set_cookie(&vec![b'p'; payload], now, false)
        .expect("a small cookie");
    let credential = if guards {
        AuthMethod::Cookie
    } else {
        AuthMethod::Other { ambient: false }
    };
    let grant = Grant::new(Identity::new("0123456789abcdef0123456789abcdef"));
    let builder = AuthLayer::builder()
        .without_session_extension()
        .keyring(keyring())
        .authenticator(Opens {
            jar,
            grant,
            credential,
        });
    let builder = if guards {
        builder
    } else {
        builder.danger_allow_any_host()
    };
    let layer = builder.build().expect("a layer");
    let cookie = pair_of(line.to_str().expect("ASCII"));
    let xsrf = if guards {
        xsrf_for(&layer, &cookie)
    } else {
        "_xsrf=x".to_owned()
    };
    (layer, get().cookies(count, &xsrf, &cookie))
}

/// The same with an invalid cookie: its last digit changed.
pub(crate) fn forged(guards: bool) -> (AuthLayer, Sent) {
    let (layer, _) = opening(Form::Signed, 80, 3, guards);
    let name = CookieName::custom("username-localhost-8888").expect("a token");
    let jar = CookieJar::signed(
        &Keyring::generate(),
        CookieScope::custom(name, "/").expect("a scope"),
    );
    let now = RequestHead::new(&http::Request::new(())).now();
    let line = jar.set_cookie(&[b'p'; 80], now, false).expect("a small cookie");
    (
        layer,
        get().cookies(3, "_xsrf=x", &pair_of(line.to_str().expect("ASCII"))),
    )
}

/// The same on an optional route: what the check of a forged cookie costs, without the denial.
pub(crate) fn forged_optional(guards: bool) -> (AuthLayer, Sent) {
    let (layer, sent) = forged(guards);
    (layer.optional(), sent)
}

/// The same without the cookie, on an optional route.
pub(crate) fn absent(guards: bool) -> (AuthLayer, Sent) {
    let (layer, _) = opening(Form::Signed, 80, 3, guards);
    (layer.optional(), get().cookies(3, "_xsrf=x", "other=1"))
}

/// The layer of `AuthLayer::token`, and a request of a user who opened the link: their identity is decoded.
pub(crate) fn logged_in() -> (AuthLayer, Sent) {
    let token: Token = TOKEN.parse().expect("a token");
    let layer = AuthLayer::builder()
        .token(token)
        .without_session_extension()
        .build()
        .expect("a layer");
    let mut link = http::Request::get(format!("/?token={TOKEN}"))
        .body(())
        .expect("a link");
    link.headers_mut()
        .insert(HOST, "localhost:8888".parse().expect("a host"));
    let lines = set_cookies(&layer, &link);
    let cookie = |name: &str| {
        lines
            .iter()
            .find(|line| line.starts_with(name))
            .map(|line| pair_of(line))
            .expect("a cookie")
    };
    let sent = get().cookies(3, &cookie("_xsrf="), &cookie("username-"));
    (layer, sent)
}

/// A layer with sessions in memory, and a request of a user who is logged in.
pub(crate) fn session_in_memory() -> (AuthLayer, Sent) {
    let layer = AuthLayer::builder()
        .custom_login_page()
        .without_session_extension()
        .sessions(MemoryTokenStore::new())
        .build()
        .expect("a layer");
    let form = http::Request::post("/own-login")
        .header(HOST, "localhost:8888")
        .body(())
        .expect("a form");
    let login = layer.login(RequestHead::new(&form), Grant::new(Identity::new("alice")));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let cookies = runtime.block_on(async { login.await }).expect("a login");
    let mut lines = cookies.iter().map(|line| pair_of(line.to_str().expect("ASCII")));
    let (session, xsrf) = (
        lines.next().expect("a session"),
        lines.next().expect("an _xsrf cookie"),
    );
    (layer, get().cookies(3, &xsrf, &session))
}

/// The `_xsrf` cookie that the layer sets for a client that has `cookie` alone.
fn xsrf_for(layer: &AuthLayer, cookie: &str) -> String {
    let lines = set_cookies(layer, &get().cookies(3, "_xsrf=x", cookie).build());
    pair_of(lines.first().expect("an _xsrf cookie"))
}

/// The `Set-Cookie` lines of the layer for a request.
fn set_cookies<B>(layer: &AuthLayer, request: &http::Request<B>) -> Vec<String> {
    let mut headers = http::HeaderMap::new();
    match layer.decide(RequestHead::new(request)) {
        MaybeFuture::Ready(Decision::Allow { afterwards, .. }) => afterwards.apply_to(&mut headers),
        MaybeFuture::Ready(Decision::Respond(response)) => headers = response.into_parts().0.headers,
        other => panic!("expected a decision at once, found {other:?}"),
    }
    let lines = headers.get_all(SET_COOKIE).iter();
    lines
        .map(|line| line.to_str().expect("ASCII").to_owned())
        .collect()
}

fn pair_of(line: &str) -> String {
    line.split(';').next().unwrap_or_default().to_owned()
}

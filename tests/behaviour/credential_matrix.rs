//! Every kind of credential, every way into the layer, every limit: which status, whether a login is made, and what
//! the login then grants. The table is generated; the expected value follows from the rule in [`expected`].

use std::time::Duration;

use http::{HeaderMap, Request};
use http_body_util::Full;
use hyper::body::Bytes;
use portcullis::{
    AuthLayer, AuthMethod, Authenticator, Denial, Grant, Identity, Keyring, MaybeFuture, Outcome, Reason,
    RequestHead, Secret, Session, Token, TokenSet, Verification,
    authenticate::TokenSource,
    clock::UnixTime,
    middleware::Decision,
    store::{MemoryTokenStore, TokenFilter},
    testing::TestClock,
    verify::{PasswordVerifier, StoredTokens},
};

use crate::common::{Answered, TOKEN, request, send};

const START: UnixTime = UnixTime::from_secs(1_700_000_000);
const LIFE: Duration = Duration::from_secs(3600);
const SET_TOKEN: &str = "a-token-of-the-set";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// The one token of the server.
    Shared,
    /// A token of a set: scope `read`, ends after an hour.
    Set,
    /// A stored token: likewise.
    Stored,
    /// A token that a custom authenticator takes from a header of its own: scope `read`.
    Custom,
    /// The login cookie of a user who typed the token of the set.
    Cookie,
    /// A user name and a password: scope `read`.
    Password,
    /// A launch link.
    Launch,
    /// No credential.
    Absent,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Header,
    /// Only the token itself in the query.
    Query,
    /// The token in a header, and another value of `token` in the query, on a server that does not read the query.
    HeaderAndOtherQuery,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// A page, by a browser with Fetch Metadata.
    Page,
    /// A page, by a browser on plain http to another host than loopback, which sends no Fetch Metadata.
    PlainPage,
    Program,
    LoginPage,
    LoginForm,
    WebSocket,
    Decide,
    Check,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Limit {
    None,
    RequireRead,
    RequireAdmin,
    Optional,
    OptionalRequireAdmin,
    Expired,
    Revoked,
    AuthorizerRefuses,
    OptionalAuthorizerRefuses,
}

const LIMITS: [Limit; 9] = [
    Limit::None,
    Limit::RequireRead,
    Limit::RequireAdmin,
    Limit::Optional,
    Limit::OptionalRequireAdmin,
    Limit::Expired,
    Limit::Revoked,
    Limit::AuthorizerRefuses,
    Limit::OptionalAuthorizerRefuses,
];

impl Kind {
    fn has_read(self) -> bool {
        matches!(
            self,
            Self::Set | Self::Stored | Self::Custom | Self::Cookie | Self::Password
        )
    }

    fn can_end(self) -> bool {
        matches!(self, Self::Set | Self::Stored | Self::Cookie)
    }

    /// Whether it can be typed into the login form.
    fn can_be_typed(self) -> bool {
        matches!(
            self,
            Self::Shared | Self::Set | Self::Stored | Self::Password | Self::Absent
        )
    }
}

/// What comes of a request: the status, and whether the answer makes a login.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Expected {
    status: u16,
    login: bool,
}

/// The rule. A credential is valid unless it has ended; a route admits it if it has the scopes and the authorizers
/// agree; only the form, the launch link and a token found in a query that is read make a login.
fn expected(kind: Kind, place: Place, way: Way, limit: Limit) -> Expected {
    let ended = matches!(limit, Limit::Expired | Limit::Revoked);
    let optional = matches!(
        limit,
        Limit::Optional | Limit::OptionalRequireAdmin | Limit::OptionalAuthorizerRefuses
    );
    let good = kind != Kind::Absent && !ended;
    let allowed = match limit {
        Limit::RequireRead => kind.has_read(),
        Limit::RequireAdmin
        | Limit::OptionalRequireAdmin
        | Limit::AuthorizerRefuses
        | Limit::OptionalAuthorizerRefuses => false,
        _ => true,
    };
    let is_page = matches!(way, Way::Page | Way::PlainPage);
    let answer = |status, login| Expected { status, login };
    if way == Way::LoginForm {
        return if good {
            answer(302, true)
        } else {
            answer(401, false)
        };
    }
    let in_query = place == Place::Query && matches!(kind, Kind::Shared | Kind::Set | Kind::Stored);
    if way == Way::LoginPage {
        return if good && allowed {
            answer(302, in_query)
        } else {
            answer(200, false)
        };
    }
    if good && !allowed {
        return answer(403, false);
    }
    if good {
        let login = in_query && way != Way::Check;
        return answer(if login && is_page { 303 } else { 200 }, login);
    }
    // An old cookie counts as no cookie where a login is optional; a token that is not good never does.
    let anonymous = kind == Kind::Absent || kind == Kind::Cookie;
    if optional && anonymous && allowed && way != Way::Check {
        return answer(200, false);
    }
    answer(if is_page { 302 } else { 401 }, false)
}

struct Passwords;

impl PasswordVerifier for Passwords {
    fn verify(&self, username: &str, password: &Secret) -> MaybeFuture<Verification> {
        MaybeFuture::Ready(
            if username == "alice" && password.expose() == b"a right password" {
                Verification::Valid(Grant::new(Identity::new("alice")).with_scopes(["read"]))
            } else {
                Verification::Rejected(Reason::IncorrectPassword)
            },
        )
    }
}

struct KeyInHeader;

impl Authenticator for KeyInHeader {
    fn authenticate(&self, head: RequestHead<'_>) -> MaybeFuture<Outcome> {
        match head.headers().get("x-key") {
            Some(key) if key == "custom" => Outcome::Authenticated(Session::new(
                Grant::new(Identity::new("robot")).with_scopes(["read"]),
                AuthMethod::Token,
            )),
            _ => Outcome::Absent,
        }
        .into()
    }
}

/// One server and the credentials for it.
struct Server {
    open: AuthLayer,
    layer: AuthLayer,
    clock: TestClock,
    set: TokenSet,
    stored: StoredTokens<MemoryTokenStore>,
    stored_token: Token,
}

impl Server {
    async fn new(place: Place, limit: Limit) -> Self {
        let clock = TestClock::new(START);
        let owner = || {
            Grant::new(Identity::new("alice"))
                .with_scopes(["read"])
                .with_expiry(START.saturating_add(LIFE))
        };
        let set = TokenSet::new([(SET_TOKEN.parse::<Token>().expect("a token"), owner())]).expect("a set");
        let stored = StoredTokens::with_clock(MemoryTokenStore::new(), clock.clone());
        let (stored_token, _) = stored.issue(owner()).await.expect("a store in memory");
        let keyring = Keyring::generate();
        let build = |refuses: bool| {
            let sources = match place {
                Place::HeaderAndOtherQuery => vec![TokenSource::Authorization],
                Place::Header | Place::Query => vec![TokenSource::Authorization, TokenSource::Query],
            };
            let builder = AuthLayer::builder()
                .token(TOKEN.parse().expect("a token"))
                .bearer_tokens(set.clone())
                .bearer_tokens(stored.clone())
                .allow_token_login()
                .token_sources(sources)
                .password_verifier(Passwords)
                .authenticator(KeyInHeader)
                .keyring(keyring.clone())
                .clock(clock.clone());
            let builder = if refuses {
                builder.authorizer(|_: RequestHead<'_>, _: &Session| -> Result<(), Denial> {
                    Err(Denial::new(Reason::InsufficientScope))
                })
            } else {
                builder
            };
            builder.build().expect("a layer")
        };
        let open = build(false);
        let layer = match limit {
            Limit::None | Limit::Expired | Limit::Revoked => open.clone(),
            Limit::RequireRead => open.require_scope("read"),
            Limit::RequireAdmin => open.require_scope("admin"),
            Limit::Optional => open.optional(),
            Limit::OptionalRequireAdmin => open.optional().require_scope("admin"),
            Limit::AuthorizerRefuses => build(true),
            Limit::OptionalAuthorizerRefuses => build(true).optional(),
        };
        Self {
            open,
            layer,
            clock,
            set,
            stored,
            stored_token,
        }
    }

    fn token(&self, kind: Kind) -> &str {
        match kind {
            Kind::Shared => TOKEN,
            Kind::Stored => self.stored_token.expose(),
            Kind::Custom => "custom",
            _ => SET_TOKEN,
        }
    }

    /// Ends the credentials that can end.
    async fn end(&self, limit: Limit) {
        match limit {
            Limit::Expired => self.clock.advance(LIFE),
            Limit::Revoked => {
                let other = "another-token".parse::<Token>().expect("a token");
                self.set
                    .replace(TokenSet::new([(other, Grant::new(Identity::new("bob")))]).expect("a set"));
                self.stored
                    .revoke(TokenFilter::owner("alice"))
                    .await
                    .expect("a store in memory");
            }
            _ => {}
        }
    }

    /// Types a credential into the form of the login page.
    async fn type_in(&self, layer: &AuthLayer, kind: Kind) -> Answered {
        let page = send(layer, request("GET /login\naccept: text/html")).await;
        let xsrf = page.cookie("_xsrf=");
        let lines = format!("POST /login\ncontent-type: application/x-www-form-urlencoded\ncookie: {xsrf}");
        let typed = match kind {
            Kind::Password => "username=alice&password=a+right+password".to_owned(),
            Kind::Absent => "username=alice&password=a+wrong+password".to_owned(),
            kind => format!("username=&password={}", self.token(kind)),
        };
        send(
            layer,
            request(&lines).map(|_| Full::from(format!("{xsrf}&{typed}"))),
        )
        .await
    }

    /// The request of `way` with the credential in its place.
    fn request(&self, kind: Kind, place: Place, way: Way, cookie: Option<&str>) -> Request<Full<Bytes>> {
        let path = if way == Way::LoginPage { "/login" } else { "/page" };
        let query = match (kind, place) {
            (Kind::Cookie | Kind::Absent, _) | (_, Place::Header) => String::new(),
            (Kind::Custom, _) | (_, Place::HeaderAndOtherQuery) => "?token=x".to_owned(),
            (kind, Place::Query) => format!("?token={}", self.token(kind)),
        };
        let mut lines = format!("GET {path}{query}");
        if kind == Kind::Custom {
            lines += "\nx-key: custom";
        } else if place != Place::Query && !matches!(kind, Kind::Cookie | Kind::Absent) {
            lines += &format!("\nauthorization: token {}", self.token(kind));
        }
        if let Some(cookie) = cookie {
            lines += &format!("\ncookie: {cookie}");
        }
        lines += match way {
            Way::Page => {
                "\naccept: text/html\nsec-fetch-site: none\nsec-fetch-mode: navigate\nsec-fetch-dest: document"
            }
            Way::PlainPage | Way::LoginPage => "\naccept: text/html",
            Way::WebSocket => {
                "\nconnection: upgrade\nupgrade: websocket\norigin: http://localhost\nsec-fetch-site: same-origin"
            }
            _ => "",
        };
        request(&lines)
    }
}

/// The status of an answer and its `Set-Cookie` lines.
type Seen = (u16, Vec<String>);

fn lines(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all("set-cookie").iter();
    lines
        .map(|line| line.to_str().expect("ASCII").to_owned())
        .collect()
}

async fn see(server: &Server, request: Request<Full<Bytes>>, way: Way) -> Seen {
    match way {
        Way::Decide => match server.layer.decide(RequestHead::new(&request)).await {
            Decision::Allow { afterwards, .. } => {
                let mut headers = HeaderMap::new();
                afterwards.apply_to(&mut headers);
                (200, lines(&headers))
            }
            Decision::Respond(answer) => (answer.status().as_u16(), lines(answer.headers())),
            other => panic!("{other:?}"),
        },
        Way::Check => match server.layer.authenticate(RequestHead::new(&request)).await {
            Ok(_) => (200, Vec::new()),
            Err(denial) => (denial.status().as_u16(), Vec::new()),
        },
        _ => {
            let answer = send(&server.layer, request).await;
            (answer.status.as_u16(), lines(&answer.parts.headers))
        }
    }
}

/// The login cookie that was set, as `name=value`; `None` for a removal.
fn login(lines: &[String]) -> Option<String> {
    let line = lines.iter().find(|line| line.starts_with("username-"))?;
    let pair = line.split(';').next()?;
    (!line.contains("Max-Age=0")).then(|| pair.to_owned())
}

async fn status(layer: &AuthLayer, cookie: &str) -> u16 {
    let answer = send(layer, request(&format!("GET /\ncookie: {cookie}"))).await;
    answer.status.as_u16()
}

/// A login grants what its credential grants, no more and no longer.
async fn check_grant(server: &Server, kind: Kind, cookie: &str, case: &str) {
    let open = &server.open;
    assert_eq!(status(open, cookie).await, 200, "{case}: the login is valid");
    let read = if kind.has_read() { 200 } else { 403 };
    assert_eq!(
        status(&open.require_scope("read"), cookie).await,
        read,
        "{case}: scope read"
    );
    assert_eq!(
        status(&open.require_scope("admin"), cookie).await,
        403,
        "{case}: scope admin"
    );
    server.end(Limit::Revoked).await;
    let after = if kind.can_end() { 401 } else { 200 };
    assert_eq!(status(open, cookie).await, after, "{case}: after revocation");
    server.end(Limit::Expired).await;
    assert_eq!(status(open, cookie).await, after, "{case}: after its time");
}

/// Follows redirects as a browser does, and gives how many there were.
async fn redirects(server: &Server, first: Request<Full<Bytes>>) -> usize {
    let mut jar: Vec<(String, String)> = Vec::new();
    if let Some(sent) = first.headers().get("cookie") {
        for pair in sent.to_str().expect("ASCII").split("; ") {
            let (name, value) = pair.split_once('=').expect("a pair");
            jar.push((name.to_owned(), value.to_owned()));
        }
    }
    let mut request = first;
    for count in 0..10 {
        let answer = send(&server.layer, request).await;
        for line in answer.set_cookies() {
            let (name, rest) = line.split_once('=').expect("a cookie");
            let value = rest.split(';').next().unwrap_or_default().to_owned();
            jar.retain(|(known, _)| known != name);
            if !line.contains("Max-Age=0") {
                jar.push((name.to_owned(), value));
            }
        }
        if !answer.status.is_redirection() {
            return count;
        }
        let pairs: Vec<_> = jar
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        request = crate::common::request(&format!(
            "GET {}\naccept: text/html\nsec-fetch-mode: navigate\nsec-fetch-dest: document\nsec-fetch-site: none\ncookie: {}",
            answer.header("location"),
            pairs.join("; ")
        ));
    }
    10
}

/// A server whose limit is in force, and the login cookie that is tried there, made before.
async fn server_and_cookie(kind: Kind, place: Place, limit: Limit) -> (Server, Option<String>) {
    let server = Server::new(place, limit).await;
    let cookie = match kind {
        Kind::Cookie => Some(server.type_in(&server.open, Kind::Set).await.cookie("username-")),
        _ => None,
    };
    server.end(limit).await;
    (server, cookie)
}

const REQUESTS: [Way; 7] = [
    Way::Page,
    Way::PlainPage,
    Way::Program,
    Way::LoginPage,
    Way::WebSocket,
    Way::Decide,
    Way::Check,
];

fn applies(kind: Kind, place: Place, limit: Limit) -> bool {
    let ends = !matches!(limit, Limit::Expired | Limit::Revoked) || kind.can_end();
    let placed = match kind {
        Kind::Cookie | Kind::Absent => place == Place::Header,
        Kind::Custom => place != Place::Header,
        _ => true,
    };
    ends && placed
}

#[tokio::test]
async fn login_has_exactly_the_rights_of_its_credential() {
    let mut seen = 0;
    for kind in [
        Kind::Shared,
        Kind::Set,
        Kind::Stored,
        Kind::Custom,
        Kind::Cookie,
        Kind::Absent,
    ] {
        for place in [Place::Header, Place::Query, Place::HeaderAndOtherQuery] {
            for limit in LIMITS.into_iter().filter(|limit| applies(kind, place, *limit)) {
                for way in REQUESTS {
                    let case = format!("{kind:?} {place:?} {way:?} {limit:?}");
                    let (server, cookie) = server_and_cookie(kind, place, limit).await;
                    let request = server.request(kind, place, way, cookie.as_deref());
                    let (status, lines) = see(&server, request, way).await;
                    let login = login(&lines);
                    let found = Expected {
                        status,
                        login: login.is_some(),
                    };
                    assert_eq!(found, expected(kind, place, way, limit), "{case}: {lines:?}");
                    if let Some(login) = login {
                        check_grant(&server, kind, &login, &case).await;
                    }
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 500, "{seen} cases");
}

#[tokio::test]
async fn login_by_the_form_has_exactly_the_rights_of_what_was_typed() {
    for kind in [
        Kind::Shared,
        Kind::Set,
        Kind::Stored,
        Kind::Password,
        Kind::Absent,
    ] {
        assert!(kind.can_be_typed());
        for limit in LIMITS
            .into_iter()
            .filter(|limit| applies(kind, Place::Query, *limit) || kind == Kind::Absent)
        {
            let case = format!("{kind:?} typed {limit:?}");
            let server = Server::new(Place::Header, limit).await;
            server.end(limit).await;
            let answer = server.type_in(&server.layer, kind).await;
            let login = login(&answer.set_cookies());
            let found = Expected {
                status: answer.status.as_u16(),
                login: login.is_some(),
            };
            assert_eq!(
                found,
                expected(kind, Place::Header, Way::LoginForm, limit),
                "{case}: {answer:?}"
            );
            if let Some(login) = login {
                check_grant(&server, kind, &login, &case).await;
            }
        }
    }
}

#[tokio::test]
async fn login_by_a_launch_link_has_no_scopes() {
    for limit in [Limit::None, Limit::RequireRead, Limit::AuthorizerRefuses] {
        let server = Server::new(Place::Header, limit).await;
        let link = server.layer.launch_link("http://localhost/").expect("a link");
        let target = link
            .expose_url()
            .strip_prefix("http://localhost")
            .expect("our origin")
            .to_owned();
        let answer = send(
            &server.layer,
            request(&format!("GET {target}\naccept: text/html")),
        )
        .await;
        assert_eq!(answer.status, 303, "{limit:?}");
        let cookie = login(&answer.set_cookies()).expect("a login");
        let refused = if limit == Limit::None { 200 } else { 403 };
        assert_eq!(status(&server.layer, &cookie).await, refused, "{limit:?}");
        if limit != Limit::AuthorizerRefuses {
            check_grant(&server, Kind::Launch, &cookie, "a launch link").await;
        }
    }
}

#[tokio::test]
async fn no_combination_redirects_more_than_three_times() {
    for kind in [
        Kind::Shared,
        Kind::Set,
        Kind::Stored,
        Kind::Custom,
        Kind::Cookie,
        Kind::Absent,
    ] {
        for place in [Place::Header, Place::Query, Place::HeaderAndOtherQuery] {
            for limit in LIMITS.into_iter().filter(|limit| applies(kind, place, *limit)) {
                for way in [Way::Page, Way::PlainPage, Way::LoginPage] {
                    let (server, cookie) = server_and_cookie(kind, place, limit).await;
                    let request = server.request(kind, place, way, cookie.as_deref());
                    let count = redirects(&server, request).await;
                    assert!(
                        count <= 3,
                        "{kind:?} {place:?} {way:?} {limit:?}: {count} redirects"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn answer_to_a_token_in_the_query_has_the_identity_of_the_login_it_makes() {
    let server = Server::new(Place::Query, Limit::None).await;
    for kind in [Kind::Shared, Kind::Set, Kind::Stored] {
        let answer = send(
            &server.layer,
            server.request(kind, Place::Query, Way::Program, None),
        )
        .await;
        let cookie = login(&answer.set_cookies()).expect("a login");
        let later = send(&server.layer, request(&format!("GET /\ncookie: {cookie}"))).await;
        let (first, _) = answer.text.split_once(' ').expect("a user name");
        let (second, _) = later.text.split_once(' ').expect("a user name");
        assert_eq!(first, second, "{kind:?}");

        // With the login that it made, the same link makes no other.
        let target = format!("GET /?token={}\ncookie: {cookie}", server.token(kind));
        let again = send(&server.layer, request(&target)).await;
        assert_eq!(login(&again.set_cookies()), None, "{kind:?}");
        assert_eq!(again.text, answer.text, "{kind:?}");
    }
}

/// The same for a server behind a hub: what the hub's token and the cookie of a login there grant.
#[tokio::test]
async fn credentials_of_a_hub_have_exactly_the_rights_that_the_hub_grants() {
    use crate::hub_client_token_lookup::{
        Browser, Does, FakeHub, NOW, alice, gives, hub_layer, settings, state, user,
    };

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum HubKind {
        HeaderToken,
        QueryToken,
        Cookie,
    }
    for kind in [HubKind::HeaderToken, HubKind::QueryToken, HubKind::Cookie] {
        for query_allowed in [false, true] {
            for word in ["allowed", "no access", "unknown"] {
                for (way, optional) in [
                    (Way::Page, false),
                    (Way::Program, false),
                    (Way::WebSocket, false),
                    (Way::Program, true),
                ] {
                    let case =
                        format!("{kind:?}, query {query_allowed}, {word}, {way:?}, optional {optional}");
                    let hub = FakeHub::that(alice());
                    let settings = settings(&hub);
                    let settings = if query_allowed {
                        settings.allow_token_in_url()
                    } else {
                        settings
                    };
                    let clock = TestClock::new(NOW);
                    let layer = hub_layer(settings, &clock);
                    let mut cookie = String::new();
                    if kind == HubKind::Cookie {
                        let mut browser = Browser::default();
                        let state = state(&browser.open(&layer, "/user/alice/").await);
                        gives(&hub, "B1SRtkF5j4MQzcHB1TqbUH1QO2MKj4");
                        let back = format!("/user/alice/oauth_callback?code=c&state={state}");
                        cookie = browser.open(&layer, &back).await.cookie("jupyterhub-user-alice=");
                        // Beyond the time for which the hub's answer is remembered.
                        clock.advance(Duration::from_secs(3600));
                    }
                    hub.now(match word {
                        "allowed" => alice(),
                        "no access" => user("alice", &["self"]),
                        _ => Does::Answers(403, Vec::new()),
                    });
                    let layer = if optional { layer.optional() } else { layer };
                    let query = if kind == HubKind::QueryToken {
                        "?token=abc"
                    } else {
                        ""
                    };
                    let path = if way == Way::Program { "api/contents" } else { "x" };
                    let mut lines = format!("GET /user/alice/{path}{query}");
                    if kind == HubKind::HeaderToken {
                        lines += "\nauthorization: token abc";
                    }
                    if !cookie.is_empty() {
                        lines += &format!("\ncookie: {cookie}");
                    }
                    lines += match way {
                        Way::Page => {
                            "\naccept: text/html\nsec-fetch-mode: navigate\nsec-fetch-dest: document"
                        }
                        Way::WebSocket => {
                            "\nconnection: upgrade\nupgrade: websocket\norigin: http://localhost\nsec-fetch-mode: websocket"
                        }
                        _ => "",
                    };
                    let answer = send(&layer, request(&lines)).await;

                    // The rule.
                    let is_read = kind != HubKind::QueryToken || query_allowed || way == Way::WebSocket;
                    let is_good = is_read && word == "allowed";
                    let is_page = way == Way::Page;
                    let kept = is_good && kind == HubKind::QueryToken && query_allowed && is_page;
                    let no_access = is_read && word == "no access";
                    let anonymous = optional && !no_access && (!is_read || kind == HubKind::Cookie);
                    let status = if is_good {
                        if kept { 303 } else { 200 }
                    } else if anonymous {
                        200
                    } else if is_page && !no_access {
                        302
                    } else {
                        403
                    };
                    assert_eq!(answer.status, status, "{case}: {answer:?}");
                    let set = answer.set_cookies();
                    let set = set.iter().find(|line| {
                        line.starts_with("jupyterhub-user-alice=") && !line.contains("Max-Age=0")
                    });
                    assert_eq!(set.is_some(), kept, "{case}: {answer:?}");
                    if let Some(line) = set {
                        let pair = line.split(';').next().unwrap_or_default();
                        let later = format!("GET /user/alice/api/contents\ncookie: {pair}");
                        assert_eq!(send(&layer, request(&later)).await.status, 200, "{case}");
                        assert_eq!(
                            send(&layer.require_scope("admin"), request(&later)).await.status,
                            403,
                            "{case}"
                        );
                        hub.now(Does::Answers(403, Vec::new()));
                        clock.advance(Duration::from_secs(3600));
                        assert_eq!(
                            send(&layer, request(&later)).await.status,
                            403,
                            "{case}: after revocation"
                        );
                    }
                }
            }
        }
    }
}

//! The servers: the same routes for all, with a layer around them or without.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use axum::{
    Extension, Router,
    http::StatusCode,
    routing::{MethodRouter, get, post},
};
use axum_extra::extract::cookie::{Cookie, Key, SignedCookieJar};
use axum_login::{AuthManagerLayerBuilder, AuthSession, AuthUser, AuthnBackend, login_required};
use portcullis::{AuthLayer, store::MemoryTokenStore};
use rustix::time::{ClockId, clock_gettime};
use tokio::{net::TcpListener, runtime};
use tower_http::validate_request::ValidateRequestHeaderLayer;

use super::client::{Credential, STATUS_PATH, TOKEN};

pub(crate) const GREETING: &str = "hello, alice";
const USER: &str = "alice";

/// One row of the table.
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    pub(crate) router: fn() -> Router,
    pub(crate) credential: Credential,
    /// The start of the body, which names the user.
    pub(crate) greeting: &'static str,
}

pub(crate) const BARE: &str = "bare router";
pub(crate) const TOKEN_ROW: &str = "token, portcullis";
pub(crate) const COOKIE_ROW: &str = "cookie, portcullis";
pub(crate) const SESSION_ROW: &str = "session in memory, portcullis";
pub(crate) const TOWER_SESSIONS: &str = "cookie, tower-sessions";
pub(crate) const AXUM_LOGIN: &str = "cookie, axum-login";

pub(crate) fn variants() -> Vec<Variant> {
    let token = |name, router, greeting| Variant {
        name,
        router,
        credential: Credential::Token,
        greeting,
    };
    let cookie = |name, router, login, greeting| Variant {
        name,
        router,
        credential: Credential::Cookie { login },
        greeting,
    };
    // `AuthLayer::token` names its users `Anonymous` and a moon of Jupiter.
    let anonymous = "hello, Anonymous ";
    let page_with_token = "GET /?token=0123456789abcdef0123456789abcdef0123456789abcdef";
    let login = "POST /login";
    vec![
        token(BARE, bare, GREETING),
        token(TOKEN_ROW, portcullis, anonymous),
        token("token, tower-http", tower_http_bearer, GREETING),
        cookie(COOKIE_ROW, portcullis, page_with_token, anonymous),
        cookie(SESSION_ROW, portcullis_sessions, page_with_token, anonymous),
        cookie("cookie, axum-extra", axum_extra_signed, login, GREETING),
        cookie(TOWER_SESSIONS, tower_sessions, login, GREETING),
        cookie(AXUM_LOGIN, axum_login, login, GREETING),
    ]
}

fn routes<S: Clone + Send + Sync + 'static>(status: MethodRouter<S>, login: MethodRouter<S>) -> Router<S> {
    Router::new()
        .route(STATUS_PATH, status)
        .route("/login", login)
        .route("/health", get(async || "ok"))
}

fn greet(name: &str) -> String {
    format!("hello, {name}")
}

pub(crate) fn bare() -> Router {
    routes(get(async || greet(USER)), post(async || "no login"))
}

fn portcullis() -> Router {
    with_portcullis(AuthLayer::token(TOKEN.parse().expect("a token")))
}

fn portcullis_sessions() -> Router {
    let auth = AuthLayer::builder()
        .token(TOKEN.parse().expect("a token"))
        .sessions(MemoryTokenStore::new());
    with_portcullis(auth.build().expect("a layer"))
}

fn with_portcullis(auth: AuthLayer) -> Router {
    let status =
        async |Extension(session): Extension<portcullis::Session>| greet(session.identity().display_name());
    routes(get(status), post(async || "no login")).layer(auth)
}

fn tower_http_bearer() -> Router {
    #[expect(deprecated, reason = "nothing has taken its place")]
    let layer = ValidateRequestHeaderLayer::bearer(TOKEN);
    bare().layer(layer)
}

fn axum_extra_signed() -> Router {
    let status = async |jar: SignedCookieJar| match jar.get("user") {
        Some(user) => Ok(greet(user.value())),
        None => Err(StatusCode::UNAUTHORIZED),
    };
    let login = async |jar: SignedCookieJar| (jar.add(Cookie::new("user", USER)), "logged in");
    routes(get(status), post(login)).with_state(Key::generate())
}

fn tower_sessions() -> Router {
    use tower_sessions::{MemoryStore, Session, SessionManagerLayer};

    let status = async |session: Session| match session.get::<String>("user").await {
        Ok(Some(user)) => Ok(greet(&user)),
        _ => Err(StatusCode::UNAUTHORIZED),
    };
    let login = async |session: Session| {
        session.insert("user", USER).await.expect("a session in memory");
        "logged in"
    };
    routes(get(status), post(login)).layer(SessionManagerLayer::new(MemoryStore::default()))
}

fn axum_login() -> Router {
    use axum_login::tower_sessions::SessionManagerLayer;
    use tower_sessions_memory_store::MemoryStore;

    let status = async |session: AuthSession<Backend>| match session.user {
        Some(user) => Ok(greet(&user.name)),
        None => Err(StatusCode::UNAUTHORIZED),
    };
    let login = async |mut session: AuthSession<Backend>| {
        let user = session.authenticate(()).await.expect("users in memory");
        session
            .login(&user.expect("a known user"))
            .await
            .expect("a session in memory");
        "logged in"
    };
    let user = User {
        name: USER.to_owned(),
        password_hash: vec![7; 97],
    };
    let users = Backend(Arc::new(HashMap::from([(USER.to_owned(), user)])));
    let sessions = SessionManagerLayer::new(MemoryStore::default());
    let status = get(status).route_layer(login_required!(Backend));
    routes(status, post(login)).layer(AuthManagerLayerBuilder::new(users, sessions).build())
}

/// The users of axum-login, in memory.
#[derive(Clone)]
struct Backend(Arc<HashMap<String, User>>);

#[derive(Clone, Debug)]
struct User {
    name: String,
    password_hash: Vec<u8>,
}

impl AuthUser for User {
    type Id = String;

    fn id(&self) -> String {
        self.name.clone()
    }

    fn session_auth_hash(&self) -> &[u8] {
        &self.password_hash
    }
}

impl AuthnBackend for Backend {
    type User = User;
    type Credentials = ();
    type Error = Infallible;

    async fn authenticate(&self, _: ()) -> Result<Option<User>, Infallible> {
        Ok(self.0.get(USER).cloned())
    }

    async fn get_user(&self, name: &String) -> Result<Option<User>, Infallible> {
        Ok(self.0.get(name).cloned())
    }
}

/// A server in a thread of its own, with a runtime of that one thread. It runs until the process ends.
pub(crate) struct Server {
    runtime: runtime::Handle,
    address: SocketAddr,
}

impl Server {
    pub(crate) fn start(router: Router) -> Self {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a free port");
        let server = Self {
            runtime: runtime.handle().clone(),
            address: listener.local_addr().expect("a bound socket"),
        };
        thread::spawn(move || runtime.block_on(async { axum::serve(listener, router).await }));
        server
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The CPU time that the server's thread has used, in user space and in the kernel.
    pub(crate) fn cpu_time(&self) -> Duration {
        let (sender, receiver) = mpsc::channel();
        self.runtime.spawn(async move {
            let time = clock_gettime(ClockId::ThreadCPUTime);
            sender.send(Duration::try_from(time).expect("a time since the start"))
        });
        receiver.recv().expect("the server runs")
    }
}

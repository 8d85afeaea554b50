//! The hub as a service.

use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Method, Request, Response, StatusCode, header::AUTHORIZATION,
    header::CONTENT_SECURITY_POLICY,
};
use http_body::Body;
use http_body_util::{BodyExt, Full, Limited};
use tower_service::Service;

use super::{
    activity::Activities,
    builder::HubBuilder,
    call::Call,
    member::Members,
    registry::Registry,
    route::Route,
    told::{self, Trouble},
};
use crate::{
    answer::BoxFuture,
    base_url::BaseUrl,
    cookie::{CookieJar, CookieScope},
    deadline::within,
    denial::Reason,
    error::BoxError,
    event::{Event, Observer},
    gate::{PasswordAttempts, login_cookie::XsrfCookie, responses::OwnResponse},
    guard::Guards,
    head::Head,
    store::HubStore,
    time::Clock,
    verify::StoredTokens,
};

/// A hub: people log in here once, and services and single-user servers send them here to know who they are.
///
/// A service of its own: it answers what lies below `<base>hub/`, and sends on what is left to a hub below its base,
/// such as `/user/alice/` while no server is there. It is always ready, clones are handles, and nothing it does blocks
/// a thread. The whole path must reach it, so in axum it is a `fallback_service` or a `route_service`; `nest_service`
/// would cut the path.
///
/// | path below `<base>hub/` | answer |
/// |---|---|
/// | `login`, `logout` | the login form; the end of a login, and of all tokens made in it |
/// | `home` | what a user holds: tokens and logins, each with a button to end it |
/// | `api`, `api/health`, `health` | version, and that the hub lives |
/// | `api/oauth2/authorize`, `api/oauth2/token` | the OAuth provider |
/// | `api/user`, `api/users`, `api/users/<name>` | who a token belongs to; users |
/// | `api/users/<name>/tokens`, `…/tokens/<id>` | tokens: listed, made, revoked |
/// | `api/users/<name>/activity` | when somebody was last active |
///
/// # Security
///
/// Tokens, codes and logins are kept as hashes. A login is a row of the store, so a logout ends it wherever its cookie
/// went. Scopes are weighed at each use, against what the owner may do then.
///
/// # Example
///
/// ```
/// use portcullis::{
///     Identity, MemoryTokenStore, PasswordHash, Secret, StoredPasswords, Token, Users,
///     provider::{Client, Hub, Member},
/// };
///
/// let hash = PasswordHash::hash(&Secret::from("purple tricycle nine"))?;
/// let users = Users::new([(Identity::new("alice"), hash)])?;
/// let alice = Member::new("alice")?.with_scopes(["access:services!service=whoami"])?;
/// let whoami = Client::service("whoami", "http://127.0.0.1:9000/services/whoami/oauth_callback", &Token::generate())?;
///
/// let hub = Hub::builder(MemoryTokenStore::new())
///     .passwords(StoredPasswords::new(users))
///     .member(alice)
///     .client(whoami)
///     .build()?;
/// # fn axum(hub: Hub) -> axum::Router {
/// axum::Router::new().fallback_service(hub)
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Hub(pub(super) Arc<Shared>);

/// What all handles of a hub share.
pub(crate) struct Shared {
    /// Where everything of the hub's users lives: `<base>`.
    pub(crate) base_url: BaseUrl,
    /// `<base>hub/`.
    pub(crate) hub_url: BaseUrl,
    pub(crate) members: Members,
    pub(crate) registry: Registry,
    pub(crate) passwords: Arc<PasswordAttempts>,
    pub(crate) store: Arc<dyn HubStore>,
    pub(crate) tokens: StoredTokens<Arc<dyn HubStore>>,
    pub(crate) guards: Guards,
    pub(crate) xsrf_cookie: XsrfCookie,
    pub(crate) xsrf_guard: crate::guard::XsrfGuard<crate::cookie::Keyring>,
    pub(crate) login_jar: CookieJar,
    pub(crate) session_scope: CookieScope,
    /// A cookie of old hubs, still taken away.
    pub(crate) services_scope: CookieScope,
    pub(crate) activities: Activities,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) version: Box<str>,
    pub(crate) version_field: HeaderValue,
    /// What pages with a form may do: send it here, and be led on to the clients.
    pub(crate) policy: HeaderValue,
    /// How long a login lasts, and a token that a client was given in it.
    pub(crate) lifetime: Duration,
    /// How long the body of a request may take to arrive.
    pub(crate) body_timeout: Duration,
}

static VERSION: HeaderName = HeaderName::from_static("x-jupyterhub-version");

/// The longest body that is read, in octets.
const BODY_LIMIT: usize = 64 * 1024;

impl Hub {
    /// A hub that keeps tokens, codes and logins in `store`.
    pub fn builder(store: impl HubStore) -> HubBuilder {
        HubBuilder::new(Arc::new(store))
    }

    /// A handle on its members; a change holds from the next request on.
    pub fn members(&self) -> Members {
        self.0.members.clone()
    }
}

impl<Q> Service<Request<Q>> for Hub
where
    Q: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = BoxFuture<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let hub = Arc::clone(&self.0);
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let request = Request::from_parts(parts, ());
            // Nothing but a POST has a body that is looked at.
            let body = if *request.method() == Method::POST {
                hub.read(body).await
            } else {
                Ok(Bytes::new())
            };
            Ok(hub.answer(&request, body).await)
        })
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("base_url", &self.0.base_url.as_str())
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Reads a form or JSON, within bounds of length and time.
    async fn read<B>(&self, body: B) -> Result<Bytes, Trouble>
    where
        B: Body<Error: Into<BoxError>>,
    {
        match within(self.body_timeout, Limited::new(body, BODY_LIMIT).collect()).await {
            Some(Ok(body)) => Ok(body.to_bytes()),
            Some(Err(_)) => Err(Trouble::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "expected at most 65536 octets",
            )),
            None => Err(Trouble::new(
                StatusCode::REQUEST_TIMEOUT,
                "expected the whole body in time, found a part of it",
            )),
        }
    }

    async fn answer(&self, request: &Request<()>, body: Result<Bytes, Trouble>) -> OwnResponse {
        let head = Head::at(request, &*self.clock);
        let route = Route::of(self, head.uri().path());
        let answered = match (self.guards.surroundings(head), body) {
            (Err(denial), _) => Err(denial.into()),
            (Ok(_), Err(trouble)) => Err(trouble),
            (Ok(surroundings), Ok(body)) => {
                let call = Call {
                    hub: self,
                    head,
                    surroundings,
                    body: &body,
                };
                call.answer(&route).await
            }
        };
        let mut response = match answered {
            Ok(response) => response,
            Err(trouble) => {
                self.tell_of(&trouble, head);
                if route.is_for_programs() {
                    trouble.in_json()
                } else {
                    trouble.in_html()
                }
            }
        };
        let headers = response.headers_mut();
        headers.insert(&VERSION, self.version_field.clone());
        if headers
            .get(CONTENT_SECURITY_POLICY)
            .is_some_and(|policy| policy == *crate::page::CONTENT_SECURITY_POLICY)
        {
            headers.insert(CONTENT_SECURITY_POLICY, self.policy.clone());
        }
        response
    }

    fn tell_of(&self, trouble: &Trouble, head: Head<'_>) {
        let path = crate::event::LoggedPath::of(head.uri().path());
        let client = || {
            let surroundings = self.guards.surroundings(head).ok()?;
            self.guards.client(&surroundings, head)
        };
        match trouble {
            Trouble::Denied(denial) => self.tell(&Event::Refused {
                reason: denial.reason(),
                label: None,
                path,
                client: client(),
            }),
            Trouble::Refused(StatusCode::FORBIDDEN, message) => self.tell(&Event::Refused {
                reason: match message {
                    Some(_) => Reason::InsufficientScope,
                    None if head.headers().contains_key(AUTHORIZATION) => Reason::UnknownToken,
                    None => Reason::NoCredential,
                },
                label: None,
                path,
                client: client(),
            }),
            Trouble::Refused(..) => {}
            Trouble::Unavailable(unavailable) => self.tell(&Event::Unavailable {
                error: &**unavailable.error(),
                path,
            }),
        }
    }

    pub(crate) fn tell(&self, event: &Event<'_>) {
        if let Some(observer) = &self.observer {
            observer.observe(event);
        }
    }

    /// `{"version": …}`.
    pub(crate) fn version(&self) -> OwnResponse {
        told::json_response(StatusCode::OK, &serde_json::json!({ "version": self.version }))
    }
}

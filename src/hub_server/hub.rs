//! The hub as a service.

use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderName, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full, Limited};
use tower_service::Service;

use super::{
    members::{Members, RequestMembers},
    request::HubRequest,
    response::HubError,
    route::Route,
    state::HubState,
    user::HubUsers,
};
use crate::{
    deadline::within,
    error::{BackendError, BoxError},
    event::Event,
    maybe_future::BoxFuture,
    middleware::{error_response::FullResponse, protected_resource::allow_every_origin},
    request::head::RequestHead,
};

/// A hub: users log in here once, and services and single-user servers redirect them here to identify them.
///
/// A tower service of its own: it answers the paths below `<base>hub/`, and redirects other paths to a hub below its
/// base, such as `/user/alice/` while no server is there. It is always ready, clones are handles, and it never blocks a
/// thread. The whole path must reach it, so in axum it is a `fallback_service` or a `route_service`; `nest_service`
/// would cut the path.
///
/// | path below `<base>hub/` | answer |
/// |---|---|
/// | `login`, `logout` | the login form; the end of a login, and of all tokens made in it |
/// | `home` | what a user holds: tokens and logins, each with a button to end it |
/// | `api`, `api/health`, `health` | version, and that the hub lives |
/// | `api/oauth2/authorize`, `api/oauth2/token` | the OAuth provider |
/// | `api/oauth2/register` | new clients; see [`HubBuilder::dynamic_registration`](super::HubBuilder::dynamic_registration) |
/// | `api/oauth2/introspect`, `api/oauth2/revoke` | what a token grants, for resource servers; its end |
/// | `api/user`, `api/users`, `api/users/<name>` | who a token belongs to; users |
/// | `api/users/<name>/tokens`, `…/tokens/<id>` | tokens: listed, made, revoked |
/// | `api/users/<name>/activity` | when a user was last active |
/// | `api/users/<name>/server`, `…/servers/<server>` | a server, to be stopped; see [`HubBuilder::server_stopper`](super::HubBuilder::server_stopper) |
/// | `user/<name>/…` | 424 for a server that does not run: JSON for API requests, a page for users |
/// | `user-redirect/<path>` | a redirect to the same path at the user's own server |
/// | `error/<status>` | the page that a proxy shows, such as `configurable-http-proxy --error-target` |
///
/// # Security
///
/// Tokens, codes and logins are kept as hashes. A login is a row of the store, so a logout ends it wherever its cookie
/// went. Scopes are checked at each use, against the current scopes of the owner.
///
/// # Example
///
/// ```
/// use portcullis::{
///     hub_server::{Hub, HubUser, OAuthClientConfig}, store::MemoryTokenStore,
///     verify::{MemoryPasswordStore, StoredPasswords}, Identity, PasswordHash, Secret, Token,
/// };
///
/// let hash = PasswordHash::hash(&Secret::from("purple tricycle nine"))?;
/// let users = MemoryPasswordStore::new([(Identity::new("alice"), hash)])?;
/// let alice = HubUser::new("alice")?.with_scopes(["access:services!service=whoami"])?;
/// let whoami = OAuthClientConfig::service("whoami", "http://127.0.0.1:9000/services/whoami/oauth_callback", &Token::generate())?;
///
/// let hub = Hub::builder(MemoryTokenStore::new())
///     .password_verifier(StoredPasswords::new(users))
///     .user(alice)
///     .client(whoami)
///     .build()?;
/// # fn axum(hub: Hub) -> axum::Router {
/// axum::Router::new().fallback_service(hub)
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Hub(pub(super) Arc<HubState>);

static VERSION: HeaderName = HeaderName::from_static("x-jupyterhub-version");

/// The longest body that is read, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

impl Hub {
    /// Whether a server runs, as far as the hub knows: it was not stopped by the API, or has reported activity since.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    pub async fn is_server_running(&self, user: &str, server: &str) -> Result<bool, BackendError> {
        let known = self.0.activity_of(user).await?;
        Ok(self.0.running_since(&known, user, server).is_some())
    }

    /// Returns a handle on the members that the hub was built with; a change holds from the next request on.
    ///
    /// It is empty, and changes nothing, if the members are in a [`HubBuilder::user_lookup`](super::HubBuilder::user_lookup).
    pub fn users(&self) -> HubUsers {
        match &self.0.members {
            Members::Listed(users) => users.clone(),
            Members::Directory(..) => HubUsers::default(),
        }
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

impl HubState {
    /// Reads a form or JSON, within bounds of length and time.
    async fn read<B>(&self, body: B) -> Result<Bytes, HubError>
    where
        B: Body<Error: Into<BoxError>>,
    {
        match within(self.body_timeout, Limited::new(body, BODY_LIMIT).collect()).await {
            Some(Ok(body)) => Ok(body.to_bytes()),
            Some(Err(_)) => Err(HubError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "expected at most 65536 bytes",
            )),
            None => Err(HubError::new(
                StatusCode::REQUEST_TIMEOUT,
                "expected the whole body in time, found a part of it",
            )),
        }
    }

    async fn answer(&self, request: &Request<()>, body: Result<Bytes, HubError>) -> FullResponse {
        let head = RequestHead::with_clock(request, &*self.clock);
        if self.guards.is_first_without_peer(head) {
            self.emit(&Event::PeerAddressMissing);
        }
        let route = Route::of(self, head.uri().path());
        let answered = match (self.guards.check_target(head), body) {
            (Err(denial), _) => Err(denial.into()),
            (Ok(_), Err(trouble)) => Err(trouble),
            (Ok(target), Ok(body)) => {
                let call = HubRequest {
                    hub: self,
                    members: &RequestMembers::new(&self.members),
                    head,
                    target,
                    body: &body,
                };
                call.answer(&route).await
            }
        };
        let mut response = match answered {
            Ok(response) => response,
            Err(trouble) => {
                self.emit_error(&trouble, head);
                if route.is_for_programs(head) {
                    trouble.into_json_response()
                } else {
                    trouble.into_html_response(&self.page_style, &self.hub_url)
                }
            }
        };
        let headers = response.headers_mut();
        headers.insert(&VERSION, self.version_field.clone());
        if route.is_for_pages_of_every_origin() {
            allow_every_origin(headers);
        }
        response
    }
}

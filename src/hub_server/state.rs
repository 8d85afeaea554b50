//! What all handles of a hub share.

use std::{sync::Arc, time::Duration};

use http::{HeaderValue, StatusCode, header::AUTHORIZATION};

use super::{
    client_registry::ClientRegistry,
    client_uri::ClientUri,
    members::Members,
    providers::HubSignIn,
    registration::Registration,
    response::{self, HubError},
};
use crate::{
    clock::{Clock, UnixTime},
    cookies::{CookieJar, CookieScope, Keyring},
    denial::Reason,
    error::BackendError,
    event::{Event, Observer, RedactedPath},
    html::PageStyle,
    maybe_future::MaybeFuture,
    middleware::{PasswordAttempts, cookies::CsrfCookie, error_response::FullResponse},
    request::{base_url::BaseUrl, head::RequestHead},
    request_policy::{CsrfTokens, RequestPolicy},
    store::HubStore,
    verify::StoredTokens,
};

/// Stops the server of a user, by both names.
pub(crate) type ServerStopper = dyn Fn(&str, &str) -> MaybeFuture<Result<(), BackendError>> + Send + Sync;

/// What all handles of a hub share.
pub(crate) struct HubState {
    /// Where everything of the hub's users lives: `<base>`.
    pub(crate) base_url: BaseUrl,
    /// `<base>hub/`.
    pub(crate) hub_url: BaseUrl,
    /// The identifier of the OAuth server, if users see the hub at one public URL.
    pub(crate) issuer: Option<Box<str>>,
    /// How clients register themselves, if they may.
    pub(crate) registration: Option<Registration>,
    /// The resources that tokens may be for; any if it is empty.
    pub(crate) resources: Vec<Box<str>>,
    pub(crate) members: Members,
    pub(crate) registry: ClientRegistry,
    pub(crate) passwords: Arc<PasswordAttempts>,
    pub(crate) sign_in: HubSignIn,
    pub(crate) store: Arc<dyn HubStore>,
    pub(crate) tokens: StoredTokens<Arc<dyn HubStore>>,
    pub(crate) guards: RequestPolicy,
    pub(crate) xsrf_cookie: CsrfCookie,
    pub(crate) xsrf_guard: CsrfTokens<Keyring>,
    pub(crate) login_jar: CookieJar,
    /// What the home page says next.
    pub(crate) notice_jar: CookieJar,
    pub(crate) session_scope: CookieScope,
    /// A cookie of old hubs, which is still removed.
    pub(crate) services_scope: CookieScope,
    /// A server that was never stopped counts as running since then.
    pub(crate) began: UnixTime,
    pub(crate) stopper: Option<Box<ServerStopper>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) version: Box<str>,
    pub(crate) version_field: HeaderValue,
    pub(crate) page_style: PageStyle,
    /// How long a login lasts, and a token that a client was given in it.
    pub(crate) lifetime: Duration,
    /// How long a refresh token is valid after its last use.
    pub(crate) refresh_lifetime: Duration,
    /// How long the body of a request may take to arrive.
    pub(crate) body_timeout: Duration,
}

impl HubState {
    pub(super) fn emit_error(&self, trouble: &HubError, head: RequestHead<'_>) {
        let path = RedactedPath::new(head.uri().path());
        let client = || {
            let target = self.guards.check_target(head).ok()?;
            self.guards.client_ip(&target, head)
        };
        match trouble {
            HubError::Denied(denial) => self.emit(&Event::Denied {
                reason: denial.reason(),
                identity: None,
                label: None,
                method: Some(head.method()),
                path,
                client: client(),
            }),
            HubError::Refused(StatusCode::FORBIDDEN, message) => self.emit(&Event::Denied {
                reason: match message {
                    Some(_) => Reason::InsufficientScope,
                    None if head.headers().contains_key(AUTHORIZATION) => Reason::UnknownToken,
                    None => Reason::MissingCredential,
                },
                identity: None,
                label: None,
                method: Some(head.method()),
                path,
                client: client(),
            }),
            HubError::Refused(..) | HubError::NotAllowed(_) => {}
            HubError::Unavailable(unavailable) => self.emit(&Event::Unavailable {
                error: &**unavailable.cause(),
                path,
            }),
        }
    }

    /// Whether a client may request tokens for the resource with this URI.
    pub(crate) fn is_resource(&self, uri: &str) -> bool {
        match &*self.resources {
            [] => ClientUri::parse(uri).is_some_and(ClientUri::is_private),
            listed => listed.iter().any(|known| **known == *uri),
        }
    }

    /// Whether a token for `resource` is for the hub: for everything, or for what is below its public URL, such as a service
    /// that queries the hub about its tokens.
    pub(crate) fn is_for_hub(&self, resource: Option<&str>) -> bool {
        let own = |resource: &str| {
            let below = resource.strip_prefix(self.issuer.as_deref()?)?;
            Some(below.is_empty() || below.starts_with('/'))
        };
        resource.is_none_or(|resource| own(resource).unwrap_or(false))
    }

    pub(crate) fn emit(&self, event: &Event<'_>) {
        if let Some(observer) = &self.observer {
            observer.observe(event);
        }
    }

    /// `{"version": …}`.
    pub(crate) fn version(&self) -> FullResponse {
        response::json_response(StatusCode::OK, &serde_json::json!({ "version": self.version }))
    }
}

//! Access tokens that are checked at an OAuth server: token introspection.

mod builder;
mod request;

use std::{fmt, sync::Arc, time::Duration};

use serde_json::{Map, Value};
use tokio::{runtime::Handle, sync::Semaphore};

use self::request::{Endpoint, RequestError};
use super::jwt::claims;
use crate::{
    clock::{Clock, MonotonicTime, UnixTime},
    digest::{DigestKey, sha256},
    error::BackendError,
    http_client::{CircuitBreaker, SingleFlight},
    maybe_future::MaybeFuture,
    secret::Secret,
    session::grant::Grant,
    store::ExpiringMap,
    token::PresentedToken,
    verify::{TokenVerifier, Verification},
};

pub use self::builder::IntrospectionVerifierBuilder;

/// The maximum number of tokens that are remembered.
const CAPACITY: usize = 16_384;

/// How long a token that is not active is remembered at most.
const INACTIVE: Duration = Duration::from_secs(5);

/// How many requests may be in progress at the same time.
const REQUESTS: usize = 64;

/// Verifies access tokens by querying the OAuth server that issued them (RFC 7662), for tokens that are not JWTs, and for
/// JWTs that may be revoked.
///
/// A token is accepted if the server says that it is `active`, it has not expired (`exp`) and is already valid (`nbf`), and,
/// where the verifier has an [audience](IntrospectionVerifierBuilder::audience), `aud` contains it. The grant is that of a
/// [`JwtVerifier`](super::JwtVerifier): the username from `sub`, scopes from `scope`, the client id as label, and all
/// members of the response as [claims](Grant::claims).
///
/// A response is remembered by the SHA-256 of the token for 60 seconds, so a revoked token may be valid that long; one that is
/// not active for 5 seconds. At most 16,384 tokens are remembered. While one request checks a token, others wait for its
/// response.
///
/// # When the server does not respond
///
/// Remembered tokens are accepted until their entry expires. Other requests get 503. Each request to the server takes 5 seconds
/// at most, 64 are in progress at the same time, and after 5 failures one in 5 seconds is sent. Responses of more than 1 MB and
/// redirects are errors.
///
/// # Examples
///
/// ```
/// use portcullis::{AuthLayer, Secret, verify::IntrospectionVerifier};
///
/// let verifier = IntrospectionVerifier::builder("https://login.example.org/introspect")
///     .client("api", &Secret::from("the secret of this server"))
///     .audience("https://api.example.org")
///     .build()?;
/// let auth = AuthLayer::bearer_tokens(verifier);
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct IntrospectionVerifier(Arc<Shared>);

struct Shared {
    endpoint: Endpoint,
    audiences: Vec<Box<str>>,
    username_claim: Box<str>,
    cache_ttl: Duration,
    /// Grants of active tokens; nothing for the others.
    answers: ExpiringMap<DigestKey, Option<Grant>>,
    under_way: SingleFlight<[u8; 32], Result<Option<Grant>, RequestError>>,
    requests: Arc<Semaphore>,
    breaker: CircuitBreaker,
    clock: Arc<dyn Clock>,
}

impl Shared {
    /// Queries the server, and remembers its response.
    async fn ask(
        &self,
        token: &Secret,
        hash: [u8; 32],
        now: MonotonicTime,
    ) -> Result<Option<Grant>, RequestError> {
        let response = self.endpoint.ask(token).await;
        // A server that responds works, whatever it says.
        let works = !matches!(response, Err(RequestError { is_outage: true, .. }));
        self.breaker.record(works, now);
        let date = self.clock.now();
        let grant = response?.and_then(|claims| self.grant(claims, date));
        let life = match &grant {
            None => self.cache_ttl.min(INACTIVE),
            Some(grant) => grant.expires_at().map_or(self.cache_ttl, |end| {
                end.saturating_duration_since(date).min(self.cache_ttl)
            }),
        };
        self.answers
            .insert(DigestKey(hash), grant.clone(), now.saturating_add(life), now);
        Ok(grant)
    }

    /// The grant of an active token, if it is for this server.
    fn grant(&self, response: Map<String, Value>, now: UnixTime) -> Option<Grant> {
        if !claims::has_audience(&response, &self.audiences) {
            return None;
        }
        let expires_at = match response.get("exp") {
            None | Some(Value::Null) => None,
            Some(exp) => Some(claims::time(exp)?),
        };
        if let Some(not_before) = response.get("nbf")
            && claims::time(not_before)? > now
        {
            return None;
        }
        let grant = claims::grant(response, &self.username_claim).ok()?;
        Some(match expires_at {
            Some(end) => grant.with_expiry(end),
            None => grant,
        })
    }
}

impl TokenVerifier for IntrospectionVerifier {
    fn verify(&self, token: PresentedToken<'_>) -> MaybeFuture<Verification> {
        let (hash, now) = (sha256(token.as_bytes()), self.0.clock.monotonic_now());
        if let Some(grant) = self.0.answers.get(&DigestKey(hash), now) {
            return verification(grant).into();
        }
        let unavailable = |text: &str, retry_after| {
            Verification::Unavailable(BackendError::new(text).with_retry_after(retry_after))
        };
        let Ok(runtime) = Handle::try_current() else {
            let text = "expected to run on tokio, which the introspection endpoint needs";
            return unavailable(text, Duration::from_secs(5)).into();
        };
        let shared = &self.0;
        let waiting = shared.under_way.join(hash, &runtime, || {
            let permit = Arc::clone(&shared.requests).try_acquire_owned().map_err(|_| {
                unavailable(
                    "too many requests to the introspection endpoint are in progress",
                    Duration::from_secs(5),
                )
            })?;
            shared.breaker.allow(now).map_err(|wait| {
                unavailable(
                    "the introspection endpoint did not respond lately, and gets no request until later",
                    wait,
                )
            })?;
            let (shared, token) = (Arc::clone(shared), Secret::from(token.expose()));
            Ok::<_, Verification>(async move {
                let result = shared.ask(&token, hash, now).await;
                drop(permit);
                result
            })
        });
        match waiting {
            Err(unavailable) => unavailable.into(),
            Ok(waiting) => MaybeFuture::from_future(async move {
                match waiting.await {
                    Some(Ok(grant)) => verification(grant),
                    Some(Err(error)) => Verification::Unavailable(BackendError::new(&*error.text)),
                    None => Verification::Unavailable(BackendError::new("the request was dropped")),
                }
            }),
        }
    }
}

fn verification(grant: Option<Grant>) -> Verification {
    grant.map_or(Verification::Unknown, Verification::Valid)
}

impl fmt::Debug for IntrospectionVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionVerifier")
            .field("audiences", &self.0.audiences)
            .finish_non_exhaustive()
    }
}

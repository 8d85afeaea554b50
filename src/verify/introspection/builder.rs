//! Settings of a verifier that queries an introspection endpoint.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::Full;
use tokio::sync::Semaphore;
use tower_service::Service;

use super::{
    CAPACITY, IntrospectionVerifier, REQUESTS, Shared,
    request::{Endpoint, basic, sensitive},
};
use crate::{
    clock::{Clock, SystemClock},
    error::{BoxError, ConfigError},
    http_client::{CircuitBreaker, ServiceTransport, SingleFlight, Transport, check_url, transport_or_ready},
    secret::Secret,
    store::ExpiringMap,
};

/// Settings of an [`IntrospectionVerifier`].
#[must_use]
pub struct IntrospectionVerifierBuilder {
    endpoint: String,
    authorization: Option<HeaderValue>,
    audiences: Vec<Box<str>>,
    username_claim: Box<str>,
    cache_ttl: Duration,
    transport: Option<Arc<dyn Transport>>,
    clock: Arc<dyn Clock>,
}

impl IntrospectionVerifier {
    /// Returns the settings of a verifier that queries `endpoint`: an `https` URL, or `http` on `localhost`.
    pub fn builder(endpoint: impl Into<String>) -> IntrospectionVerifierBuilder {
        IntrospectionVerifierBuilder {
            endpoint: endpoint.into(),
            authorization: None,
            audiences: Vec::new(),
            username_claim: "sub".into(),
            cache_ttl: Duration::from_secs(60),
            transport: None,
            clock: Arc::new(SystemClock),
        }
    }
}

impl IntrospectionVerifierBuilder {
    /// Sets the id and the secret by which the OAuth server knows this server, sent as HTTP Basic. Required, unless
    /// [`bearer_token`](Self::bearer_token) is set.
    pub fn client(self, id: &str, secret: &Secret) -> Self {
        Self {
            authorization: Some(basic(id, secret)),
            ..self
        }
    }

    /// Sets the access token by which the OAuth server knows this server, instead of a [`client`](Self::client).
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) fails for a token that a header cannot carry.
    pub fn bearer_token(self, token: &Secret) -> Self {
        let text = zeroize::Zeroizing::new(format!("Bearer {}", token.expose_str().unwrap_or("\0")));
        Self {
            authorization: sensitive(&text),
            ..self
        }
    }

    /// Adds an audience: an identifier of this server that `aud` must contain. May be called several times; a token needs
    /// one of them.
    ///
    /// Defaults to none: the server decides whether a token is for this server. RFC 7662 lets it say that a token is not
    /// active for the client that queries it.
    ///
    /// # Security
    ///
    /// Set it if the OAuth server issues tokens for several services and does not distinguish them.
    pub fn audience(mut self, audience: &str) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// Sets the member of the response with the username, such as `username`. A token without it is rejected.
    ///
    /// Defaults to `sub`.
    pub fn username_claim(self, name: &str) -> Self {
        Self {
            username_claim: name.into(),
            ..self
        }
    }

    /// Sets how long a response is remembered, which is how long a revoked token may be valid.
    ///
    /// Defaults to 60 seconds. Zero queries the endpoint at every request.
    pub fn cache_ttl(self, cache_ttl: Duration) -> Self {
        Self { cache_ttl, ..self }
    }

    /// Sets the HTTP client, as [`JwtVerifierBuilder::http_client`](crate::verify::JwtVerifierBuilder::http_client) does.
    ///
    /// # Security
    ///
    /// It must not follow redirects: requests have the token and the secret of this server.
    pub fn http_client<S, B>(self, client: S) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        Self {
            transport: Some(Arc::new(ServiceTransport(Mutex::new(client)))),
            ..self
        }
    }

    /// Sets the clock.
    ///
    /// Defaults to the system's clock.
    pub fn clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    /// Builds the verifier.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if the URL is not `https`, or if there is no client and no token.
    pub fn build(self) -> Result<IntrospectionVerifier, ConfigError> {
        let url =
            check_url(&self.endpoint).map_err(|found| ConfigError::new("introspection endpoint", found))?;
        let authorization = self.authorization.ok_or_else(|| {
            let expected = "expected the id and the secret of this server, or a bearer_token of visible ASCII characters";
            ConfigError::new("client", expected)
        })?;
        Ok(IntrospectionVerifier(Arc::new(Shared {
            endpoint: Endpoint {
                url,
                authorization,
                transport: transport_or_ready(self.transport)?,
            },
            audiences: self.audiences,
            username_claim: self.username_claim,
            cache_ttl: self.cache_ttl,
            answers: ExpiringMap::new(CAPACITY),
            under_way: SingleFlight::new(),
            requests: Arc::new(Semaphore::new(REQUESTS)),
            breaker: CircuitBreaker::default(),
            clock: self.clock,
        })))
    }
}

impl fmt::Debug for IntrospectionVerifierBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectionVerifierBuilder")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

//! Access tokens that an OAuth server signed: JWTs.

mod builder;
pub(super) mod claims;
mod compact;
mod key_cache;
mod key_set;
mod key_source;
mod rejection;

use std::{fmt, sync::Arc, time::Duration};

use self::{
    claims::Rules,
    compact::CompactJwt,
    key_cache::{FetchResult, KeyCache},
    key_set::KeySet,
    rejection::Rejection,
};
use crate::{
    clock::Clock,
    digest::{DigestKey, sha256},
    error::BackendError,
    event::{Event, Observer},
    maybe_future::{BoxFuture, MaybeFuture},
    secret::Secret,
    session::grant::Grant,
    token::PresentedToken,
    verify::{TokenVerifier, Verification},
};

pub use self::builder::JwtVerifierBuilder;

/// How long a verified token is remembered at most.
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

/// Verifies JWT access tokens of one issuer (RFC 9068), for a resource server such as an API or an MCP server.
///
/// A token is accepted if
///
/// 1. one of the issuer's keys signed it, with an algorithm that has a public key (never `none` or HMAC). A key in the
///    token itself (`jwk`, `jku`, `x5u`) is ignored;
/// 2. `iss` is the issuer, and `aud` contains the audience;
/// 3. `typ` is `at+jwt`, so that an ID token is not taken for an access token;
/// 4. it has not expired (`exp`, required) and is already valid (`nbf`), with 60 seconds of leeway.
///
/// The grant has the username from `sub`, the scopes from `scope` or `scp`, the client id as label, and all
/// [claims](Grant::claims). A token that is bound to a key of the client (`cnf`) is rejected, because the proof of that
/// key is not checked.
///
/// The keys are read from the URL that the issuer's metadata name, at the first request, and again every 5 minutes in the
/// background, and when a token names an unknown key, at most every 10 seconds. While the issuer does not respond, the
/// keys from before are used for a day; without keys, requests get 503. Responses of more than 1 MB, redirects, and sets of
/// more than 100 keys are errors. A request for the keys takes 10 seconds at most.
///
/// A verified token is remembered by its SHA-256, so the next request with it costs a hash and a lookup: 16,384 tokens,
/// an hour at most. A token of another issuer is rejected with [`Reason::UnsupportedToken`](crate::Reason), so verifiers
/// of several issuers can be used together. To see why tokens are rejected, set an
/// [`observer`](JwtVerifierBuilder::observer).
///
/// A clone shares keys and remembered tokens.
///
/// # Security
///
/// A JWT is valid until it expires, whatever happens to its user: prefer short lifetimes. Two issuers may give the same
/// `sub` to two users; use [`map_grant`](JwtVerifierBuilder::map_grant) to distinguish them.
///
/// # Examples
///
/// ```no_run
/// use portcullis::{AuthLayer, verify::JwtVerifier};
///
/// let verifier = JwtVerifier::builder("https://login.example.org")
///     .audience("https://api.example.org")
///     .build()?;
/// let auth = AuthLayer::bearer_tokens(verifier);
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct JwtVerifier(Arc<Shared>);

struct Shared {
    rules: Rules,
    keys: Arc<KeyCache>,
    clock: Arc<dyn Clock>,
    observer: Option<Arc<dyn Observer>>,
}

impl JwtVerifier {
    /// Reads the keys of the issuer now, so that a wrong URL is noticed when the server starts.
    ///
    /// By default the first request reads them. With given keys it returns at once.
    ///
    /// # Errors
    ///
    /// Returns what failed, in [`cause`](BackendError::cause). The verifier tries again at the next request.
    pub async fn fetch_keys(&self) -> Result<(), BackendError> {
        match self.0.keys.fetch(self.0.clock.monotonic_now())?.await {
            Ok(_) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Shared {
    /// Verifies a token that is not remembered.
    fn grant(&self, jwt: CompactJwt<'_>, hash: DigestKey, keys: &KeySet) -> Result<Grant, Rejection> {
        let algorithm = self.rules.check_header(&jwt.header, &jwt.claims)?;
        match keys.verifies(&jwt, algorithm) {
            Some(true) => {}
            Some(false) => return Err(Rejection::Signature),
            None => return Err(Rejection::UnknownKey),
        }
        let (now, moment) = (self.clock.now(), self.clock.monotonic_now());
        let grant = self.rules.grant(jwt.claims, now)?;
        let expiry = grant.expires_at().unwrap_or(now);
        let life = expiry.saturating_duration_since(now).min(REMEMBERED);
        let end = moment.saturating_add(life);
        keys.verified.insert(hash, grant.clone(), end, moment);
        Ok(grant)
    }

    fn verification(&self, result: Result<Grant, Rejection>) -> Verification {
        match result {
            Ok(grant) => Verification::Valid(grant),
            Err(rejection) => {
                // Most of what is not a JWT is a token of another verifier.
                if rejection != Rejection::NotJwt
                    && let Some(observer) = &self.observer
                {
                    let reason = rejection.as_str();
                    observer.observe(&Event::JwtRejected { reason });
                }
                rejection.verification()
            }
        }
    }

    /// Verifies a token once the keys have been read.
    async fn verify_later(
        &self,
        token: Secret,
        hash: DigestKey,
        keys: BoxFuture<FetchResult>,
    ) -> Verification {
        let keys = match keys.await {
            Ok(keys) => keys,
            Err(error) => return Verification::Unavailable(error.into()),
        };
        let jwt = CompactJwt::parse(token.expose_str().unwrap_or_default());
        self.verification(jwt.and_then(|jwt| self.grant(jwt, hash, &keys)))
    }
}

impl TokenVerifier for JwtVerifier {
    fn verify(&self, token: PresentedToken<'_>) -> MaybeFuture<Verification> {
        let (shared, hash, now) = (
            &self.0,
            DigestKey(sha256(token.as_bytes())),
            self.0.clock.monotonic_now(),
        );
        let keys = shared.keys.current(now);
        if let Some(grant) = keys.as_ref().and_then(|keys| keys.verified.get(&hash, now)) {
            return Verification::Valid(grant).into();
        }
        let result = CompactJwt::parse(token.expose()).and_then(|jwt| {
            // No token of another issuer makes this server fetch keys.
            shared.rules.check_header(&jwt.header, &jwt.claims)?;
            keys.as_ref()
                .map_or(Err(Rejection::UnknownKey), |keys| shared.grant(jwt, hash, keys))
        });
        let fetching = match result {
            Err(Rejection::UnknownKey) if keys.is_some() => shared.keys.fetch_unknown(now),
            Err(Rejection::UnknownKey) => Some(shared.keys.fetch(now)),
            _ => None,
        };
        match fetching {
            None => shared.verification(result).into(),
            Some(Err(error)) => Verification::Unavailable(error.into()).into(),
            Some(Ok(fetched)) => {
                let (shared, token) = (Arc::clone(shared), Secret::from(token.expose()));
                MaybeFuture::from_future(async move { shared.verify_later(token, hash, fetched).await })
            }
        }
    }
}

impl fmt::Debug for JwtVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtVerifier")
            .field("issuer", &self.0.rules.issuer)
            .field("audiences", &self.0.rules.audiences)
            .finish_non_exhaustive()
    }
}

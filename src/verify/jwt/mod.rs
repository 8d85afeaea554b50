//! Access tokens that an OAuth server signed: JWTs.

mod builder;
mod claims;
mod compact;
mod key_set;
mod rejection;

use std::{fmt, sync::Arc, time::Duration};

use self::{claims::Rules, compact::CompactJwt, key_set::KeySet, rejection::Rejection};
use crate::{
    clock::Clock,
    digest::{DigestKey, sha256},
    event::{Event, Observer},
    maybe_future::MaybeFuture,
    session::grant::Grant,
    swappable::Swappable,
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
/// `sub` to two users; use [`map_grant`](JwtVerifierBuilder::map_grant) to tell them apart.
///
/// # Examples
///
/// ```no_run
/// use portcullis::{AuthLayer, verify::JwtVerifier};
///
/// let verifier = JwtVerifier::builder("https://login.example.org")
///     .audience("https://api.example.org")
///     .jwks_file("/etc/api/jwks.json")
///     .build()?;
/// let auth = AuthLayer::bearer_tokens(verifier);
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct JwtVerifier(Arc<Shared>);

struct Shared {
    rules: Rules,
    keys: Swappable<KeySet>,
    clock: Arc<dyn Clock>,
    observer: Option<Arc<dyn Observer>>,
}

impl Shared {
    fn verify(&self, keys: &KeySet, token: PresentedToken<'_>) -> Result<Grant, Rejection> {
        let (hash, moment) = (DigestKey(sha256(token.as_bytes())), self.clock.monotonic_now());
        if let Some(grant) = keys.verified.get(&hash, moment) {
            return Ok(grant);
        }
        let jwt = CompactJwt::parse(token.expose())?;
        let algorithm = self.rules.check_header(&jwt.header, &jwt.claims)?;
        match keys.verifies(&jwt, algorithm) {
            Some(true) => {}
            Some(false) => return Err(Rejection::Signature),
            None => return Err(Rejection::UnknownKey),
        }
        let now = self.clock.now();
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
}

impl TokenVerifier for JwtVerifier {
    fn verify(&self, token: PresentedToken<'_>) -> MaybeFuture<Verification> {
        let result = self.0.keys.read(|keys| self.0.verify(keys, token));
        MaybeFuture::Ready(self.0.verification(result))
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

//! Settings of a verifier of JWTs.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower_service::Service;

use super::{
    JwtVerifier, Shared,
    claims::{MapGrant, Rules},
    key_cache::KeyCache,
    key_set::{KeySet, algorithm},
    key_source::{KeySource, check_url, read_file},
};
use crate::{
    clock::{Clock, SystemClock},
    error::{BoxError, ConfigError},
    event::Observer,
    http_client::{ServiceTransport, Transport, public_tls, ready},
    session::grant::Grant,
};

/// Settings of a [`JwtVerifier`].
///
/// # Examples
///
/// The key of RFC 8037, and an issuer whose tokens have the type `JWT` and the username in `preferred_username`:
///
/// ```
/// use portcullis::verify::JwtVerifier;
///
/// let jwks = r#"{"keys": [
///     {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
/// ]}"#;
/// let verifier = JwtVerifier::builder("https://login.example.org/realms/main")
///     .audience("https://api.example.org")
///     .jwks(jwks)
///     .allow_any_type()
///     .username_claim("preferred_username")
///     .build()?;
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[must_use]
pub struct JwtVerifierBuilder {
    issuer: String,
    audiences: Vec<Box<str>>,
    any_audience: bool,
    algorithms: Vec<String>,
    leeway: Duration,
    any_type: bool,
    username_claim: Box<str>,
    map_grant: Option<Box<MapGrant>>,
    keys: Keys,
    refresh_interval: Duration,
    transport: Option<Arc<dyn Transport>>,
    clock: Arc<dyn Clock>,
    observer: Option<Arc<dyn Observer>>,
}

/// Where the keys come from.
enum Keys {
    Json(Vec<u8>),
    File(PathBuf),
    Url(String),
    Issuer,
}

impl JwtVerifier {
    /// Returns the settings of a verifier of the tokens of `issuer`, which is compared with `iss` byte for byte.
    pub fn builder(issuer: impl Into<String>) -> JwtVerifierBuilder {
        JwtVerifierBuilder {
            issuer: issuer.into(),
            audiences: Vec::new(),
            any_audience: false,
            algorithms: Vec::new(),
            leeway: Duration::from_secs(60),
            any_type: false,
            username_claim: "sub".into(),
            map_grant: None,
            keys: Keys::Issuer,
            refresh_interval: Duration::from_secs(300),
            transport: None,
            clock: Arc::new(SystemClock),
            observer: None,
        }
    }
}

impl JwtVerifierBuilder {
    /// Adds an audience: an identifier of this server in `aud`, usually its URL. Required, and may be called several
    /// times; a token needs one of them.
    pub fn audience(mut self, audience: &str) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// Accepts tokens whatever their audience, for issuers that set none.
    ///
    /// Off by default.
    ///
    /// # Security
    ///
    /// Tokens that the issuer made for another service are accepted here: a service that gets a token can use it at
    /// this server. Check a claim by [`map_grant`](Self::map_grant) instead, such as `client_id`.
    pub fn danger_allow_any_audience(self) -> Self {
        Self {
            any_audience: true,
            ..self
        }
    }

    /// Sets the keys: a JWK set (RFC 7517) as JSON, which never changes.
    ///
    /// By default they are read from the issuer.
    pub fn jwks(self, json: impl Into<Vec<u8>>) -> Self {
        Self {
            keys: Keys::Json(json.into()),
            ..self
        }
    }

    /// Sets the file with the keys, a JWK set. It is read when the verifier is built, and again as often as a URL.
    pub fn jwks_file(self, path: impl Into<PathBuf>) -> Self {
        Self {
            keys: Keys::File(path.into()),
            ..self
        }
    }

    /// Sets the URL of the keys, a JWK set: `https`, or `http` on `localhost`.
    ///
    /// Defaults to `jwks_uri` in the metadata of the issuer: `<issuer>/.well-known/openid-configuration`, else
    /// `/.well-known/oauth-authorization-server` (RFC 8414). Their `issuer` must be the issuer of this verifier.
    pub fn jwks_url(self, url: impl Into<String>) -> Self {
        Self {
            keys: Keys::Url(url.into()),
            ..self
        }
    }

    /// Sets the age at which the keys are read again, in the background.
    ///
    /// Defaults to 5 minutes. A key that the issuer removes is accepted that long. A new key is found at once, because
    /// a token with an unknown `kid` makes this server read the keys again.
    pub fn refresh_interval(self, interval: Duration) -> Self {
        Self {
            refresh_interval: interval,
            ..self
        }
    }

    /// Sets the HTTP client that reads the keys, for example one that trusts the certificates of your company.
    ///
    /// Defaults to a client that trusts the certificate authorities that browsers trust. The client is cloned for each
    /// request. It must not follow redirects. The size of a response and its time are limited here.
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

    /// Sets the algorithms that are accepted, such as `ES256`.
    ///
    /// Defaults to those of the keys: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 and EdDSA. A key with
    /// `alg` is used with that one only.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) fails for an unknown algorithm, for `none`, and for HMAC (`HS256`), whose key would be
    /// a secret that this server shares with the issuer.
    pub fn algorithms<T: Into<String>>(self, algorithms: impl IntoIterator<Item = T>) -> Self {
        Self {
            algorithms: algorithms.into_iter().map(Into::into).collect(),
            ..self
        }
    }

    /// Sets by how much the clocks of issuer and server may differ. A token is accepted that long before `nbf` and after
    /// `exp`, and its grant expires then.
    ///
    /// Defaults to 60 seconds.
    pub fn leeway(self, leeway: Duration) -> Self {
        Self { leeway, ..self }
    }

    /// Accepts tokens of every type, for issuers that send `JWT` or no `typ`.
    ///
    /// By default, `typ` must be `at+jwt` (RFC 9068).
    ///
    /// # Security
    ///
    /// An ID token of the same issuer is accepted if its audience is. Make sure that the audience is an identifier of
    /// this server, and not the id of an OAuth client.
    pub fn allow_any_type(self) -> Self {
        Self {
            any_type: true,
            ..self
        }
    }

    /// Sets the claim with the username.
    ///
    /// Defaults to `sub`.
    ///
    /// # Security
    ///
    /// Users can change some claims, such as `email` or `preferred_username`, at some issuers, and take another
    /// user's name.
    pub fn username_claim(self, name: &str) -> Self {
        Self {
            username_claim: name.into(),
            ..self
        }
    }

    /// Sets a function that changes the grant of a verified token, for example to take scopes from another claim, or
    /// returns `None` to reject the token.
    ///
    /// Defaults to none. The result is remembered with the token.
    ///
    /// # Examples
    ///
    /// ```
    /// use portcullis::{Grant, verify::JwtVerifier};
    /// use serde_json::Value;
    ///
    /// let verifier = JwtVerifier::builder("https://login.example.org").map_grant(|grant: Grant| {
    ///     let roles = grant.claims()?.get("roles").and_then(Value::as_array)?;
    ///     let roles: Vec<String> = roles.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    ///     Some(grant.with_groups(roles))
    /// });
    /// ```
    pub fn map_grant(self, map: impl Fn(Grant) -> Option<Grant> + Send + Sync + 'static) -> Self {
        Self {
            map_grant: Some(Box::new(map)),
            ..self
        }
    }

    /// Sets the observer that gets [`Event::JwtRejected`](crate::Event::JwtRejected), with the reason, and
    /// [`Event::KeySetUnavailable`](crate::Event::KeySetUnavailable).
    ///
    /// Defaults to none: the layer reports rejected tokens as unknown.
    pub fn observer(self, observer: impl Observer) -> Self {
        Self {
            observer: Some(Arc::new(observer)),
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
    /// Returns a [`ConfigError`] that names the setting if there is no audience, if an algorithm is not supported, if a URL
    /// is not `https`, or if a given key set cannot be read or has no key that can be used.
    pub fn build(self) -> Result<JwtVerifier, ConfigError> {
        if self.audiences.is_empty() != self.any_audience {
            return Err(ConfigError::new(
                "audience",
                if self.any_audience {
                    "danger_allow_any_audience() accepts every audience, so an audience has no effect"
                } else {
                    "expected the identifier of this server in `aud`; danger_allow_any_audience() accepts every token of the issuer"
                },
            ));
        }
        let named = self.algorithms.iter().map(|name| {
            algorithm(name).ok_or_else(|| {
                let found =
                    format!("expected algorithms with a public key, such as ES256 or RS256, found {name:?}");
                ConfigError::new("algorithms", found)
            })
        });
        let algorithms = named.collect::<Result<_, _>>()?;
        let checked = |setting, url: &str| match check_url(url) {
            Ok(uri) if uri.query().is_none() || setting == "jwks_url" => Ok(()),
            Ok(_) => Err(ConfigError::new(
                setting,
                format!("expected a URL without a query, found {url:?}"),
            )),
            Err(found) => Err(ConfigError::new(setting, found)),
        };
        let parsed = |setting, json: &[u8]| {
            let keys = KeySet::parse(json).map_err(|found| ConfigError::new(setting, found))?;
            Ok::<_, ConfigError>(Some(keys))
        };
        let (source, keys) = match self.keys {
            Keys::Json(json) => (KeySource::Fixed, parsed("jwks", &json)?),
            Keys::File(path) => {
                let json = read_file(&path).map_err(|found| ConfigError::new("jwks_file", found))?;
                (KeySource::File(path), parsed("jwks_file", &json)?)
            }
            Keys::Url(url) => {
                checked("jwks_url", &url)?;
                (KeySource::Url(url, transport_or_ready(self.transport)?), None)
            }
            Keys::Issuer => {
                checked("issuer", &self.issuer)?;
                (
                    KeySource::Issuer(self.issuer.clone(), transport_or_ready(self.transport)?),
                    None,
                )
            }
        };
        let clock = Arc::clone(&self.clock);
        let keys = KeyCache::new(source, keys, self.refresh_interval, clock, self.observer.clone());
        Ok(JwtVerifier(Arc::new(Shared {
            rules: Rules {
                issuer: self.issuer.into(),
                audiences: self.audiences,
                algorithms,
                leeway: self.leeway,
                any_type: self.any_type,
                username_claim: self.username_claim,
                map_grant: self.map_grant,
            },
            keys: Arc::new(keys),
            clock: self.clock,
            observer: self.observer,
        })))
    }
}

fn transport_or_ready(set: Option<Arc<dyn Transport>>) -> Result<Arc<dyn Transport>, ConfigError> {
    match set {
        Some(transport) => Ok(transport),
        None => Ok(ready(public_tls()?)),
    }
}

impl fmt::Debug for JwtVerifierBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtVerifierBuilder")
            .field("issuer", &self.issuer)
            .field("audiences", &self.audiences)
            .finish_non_exhaustive()
    }
}

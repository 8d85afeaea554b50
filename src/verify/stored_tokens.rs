//! Tokens that are issued and revoked while the server runs.

use std::{fmt, sync::Arc, time::Duration};

use super::shared_token::unknown;
use crate::{
    clock::{Clock, SystemClock},
    maybe_future::MaybeFuture,
    secret::Secret,
    session::grant::Grant,
    store::{
        ExpiringMap, RecordId, SaltedTokenHash, StoreError, TokenFilter, TokenRecord, TokenStore, find_among,
    },
    token::{PresentedToken, Token, TokenHash},
    verify::{TokenVerifier, Verification},
};

/// How often the use of a token is recorded, at most.
const USE_RECORD_INTERVAL: Duration = Duration::from_secs(60);
/// How many recorded uses are remembered, so that requests that arrive before the store has
/// recorded a use do not record it again.
const NOTED: usize = 16_384;

/// Tokens that are issued, listed and revoked while the server runs, kept in a store.
///
/// Each request costs one SHA-256 and one lookup. A revocation takes effect from the next request on. The time of the
/// last use is recorded once a minute at most, in the background. A token that has the form of a generated one and a
/// wrong checksum is rejected without a lookup.
///
/// A clone is a handle on the same store.
///
/// # Example
///
/// ```
/// use portcullis::{store::{MemoryTokenStore, TokenFilter}, verify::StoredTokens, AuthLayer, Grant, Identity};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let tokens = StoredTokens::new(MemoryTokenStore::new());
/// let auth = AuthLayer::bearer_tokens(tokens.clone());
///
/// let phone = Grant::new(Identity::new("me")).with_scopes(["read"]).with_label("phone");
/// let (token, record) = tokens.issue(phone).await?;
/// println!("for your phone, shown once: {}", token.expose());
///
/// assert_eq!(tokens.list(TokenFilter::owner("me")).await?.len(), 1);
/// tokens.revoke(TokenFilter::id(record.id())).await?;
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
pub struct StoredTokens<S>(Arc<Shared<S>>);

struct Shared<S> {
    store: S,
    clock: Arc<dyn Clock>,
    noted: ExpiringMap<RecordId, ()>,
}

impl<S: TokenStore> StoredTokens<S> {
    /// Creates a verifier of the tokens in `store`.
    pub fn new(store: S) -> Self {
        Self::with_clock(store, SystemClock)
    }

    /// Creates a verifier with another clock than [`SystemClock`].
    pub fn with_clock(store: S, clock: impl Clock) -> Self {
        Self(Arc::new(Shared {
            store,
            clock: Arc::new(clock),
            noted: ExpiringMap::new(NOTED),
        }))
    }

    /// Returns the store.
    pub fn store(&self) -> &S {
        &self.0.store
    }

    /// Issues a token with `grant`, and returns it with its record.
    ///
    /// The token is not stored, only its hash: this is the only time that it can be shown.
    ///
    /// # Errors
    ///
    /// Returns an error if the store could not keep it.
    ///
    /// # Panics
    ///
    /// If the system's random generator fails.
    pub async fn issue(&self, grant: Grant) -> Result<(Token, TokenRecord), StoreError> {
        let record = TokenRecord::new(grant, self.0.clock.now());
        let token = self.0.store.issue(record.clone()).await?;
        Ok((token, record))
    }

    /// Lists the matching tokens that have not expired, oldest first.
    ///
    /// # Errors
    ///
    /// Returns an error if the store does not respond.
    pub async fn list(&self, which: TokenFilter) -> Result<Vec<TokenRecord>, StoreError> {
        self.0.store.list(which, self.0.clock.now()).await
    }

    /// Revokes the matching tokens, and returns how many there were.
    ///
    /// # Errors
    ///
    /// Returns an error if the store could not revoke them; then all of them are still valid.
    pub async fn revoke(&self, which: TokenFilter) -> Result<u64, StoreError> {
        self.0.store.revoke(which).await
    }

    /// Returns the record of a token that is being used. The caller checks whether it has expired.
    ///
    /// # Errors
    ///
    /// Returns an error if the store does not respond.
    pub fn find(&self, token: PresentedToken<'_>) -> MaybeFuture<Result<Option<TokenRecord>, StoreError>> {
        if token.is_oversized() || token.has_checksum_error() {
            return MaybeFuture::Ready(Ok(None));
        }
        let (tokens, hash) = (self.clone(), token.hash());
        let found = self.0.store.find(hash);
        if self.0.store.salted_hashes().is_some()
            && let Some(token) = PendingSaltedLookup::new(token, hash)
        {
            return MaybeFuture::from_future(async move {
                let found = match found.await? {
                    None => tokens.find_salted(token).await?,
                    found => found,
                };
                Ok(found.inspect(|record| tokens.note_use(record)))
            });
        }
        found.map(move |found| Ok(found?.inspect(|record| tokens.note_use(record))))
    }

    /// Looks for a token with a salted hash, and stores its plain hash if it is found.
    async fn find_salted(&self, token: PendingSaltedLookup) -> Result<Option<TokenRecord>, StoreError> {
        let salted = || self.0.store.salted_hashes();
        let Some(candidates) = salted().map(|salted| salted.find_by_prefix(&token.prefix)) else {
            return Ok(None);
        };
        let found = find_among(candidates.await?, token.text).await?;
        if let (Some(record), Some(salted)) = (&found, salted()) {
            salted.migrate(record.id(), token.hash);
        }
        Ok(found)
    }

    fn note_use(&self, record: &TokenRecord) {
        let (clock, id) = (&self.0.clock, record.id());
        let now = clock.now();
        let lately = |time| now.saturating_duration_since(time) < USE_RECORD_INTERVAL;
        if record.is_expired(now) || record.last_used().is_some_and(lately) {
            return;
        }
        let moment = clock.monotonic_now();
        let first = self.0.noted.update(id, moment, |noted| match noted {
            Some(noted) => (Some(noted), false),
            None => (Some(((), moment.saturating_add(USE_RECORD_INTERVAL))), true),
        });
        if first {
            self.0.store.record_use(id, now);
        }
    }
}

impl<S: TokenStore> TokenVerifier for StoredTokens<S> {
    fn verify(&self, token: PresentedToken<'_>) -> MaybeFuture<Verification> {
        let missing = unknown(token);
        self.find(token).map(|found| match found {
            Ok(Some(record)) => Verification::Valid(record.grant().clone()),
            Ok(None) => missing,
            Err(error) => Verification::Unavailable(error.into()),
        })
    }

    fn verify_hash(&self, hash: TokenHash) -> MaybeFuture<Verification> {
        let tokens = self.clone();
        self.0.store.find(hash).map(move |found| match found {
            Ok(Some(record)) => {
                tokens.note_use(&record);
                Verification::Valid(record.grant().clone())
            }
            Ok(None) => Verification::Unknown,
            Err(error) => Verification::Unavailable(error.into()),
        })
    }
}

impl<S> Clone for StoredTokens<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: fmt::Debug> fmt::Debug for StoredTokens<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredTokens")
            .field("store", &self.0.store)
            .finish_non_exhaustive()
    }
}

/// A token that may have a salted hash. Its text outlives the request during the lookup.
struct PendingSaltedLookup {
    text: Secret,
    prefix: String,
    hash: TokenHash,
}

impl PendingSaltedLookup {
    fn new(token: PresentedToken<'_>, hash: TokenHash) -> Option<Self> {
        let text = token.expose();
        let prefix = text.get(..SaltedTokenHash::PREFIX)?;
        (text.len() <= SaltedTokenHash::MAX_TOKEN_LEN).then(|| Self {
            text: text.into(),
            prefix: prefix.to_owned(),
            hash,
        })
    }
}

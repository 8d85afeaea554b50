//! Grants of tokens as the hub reports them: cached, and requested once for all that wait.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, watch},
};

use super::{
    answers::{Answers, Key, Word},
    api::{ErrorOrigin, HubApi, HubApiError},
    shares::{Share, Shares},
};
use crate::{
    clock::{Clock, MonotonicTime},
    error::BackendError,
    http_client::CircuitBreaker,
    maybe_future::MaybeFuture,
    secret::Secret,
    session::{AuthMethod, grant::Grant, scopes::Scopes},
    token::PresentedToken,
};

/// What the hub says of a token, cached.
pub(super) struct HubTokenCache {
    pub(super) api: HubApi,
    /// A grant with one of these scopes has access; if empty, every user that the hub knows has access.
    access_scopes: Scopes,
    answers: Answers,
    /// The lookups in progress, by the digest of the token: the hub's answer does not depend on the browser session.
    in_flight: Mutex<HashMap<[u8; 32], PendingLookup>>,
    shares: Shares,
    breaker: CircuitBreaker,
}

/// Receives the result of a lookup in progress.
type PendingLookup = watch::Receiver<Option<LookupResult>>;

/// A word, or why there is none.
type LookupResult = Result<Word, LookupError>;

/// Why there is no word, and when to try again.
#[derive(Clone, Debug)]
pub(super) struct LookupError {
    text: Arc<str>,
    retry_after: Duration,
}

/// When to come again if the hub does not say.
const RETRY_AFTER: Duration = Duration::from_secs(5);

impl HubTokenCache {
    pub(super) fn new(api: HubApi, access_scopes: Scopes, max_age: Duration) -> Self {
        Self {
            api,
            access_scopes,
            answers: Answers::new(max_age),
            in_flight: Mutex::default(),
            shares: Shares::new(),
            breaker: CircuitBreaker::default(),
        }
    }

    /// The hub's answer, if it is cached.
    #[inline]
    pub(super) fn get(&self, key: &Key, now: MonotonicTime) -> Option<Word> {
        self.answers.recall(key, now)
    }

    /// Forgets what the hub said of the token with this digest, in all browser sessions.
    ///
    /// The answer to a lookup in progress is not stored, and later requests do not wait for it.
    pub(super) fn invalidate(&self, token: [u8; 32], now: MonotonicTime) {
        self.answers.forget(token, now);
        self.in_progress().remove(&token);
    }

    /// The hub's answer about `token`: from the cache, or from the hub.
    #[cold]
    pub(super) fn lookup(
        self: &Arc<Self>,
        token: PresentedToken<'_>,
        key: Key,
        credential: AuthMethod,
        now: MonotonicTime,
    ) -> MaybeFuture<LookupResult> {
        let mut in_progress = self.in_progress();
        if let Some(said) = in_progress.get(&key.token) {
            return wait(said.clone());
        }
        // Another request may have queried the hub between the first check and the lock.
        if let Some(word) = self.answers.recall(&key, now) {
            return MaybeFuture::Ready(Ok(word));
        }
        let Ok(runtime) = Handle::try_current() else {
            let failure = LookupError::new(
                "expected to run on tokio, which sends requests to the hub",
                RETRY_AFTER,
            );
            return MaybeFuture::Ready(Err(failure));
        };
        let share = if credential == AuthMethod::Cookie || self.answers.knows(&key.token, now) {
            Share::Login
        } else {
            Share::UnknownToken
        };
        let permit = match self.allow(share, now) {
            Ok(permit) => permit,
            Err(failure) => return MaybeFuture::Ready(Err(failure)),
        };
        let (sender, said) = watch::channel(None);
        in_progress.insert(key.token, said.clone());
        drop(in_progress);
        let (verifier, token) = (Arc::clone(self), Secret::from(token.expose()));
        let lookup = InFlight {
            verifier,
            token: key.token,
            pending: said.clone(),
        };
        // A separate task: the request that started it may be cancelled, and others wait as well.
        runtime.spawn(async move {
            let said = lookup.verifier.fetch(&token, key, now).await;
            drop((lookup, permit));
            let _ = sender.send(Some(said));
        });
        wait(said)
    }

    async fn fetch(&self, token: &Secret, key: Key, sent_at: MonotonicTime) -> LookupResult {
        let result = self.api.user(token).await;
        self.record(&result, sent_at);
        match result {
            Ok(user) => {
                let word = self.status(user);
                self.answers.keep(key, word.clone(), sent_at);
                Ok(word)
            }
            Err(failure) => Err(LookupError::from(&failure)),
        }
    }

    fn status(&self, user: Option<Grant>) -> Word {
        match user {
            None => Word::Unknown,
            Some(grant) if self.access_scopes.is_empty() => Word::Allowed(grant),
            Some(grant) if grant.scopes().covers_any(&self.access_scopes) => Word::Allowed(grant),
            Some(_) => Word::Forbidden,
        }
    }

    /// Reports to the circuit breaker whether the hub answered. Only the hub's own failures count against it.
    pub(super) fn record<T>(&self, result: &Result<T, HubApiError>, sent_at: MonotonicTime) {
        match result {
            Ok(_) => self.breaker.record(true, sent_at),
            Err(failure) => match failure.origin {
                ErrorOrigin::Hub => self.breaker.record(false, sent_at),
                ErrorOrigin::Request => self.breaker.record(true, sent_at),
                ErrorOrigin::Own => {}
            },
        }
    }

    /// Takes a permit for a request to the hub. The circuit breaker is checked last, because it lets only one request
    /// through while it is open.
    pub(super) fn allow(
        &self,
        share: Share,
        now: MonotonicTime,
    ) -> Result<OwnedSemaphorePermit, LookupError> {
        let Some(permit) = self.shares.take(share) else {
            let text = format!(
                "too many requests to the hub are in progress for {}",
                share.name()
            );
            return Err(LookupError::new(&text, RETRY_AFTER));
        };
        match self.breaker.allow(now) {
            Ok(()) => Ok(permit),
            Err(wait) => Err(LookupError::new(
                "the hub did not answer lately, and gets no requests for now",
                wait,
            )),
        }
    }

    /// Requests the grant of a token that the hub just issued, and caches the answer.
    pub(super) async fn insert_new(&self, token: &Secret, key: Key, clock: &dyn Clock) -> LookupResult {
        self.fetch(token, key, clock.monotonic_now()).await
    }

    fn in_progress(&self) -> MutexGuard<'_, HashMap<[u8; 32], PendingLookup>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A lookup in progress, removed from the list when it is dropped.
struct InFlight {
    verifier: Arc<HubTokenCache>,
    token: [u8; 32],
    pending: PendingLookup,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut in_progress = self.verifier.in_progress();
        // After a logout, another lookup may have replaced it.
        let is_this = |pending: &PendingLookup| pending.same_channel(&self.pending);
        if in_progress.get(&self.token).is_some_and(is_this) {
            in_progress.remove(&self.token);
        }
    }
}

fn wait(mut said: PendingLookup) -> MaybeFuture<LookupResult> {
    MaybeFuture::from_future(async move {
        match said.wait_for(Option::is_some).await {
            Ok(said) => said.clone().unwrap_or_else(|| Err(LookupError::lost())),
            Err(_) => Err(LookupError::lost()),
        }
    })
}

impl LookupError {
    fn new(text: &str, retry_after: Duration) -> Self {
        Self {
            text: text.into(),
            retry_after,
        }
    }

    /// The error if the lookup's task was dropped: the runtime shuts down.
    fn lost() -> Self {
        Self::new("the lookup at the hub was dropped", RETRY_AFTER)
    }
}

impl From<&HubApiError> for LookupError {
    fn from(failure: &HubApiError) -> Self {
        Self {
            text: failure.to_string().into(),
            retry_after: failure.retry_after.unwrap_or(RETRY_AFTER),
        }
    }
}

impl From<LookupError> for BackendError {
    fn from(failure: LookupError) -> Self {
        Self::new(failure.text.to_string()).with_retry_after(failure.retry_after)
    }
}

impl fmt::Debug for HubTokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HubVerifier")
    }
}

//! What tokens are worth, by the hub's word: remembered, and asked for once at a time.

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
    api::{Fault, HubApi, HubApiError},
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
    /// One of these lets in; none, and everybody the hub knows may.
    access_scopes: Scopes,
    answers: Answers,
    /// The questions under way, by the digest of the token: the hub's answer does not depend on the browser session.
    in_flight: Mutex<HashMap<[u8; 32], Question>>,
    shares: Shares,
    breaker: CircuitBreaker,
}

/// The place where the answer to a question under way appears.
type Question = watch::Receiver<Option<LookupResult>>;

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

    /// The hub's word, if it is remembered.
    #[inline]
    pub(super) fn get(&self, key: &Key, now: MonotonicTime) -> Option<Word> {
        self.answers.recall(key, now)
    }

    /// Forgets what the hub said of the token with this digest, in all browser sessions.
    ///
    /// The answer to a question under way is not stored, and later requests do not wait for it.
    pub(super) fn invalidate(&self, token: [u8; 32], now: MonotonicTime) {
        self.answers.forget(token, now);
        self.under_way().remove(&token);
    }

    /// What `token` is worth, by the hub's word: remembered by now, or asked for.
    #[cold]
    pub(super) fn lookup(
        self: &Arc<Self>,
        token: PresentedToken<'_>,
        key: Key,
        credential: AuthMethod,
        now: MonotonicTime,
    ) -> MaybeFuture<LookupResult> {
        let mut under_way = self.under_way();
        if let Some(said) = under_way.get(&key.token) {
            return wait(said.clone());
        }
        // Somebody may have asked between our look and the lock.
        if let Some(word) = self.answers.recall(&key, now) {
            return MaybeFuture::Ready(Ok(word));
        }
        let Ok(runtime) = Handle::try_current() else {
            let failure = LookupError::new("expected to run on tokio, which asks the hub", RETRY_AFTER);
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
        let (tell, said) = watch::channel(None);
        under_way.insert(key.token, said.clone());
        drop(under_way);
        let (verifier, token) = (Arc::clone(self), Secret::from(token.expose()));
        let asked = InFlight {
            verifier,
            token: key.token,
            question: said.clone(),
        };
        // A task of its own: whoever asked first may go away, and others wait as well.
        runtime.spawn(async move {
            let said = asked.verifier.fetch(&token, key, now).await;
            drop((asked, permit));
            let _ = tell.send(Some(said));
        });
        wait(said)
    }

    async fn fetch(&self, token: &Secret, key: Key, asked_at: MonotonicTime) -> LookupResult {
        let result = self.api.user(token).await;
        self.record(&result, asked_at);
        match result {
            Ok(user) => {
                let word = self.status(user);
                self.answers.keep(key, word.clone(), asked_at);
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

    /// Tells the circuit breaker whether the hub answered. Only the hub's own failures count against it.
    pub(super) fn record<T>(&self, result: &Result<T, HubApiError>, asked_at: MonotonicTime) {
        match result {
            Ok(_) => self.breaker.record(true, asked_at),
            Err(failure) => match failure.fault {
                Fault::Hub => self.breaker.record(false, asked_at),
                Fault::Request => self.breaker.record(true, asked_at),
                Fault::Own => {}
            },
        }
    }

    /// Takes a place for a request to the hub. The circuit breaker is asked last, because it lets only one request
    /// through while it is open.
    pub(super) fn allow(
        &self,
        share: Share,
        now: MonotonicTime,
    ) -> Result<OwnedSemaphorePermit, LookupError> {
        let Some(permit) = self.shares.take(share) else {
            let text = format!("too many requests to the hub are under way for {}", share.name());
            return Err(LookupError::new(&text, RETRY_AFTER));
        };
        match self.breaker.allow(now) {
            Ok(()) => Ok(permit),
            Err(wait) => Err(LookupError::new(
                "the hub did not answer lately, and is not asked until later",
                wait,
            )),
        }
    }

    /// Asks the hub for a token that it just gave, and remembers the answer.
    pub(super) async fn insert_new(&self, token: &Secret, key: Key, clock: &dyn Clock) -> LookupResult {
        self.fetch(token, key, clock.monotonic_now()).await
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<[u8; 32], Question>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question under way. However it ends, it is one no more.
struct InFlight {
    verifier: Arc<HubTokenCache>,
    token: [u8; 32],
    question: Question,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut under_way = self.verifier.under_way();
        // After a logout another question may stand in its place.
        let is_this = |question: &Question| question.same_channel(&self.question);
        if under_way.get(&self.token).is_some_and(is_this) {
            under_way.remove(&self.token);
        }
    }
}

fn wait(mut said: Question) -> MaybeFuture<LookupResult> {
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

    /// The task that asked is gone: the runtime shuts down.
    fn lost() -> Self {
        Self::new("the question to the hub was dropped", RETRY_AFTER)
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

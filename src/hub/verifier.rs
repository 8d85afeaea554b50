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
    api::{Fault, HubApi, NoAnswer},
    breaker::Breaker,
    shares::{Share, Shares},
};
use crate::{
    clock::{Clock, Moment},
    error::Unavailable,
    grant::Grant,
    maybe_future::Answer,
    scopes::Scopes,
    secret::Secret,
    session::Credential,
    token::PresentedToken,
};

/// What the hub says of a token, cached.
pub(super) struct HubVerifier {
    pub(super) api: HubApi,
    /// One of these lets in; none, and everybody the hub knows may.
    access_scopes: Scopes,
    answers: Answers,
    /// The questions under way, by the digest of the token: the hub's answer does not depend on the browser session.
    under_way: Mutex<HashMap<[u8; 32], Question>>,
    shares: Shares,
    breaker: Breaker,
}

/// The place where the answer to a question under way appears.
type Question = watch::Receiver<Option<Said>>;

/// A word, or why there is none.
type Said = Result<Word, Failure>;

/// Why there is no word, and when to try again.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    text: Arc<str>,
    retry_after: Duration,
}

/// When to come again if the hub does not say.
const RETRY_AFTER: Duration = Duration::from_secs(5);

impl HubVerifier {
    pub(super) fn new(api: HubApi, access_scopes: Scopes, max_age: Duration) -> Self {
        Self {
            api,
            access_scopes,
            answers: Answers::new(max_age),
            under_way: Mutex::default(),
            shares: Shares::new(),
            breaker: Breaker::default(),
        }
    }

    /// The hub's word, if it is remembered.
    #[inline]
    pub(super) fn recall(&self, key: &Key, now: Moment) -> Option<Word> {
        self.answers.recall(key, now)
    }

    /// Forgets what the hub said of the token with this digest, in all browser sessions.
    ///
    /// The answer to a question under way is not stored, and later requests do not wait for it.
    pub(super) fn forget(&self, token: [u8; 32], now: Moment) {
        self.answers.forget(token, now);
        self.under_way().remove(&token);
    }

    /// What `token` is worth, by the hub's word: remembered by now, or asked for.
    #[cold]
    pub(super) fn ask(
        self: &Arc<Self>,
        token: PresentedToken<'_>,
        key: Key,
        credential: Credential,
        now: Moment,
    ) -> Answer<Said> {
        let mut under_way = self.under_way();
        if let Some(said) = under_way.get(&key.token) {
            return wait(said.clone());
        }
        // Somebody may have asked between our look and the lock.
        if let Some(word) = self.answers.recall(&key, now) {
            return Answer::Now(Ok(word));
        }
        let Ok(runtime) = Handle::try_current() else {
            let failure = Failure::new("expected to run on tokio, which asks the hub", RETRY_AFTER);
            return Answer::Now(Err(failure));
        };
        let share = if credential == Credential::Cookie || self.answers.knows(&key.token, now) {
            Share::Login
        } else {
            Share::UnknownToken
        };
        let permit = match self.admit(share, now) {
            Ok(permit) => permit,
            Err(failure) => return Answer::Now(Err(failure)),
        };
        let (tell, said) = watch::channel(None);
        under_way.insert(key.token, said.clone());
        drop(under_way);
        let (verifier, token) = (Arc::clone(self), Secret::from(token.expose()));
        let asked = Asked {
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

    async fn fetch(&self, token: &Secret, key: Key, asked_at: Moment) -> Said {
        let result = self.api.user(token).await;
        self.note(&result, asked_at);
        match result {
            Ok(user) => {
                let word = self.judge(user);
                self.answers.keep(key, word.clone(), asked_at);
                Ok(word)
            }
            Err(failure) => Err(Failure::from(&failure)),
        }
    }

    fn judge(&self, user: Option<Grant>) -> Word {
        match user {
            None => Word::Unknown,
            Some(grant) if self.access_scopes.is_empty() => Word::Allowed(grant),
            Some(grant) if grant.scopes().cover_one_of(&self.access_scopes) => Word::Allowed(grant),
            Some(_) => Word::Forbidden,
        }
    }

    /// Tells the circuit breaker whether the hub answered. Only the hub's own failures count against it.
    pub(super) fn note<T>(&self, result: &Result<T, NoAnswer>, asked_at: Moment) {
        match result {
            Ok(_) => self.breaker.note(true, asked_at),
            Err(failure) => match failure.fault {
                Fault::Hub => self.breaker.note(false, asked_at),
                Fault::Request => self.breaker.note(true, asked_at),
                Fault::Own => {}
            },
        }
    }

    /// Takes a place for a request to the hub. The circuit breaker is asked last, because it lets only one request
    /// through while it is open.
    pub(super) fn admit(&self, share: Share, now: Moment) -> Result<OwnedSemaphorePermit, Failure> {
        let Some(permit) = self.shares.take(share) else {
            let text = format!("too many requests to the hub are under way for {}", share.name());
            return Err(Failure::new(&text, RETRY_AFTER));
        };
        match self.breaker.admit(now) {
            Ok(()) => Ok(permit),
            Err(wait) => Err(Failure::new(
                "the hub did not answer lately, and is not asked until later",
                wait,
            )),
        }
    }

    /// Asks the hub for a token that it just gave, and remembers the answer.
    pub(super) async fn introduce(&self, token: &Secret, key: Key, clock: &dyn Clock) -> Said {
        self.fetch(token, key, clock.moment()).await
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<[u8; 32], Question>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question under way. However it ends, it is one no more.
struct Asked {
    verifier: Arc<HubVerifier>,
    token: [u8; 32],
    question: Question,
}

impl Drop for Asked {
    fn drop(&mut self) {
        let mut under_way = self.verifier.under_way();
        // After a logout another question may stand in its place.
        let is_this = |question: &Question| question.same_channel(&self.question);
        if under_way.get(&self.token).is_some_and(is_this) {
            under_way.remove(&self.token);
        }
    }
}

fn wait(mut said: Question) -> Answer<Said> {
    Answer::later(async move {
        match said.wait_for(Option::is_some).await {
            Ok(said) => said.clone().unwrap_or_else(|| Err(Failure::lost())),
            Err(_) => Err(Failure::lost()),
        }
    })
}

impl Failure {
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

impl From<&NoAnswer> for Failure {
    fn from(failure: &NoAnswer) -> Self {
        Self {
            text: failure.to_string().into(),
            retry_after: failure.retry_after.unwrap_or(RETRY_AFTER),
        }
    }
}

impl From<Failure> for Unavailable {
    fn from(failure: Failure) -> Self {
        Self::new(failure.text.to_string()).with_retry_after(failure.retry_after)
    }
}

impl fmt::Debug for HubVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HubVerifier")
    }
}

//! What tokens are worth, by the hub's word: remembered, and asked for once at a time.

use std::{
    collections::HashMap,
    fmt,
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, sync::watch};

use super::{
    api::{HubApi, NoAnswer},
    breaker::Breaker,
};
use crate::{
    answer::Answer,
    digest::sha256,
    error::Unavailable,
    grant::Grant,
    scopes::Scopes,
    secret::Secret,
    store::Expiring,
    time::{Clock, Moment},
    token::PresentedToken,
};

/// What the hub says of a token, cached.
pub(super) struct HubVerifier {
    pub(super) api: HubApi,
    /// One of these lets in; none, and everybody the hub knows may.
    pub(super) access_scopes: Scopes,
    pub(super) max_age: Duration,
    cache: Expiring<Key, Word>,
    under_way: Mutex<HashMap<Key, watch::Receiver<Option<Said>>>>,
    breaker: Breaker,
}

/// The hub's word of a token.
#[derive(Clone, Debug)]
pub(super) enum Word {
    /// Somebody with access here.
    Allowed(Grant),
    /// Somebody without.
    Forbidden,
    /// Nobody.
    Unknown,
}

/// A word, or why there is none.
type Said = Result<Word, Failure>;

/// Why there is no word, and when to try again.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    text: Arc<str>,
    retry_after: Duration,
}

/// Whose answer it is: the token's, in one browser session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    token: [u8; 32],
    session: [u8; 32],
}

impl Hash for Key {
    /// The token's part is a digest already, of which eight octets spread well enough; a session id is whatever a
    /// browser sends, so all of it counts.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.token;
        state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
        if self.session != [0; 32] {
            state.write(&self.session);
        }
    }
}

impl Key {
    /// The key of the token with this digest.
    pub(super) fn new(token: [u8; 32], session: Option<&[u8]>) -> Self {
        let session = match session {
            None => [0; 32],
            // As the hub makes them; no hash needed.
            Some(id) if id.len() == 32 => id.try_into().unwrap_or_default(),
            Some(id) => sha256(id),
        };
        Self { token, session }
    }
}

/// The most answers that are remembered.
const CAPACITY: usize = 16_384;

/// How long a refusal is remembered at most.
const REFUSAL: Duration = Duration::from_secs(5);

/// The most tokens that are asked for at once.
const UNDER_WAY: usize = 64;

/// When to come again if the hub does not say.
const RETRY_AFTER: Duration = Duration::from_secs(5);

impl HubVerifier {
    pub(super) fn new(api: HubApi, access_scopes: Scopes, max_age: Duration) -> Self {
        Self {
            api,
            access_scopes,
            max_age,
            cache: Expiring::new(CAPACITY),
            under_way: Mutex::default(),
            breaker: Breaker::default(),
        }
    }

    /// The hub's word, if it is remembered.
    #[inline(always)]
    pub(super) fn recall(&self, key: &Key, now: Moment) -> Option<Word> {
        self.cache.get(key, now)
    }

    /// Forgets what the hub said.
    pub(super) fn forget(&self, key: Key, now: Moment) {
        self.cache.take(&key, now);
    }

    /// What `token` is worth, by the hub's word: remembered by now, or asked for.
    #[cold]
    pub(super) fn ask(self: &Arc<Self>, token: PresentedToken<'_>, key: Key, now: Moment) -> Answer<Said> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(said) = under_way.get(&key) {
            return wait(said.clone());
        }
        // Somebody may have asked between our look and the lock.
        if let Some(word) = self.cache.get(&key, now) {
            return Answer::Now(Ok(word));
        }
        let fail = |text: &str, retry_after| {
            Answer::Now(Err(Failure {
                text: text.into(),
                retry_after,
            }))
        };
        if under_way.len() >= UNDER_WAY {
            return fail("too many tokens are being asked for at the hub", RETRY_AFTER);
        }
        let Ok(runtime) = Handle::try_current() else {
            return fail("expected to run on tokio, which asks the hub", RETRY_AFTER);
        };
        if let Err(wait) = self.breaker.admit(now) {
            return fail(
                "the hub did not answer lately, and is not asked until later",
                wait,
            );
        }
        let (tell, said) = watch::channel(None);
        under_way.insert(key, said.clone());
        drop(under_way);
        let (verifier, token) = (Arc::clone(self), Secret::from(token.expose()));
        // A task of its own: whoever asked first may go away, and others wait as well.
        runtime.spawn(async move {
            let asked = Asked { verifier, key };
            let said = asked.verifier.fetch(&token, key, now).await;
            drop(asked);
            let _ = tell.send(Some(said));
        });
        wait(said)
    }

    async fn fetch(&self, token: &Secret, key: Key, asked_at: Moment) -> Said {
        let result = self.api.user(token).await;
        self.note(result.is_ok(), asked_at);
        match result {
            Ok(user) => {
                let word = self.judge(user);
                let age = match &word {
                    Word::Allowed(_) => self.max_age,
                    Word::Forbidden | Word::Unknown => self.max_age.min(REFUSAL),
                };
                // Counted from the question on: what the hub said was true then.
                self.cache
                    .insert(key, word.clone(), asked_at.after(age), asked_at);
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

    /// Takes note of whether the hub answered, for the circuit.
    pub(super) fn note(&self, answered: bool, asked_at: Moment) {
        self.breaker.note(answered, asked_at);
    }

    /// Whether the hub may be asked now.
    pub(super) fn admit(&self, now: Moment) -> Result<(), Failure> {
        self.breaker.admit(now).map_err(|retry_after| Failure {
            text: "the hub did not answer lately, and is not asked until later".into(),
            retry_after,
        })
    }

    /// Asks the hub for a token that it just gave, and remembers the answer.
    pub(super) async fn introduce(&self, token: &Secret, key: Key, clock: &dyn Clock) -> Said {
        self.fetch(token, key, clock.moment()).await
    }
}

/// A question under way. However it ends, it is one no more.
struct Asked {
    verifier: Arc<HubVerifier>,
    key: Key,
}

impl Drop for Asked {
    fn drop(&mut self) {
        let under_way = &self.verifier.under_way;
        under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }
}

fn wait(mut said: watch::Receiver<Option<Said>>) -> Answer<Said> {
    Answer::later(async move {
        match said.wait_for(Option::is_some).await {
            Ok(said) => said.clone().unwrap_or_else(|| Err(Failure::lost())),
            Err(_) => Err(Failure::lost()),
        }
    })
}

impl Failure {
    /// The task that asked is gone: the runtime shuts down.
    fn lost() -> Self {
        Self {
            text: "the question to the hub was dropped".into(),
            retry_after: RETRY_AFTER,
        }
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

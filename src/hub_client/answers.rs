//! The hub's answers about tokens, kept for a limited time.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::MonotonicTime,
    digest::{DigestKey, sha256},
    session::grant::Grant,
    store::ExpiringMap,
};

/// What the hub says about a token.
#[derive(Clone, Debug)]
pub(super) enum Word {
    /// The user or service has access to this server.
    Allowed(Grant),
    /// The user or service has no access to this server.
    Forbidden,
    /// The hub does not know the token.
    Unknown,
}

/// A token and the browser session that presents it.
///
/// The session id is a cookie that the client can choose: a different one makes this server query the hub again, as
/// JupyterHub's own servers do. It never keeps an answer alive.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) token: [u8; 32],
    session: [u8; 32],
}

impl Key {
    /// The key of the token with this digest.
    pub(super) fn new(token: [u8; 32], session: Option<&[u8]>) -> Self {
        let session = match session {
            None => [0; 32],
            // The hub's own ids have this length, so they need no hash.
            Some(id) if id.len() == 32 => id.try_into().unwrap_or_default(),
            Some(id) => sha256(id),
        };
        Self { token, session }
    }
}

/// A bounded cache of the hub's answers.
///
/// All answers about one token are one entry, so a logout or a refusal removes them together, whatever session ids
/// the requests carried.
pub(super) struct Answers {
    tokens: ExpiringMap<DigestKey, Entry>,
    max_age: Duration,
}

/// The maximum number of tokens.
const CAPACITY: usize = 16_384;

/// The maximum number of browser sessions for one token. Another one replaces the answer that ends first.
const SESSIONS: usize = 8;

/// How long a refusal is kept at most.
const REFUSAL: Duration = Duration::from_secs(5);

/// How long a token counts as known after its last answer, and how long a logout stays in the map.
const RETENTION: Duration = Duration::from_secs(60 * 60);

#[derive(Clone)]
struct Entry {
    answers: Arc<[Kept]>,
    /// Before this moment no answer is stored, because a logout happened.
    forgotten_until: MonotonicTime,
}

#[derive(Clone)]
struct Kept {
    session: [u8; 32],
    word: Word,
    end: MonotonicTime,
}

impl Answers {
    pub(super) fn new(max_age: Duration) -> Self {
        Self {
            tokens: ExpiringMap::new(CAPACITY),
            max_age,
        }
    }

    /// Returns the answer for this token in this session, unless it is too old.
    pub(super) fn recall(&self, key: &Key, now: MonotonicTime) -> Option<Word> {
        let kept = self.tokens.read(&DigestKey(key.token), now, |entry| {
            let mut answers = entry.answers.iter();
            let kept = answers.find(|kept| kept.session == key.session && kept.end > now)?;
            Some(kept.word.clone())
        });
        kept?
    }

    /// Whether the hub's last answer allowed this token, even if that answer is too old to be used.
    pub(super) fn knows(&self, token: &[u8; 32], now: MonotonicTime) -> bool {
        let entry = self.tokens.get(&DigestKey(*token), now);
        entry.is_some_and(|entry| {
            let mut answers = entry.answers.iter();
            answers.any(|kept| matches!(kept.word, Word::Allowed(_)))
        })
    }

    /// Stores the answer to a request that was sent at `sent_at`, unless the token was forgotten since.
    pub(super) fn keep(&self, key: Key, word: Word, sent_at: MonotonicTime) {
        let is_allowed = matches!(word, Word::Allowed(_));
        let age = if is_allowed {
            self.max_age
        } else {
            self.max_age.min(REFUSAL)
        };
        // Counted from the question on: the answer was true then.
        let end = sent_at.saturating_add(age);
        let entry_end = if is_allowed {
            self.retained_from(sent_at)
        } else {
            end
        };
        self.tokens.update(DigestKey(key.token), sent_at, |present| {
            if present
                .as_ref()
                .is_some_and(|(entry, _)| entry.forgotten_until > sent_at)
            {
                return (present, ());
            }
            // A refusal is about the token, so it replaces what was allowed in other sessions.
            let others = present.filter(|_| is_allowed).map(|(entry, _)| entry.answers);
            let mut answers: Vec<Kept> = others
                .iter()
                .flat_map(|answers| answers.iter())
                .filter(|kept| kept.session != key.session && kept.end > sent_at)
                .cloned()
                .collect();
            if answers.len() >= SESSIONS {
                answers.sort_by_key(|kept| kept.end);
                answers.remove(0);
            }
            answers.push(Kept {
                session: key.session,
                word,
                end,
            });
            let entry = Entry {
                answers: answers.into(),
                forgotten_until: MonotonicTime::default(),
            };
            (Some((entry, entry_end)), ())
        });
    }

    /// Forgets every answer about a token, and stores none until all answers to earlier questions are too old.
    ///
    /// A logout goes on to the hub, which ends the token a moment later. An answer in between must not be stored
    /// either.
    pub(super) fn forget(&self, token: [u8; 32], now: MonotonicTime) {
        let entry = Entry {
            answers: Arc::default(),
            forgotten_until: now.saturating_add(self.max_age),
        };
        self.tokens
            .insert(DigestKey(token), entry, self.retained_from(now), now);
    }

    fn retained_from(&self, moment: MonotonicTime) -> MonotonicTime {
        moment.saturating_add(self.max_age.max(RETENTION))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::identity::Identity;

    const MAX_AGE: Duration = Duration::from_secs(300);

    fn at(seconds: u64) -> MonotonicTime {
        MonotonicTime::from_duration(Duration::from_secs(seconds))
    }

    fn allowed() -> Word {
        Word::Allowed(Grant::new(Identity::new("alice")))
    }

    fn is_allowed(answers: &Answers, key: &Key, now: u64) -> bool {
        matches!(answers.recall(key, at(now)), Some(Word::Allowed(_)))
    }

    #[test]
    fn forgetting_a_token_removes_its_answers_in_every_session() {
        let answers = Answers::new(MAX_AGE);
        let keys = ["a", "b", "c"].map(|session| Key::new([1; 32], Some(session.as_bytes())));
        let other = Key::new([2; 32], Some(b"a"));
        for key in keys.iter().chain([&other]) {
            answers.keep(*key, allowed(), at(10));
            assert!(is_allowed(&answers, key, 309) && !is_allowed(&answers, key, 310));
        }
        answers.forget([1; 32], at(20));
        for key in &keys {
            assert!(answers.recall(key, at(20)).is_none());
        }
        assert!(is_allowed(&answers, &other, 20));
        assert!(!answers.knows(&[1; 32], at(20)) && answers.knows(&[2; 32], at(20)));
    }

    #[test]
    fn no_answer_is_stored_for_a_forgotten_token_until_earlier_answers_would_have_ended() {
        let answers = Answers::new(MAX_AGE);
        let key = Key::new([1; 32], None);
        answers.forget(key.token, at(20));
        for sent_at in [15, 20, 21, 319] {
            answers.keep(key, allowed(), at(sent_at));
            for now in [sent_at, 320, 400] {
                assert!(
                    answers.recall(&key, at(now)).is_none(),
                    "sent at {sent_at}, now {now}"
                );
            }
        }
        answers.keep(key, allowed(), at(320));
        assert!(is_allowed(&answers, &key, 320));
    }

    #[test]
    fn a_refusal_replaces_what_was_allowed_in_other_sessions() {
        for refusal in [Word::Unknown, Word::Forbidden] {
            let answers = Answers::new(MAX_AGE);
            let (first, second) = (Key::new([1; 32], Some(b"a")), Key::new([1; 32], Some(b"b")));
            answers.keep(first, allowed(), at(10));
            answers.keep(second, refusal, at(11));
            assert!(answers.recall(&first, at(12)).is_none());
            assert!(answers.recall(&second, at(15)).is_some() && answers.recall(&second, at(16)).is_none());
            assert!(!answers.knows(&[1; 32], at(12)));
        }
    }

    #[test]
    fn a_token_has_answers_for_eight_sessions_and_is_known_for_an_hour() {
        let answers = Answers::new(MAX_AGE);
        let key = |session: u64| Key::new([1; 32], Some(&session.to_le_bytes()));
        for session in 0..9 {
            answers.keep(key(session), allowed(), at(session));
        }
        for session in 0..9 {
            assert_eq!(is_allowed(&answers, &key(session), 9), session > 0, "{session}");
        }
        assert!(answers.recall(&key(8), at(308)).is_none());
        assert!(answers.knows(&[1; 32], at(308)) && answers.knows(&[1; 32], at(3_607)));
        assert!(!answers.knows(&[1; 32], at(3_608)));
    }
}

//! Where passwords are hashed: a few threads of their own, one buffer each, a bounded queue.

mod error;
mod queue;

use std::{
    fmt,
    sync::{Arc, LazyLock},
    thread,
};

pub use self::error::{HashingError, HashingErrorKind};
use self::queue::{Queue, Settings};
use crate::{
    password::{self, Argon2Memory, HashCost, PasswordHash, PasswordPolicy},
    secret::Secret,
};

/// A few threads that hash passwords, so that other work does not wait for them.
///
/// A hash takes tens of milliseconds and megabytes on purpose, so it must not run on a thread that serves
/// requests, and a burst of logins must not take more memory than planned:
///
/// 1. As many threads as the machine has cores; they start with the first password, and end after 10 idle
///    seconds. No async runtime is needed or used.
/// 2. One buffer a thread, kept between hashes and wiped when it is freed. So hashing takes at most
///    threads x memory of one hash, however many log in at once.
/// 3. At most 64 wait. The next fails at once ([`HashingErrorKind::Busy`]), and so does one
///    that has waited for 5 seconds.
/// 4. A future that is dropped gives its place back, and its password is not hashed.
/// 5. An empty password, or one over 1024 bytes, is wrong without any hashing.
///
/// A clone is a handle on the same pool.
///
/// # Security
///
/// A check takes at least as long as a new hash of [`with_cost`](Self::with_cost), whether the user is known
/// or not, has a password or not, or has one whose hash is cheaper. Where stored hashes *cost more* than
///    that, an attacker can find out by the time which users have such a hash: raise the cost to that of the stored ones,
/// or rehash them when these users log in.
///
/// # Example
///
/// ```
/// use std::sync::Arc;
///
/// use portcullis::{password::{HashingPool, PasswordCheck}, PasswordHash, Secret};
///
/// # async fn log_in(stored: Option<Arc<PasswordHash>>) -> Result<(), portcullis::password::HashingError> {
/// let password = Secret::from("correct horse battery staple");
/// match HashingPool::shared().verify(stored, password).await? {
///     PasswordCheck::Correct { needs_rehash } => println!("welcome"),
///     _ => println!("incorrect username or password"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HashingPool(Arc<Handle>);

/// What a pool says of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PasswordCheck {
    /// It is the one of the hash.
    Correct {
        /// Whether the hash is weak, or cheaper than new ones are, so that the password should be rehashed now.
        needs_rehash: bool,
    },
    /// It is another one, or there is no hash.
    Incorrect,
}

impl HashingPool {
    /// A pool of its own, with the defaults. Most programs need none but [`HashingPool::shared`].
    pub fn new() -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Self::with(Settings {
            threads,
            queue: 64,
            memory: HashCost::MAX_MEMORY,
            cost: HashCost::default(),
        })
    }

    /// The pool of this process, with the defaults.
    pub fn shared() -> Self {
        static SHARED: LazyLock<HashingPool> = LazyLock::new(HashingPool::new);
        SHARED.clone()
    }

    /// Default: the number of cores. A new pool with this many threads, at least one.
    #[must_use]
    pub fn with_threads(&self, threads: usize) -> Self {
        let threads = threads.max(1);
        Self::with(Settings {
            threads,
            ..self.settings()
        })
    }

    /// Default: 64. A new pool in which this many passwords may wait, at least one.
    #[must_use]
    pub fn with_queue_capacity(&self, queue: usize) -> Self {
        let queue = queue.max(1);
        Self::with(Settings {
            queue,
            ..self.settings()
        })
    }

    /// Default: 256 MiB, given in KiB. A new pool that runs no hash which takes more memory.
    ///
    /// A check of one that does fails as [`HashingErrorKind::MemoryLimit`], and the password is neither right nor
    /// wrong. The memory of your own [`cost`](Self::with_cost) is always allowed.
    #[must_use]
    pub fn with_memory_limit(&self, memory: u32) -> Self {
        Self::with(Settings {
            memory,
            ..self.settings()
        })
    }

    /// Default: [`HashCost::default`]. A new pool that makes hashes of this cost.
    #[must_use]
    pub fn with_cost(&self, cost: HashCost) -> Self {
        Self::with(Settings {
            cost,
            ..self.settings()
        })
    }

    /// What a new hash costs.
    pub fn cost(&self) -> HashCost {
        self.settings().cost
    }

    /// Whether `hash` takes no more memory than this pool allows. Checked when configuring.
    pub fn can_verify(&self, hash: &PasswordHash) -> bool {
        let settings = self.settings();
        hash.memory() <= settings.memory.max(settings.cost.memory_kib())
    }

    /// Whether `password` is the one of `hash`. With no hash, as for an unknown user, it is wrong, at the
    /// same cost.
    ///
    /// # Errors
    ///
    /// `Busy` if too many wait, `MemoryLimit` if the hash takes more memory than the pool allows, `Failed` if the
    /// system gives no thread. None of them says that the password is wrong.
    pub fn verify(
        &self,
        hash: Option<Arc<PasswordHash>>,
        password: Secret,
    ) -> impl Future<Output = Result<PasswordCheck, HashingError>> + Send + use<> {
        let pool = self.clone();
        async move {
            if !password::is_hashable(&password) {
                return Ok(PasswordCheck::Incorrect);
            }
            if hash.as_ref().is_some_and(|hash| !pool.can_verify(hash)) {
                return Err(HashingError::costly());
            }
            let cost = pool.cost();
            let check =
                move |memory: &mut Argon2Memory| verify_at_cost(hash.as_deref(), &password, cost, memory);
            let queue = &pool.0.queue;
            queue.submit(check)?.await
        }
    }

    /// The hash of `password`. No [`PasswordPolicy`](crate::password::PasswordPolicy) is checked.
    ///
    /// # Errors
    ///
    /// `Busy` if too many wait, `Password` if it is empty or over 1024 bytes, `Failed` if the system gives
    /// no thread.
    pub fn hash(
        &self,
        password: Secret,
    ) -> impl Future<Output = Result<PasswordHash, HashingError>> + Send + use<> {
        let pool = self.clone();
        async move {
            if !password::is_hashable(&password) {
                return Err(HashingError::password(
                    PasswordHash::MAX_PASSWORD_LEN,
                    password.len(),
                ));
            }
            let cost = pool.cost();
            let hash = move |memory: &mut Argon2Memory| PasswordHash::compute(&password, cost, memory);
            let queue = &pool.0.queue;
            queue.submit(hash)?.await
        }
    }

    /// The hash of the new `password`, if `policy` accepts it. Both are done on a thread of the pool.
    ///
    /// Call it after the client has proved that it may change the password.
    ///
    /// # Errors
    ///
    /// `Busy` if too many wait, `Password` if the policy does not take it, with the policy's message for the user,
    /// `Failed` if the system gives no thread.
    pub fn hash_by(
        &self,
        policy: &PasswordPolicy,
        password: Secret,
    ) -> impl Future<Output = Result<PasswordHash, HashingError>> + Send + use<> {
        let (pool, policy) = (self.clone(), policy.clone());
        async move {
            let cost = pool.cost();
            let hash = move |memory: &mut Argon2Memory| {
                policy.check(&password).map_err(HashingError::refused)?;
                Ok(PasswordHash::compute(&password, cost, memory))
            };
            let queue = &pool.0.queue;
            queue.submit(hash)?.await?
        }
    }

    fn with(settings: Settings) -> Self {
        Self(Arc::new(Handle {
            queue: Queue::new(settings),
        }))
    }

    fn settings(&self) -> Settings {
        self.0.queue.settings()
    }
}

impl Default for HashingPool {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for HashingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.settings();
        f.debug_struct("HashingPool")
            .field("threads", &settings.threads)
            .field("queue", &settings.queue)
            .field("cost", &settings.cost)
            .finish_non_exhaustive()
    }
}

/// Whether `password` is the one of `hash`, at no less than `cost`.
fn verify_at_cost(
    hash: Option<&PasswordHash>,
    password: &Secret,
    cost: HashCost,
    memory: &mut Argon2Memory,
) -> PasswordCheck {
    let right = hash.filter(|hash| hash.matches(password, memory));
    // The cost that is missing to that of a new hash is added, so that the time reveals nothing.
    if let Some(rest) = cost.remaining(hash.map_or(0, PasswordHash::work)) {
        PasswordHash::compute(password, rest, memory);
    }
    memory.shrink_to(cost.memory_kib());
    right.map_or(PasswordCheck::Incorrect, |hash| PasswordCheck::Correct {
        needs_rehash: hash.needs_rehash(cost),
    })
}

/// What all clones share: with the last of them the threads end.
struct Handle {
    queue: Arc<Queue>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.queue.close();
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, sync::mpsc, time::Duration};

    use super::*;
    use crate::error::BackendError;

    fn pool() -> HashingPool {
        HashingPool::new().with_cost(HashCost::tiny()).with_threads(1)
    }

    fn hash_of(password: &str) -> Arc<PasswordHash> {
        let cost = HashCost::tiny();
        Arc::new(PasswordHash::compute(
            &password.into(),
            cost,
            &mut Argon2Memory::default(),
        ))
    }

    #[tokio::test]
    async fn a_password_is_right_wrong_or_not_checked() {
        let pool = pool();
        let hash = pool.hash("password".into()).await.expect("a hash");
        let hash = Some(Arc::new(hash));
        // What a test can afford to compute is weak.
        let right = PasswordCheck::Correct { needs_rehash: true };
        let none = None;
        for (hash, password, expected) in [
            (&hash, "password", right),
            (&hash, "Password", PasswordCheck::Incorrect),
            (&hash, "", PasswordCheck::Incorrect),
            (&none, "password", PasswordCheck::Incorrect),
            (&none, "", PasswordCheck::Incorrect),
        ] {
            let verified = pool.verify(hash.clone(), password.into()).await.expect("checked");
            assert_eq!(verified, expected, "{password:?}");
        }
        let strong: PasswordHash =
            "argon2:$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA"
                .parse()
                .expect("a hash");
        let narrow = pool.with_memory_limit(19_455);
        assert!(pool.can_verify(&strong) && !narrow.can_verify(&strong));
        let error = narrow.verify(Some(Arc::new(strong)), "password".into()).await;
        assert_eq!(
            error.expect_err("not checked").kind(),
            HashingErrorKind::MemoryLimit
        );
    }

    #[test]
    fn every_user_costs_the_same_work() {
        let older = "sha1:0e112c3ddfce:a68df677475c2b47b6e86d0467eec97ac5f4b85a"
            .parse()
            .expect("a hash");
        let cheap = "argon2:$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAA"
            .parse()
            .expect("a hash");
        let (known, cost) = (hash_of("password"), HashCost::default());
        for (hash, who) in [
            (None, "unknown"),
            (Some(&older), "known by an older hash"),
            (Some(&cheap), "known by a cheap hash"),
            (Some(&*known), "known"),
        ] {
            let mut memory = Argon2Memory::default();
            assert_eq!(
                verify_at_cost(hash, &"wrong".into(), cost, &mut memory),
                PasswordCheck::Incorrect
            );
            assert_eq!(memory.size(), 19_456, "{who}");
        }
        // Memory for a more expensive one is not kept.
        let mut memory = Argon2Memory::default();
        verify_at_cost(Some(&cheap), &"wrong".into(), HashCost::tiny(), &mut memory);
        assert_eq!(memory.size(), 0);
    }

    #[tokio::test]
    async fn a_password_of_a_mebibyte_makes_no_hash_call() {
        let pool = pool();
        for length in [0, PasswordHash::MAX_PASSWORD_LEN + 1, 1 << 20] {
            for hash in [None, Some(hash_of("password"))] {
                let verified = pool.verify(hash, "x".repeat(length).into()).await;
                assert_eq!(
                    verified.expect("checked"),
                    PasswordCheck::Incorrect,
                    "{length} bytes"
                );
            }
            let error = pool
                .hash("x".repeat(length).into())
                .await
                .expect_err("no password");
            assert_eq!(error.kind(), HashingErrorKind::InvalidPassword);
        }
        assert_eq!(pool.0.queue.counts(), (0, 0), "no thread was even started");
    }

    #[tokio::test]
    async fn in_a_burst_each_check_has_a_result_or_is_busy_and_none_is_wrong() {
        let pool = pool().with_queue_capacity(3);
        let (end, ended) = mpsc::channel::<()>();
        let running = pool
            .0
            .queue
            .submit(move |_| ended.recv())
            .expect("a place in the queue");
        while pool.0.queue.counts().1 > 0 {
            tokio::task::yield_now().await;
        }
        let hash = hash_of("password");
        let mut storm = tokio::task::JoinSet::new();
        for _ in 0..50 {
            storm.spawn(pool.verify(Some(Arc::clone(&hash)), "password".into()));
        }
        let mut busy = 0;
        while busy < 47 {
            let error = storm.join_next().await.expect("a task").expect("no panic");
            let error = error.expect_err("the queue is full");
            assert_eq!(error.kind(), HashingErrorKind::Busy);
            assert_eq!(BackendError::from(error).retry_after(), Duration::from_secs(1));
            busy += 1;
        }
        drop(end);
        while let Some(verified) = storm.join_next().await {
            let verified = verified.expect("no panic").expect("had a place");
            assert_eq!(verified, PasswordCheck::Correct { needs_rehash: true });
        }
        assert!(running.await.is_ok());
    }

    #[tokio::test]
    async fn a_dropped_check_gives_its_place_back_and_the_last_handle_ends_the_threads() {
        let pool = pool().with_queue_capacity(1);
        let (end, ended) = mpsc::channel::<()>();
        let running = pool
            .0
            .queue
            .submit(move |_| ended.recv())
            .expect("a place in the queue");
        while pool.0.queue.counts().1 > 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..100 {
            let mut check = pin!(pool.verify(None, "password".into()));
            assert_eq!(pool.0.queue.counts().1, 0, "not before it is polled");
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(check.as_mut().poll(&mut context).is_pending());
            assert_eq!(pool.0.queue.counts().1, 1);
        }
        drop(end);
        assert!(running.await.is_ok());
        let queue = Arc::clone(&pool.0.queue);
        drop(pool);
        let dropped = std::time::Instant::now();
        while queue.counts().0 > 0 {
            assert!(dropped.elapsed() < Duration::from_secs(5));
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn new_password_is_checked_by_the_policy_on_a_thread_of_the_pool() {
        let pool = pool();
        let policy = PasswordPolicy::new();
        let (end, ended) = mpsc::channel::<()>();
        let running = pool
            .0
            .queue
            .submit(move |_| ended.recv())
            .expect("a place in the queue");
        let mut refused = pin!(pool.hash_by(&policy, "short".into()));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let polled = refused.as_mut().poll(&mut context);
        assert!(polled.is_pending(), "not on the calling thread");
        drop(end);
        assert!(running.await.is_ok());
        let error = refused.await.expect_err("too short");
        assert_eq!(error.kind(), HashingErrorKind::InvalidPassword);
        let said = policy.check(&"short".into()).expect_err("too short").to_string();
        assert_eq!(error.to_string(), said);
        let good = "purple tricycle nine";
        let hash = pool.hash_by(&policy, good.into()).await.expect("taken");
        assert!(hash.verify(&good.into()));
    }

    #[test]
    fn no_debug_output_holds_a_password() {
        let shown = format!("{:?} {:?}", pool(), HashingError::password(1, 2));
        assert!(!shown.contains("canary"), "{shown}");
        assert!(
            shown.starts_with("HashingPool { threads: 1, queue: 64"),
            "{shown}"
        );
    }
}

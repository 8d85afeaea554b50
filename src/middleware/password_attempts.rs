//! The one way to check a password: for the login form, for a handler's own form, and for the login of a hub.
//!
//! 1. A place is reserved. After too many wrong passwords there is none, and nothing is hashed. An attempt that only the
//!    reserved ones are in the way of waits until they are settled, so that right passwords that arrive together are all
//!    accepted.
//! 2. The verifier is asked.
//! 3. The attempt is settled: a wrong password stays counted, a right one gives its place back, and an attempt that the
//!    verifier could not decide is not counted. If the client goes away before, the password counts as a wrong one.
//! 4. The observer is told of every refusal.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::attempt_queue::{AttemptQueue, PATIENCE};
use crate::{
    clock::{Clock, MonotonicTime},
    denial::{Denial, Reason},
    error::BackendError,
    event::{Event, Observer, RedactedPath},
    maybe_future::MaybeFuture,
    rate_limit::{LoginAttempt, LoginRateLimiter, RateLimited, RateLimits},
    secret::Secret,
    session::{grant::Grant, identity::Identity},
    verify::{PasswordVerifier, Verification},
};

/// The verifier of passwords, and the limits on attempts.
pub(crate) struct PasswordAttempts {
    verifier: Option<Arc<dyn PasswordVerifier>>,
    /// Whether each user has a password, or all share one.
    by_username: bool,
    throttle: LoginRateLimiter,
    queue: AttemptQueue,
    has_reported_unknown_client: AtomicBool,
    clock: Arc<dyn Clock>,
    observer: Option<Arc<dyn Observer>>,
}

impl PasswordAttempts {
    pub(crate) fn new(
        verifier: Option<Arc<dyn PasswordVerifier>>,
        by_username: bool,
        clock: Arc<dyn Clock>,
        observer: Option<Arc<dyn Observer>>,
        limits: RateLimits,
    ) -> Arc<Self> {
        Arc::new(Self {
            verifier,
            by_username,
            throttle: LoginRateLimiter::with_limits(limits),
            queue: AttemptQueue::new(limits.queue),
            has_reported_unknown_client: AtomicBool::new(false),
            clock,
            observer,
        })
    }

    /// Whether any password can be right.
    pub(crate) fn has_verifier(&self) -> bool {
        self.verifier.is_some()
    }

    /// Whether a username belongs to the password.
    pub(crate) fn asks_for_username(&self) -> bool {
        self.by_username
    }

    /// The grant of the user with this name and password; the name does not matter where all users share a password.
    ///
    /// # Errors
    ///
    /// `IncorrectPassword`; `RateLimited` and `Unavailable`, with the time after which to try again.
    pub(crate) fn verify(
        self: &Arc<Self>,
        username: &str,
        password: &Secret,
        client: Option<IpAddr>,
        path: &str,
    ) -> MaybeFuture<Result<Grant, Denial>> {
        let (attempt, password) = (self.reserve(username, client, path), password.clone());
        MaybeFuture::from_future(async move { attempt.await?.verify(&password).await })
    }

    /// Reserves an attempt. `path` is that of the request, for the events.
    ///
    /// # Errors
    ///
    /// `RateLimited`, and `Unavailable` if too many attempts wait; with the time after which to try again.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        username: &str,
        client: Option<IpAddr>,
        path: &str,
    ) -> MaybeFuture<Result<PasswordAttempt, Denial>> {
        if client.is_none() && !self.has_reported_unknown_client.swap(true, Ordering::Relaxed) {
            self.report(&Event::ClientAddressUnknown);
        }
        let attempt = PasswordAttempt {
            attempts: Arc::clone(self),
            username: if self.by_username { username } else { "" }.into(),
            client,
            path: path.into(),
            permit: None,
        };
        match self.queue.reserve(|| attempt.place()) {
            Err(throttled) if throttled.is_until_settled() => MaybeFuture::from_future(attempt.wait()),
            reserved => attempt.with_place(reserved).into(),
        }
    }

    fn report(&self, event: &Event<'_>) {
        if let Some(observer) = &self.observer {
            observer.observe(event);
        }
    }
}

/// A reserved attempt. It counts as a wrong password if it is dropped.
#[must_use = "an attempt that is dropped counts as a wrong password"]
pub(crate) struct PasswordAttempt {
    attempts: Arc<PasswordAttempts>,
    username: Box<str>,
    client: Option<IpAddr>,
    path: Box<str>,
    /// `None` once the attempt is settled.
    permit: Option<LoginAttempt>,
}

impl PasswordAttempt {
    fn place(&self) -> Result<LoginAttempt, RateLimited> {
        let (attempts, now) = (&self.attempts, self.attempts.clock.monotonic_now());
        attempts.throttle.reserve(&self.username, self.client, now)
    }

    async fn wait(self) -> Result<Self, Denial> {
        match self.attempts.queue.wait(PATIENCE, || self.place()).await {
            Some(reserved) => self.with_place(reserved),
            None => {
                let busy = BackendError::new("too many logins wait to be checked");
                Err(self.unavailable(&busy.with_retry_after(Duration::from_secs(1))))
            }
        }
    }

    fn with_place(mut self, reserved: Result<LoginAttempt, RateLimited>) -> Result<Self, Denial> {
        let permit = reserved.map_err(|throttled| self.refused(throttled.into()))?;
        self.permit = Some(permit);
        Ok(self)
    }

    /// Checks `password`, and settles the attempt.
    ///
    /// # Errors
    ///
    /// `IncorrectPassword`; `Unavailable`, with the time after which to try again.
    pub(crate) async fn verify(mut self, password: &Secret) -> Result<Grant, Denial> {
        let Some(verifier) = &self.attempts.verifier else {
            return Err(self.refused(Reason::IncorrectPassword.into()));
        };
        match verifier.verify(&self.username, password).await {
            Verification::Valid(grant) => Ok(self.succeed(grant)),
            Verification::Unavailable(unavailable) => Err(self.unavailable(&unavailable)),
            Verification::Rejected(_) | Verification::Unknown => {
                Err(self.refused(Reason::IncorrectPassword.into()))
            }
        }
    }

    /// Gives the place back, because no password was checked.
    pub(crate) fn withdraw(mut self) {
        self.settle(LoginRateLimiter::cancel);
    }

    /// The same, because a verifier cannot tell.
    pub(crate) fn unavailable(mut self, unavailable: &BackendError) -> Denial {
        self.settle(LoginRateLimiter::cancel);
        self.attempts.report(&Event::Unavailable {
            error: &**unavailable.cause(),
            path: RedactedPath::new(&self.path),
        });
        Denial::new(Reason::Unavailable).with_retry_after(unavailable.retry_after())
    }

    fn succeed(&mut self, grant: Grant) -> Grant {
        self.settle(LoginRateLimiter::record_success);
        let attempts = &self.attempts;
        let grant = if attempts.by_username {
            grant
        } else {
            // Users who share a password have no names: each login is a new user, with a session of its own.
            Grant::new(Identity::anonymous())
        };
        let verifier = attempts.verifier.as_ref();
        if verifier.is_some_and(|verifier| verifier.has_weak_hash()) {
            let identity = grant.identity();
            attempts.report(&Event::WeakPasswordHash { identity });
        }
        grant
    }

    fn settle(&mut self, how: impl FnOnce(&LoginRateLimiter, LoginAttempt, MonotonicTime)) {
        if let Some(permit) = self.permit.take() {
            let attempts = &self.attempts;
            how(&attempts.throttle, permit, attempts.clock.monotonic_now());
            attempts.queue.settled();
        }
    }

    fn refused(&self, denial: Denial) -> Denial {
        self.attempts.report(&Event::Denied {
            reason: denial.reason(),
            identity: None,
            label: None,
            method: None,
            path: RedactedPath::new(&self.path),
            client: self.client,
        });
        denial
    }
}

impl Drop for PasswordAttempt {
    fn drop(&mut self) {
        self.settle(LoginRateLimiter::failed);
    }
}

/// What a login page says of a refused attempt; `wrong` of a wrong password.
pub(crate) fn alert(denial: &Denial, wrong: &'static str) -> &'static str {
    match denial.reason() {
        Reason::RateLimited => "Too many wrong attempts. Please wait before you try again.",
        Reason::Unavailable => "Logins cannot be checked right now. Please try again in a moment.",
        _ => wrong,
    }
}

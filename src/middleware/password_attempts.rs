//! The one way to check a password: for the login form, for a handler's own form, and for the login of a hub.
//!
//! 1. A place is reserved. After too many wrong passwords there is none, and nothing is hashed. An attempt that only the
//!    reserved ones are in the way of waits until they are settled, so that right passwords that arrive together are all
//!    accepted.
//! 2. The verifier is called.
//! 3. The attempt is settled: a wrong password stays counted, a right one gives its place back, and an attempt that the
//!    verifier could not decide is not counted. If the client goes away before, the password counts as a wrong one.
//! 4. The observer is notified of every denial.
//!
//! With `shared_rate_limits` a place of the account is reserved and settled in the store too, which all replicas share. What
//! the store answers counts; while it does not answer, what is counted in memory does.

use std::{
    future::pending,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    attempt_queue::{AttemptQueue, PATIENCE, Place},
    denial_page::wait_text,
};
use crate::{
    clock::Clock,
    deadline::within,
    denial::{Denial, Reason},
    error::BackendError,
    event::{Event, Observer, RedactedPath},
    html::PageStyle,
    maybe_future::MaybeFuture,
    rate_limit::{
        AttemptOutcome, LoginAttempt, LoginRateLimiter, RateLimited, RateLimits, SharedAttempt,
        SharedRateLimits, SharedReservation,
    },
    secret::Secret,
    session::{grant::Grant, identity::Identity},
    verify::{PasswordVerifier, Verification},
};

/// How long an attempt waits before it requests a place in the store again, at first and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

/// The verifier of passwords, and the limits on attempts.
pub(crate) struct PasswordAttempts {
    verifier: Option<Arc<dyn PasswordVerifier>>,
    /// Whether each user has a password, or all share one.
    by_username: bool,
    throttle: LoginRateLimiter,
    shared: Option<Arc<SharedRateLimits>>,
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
        shared: Option<Arc<SharedRateLimits>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            verifier,
            by_username,
            throttle: LoginRateLimiter::with_limits(limits),
            shared,
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
    pub(crate) fn needs_username(&self) -> bool {
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
        let mut attempt = PasswordAttempt {
            attempts: Arc::clone(self),
            username: if self.by_username { username } else { "" }.into(),
            client,
            path: path.into(),
            permit: None,
            shared: None,
            outcome: AttemptOutcome::Cancelled,
        };
        let reserved = self.queue.reserve(|| attempt.place(self.is_shared()));
        match reserved.map(|permit| attempt.permit = Some(permit)) {
            Ok(()) if self.shared.is_some() => MaybeFuture::from_future(attempt.reserve_in_store()),
            Err(throttled) if throttled.is_until_settled() => MaybeFuture::from_future(attempt.wait()),
            reserved => attempt.with_place(reserved).into(),
        }
    }

    /// Whether the store counts the failures of accounts now.
    fn is_shared(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.is_available())
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
    /// The place in the store, if it has one there.
    shared: Option<SharedAttempt>,
    /// How the attempt is settled if it is dropped.
    outcome: AttemptOutcome,
}

impl PasswordAttempt {
    fn place(&self, is_shared: bool) -> Result<LoginAttempt, RateLimited> {
        let (attempts, now) = (&self.attempts, self.attempts.clock.monotonic_now());
        attempts
            .throttle
            .reserve(&self.username, self.client, now, is_shared)
    }

    async fn reserve_in_store(mut self) -> Result<Self, Denial> {
        match self.in_store().await {
            Err(throttled) if throttled.is_until_settled() => self.wait().await,
            reserved => self.with_place(reserved),
        }
    }

    /// Waits until other attempts are settled, here or at other replicas.
    async fn wait(mut self) -> Result<Self, Denial> {
        let attempts = Arc::clone(&self.attempts);
        let reserved = match attempts.queue.enter() {
            Some(place) => within(PATIENCE, self.next_place(&place)).await,
            None => None,
        };
        match reserved {
            Some(reserved) => self.with_place(reserved),
            None => {
                let busy = BackendError::new("too many logins wait to be checked");
                Err(self
                    .unavailable(&busy.with_retry_after(Duration::from_secs(1)))
                    .await)
            }
        }
    }

    async fn next_place(&mut self, place: &Place<'_>) -> Result<(), RateLimited> {
        let [mut pause, longest] = PAUSES;
        loop {
            self.permit = Some(place.reserve(|| self.place(self.attempts.is_shared())).await?);
            match self.in_store().await {
                Err(throttled) if throttled.is_until_settled() => {
                    let _: Option<()> = within(pause, pending()).await;
                    pause = longest.min(2 * pause);
                }
                reserved => return reserved,
            }
        }
    }

    /// Reserves the place in the store too, if there is one that answers.
    async fn in_store(&mut self) -> Result<(), RateLimited> {
        let attempts = Arc::clone(&self.attempts);
        let permit = self.permit.as_ref();
        let is_counted_here = permit.is_some_and(LoginAttempt::is_from_known_address);
        let Some(shared) = attempts.shared.as_ref().filter(|_| !is_counted_here) else {
            return Ok(());
        };
        match shared.reserve(&self.username).await {
            SharedReservation::Reserved(attempt, failures) => {
                self.shared = Some(attempt);
                if let Some(permit) = &self.permit {
                    let now = attempts.clock.monotonic_now();
                    attempts.throttle.limit_failures(permit, failures, now);
                }
                Ok(())
            }
            SharedReservation::Limited(throttled) => {
                self.settle_here();
                Err(throttled)
            }
            SharedReservation::Unavailable => {
                self.settle_here();
                self.permit = Some(attempts.queue.reserve(|| self.place(false))?);
                Ok(())
            }
        }
    }

    fn with_place(mut self, reserved: Result<(), RateLimited>) -> Result<Self, Denial> {
        reserved.map_err(|throttled| self.refused(throttled.into()))?;
        self.outcome = AttemptOutcome::Failed;
        Ok(self)
    }

    /// Checks `password`, and settles the attempt.
    ///
    /// # Errors
    ///
    /// `IncorrectPassword`; `Unavailable`, with the time after which to try again.
    pub(crate) async fn verify(mut self, password: &Secret) -> Result<Grant, Denial> {
        let Some(verifier) = &self.attempts.verifier else {
            self.settle(AttemptOutcome::Failed).await;
            return Err(self.refused(Reason::IncorrectPassword.into()));
        };
        match verifier.verify(&self.username, password).await {
            Verification::Valid(grant) => {
                self.settle(AttemptOutcome::Succeeded).await;
                Ok(self.granted(grant))
            }
            Verification::Unavailable(unavailable) => Err(self.unavailable(&unavailable).await),
            Verification::Rejected(_) | Verification::Unknown => {
                self.settle(AttemptOutcome::Failed).await;
                Err(self.refused(Reason::IncorrectPassword.into()))
            }
        }
    }

    /// Gives the place back, because no password was checked.
    pub(crate) async fn withdraw(mut self) {
        self.settle(AttemptOutcome::Cancelled).await;
    }

    /// As [`withdraw`](Self::withdraw), because a verifier is unavailable.
    pub(crate) async fn unavailable(mut self, unavailable: &BackendError) -> Denial {
        self.settle(AttemptOutcome::Cancelled).await;
        self.attempts.report(&Event::Unavailable {
            error: &**unavailable.cause(),
            path: RedactedPath::new(&self.path),
        });
        Denial::new(Reason::Unavailable).with_retry_after(unavailable.retry_after())
    }

    /// What a user with the right password is granted.
    fn granted(&self, grant: Grant) -> Grant {
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

    /// Settles the attempt, in the store first: attempts that wait here then find its place there free.
    async fn settle(&mut self, outcome: AttemptOutcome) {
        self.outcome = outcome;
        if let Some(shared) = self.shared.take() {
            shared.settle(outcome).await;
        }
        self.settle_here();
    }

    fn settle_here(&mut self) {
        if let Some(permit) = self.permit.take() {
            let attempts = &self.attempts;
            let now = attempts.clock.monotonic_now();
            attempts.throttle.settle(permit, self.outcome, now);
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
        self.settle_here();
    }
}

/// The alert of a login page for a refused attempt: `wrong` if the password is wrong.
pub(crate) fn alert(denial: &Denial, wrong: &str, style: &PageStyle) -> String {
    match denial.reason() {
        Reason::RateLimited => {
            let wait = wait_text(denial, style);
            format!("{} {wait}", style.text("Too many failed attempts."))
        }
        Reason::Unavailable => "Login is temporarily unavailable. Please try again in a moment.".to_owned(),
        _ => wrong.to_owned(),
    }
}

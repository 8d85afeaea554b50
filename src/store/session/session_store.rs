//! What a store of sessions can do.

use std::sync::{Arc, Weak};

use super::{SessionFilter, SessionListener, SessionRecord, SessionTouch};
use crate::{
    clock::UnixTime,
    maybe_future::{BoxFuture, MaybeFuture},
    store::StoreError,
    token::TokenHash,
};

/// Where sessions are kept, under the hashes of what their cookies hold.
///
/// The same rules hold as for a [`TokenStore`](crate::store::TokenStore), and each method is one atomic step:
///
/// 1. A session that has ended is not found again by any later request, on any node, and no request brings it back.
/// 2. A session that ends takes with it the tokens and OAuth codes made in it, where the store keeps some. A token that ends
///    takes with it the sessions that came from it.
/// 3. A store does not check expiry: a session that has expired is found until it is removed, and its record has the time. Each
///    insertion removes a few of them.
///
/// The time is an argument wherever it counts, so a store reads no clock.
/// `portcullis::testing::session_store_conformance` (feature `testing`) tests a store for all this.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use portcullis::{
///     Grant, Identity, Token,
///     clock::UnixTime,
///     store::{MemoryTokenStore, SessionFilter, SessionRecord, SessionStore},
/// };
///
/// # async fn example() -> Result<(), portcullis::store::StoreError> {
/// let (store, cookie) = (MemoryTokenStore::new(), Token::generate());
/// let now = UnixTime::from_secs(1_700_000_000);
/// let grant = Grant::new(Identity::new("alice"));
/// let session = SessionRecord::new(grant, "5e55", now, now.saturating_add(Duration::from_secs(86_400)));
/// store.insert_session(cookie.hash(), session.clone(), None).await?;
/// assert_eq!(store.find_session(cookie.hash()).await?, Some(session));
///
/// assert_eq!(store.end_sessions(SessionFilter::owner("alice")).await?, 1);
/// assert_eq!(store.find_session(cookie.hash()).await?, None);
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
pub trait SessionStore: Send + Sync + 'static {
    /// Keeps a session under the hash of what its cookie holds.
    ///
    /// `replaced` is the session id that the browser had before, if it has proved that the session was its own. That session
    /// ends; the tokens made in it move to the new session if they belong to its owner, and are revoked otherwise; codes are
    /// removed.
    ///
    /// # Errors
    ///
    /// `Duplicate` if the hash, id or session id is there already, otherwise if the store could not keep it. Nothing is
    /// replaced then.
    fn insert_session(
        &self,
        hash: TokenHash,
        session: SessionRecord,
        replaced: Option<String>,
    ) -> BoxFuture<Result<(), StoreError>>;

    /// Returns the session with this hash, expired or not, by one indexed read.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    fn find_session(&self, hash: TokenHash) -> MaybeFuture<Result<Option<SessionRecord>, StoreError>>;

    /// Writes when the session was last used and when it expires and, if they are given, its grant and when it was checked.
    /// Returns `false` if the session has ended, or had expired when it was used; then nothing is written.
    ///
    /// The last use never goes back, and an answer of a user directory never replaces a later one.
    ///
    /// # Errors
    ///
    /// If it could not be written.
    fn touch_session(&self, hash: TokenHash, touch: SessionTouch) -> BoxFuture<Result<bool, StoreError>>;

    /// Returns the selected sessions that have not expired at `now`, oldest first.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    fn list_sessions(
        &self,
        which: SessionFilter,
        now: UnixTime,
    ) -> BoxFuture<Result<Vec<SessionRecord>, StoreError>>;

    /// Ends the selected sessions, with all tokens and codes made in them, and returns how many sessions there were.
    ///
    /// # Errors
    ///
    /// If they could not be ended; then all is as it was.
    fn end_sessions(&self, which: SessionFilter) -> BoxFuture<Result<u64, StoreError>>;

    /// Removes at most `limit` of the sessions that have expired at `now`, those that expired first, and returns how many it
    /// removed: a bounded step, to be repeated while it returns `limit`.
    ///
    /// # Errors
    ///
    /// If they could not be removed.
    fn remove_expired_sessions(&self, now: UnixTime, limit: usize) -> BoxFuture<Result<u64, StoreError>>;

    /// Registers a function that the store calls after sessions have ended, before they would have expired: to close their open
    /// connections. Returns whether the store calls it. Default: `false`, and it is never called.
    ///
    /// The store calls it once the end is durable, and before it answers the method that ended the sessions. A store that several
    /// processes share calls it in each of them within a second. It calls it with [`EndedSessions::Unknown`](crate::store::EndedSessions::Unknown) after its own
    /// connection was interrupted, because sessions may have ended meanwhile. It may name a session more than once. Sessions that
    /// expire are not named.
    ///
    /// The store keeps a weak reference: a listener is called for as long as its `Arc` is kept. It must neither block nor wait,
    /// because it may run on the thread that writes.
    ///
    /// # Security
    ///
    /// A call is a reason to look up the session again, not proof that it has ended: with a database that several roles use,
    /// other roles may be able to send it.
    ///
    /// # Example
    ///
    /// ```
    /// use std::sync::{Arc, atomic::{AtomicBool, Ordering}};
    ///
    /// use portcullis::{
    ///     Grant, Identity, Token,
    ///     clock::UnixTime,
    ///     store::{MemoryTokenStore, SessionFilter, SessionListener, SessionRecord, SessionStore},
    /// };
    ///
    /// # async fn example() -> Result<(), portcullis::store::StoreError> {
    /// let store = MemoryTokenStore::new();
    /// let (now, end) = (UnixTime::from_secs(1_700_000_000), UnixTime::from_secs(1_700_003_600));
    /// let session = SessionRecord::new(Grant::new(Identity::new("alice")), "5e55", now, end);
    /// store.insert_session(Token::generate().hash(), session.clone(), None).await?;
    ///
    /// let closed = Arc::new(AtomicBool::new(false));
    /// let listener: Arc<SessionListener> = Arc::new({
    ///     let closed = Arc::clone(&closed);
    ///     move |ended| {
    ///         if ended.may_include(session.id()) {
    ///             closed.store(true, Ordering::Relaxed);
    ///         }
    ///     }
    /// });
    /// assert!(store.on_sessions_ended(Arc::downgrade(&listener)));
    /// store.end_sessions(SessionFilter::owner("alice")).await?;
    /// assert!(closed.load(Ordering::Relaxed));
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
    /// ```
    fn on_sessions_ended(&self, listener: Weak<SessionListener>) -> bool {
        drop(listener);
        false
    }
}

impl<S: SessionStore + ?Sized> SessionStore for Arc<S> {
    fn insert_session(
        &self,
        hash: TokenHash,
        session: SessionRecord,
        replaced: Option<String>,
    ) -> BoxFuture<Result<(), StoreError>> {
        (**self).insert_session(hash, session, replaced)
    }

    fn find_session(&self, hash: TokenHash) -> MaybeFuture<Result<Option<SessionRecord>, StoreError>> {
        (**self).find_session(hash)
    }

    fn touch_session(&self, hash: TokenHash, touch: SessionTouch) -> BoxFuture<Result<bool, StoreError>> {
        (**self).touch_session(hash, touch)
    }

    fn list_sessions(
        &self,
        which: SessionFilter,
        now: UnixTime,
    ) -> BoxFuture<Result<Vec<SessionRecord>, StoreError>> {
        (**self).list_sessions(which, now)
    }

    fn end_sessions(&self, which: SessionFilter) -> BoxFuture<Result<u64, StoreError>> {
        (**self).end_sessions(which)
    }

    fn remove_expired_sessions(&self, now: UnixTime, limit: usize) -> BoxFuture<Result<u64, StoreError>> {
        (**self).remove_expired_sessions(now, limit)
    }

    fn on_sessions_ended(&self, listener: Weak<SessionListener>) -> bool {
        (**self).on_sessions_ended(listener)
    }
}

//! Where tokens are kept.

use std::sync::Arc;

use crate::{
    clock::UnixTime,
    maybe_future::{BoxFuture, MaybeFuture},
    store::{RecordId, SaltedHashStore, StoreError, TokenFilter, TokenRecord},
    token::{Token, TokenHash},
};

/// Where tokens are kept, under their hashes.
///
/// 1. What was acknowledged stays: a token whose insertion was answered is found, and one whose revocation was
///    answered is not, whatever ends the process after.
/// 2. A store does not cache: a token that was revoked is not found again by any later request, on any node.
/// 3. A store that is unavailable returns an error; it never answers "there is none" instead.
/// 4. A future that is dropped may have been carried out or not, and wholly in either case.
/// 5. A store does not check expiry: tokens that have expired are found until they are removed, and their record has the
///    time. Each insertion removes a few of them.
///
/// The time is an argument wherever it counts, so a store reads no clock.
/// `portcullis::testing::token_store_conformance` holds a store against all this.
///
/// # Example
///
/// ```
/// use portcullis::{
///     clock::{Clock, SystemClock}, store::{MemoryTokenStore, TokenRecord, TokenFilter, TokenStore}, Grant,
///     Identity,
/// };
///
/// # async fn example() -> Result<(), portcullis::store::StoreError> {
/// let (store, now) = (MemoryTokenStore::new(), SystemClock.now());
/// let record = TokenRecord::new(Grant::new(Identity::new("alice")), now);
/// let token = store.issue(record.clone()).await?;
/// assert_eq!(store.find(token.hash()).await?, Some(record));
///
/// assert_eq!(store.revoke(TokenFilter::owner("alice")).await?, 1);
/// assert_eq!(store.find(token.hash()).await?, None);
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
pub trait TokenStore: Send + Sync + 'static {
    /// Returns the token with this hash: one indexed lookup.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    fn find(&self, hash: TokenHash) -> MaybeFuture<Result<Option<TokenRecord>, StoreError>>;

    /// Keeps a token under its hash from now on.
    ///
    /// # Errors
    ///
    /// `Duplicate` if the hash or the id is there already, else if the store could not keep it.
    fn insert(&self, hash: TokenHash, token: TokenRecord) -> BoxFuture<Result<(), StoreError>>;

    /// Makes a new token and keeps it: the only way by which its text is ever seen.
    ///
    /// # Errors
    ///
    /// As for [`TokenStore::insert`].
    ///
    /// # Panics
    ///
    /// If the system's random generator fails.
    fn issue(&self, token: TokenRecord) -> BoxFuture<Result<Token, StoreError>> {
        let generated = Token::generate();
        let inserted = self.insert(generated.hash(), token);
        Box::pin(async move { inserted.await.map(|()| generated) })
    }

    /// The tokens meant that have not expired at `now`, oldest first.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    fn list(&self, which: TokenFilter, now: UnixTime) -> BoxFuture<Result<Vec<TokenRecord>, StoreError>>;

    /// Removes the selected tokens, and returns how many there were.
    ///
    /// A store that is also a [`SessionStore`](crate::store::SessionStore) ends the sessions that came from a token in the same step,
    /// here and wherever else it removes one: those whose credential is
    /// [`SessionCredential::Token`](crate::store::SessionCredential::Token) of its hash.
    ///
    /// # Errors
    ///
    /// If they could not be forgotten; then all of them are still there.
    fn revoke(&self, which: TokenFilter) -> BoxFuture<Result<u64, StoreError>>;

    /// Records that a token is used `now`, if the store can: in the background, without reporting errors.
    ///
    /// [`StoredTokens`](crate::verify::StoredTokens) calls it once a minute for a token at most.
    fn record_use(&self, id: RecordId, now: UnixTime);

    /// Its tokens under salted hashes, if it may have any. Default: it has none.
    fn salted_hashes(&self) -> Option<&dyn SaltedHashStore> {
        None
    }
}

impl<S: TokenStore + ?Sized> TokenStore for Arc<S> {
    fn find(&self, hash: TokenHash) -> MaybeFuture<Result<Option<TokenRecord>, StoreError>> {
        (**self).find(hash)
    }

    fn insert(&self, hash: TokenHash, token: TokenRecord) -> BoxFuture<Result<(), StoreError>> {
        (**self).insert(hash, token)
    }

    fn issue(&self, token: TokenRecord) -> BoxFuture<Result<Token, StoreError>> {
        (**self).issue(token)
    }

    fn list(&self, which: TokenFilter, now: UnixTime) -> BoxFuture<Result<Vec<TokenRecord>, StoreError>> {
        (**self).list(which, now)
    }

    fn revoke(&self, which: TokenFilter) -> BoxFuture<Result<u64, StoreError>> {
        (**self).revoke(which)
    }

    fn record_use(&self, id: RecordId, now: UnixTime) {
        (**self).record_use(id, now);
    }

    fn salted_hashes(&self) -> Option<&dyn SaltedHashStore> {
        (**self).salted_hashes()
    }
}

//! The data of a hub in addition to tokens and sessions: OAuth codes, and when users were active.

mod activity_record;
mod client_record;
mod code_record;
mod refresh;

use std::{future::ready, sync::Arc};

pub use self::{
    activity_record::ActivityRecord,
    client_record::ClientRecord,
    code_record::{CodeRecord, CodeRedemption},
    refresh::{RefreshHashes, RefreshRotation},
};
use crate::{
    clock::UnixTime,
    maybe_future::BoxFuture,
    store::{SessionStore, StoreError, StoreErrorKind, TokenFilter, TokenRecord, TokenStore},
    token::TokenHash,
};

/// A store of OAuth codes and the activity of users, in addition to tokens and sessions.
///
/// The same rules hold as for a [`TokenStore`] and a [`SessionStore`], and each method is one atomic step:
///
/// 1. A session that ends takes with it the codes made in it. No code is made in it afterwards.
/// 2. A code is redeemed once: of any number of clients one gets the token. When another tries, that token ends.
/// 3. Tokens of one [`family`](TokenRecord::family) end together: whatever revokes one of them revokes all. One that
///    expires ends alone.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use portcullis::{
///     clock::UnixTime,
///     store::{
///         CodeRecord, CodeRedemption, HubStore, MemoryTokenStore, SessionRecord, SessionStore, TokenRecord, TokenStore,
///     },
///     Grant, Identity, Token,
/// };
///
/// # async fn example() -> Result<(), portcullis::store::StoreError> {
/// let store = MemoryTokenStore::new();
/// let now = UnixTime::from_secs(1_700_000_000);
/// let (cookie, code, token) = (Token::generate(), Token::generate(), Token::generate());
/// let (grant, end) = (Grant::new(Identity::new("alice")), now.saturating_add(Duration::from_secs(86_400)));
/// store.insert_session(cookie.hash(), SessionRecord::new(grant.clone(), "5e55", now, end), None).await?;
///
/// let record = CodeRecord::new("service-grader", "/callback", "alice", now.saturating_add(Duration::from_secs(60))).with_session("5e55");
/// assert!(store.insert_code(code.hash(), record, now).await?);
///
/// let record = TokenRecord::new(grant, now).with_session("5e55");
/// assert_eq!(store.redeem_code(code.hash(), token.hash(), record.clone()).await?, CodeRedemption::Issued);
/// let other = Token::generate().hash();
/// assert_eq!(store.redeem_code(code.hash(), other, record).await?, CodeRedemption::AlreadyUsed { revoked: 1 });
/// assert_eq!(store.find(token.hash()).await?, None);
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
pub trait HubStore: TokenStore + SessionStore {
    /// Keeps a code under its hash. Returns `false`, and does not keep it, if its session has ended or has expired
    /// at `now`.
    ///
    /// # Errors
    ///
    /// `Duplicate` if the hash is there already, else if the store could not keep it.
    fn insert_code(
        &self,
        hash: TokenHash,
        code: CodeRecord,
        now: UnixTime,
    ) -> BoxFuture<Result<bool, StoreError>>;

    /// Returns the code with this hash, redeemed or not: to check client, redirect URI and verifier before it is
    /// redeemed.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    fn find_code(&self, hash: TokenHash) -> BoxFuture<Result<Option<CodeRecord>, StoreError>>;

    /// Keeps `token` under the hash `token_hash` in exchange for the code. The time is the token's
    /// [`created`](TokenRecord::created).
    ///
    /// A redeemed code is remembered until it expires. The session is the code's, whatever the record says of it.
    ///
    /// # Errors
    ///
    /// `Duplicate` if the token is there already, else if the store could not; the code is as good as before then.
    fn redeem_code(
        &self,
        code: TokenHash,
        token_hash: TokenHash,
        token: TokenRecord,
    ) -> BoxFuture<Result<CodeRedemption, StoreError>>;

    /// Keeps a refresh token. [`TokenStore::find`] finds its record by the hash of its family, which no token of a request
    /// has. Default: an error, so that no client gets one.
    ///
    /// # Errors
    ///
    /// `Duplicate` if the hash or the id is there already, else if the store could not keep it.
    fn insert_refresh(
        &self,
        hashes: RefreshHashes,
        record: TokenRecord,
    ) -> BoxFuture<Result<(), StoreError>> {
        let _ = (hashes, record);
        Box::pin(ready(Err(no_refresh_tokens())))
    }

    /// Keeps `token` under the hash `token_hash` in exchange for the refresh token, whose secret is now `next`, and which
    /// expires at `expires_at`. The time is the token's [`created`](TokenRecord::created). If the secret is not the
    /// current one, the family is revoked. Default: an error.
    ///
    /// The session is the refresh token's, whatever the record says of it.
    ///
    /// # Errors
    ///
    /// `Duplicate` if the token is there already, else if the store could not; the refresh token is as good as before then.
    fn rotate_refresh(
        &self,
        hashes: RefreshHashes,
        next: TokenHash,
        expires_at: UnixTime,
        token_hash: TokenHash,
        token: TokenRecord,
    ) -> BoxFuture<Result<RefreshRotation, StoreError>> {
        let _ = (hashes, next, expires_at, token_hash, token);
        Box::pin(ready(Err(no_refresh_tokens())))
    }

    /// Keeps a client that registered itself. Returns `false`, and does not keep it, if there are `limit` of them that have
    /// not expired when it was [`created`](ClientRecord::created). Default: keeps none.
    ///
    /// # Errors
    ///
    /// `Duplicate` if the id is there already, else if the store could not keep it.
    fn insert_client(&self, client: ClientRecord, limit: u64) -> BoxFuture<Result<bool, StoreError>> {
        let _ = (client, limit);
        Box::pin(ready(Ok(false)))
    }

    /// Returns the client with this id, expired or not. Default: none.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    fn find_client(&self, id: &str) -> BoxFuture<Result<Option<ClientRecord>, StoreError>> {
        let _ = id;
        Box::pin(ready(Ok(None)))
    }

    /// Remembers the client with this id until `expires_at`, if that is later than before. Default: does nothing.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    fn keep_client(&self, id: &str, expires_at: UnixTime) -> BoxFuture<Result<(), StoreError>> {
        let _ = (id, expires_at);
        Box::pin(ready(Ok(())))
    }

    /// Keeps the times of these records, each if it is later than the one that is there. Default: keeps nothing.
    ///
    /// The hub calls it once a minute at most for a user or a server, and when a server is stopped or started.
    ///
    /// # Errors
    ///
    /// If the store could not keep them; then none is kept.
    fn record_activity(&self, records: Vec<ActivityRecord>) -> BoxFuture<Result<(), StoreError>> {
        let _ = records;
        Box::pin(ready(Ok(())))
    }

    /// Returns what was recorded of these users and of their servers, in any order. Default: nothing, so that no user was
    /// ever active and every server runs.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    fn activity(&self, owners: Vec<String>) -> BoxFuture<Result<Vec<ActivityRecord>, StoreError>> {
        let _ = owners;
        Box::pin(ready(Ok(Vec::new())))
    }

    /// Returns a page of the users who have a record of their own, and how many there are: at most `limit` names after the
    /// first `offset`, in the order of their bytes. Default: none.
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    fn list_users(&self, offset: u64, limit: u64) -> BoxFuture<Result<(Vec<String>, u64), StoreError>> {
        let _ = (offset, limit);
        Box::pin(ready(Ok((Vec::new(), 0))))
    }

    /// Returns a page of the tokens meant that have not expired at `now`, newest first: at most `limit` after the first
    /// `offset`. Default: reads all of them by [`TokenStore::list`].
    ///
    /// # Errors
    ///
    /// If the store does not answer.
    fn newest_tokens(
        &self,
        which: TokenFilter,
        now: UnixTime,
        offset: u64,
        limit: u64,
    ) -> BoxFuture<Result<Vec<TokenRecord>, StoreError>> {
        let all = self.list(which, now);
        let place = |number| usize::try_from(number).unwrap_or(usize::MAX);
        Box::pin(async move {
            let newest = all.await?.into_iter().rev();
            Ok(newest.skip(place(offset)).take(place(limit)).collect())
        })
    }
}

fn no_refresh_tokens() -> StoreError {
    let message = "this store keeps no refresh tokens: implement `insert_refresh` and `rotate_refresh`, or call \
                   `OAuthClientConfig::refresh_tokens(false)`";
    StoreError::new(StoreErrorKind::Config, message)
}

impl<S: HubStore + ?Sized> HubStore for Arc<S> {
    fn insert_code(
        &self,
        hash: TokenHash,
        code: CodeRecord,
        now: UnixTime,
    ) -> BoxFuture<Result<bool, StoreError>> {
        (**self).insert_code(hash, code, now)
    }

    fn find_code(&self, hash: TokenHash) -> BoxFuture<Result<Option<CodeRecord>, StoreError>> {
        (**self).find_code(hash)
    }

    fn redeem_code(
        &self,
        code: TokenHash,
        token_hash: TokenHash,
        token: TokenRecord,
    ) -> BoxFuture<Result<CodeRedemption, StoreError>> {
        (**self).redeem_code(code, token_hash, token)
    }

    fn insert_refresh(
        &self,
        hashes: RefreshHashes,
        record: TokenRecord,
    ) -> BoxFuture<Result<(), StoreError>> {
        (**self).insert_refresh(hashes, record)
    }

    fn rotate_refresh(
        &self,
        hashes: RefreshHashes,
        next: TokenHash,
        expires_at: UnixTime,
        token_hash: TokenHash,
        token: TokenRecord,
    ) -> BoxFuture<Result<RefreshRotation, StoreError>> {
        (**self).rotate_refresh(hashes, next, expires_at, token_hash, token)
    }

    fn insert_client(&self, client: ClientRecord, limit: u64) -> BoxFuture<Result<bool, StoreError>> {
        (**self).insert_client(client, limit)
    }

    fn find_client(&self, id: &str) -> BoxFuture<Result<Option<ClientRecord>, StoreError>> {
        (**self).find_client(id)
    }

    fn keep_client(&self, id: &str, expires_at: UnixTime) -> BoxFuture<Result<(), StoreError>> {
        (**self).keep_client(id, expires_at)
    }

    fn record_activity(&self, records: Vec<ActivityRecord>) -> BoxFuture<Result<(), StoreError>> {
        (**self).record_activity(records)
    }

    fn activity(&self, owners: Vec<String>) -> BoxFuture<Result<Vec<ActivityRecord>, StoreError>> {
        (**self).activity(owners)
    }

    fn list_users(&self, offset: u64, limit: u64) -> BoxFuture<Result<(Vec<String>, u64), StoreError>> {
        (**self).list_users(offset, limit)
    }

    fn newest_tokens(
        &self,
        which: TokenFilter,
        now: UnixTime,
        offset: u64,
        limit: u64,
    ) -> BoxFuture<Result<Vec<TokenRecord>, StoreError>> {
        (**self).newest_tokens(which, now, offset, limit)
    }
}

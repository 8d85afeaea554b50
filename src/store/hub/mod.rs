//! What a hub keeps besides tokens: logins, and OAuth codes.

mod code_record;
mod login_record;

use std::sync::Arc;

pub use self::{
    code_record::{CodeRecord, CodeRedemption},
    login_record::{LoginFilter, LoginRecord},
};
use crate::{
    clock::UnixTime,
    maybe_future::{BoxFuture, MaybeFuture},
    store::{StoreError, TokenRecord, TokenStore},
    token::TokenHash,
};

/// What a hub keeps besides tokens: who is logged in, and codes on their way to a client.
///
/// The same rules hold as for a [`TokenStore`]. Each method is one step that nobody sees the middle of:
///
/// 1. A login that ends takes with it the tokens and codes made in its session. None is made in it after.
/// 2. A code is redeemed once: of any number of clients one gets the token. When another tries, that token ends.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use portcullis::{
///     clock::UnixTime,
///     store::{CodeRecord, HubStore, LoginRecord, MemoryTokenStore, CodeRedemption, TokenRecord, TokenStore},
///     Grant, Identity, Token,
/// };
///
/// # async fn example() -> Result<(), portcullis::store::StoreError> {
/// let store = MemoryTokenStore::new();
/// let now = UnixTime::from_secs(1_700_000_000);
/// let (login, code, token) = (Token::generate(), Token::generate(), Token::generate());
/// store.insert_login(login.hash(), LoginRecord::new("alice", "5e55", now, now.saturating_add(Duration::from_secs(86_400))), None).await?;
///
/// let record = CodeRecord::new("service-grader", "/callback", "alice", now.saturating_add(Duration::from_secs(60))).with_session("5e55");
/// assert!(store.insert_code(code.hash(), record, now).await?);
///
/// let record = TokenRecord::new(Grant::new(Identity::new("alice")), now).with_session("5e55");
/// assert_eq!(store.redeem_code(code.hash(), token.hash(), record.clone()).await?, CodeRedemption::Issued);
/// let other = Token::generate().hash();
/// assert_eq!(store.redeem_code(code.hash(), other, record).await?, CodeRedemption::AlreadyUsed { revoked: 1 });
/// assert_eq!(store.find(token.hash()).await?, None);
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(example()).unwrap();
/// ```
pub trait HubStore: TokenStore {
    /// Keeps a login under the hash of what its cookie holds.
    ///
    /// `replaced` is the session id the browser had before, if it can prove that it was its own. A login of that
    /// session ends; the tokens made in it move to the new session if they are the new login's owner's, and are revoked
    /// if they are somebody else's; codes go.
    ///
    /// # Errors
    ///
    /// `Duplicate` if hash, id or session id are there already, else if the store could not keep it. Nothing is
    /// replaced then.
    fn insert_login(
        &self,
        hash: TokenHash,
        login: LoginRecord,
        replaced: Option<String>,
    ) -> BoxFuture<Result<(), StoreError>>;

    /// What is known of the login with this hash. Whoever asked asks whether it has expired.
    ///
    /// # Errors
    ///
    /// If the store cannot tell.
    fn find_login(&self, hash: TokenHash) -> MaybeFuture<Result<Option<LoginRecord>, StoreError>>;

    /// The logins meant that have not expired at `now`, oldest first.
    ///
    /// # Errors
    ///
    /// If the store cannot tell.
    fn list_logins(
        &self,
        which: LoginFilter,
        now: UnixTime,
    ) -> BoxFuture<Result<Vec<LoginRecord>, StoreError>>;

    /// Ends the logins meant, with all tokens and codes made in their sessions, and tells how many logins there were.
    ///
    /// # Errors
    ///
    /// If they could not be ended; then all is as it was.
    fn revoke_logins(&self, which: LoginFilter) -> BoxFuture<Result<u64, StoreError>>;

    /// Keeps a code under its hash. `false` if it was to be of a session in which nobody is logged in at `now` any more:
    /// then it is not kept.
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

    /// What is known of the code with this hash, redeemed or not: to judge client, redirect URI and verifier by, before
    /// it is redeemed.
    ///
    /// # Errors
    ///
    /// If the store cannot tell.
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
}

impl<S: HubStore + ?Sized> HubStore for Arc<S> {
    fn insert_login(
        &self,
        hash: TokenHash,
        login: LoginRecord,
        replaced: Option<String>,
    ) -> BoxFuture<Result<(), StoreError>> {
        (**self).insert_login(hash, login, replaced)
    }

    fn find_login(&self, hash: TokenHash) -> MaybeFuture<Result<Option<LoginRecord>, StoreError>> {
        (**self).find_login(hash)
    }

    fn list_logins(
        &self,
        which: LoginFilter,
        now: UnixTime,
    ) -> BoxFuture<Result<Vec<LoginRecord>, StoreError>> {
        (**self).list_logins(which, now)
    }

    fn revoke_logins(&self, which: LoginFilter) -> BoxFuture<Result<u64, StoreError>> {
        (**self).revoke_logins(which)
    }

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
}

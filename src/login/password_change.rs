//! The one shared password, which its owner may change by the login form.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use crate::{
    cookies::Keyring,
    login::{PasswordChangeError, SharedPasswordControl},
    maybe_future::MaybeFuture,
    middleware::state::AuthState,
    password::{
        PasswordHashWriter, PasswordPolicy,
        pool::{HashingErrorKind, HashingPool},
    },
    secret::Secret,
    verify::SharedPassword,
};

/// The one shared password as the login page knows it.
pub(crate) struct SharedPasswordLogin {
    pub(crate) password: SharedPassword,
    pub(crate) change: Option<Arc<PasswordChangeConfig>>,
}

/// How the password is changed.
pub(crate) struct PasswordChangeConfig {
    pub(crate) policy: PasswordPolicy,
    pub(crate) writer: Box<dyn PasswordHashWriter>,
    /// Into which the hash of the password is mixed.
    pub(crate) keyring: Keyring,
    pub(crate) in_progress: AtomicBool,
    /// How many there were.
    pub(crate) generation: AtomicU64,
}

impl SharedPasswordControl for SharedPasswordLogin {
    fn is_set(&self) -> bool {
        self.password.hash().is_some()
    }

    fn may_change(&self) -> bool {
        self.change.is_some()
    }

    fn changes(&self) -> u64 {
        let change = self.change.as_ref();
        change.map_or(0, |change| change.generation.load(Ordering::Acquire))
    }

    fn change(
        &self,
        state: &Arc<AuthState>,
        new: &Secret,
        changes: u64,
    ) -> MaybeFuture<Result<(), PasswordChangeError>> {
        let Some(change) = self.change.clone() else {
            return Err(PasswordChangeError::NotAllowed).into();
        };
        // Of two at once, what is kept and what holds could be of one each.
        if change.in_progress.swap(true, Ordering::Acquire) {
            return Err(PasswordChangeError::Busy).into();
        }
        let turn = InProgressGuard(Arc::clone(&change));
        if change.generation.load(Ordering::Acquire) != changes {
            return Err(PasswordChangeError::Busy).into();
        }
        let (state, password, new) = (Arc::clone(state), self.password.clone(), new.clone());
        MaybeFuture::from_future(async move {
            let _turn = turn;
            let hash = HashingPool::shared().hash_by(&change.policy, new).await;
            let hash = hash.map_err(|error| match error.kind() {
                HashingErrorKind::InvalidPassword => PasswordChangeError::Rejected(error.to_string()),
                _ => PasswordChangeError::Unavailable(error.into()),
            })?;
            let kept = change.writer.write(&hash).await;
            kept.map_err(PasswordChangeError::Unavailable)?;
            let keyring = change.keyring.clone().bound_to_password(hash.expose());
            password.replace(hash);
            change.generation.fetch_add(1, Ordering::Release);
            state.change_keyring(&keyring);
            Ok(())
        })
    }
}

/// The lock of one password change, released when it is dropped.
struct InProgressGuard(Arc<PasswordChangeConfig>);

impl Drop for InProgressGuard {
    fn drop(&mut self) {
        self.0.in_progress.store(false, Ordering::Release);
    }
}

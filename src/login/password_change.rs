//! The one shared password, which its owner may change by the login form.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use crate::{
    cookie::Keyring,
    gate::gate::Gate,
    login::{PasswordChangeError, SharedPasswordControl},
    maybe_future::Answer,
    password::{
        PasswordKeeper, PasswordPolicy,
        pool::{HashingErrorKind, HashingPool},
    },
    secret::Secret,
    verify::SharedPassword,
};

/// The one shared password as the login page knows it.
pub(crate) struct SharedLogin {
    pub(crate) password: SharedPassword,
    pub(crate) change: Option<Arc<Change>>,
}

/// How the password is changed.
pub(crate) struct Change {
    pub(crate) policy: PasswordPolicy,
    pub(crate) keeper: Box<dyn PasswordKeeper>,
    /// Into which the hash of the password is mixed.
    pub(crate) keyring: Keyring,
    pub(crate) is_under_way: AtomicBool,
    /// How many there were.
    pub(crate) made: AtomicU64,
}

impl SharedPasswordControl for SharedLogin {
    fn is_set(&self) -> bool {
        self.password.hash().is_some()
    }

    fn may_change(&self) -> bool {
        self.change.is_some()
    }

    fn changes(&self) -> u64 {
        let change = self.change.as_ref();
        change.map_or(0, |change| change.made.load(Ordering::Acquire))
    }

    fn change(
        &self,
        gate: &Arc<Gate>,
        new: &Secret,
        changes: u64,
    ) -> Answer<Result<(), PasswordChangeError>> {
        let Some(change) = self.change.clone() else {
            return Err(PasswordChangeError::NotAllowed).into();
        };
        // Of two at once, what is kept and what holds could be of one each.
        if change.is_under_way.swap(true, Ordering::Acquire) {
            return Err(PasswordChangeError::Busy).into();
        }
        let turn = Turn(Arc::clone(&change));
        if change.made.load(Ordering::Acquire) != changes {
            return Err(PasswordChangeError::Busy).into();
        }
        let (gate, password, new) = (Arc::clone(gate), self.password.clone(), new.clone());
        Answer::later(async move {
            let _turn = turn;
            let hash = HashingPool::shared().hash_by(&change.policy, new).await;
            let hash = hash.map_err(|error| match error.kind() {
                HashingErrorKind::InvalidPassword => PasswordChangeError::Rejected(error.to_string()),
                _ => PasswordChangeError::Unavailable(error.into()),
            })?;
            let kept = change.keeper.keep(&hash).await;
            kept.map_err(PasswordChangeError::Unavailable)?;
            let keyring = change.keyring.clone().mixed_with_password(hash.expose());
            password.replace(hash);
            change.made.fetch_add(1, Ordering::Release);
            gate.change_keyring(&keyring);
            Ok(())
        })
    }
}

/// The turn of one change, given back however it ends.
struct Turn(Arc<Change>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.is_under_way.store(false, Ordering::Release);
    }
}

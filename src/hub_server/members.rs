//! Where a hub reads its members.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    user::{HubUser, HubUsers},
    username::Username,
};
use crate::{clock::Clock, error::BackendError, maybe_future::MaybeFuture, verify::UserLookup};

/// Where a hub reads its members. It keeps nothing of what it read.
#[derive(Clone)]
pub(crate) enum Members {
    Listed(HubUsers),
    Directory(Arc<dyn UserLookup>, Arc<dyn Clock>),
}

impl Members {
    /// Returns the member of this name, with what they may do now.
    pub(crate) fn find(&self, name: &str) -> MaybeFuture<Result<Option<Arc<HubUser>>, BackendError>> {
        let Some(name) = Username::parse(name) else {
            return MaybeFuture::Ready(Ok(None));
        };
        match self {
            Self::Listed(users) => MaybeFuture::Ready(Ok(users.find(&name))),
            Self::Directory(lookup, clock) => {
                let (found, clock) = (lookup.current(name.as_str()), Arc::clone(clock));
                found.map(move |found| {
                    let grant = found?.filter(|grant| !grant.has_expired(|| clock.now()));
                    Ok(grant.map(|grant| Arc::new(HubUser::from_grant(name, &grant))))
                })
            }
        }
    }
}

/// The members that a request is about. Each is read once, so the whole request uses the same answer.
pub(crate) struct RequestMembers<'a> {
    members: &'a Members,
    read: Mutex<HashMap<Box<str>, Option<Arc<HubUser>>>>,
}

impl<'a> RequestMembers<'a> {
    pub(crate) fn new(members: &'a Members) -> Self {
        Self {
            members,
            read: Mutex::default(),
        }
    }

    pub(crate) async fn find(&self, name: &str) -> Result<Option<Arc<HubUser>>, BackendError> {
        let read = || self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = read().get(name) {
            return Ok(found.clone());
        }
        let found = self.members.find(name).await?;
        read().insert(name.into(), found.clone());
        Ok(found)
    }
}

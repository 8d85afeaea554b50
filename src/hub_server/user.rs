//! Who belongs to a hub.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use super::{scope, username::Username};
use crate::{
    error::ConfigError,
    session::{grant::Grant, scopes::Scopes},
};

/// A member of a hub: their name, what they may do, the groups they are in.
///
/// Every member has the scope `self`: to read their own account, create and revoke their own tokens, use their own
/// servers.
///
/// # Example
///
/// ```
/// use portcullis::hub_server::HubUser;
///
/// let alice = HubUser::new("alice")?.with_scopes(["access:services!service=whoami"])?.with_groups(["staff"]);
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct HubUser {
    pub(crate) name: Username,
    pub(crate) scopes: Scopes,
    pub(crate) groups: Vec<Box<str>>,
    pub(crate) admin: bool,
}

impl HubUser {
    /// A member with no scope but `self`.
    ///
    /// # Errors
    ///
    /// As `member`, if the name is none; see [`Username`].
    pub fn new(name: &str) -> Result<Self, ConfigError> {
        let parsed = Username::parse(name).filter(|parsed| parsed.as_str() == name);
        let name = parsed.ok_or_else(|| {
            ConfigError::new(
                "user",
                format!("expected a lowercase user name without `/`, spaces around it or control characters, found {name:?}"),
            )
        })?;
        Ok(Self {
            name,
            scopes: Scopes::default(),
            groups: Vec::new(),
            admin: false,
        })
    }

    /// Default: none. The member's scopes in addition to `self`.
    ///
    /// # Errors
    ///
    /// As `member`, if a scope is not one of JupyterHub's or its filter is broken.
    pub fn with_scopes(self, scopes: impl Into<Scopes>) -> Result<Self, ConfigError> {
        let scopes = scopes.into();
        scope::check("user", &scopes)?;
        Ok(Self { scopes, ..self })
    }

    /// Default: none. The groups that filters such as `!group=staff` speak of.
    #[must_use]
    pub fn with_groups<T: AsRef<str>>(self, groups: impl IntoIterator<Item = T>) -> Self {
        let groups = groups.into_iter().map(|group| group.as_ref().into()).collect();
        Self { groups, ..self }
    }

    /// Default: no. Holds every scope; the API reports the member as an administrator.
    #[must_use]
    pub fn as_admin(self) -> Self {
        Self { admin: true, ..self }
    }

    /// The name.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Returns the member of this name whom a directory describes. Scopes that are not JupyterHub's have no effect.
    pub(crate) fn from_grant(name: Username, grant: &Grant) -> Self {
        Self {
            name,
            scopes: grant.scopes().clone(),
            groups: grant.groups().map(Box::from).collect(),
            admin: grant.is_admin(),
        }
    }
}

/// All members of a hub, kept in memory.
///
/// A clone is a handle on the same members. A change takes effect with the next request: a token never grants more than
/// its owner may do at that time, and the tokens of a removed member are invalid.
///
/// # Example
///
/// ```
/// use portcullis::hub_server::{HubUser, HubUsers};
///
/// let members = HubUsers::new([HubUser::new("alice")?])?;
/// members.remove("alice");
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone, Default)]
pub struct HubUsers(Arc<RwLock<BTreeMap<Username, Arc<HubUser>>>>);

impl HubUsers {
    /// These members.
    ///
    /// # Errors
    ///
    /// As `members`, if one comes twice.
    pub fn new(members: impl IntoIterator<Item = HubUser>) -> Result<Self, ConfigError> {
        Self::default().and(members)
    }

    /// Adds these members. Fails if one is there already.
    pub(crate) fn and(self, members: impl IntoIterator<Item = HubUser>) -> Result<Self, ConfigError> {
        for member in members {
            let name = member.name.clone();
            if self.set(member) {
                return Err(ConfigError::new(
                    "users",
                    format!("expected each member once, found {:?} again", name.as_str()),
                ));
            }
        }
        Ok(self)
    }

    /// Adds this member, or replaces the one of the same name. Returns whether there was one.
    pub fn set(&self, member: HubUser) -> bool {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(member.name.clone(), Arc::new(member)).is_some()
    }

    /// Removes the member of this name. Whether there was one.
    pub fn remove(&self, name: &str) -> bool {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Username::parse(name).is_some_and(|name| all.remove(&name).is_some())
    }

    pub(crate) fn find(&self, name: &Username) -> Option<Arc<HubUser>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(name).cloned()
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<Arc<HubUser>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.values().cloned().collect()
    }
}

impl fmt::Debug for HubUsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Members")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_comes_twice_and_one_who_cannot_be_are_configuration_errors() {
        let member = |name| HubUser::new(name).expect("a name");
        let error = HubUsers::new([member("alice"), member("alice")]).expect_err("twice");
        assert_eq!(
            error.to_string(),
            "users: expected each member once, found \"alice\" again"
        );
        for name in ["Alice", "", " a", "..", "a/b"] {
            assert!(HubUser::new(name).is_err(), "{name:?}");
        }
        for scopes in [["nonsense"], ["access:services!service"], ["inherit"]] {
            let error = member("alice").with_scopes(scopes).expect_err("no scope");
            assert_eq!(error.setting(), "user", "{scopes:?}");
        }
        let members = HubUsers::new([member("alice")]).expect("members");
        let alice = Username::parse("Alice").expect("a name");
        assert!(members.find(&alice).is_some() && members.remove("alice") && members.find(&alice).is_none());
    }
}

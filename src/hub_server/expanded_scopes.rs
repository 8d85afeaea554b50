//! What a set of scopes comes to: all that they include, and what is left of two sets.
//!
//! A name includes others: `users` includes `read:users`, and so on down. A scope without a filter covers the
//! same with any; a group covers its users, a user their servers.

use std::collections::BTreeSet;

use super::{
    members::RequestMembers,
    scope::{IDENTIFY, INCLUDED, OWN, Owner, read},
    user::HubUser,
};
use crate::error::BackendError;

/// Whether a scope is covered, as far as the scopes alone say.
enum Coverage<'a> {
    Known(bool),
    /// If this user is in one of these groups.
    MembersOf(&'a str, Vec<&'a str>),
}

/// Scopes with all that they include, every filter with its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExpandedScopes(BTreeSet<String>);

impl ExpandedScopes {
    /// What `scopes` come to for `owner`. What is no scope is left out, and so is `inherit`.
    pub(crate) fn of<'s>(scopes: impl IntoIterator<Item = &'s str>, owner: Owner<'_>) -> Self {
        let mut all = Self::default();
        for scope in scopes.into_iter().filter_map(read) {
            let filter = match (scope.filter(), owner) {
                (None, _) => None,
                (Some((kind, Some(value))), _) => Some((kind, value)),
                (Some(("user", None)), Owner::User(name)) => Some(("user", name)),
                (Some(("service", None)), Owner::Service(name)) => Some(("service", name)),
                // There is nothing that it could mean.
                (Some((_, None)), _) => continue,
            };
            match (scope.name(), owner) {
                ("inherit", _) => {}
                ("self", Owner::User(name)) => {
                    for name_of_own in OWN {
                        all.add(name_of_own, Some(("user", name)));
                    }
                }
                ("self", Owner::Service(_)) => {}
                (name, _) => all.add(name, filter),
            }
        }
        all
    }

    /// All that a member may do.
    pub(crate) fn of_member(member: &HubUser) -> Self {
        let owner = Owner::User(member.name());
        if member.admin {
            let every = INCLUDED.iter().map(|(name, _)| *name).chain(["self"]);
            return Self::of(every, owner);
        }
        Self::of(member.scopes.iter().chain(["self"]), owner)
    }

    fn add(&mut self, name: &str, filter: Option<(&str, &str)>) {
        let text = match filter {
            Some((kind, value)) => format!("{name}!{kind}={value}"),
            None => name.to_owned(),
        };
        // The names include each other without a circle, so this ends.
        if self.0.insert(text)
            && let Some((_, included)) = INCLUDED.iter().find(|(known, _)| *known == name)
        {
            for name in *included {
                self.add(name, filter);
            }
        }
    }

    /// Adds the scopes that identify the owner.
    pub(crate) fn and_identify(mut self, owner: Owner<'_>) -> Self {
        if let Owner::User(user) = owner {
            for name in IDENTIFY {
                self.add(name, Some(("user", user)));
            }
        }
        self
    }

    /// The same, and this scope.
    pub(crate) fn and(mut self, scope: &str) -> Self {
        if let Some(scope) = read(scope)
            && let Some(filter) = scope
                .filter()
                .map_or(Some(None), |(kind, value)| Some(Some((kind, value?))))
        {
            self.add(scope.name(), filter);
        }
        self
    }

    /// What both cover.
    pub(crate) async fn intersection(
        &self,
        other: &Self,
        members: &RequestMembers<'_>,
    ) -> Result<Self, BackendError> {
        let mut both = BTreeSet::new();
        for (one, other) in [(self, other), (other, self)] {
            for scope in &one.0 {
                if other.covers(scope, members).await? {
                    both.insert(scope.clone());
                }
            }
        }
        Ok(Self(both))
    }

    /// Whether `scope`, every filter with its value, is covered. Reads the scope's user if a group may cover them.
    pub(crate) async fn covers(
        &self,
        scope: &str,
        members: &RequestMembers<'_>,
    ) -> Result<bool, BackendError> {
        let (user, groups) = match self.coverage(scope) {
            Coverage::Known(covered) => return Ok(covered),
            Coverage::MembersOf(user, groups) => (user, groups),
        };
        let member = members.find(user).await?;
        Ok(member.is_some_and(|member| member.groups.iter().any(|group| groups.contains(&&**group))))
    }

    /// As [`ExpandedScopes::covers`], but without the groups that users are in.
    pub(crate) fn covers_by_name(&self, scope: &str) -> bool {
        matches!(self.coverage(scope), Coverage::Known(true))
    }

    fn coverage<'s>(&'s self, scope: &'s str) -> Coverage<'s> {
        if self.0.contains(scope) {
            return Coverage::Known(true);
        }
        let Some((name, filter)) = read(scope).map(|scope| (scope.name(), scope.filter())) else {
            return Coverage::Known(false);
        };
        if self.0.contains(name) {
            return Coverage::Known(true);
        }
        let user = match filter {
            Some(("server", Some(value))) => value.split_once('/').map(|(user, _)| user),
            Some(("user", Some(value))) => Some(value),
            _ => None,
        };
        let Some(user) = user else {
            return Coverage::Known(false);
        };
        if self.with_name(name).any(|filter| filter == ("user", user)) {
            return Coverage::Known(true);
        }
        let groups = self.with_name(name).filter(|(kind, _)| *kind == "group");
        let groups: Vec<&str> = groups.map(|(_, group)| group).collect();
        match groups.is_empty() {
            true => Coverage::Known(false),
            false => Coverage::MembersOf(user, groups),
        }
    }

    /// Whether all of `scopes` are covered.
    pub(crate) async fn covers_all(
        &self,
        scopes: &Self,
        members: &RequestMembers<'_>,
    ) -> Result<bool, BackendError> {
        for scope in &scopes.0 {
            if !self.covers(scope, members).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the name is held at all, with any filter.
    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.0.contains(name) || self.with_name(name).next().is_some()
    }

    /// The users that a name is held for, if it is held for single users alone.
    pub(crate) fn users_named(&self, name: &str) -> Option<Vec<&str>> {
        let named = self
            .with_name(name)
            .map(|(kind, user)| (kind == "user").then_some(user));
        if self.0.contains(name) {
            None
        } else {
            named.collect()
        }
    }

    /// The filters that a name is held with.
    fn with_name<'s>(&'s self, name: &str) -> impl Iterator<Item = (&'s str, &'s str)> {
        let start = format!("{name}!");
        let length = start.len();
        self.0
            .range(start.clone()..)
            .take_while(move |scope| scope.starts_with(&start))
            .filter_map(move |scope| scope.get(length..)?.split_once('='))
    }

    /// In alphabetical order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{members::Members, user::HubUsers},
        *,
    };

    fn alice(scopes: &[&str]) -> ExpandedScopes {
        ExpandedScopes::of(scopes.iter().copied(), Owner::User("alice"))
    }

    fn members() -> Members {
        let member = |name| HubUser::new(name).expect("a name");
        let listed = HubUsers::new([member("alice"), member("bob").with_groups(["staff"])]);
        Members::Listed(listed.expect("members"))
    }

    #[test]
    fn a_scope_includes_what_is_below_it_with_the_same_filter() {
        let found = alice(&["users!group=staff"]);
        let expected = [
            "list:users",
            "read:users",
            "read:users:activity",
            "read:users:groups",
            "read:users:name",
            "users",
            "users:activity",
        ];
        assert_eq!(
            found.iter().collect::<Vec<_>>(),
            expected.map(|name| format!("{name}!group=staff"))
        );
        // As a real hub expands them for a user without roles of their own.
        assert_eq!(
            ExpandedScopes::of_member(&HubUser::new("alice").expect("a name"))
                .0
                .len(),
            15
        );
        assert_eq!(
            alice(&[
                "inherit",
                "nonsense",
                "read:users!",
                "read:users!user=",
                "tokens!service"
            ])
            .0
            .len(),
            0
        );
    }

    #[tokio::test]
    async fn a_group_covers_its_users_and_a_user_their_servers() {
        let members = members();
        let members = RequestMembers::new(&members);
        for (held, requested, expected) in [
            ("access:servers", "access:servers!server=bob/gpu", true),
            ("access:servers!user=bob", "access:servers!server=bob/gpu", true),
            ("access:servers!user=bob", "access:servers!user=bob", true),
            ("access:servers!group=staff", "access:servers!server=bob/", true),
            ("access:servers!group=staff", "access:servers!user=bob", true),
            ("access:servers!group=staff", "access:servers!user=alice", false),
            ("access:servers!group=staff", "access:servers!group=staff", true),
            ("access:servers!group=staff", "access:servers", false),
            ("access:servers!user=bob", "access:servers!server=bobby/", false),
            ("access:servers!user=bob", "access:servers!group=staff", false),
            (
                "access:servers!server=bob/",
                "access:servers!server=bob/gpu",
                false,
            ),
            ("access:servers!server=bob/", "access:servers!user=bob", false),
            ("access:services!service=x", "access:services!service=x", true),
            ("access:services!service=x", "access:services!service=y", false),
            ("access:services", "access:services!service=y", true),
            ("access:services", "access:servers!user=bob", false),
            ("users", "read:users:name!user=bob", true),
            ("read:users:name", "read:users!user=bob", false),
            ("read:users!user", "read:users:name!user=alice", true),
        ] {
            let covered = alice(&[held]).covers(requested, &members).await;
            assert_eq!(covered.expect("members"), expected, "{held} {requested}");
        }
    }

    #[tokio::test]
    async fn what_two_sets_have_in_common_is_the_narrower_of_each() {
        let members = members();
        let members = RequestMembers::new(&members);
        let cases: [(&[&str], &[&str], &[&str]); 6] = [
            (&["tokens"], &["self"], &["tokens!user=alice"]),
            (
                &["access:servers!user=bob"],
                &["access:servers!group=staff"],
                &["access:servers!user=bob"],
            ),
            (
                &["access:servers!server=alice/"],
                &["self"],
                &["access:servers!server=alice/"],
            ),
            (
                &["admin:users"],
                &["self"],
                &["read:users!user=alice", "users:activity!user=alice"],
            ),
            (&["access:services"], &["self"], &[]),
            (&[], &["self"], &[]),
        ];
        for (one, other, expected) in cases {
            let (one, other) = (alice(one), alice(other));
            for (one, other) in [(&one, &other), (&other, &one)] {
                let found = one.intersection(other, &members).await;
                assert_eq!(found.expect("members"), alice(expected));
            }
        }
    }
}

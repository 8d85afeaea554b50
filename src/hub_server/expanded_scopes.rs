//! What a set of scopes comes to: all that they include, and what is left of two sets.
//!
//! A name includes others: `users` includes `read:users`, and so on down. A scope without a filter covers the
//! same with any; a group covers its users, a user their servers.

use std::collections::BTreeSet;

use super::{
    scope::{IDENTIFY, INCLUDED, OWN, Owner, read},
    user::{HubUser, HubUsers},
};

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

    /// The same, and what tells who the owner is.
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
    pub(crate) fn intersection(&self, other: &Self, members: &HubUsers) -> Self {
        let of = |one: &Self, other: &Self| -> Vec<String> {
            one.0
                .iter()
                .filter(|scope| other.covers(scope, members))
                .cloned()
                .collect()
        };
        Self(of(self, other).into_iter().chain(of(other, self)).collect())
    }

    /// Whether `scope`, every filter with its value, is covered.
    pub(crate) fn covers(&self, scope: &str, members: &HubUsers) -> bool {
        if self.0.contains(scope) {
            return true;
        }
        let Some((name, filter)) = read(scope).map(|scope| (scope.name(), scope.filter())) else {
            return false;
        };
        if self.0.contains(name) {
            return true;
        }
        let Some((kind, Some(value))) = filter else {
            return false;
        };
        let user = match kind {
            "server" => value.split_once('/').map(|(user, _)| user),
            "user" => Some(value),
            _ => None,
        };
        let Some(user) = user else { return false };
        self.with_name(name).any(|(kind, held)| match kind {
            "user" => held == user,
            "group" => members.in_group(user, held),
            _ => false,
        })
    }

    /// Whether all of `scopes` are covered.
    pub(crate) fn covers_all(&self, scopes: &Self, members: &HubUsers) -> bool {
        scopes.0.iter().all(|scope| self.covers(scope, members))
    }

    /// Whether the name is held at all, with whatever filter.
    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.0.contains(name) || self.with_name(name).next().is_some()
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
    use super::*;

    fn alice(scopes: &[&str]) -> ExpandedScopes {
        ExpandedScopes::of(scopes.iter().copied(), Owner::User("alice"))
    }

    fn members() -> HubUsers {
        let member = |name| HubUser::new(name).expect("a name");
        HubUsers::new([member("alice"), member("bob").with_groups(["staff"])]).expect("members")
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

    #[test]
    fn a_group_covers_its_users_and_a_user_their_servers() {
        let members = members();
        for (held, asked, expected) in [
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
            assert_eq!(alice(&[held]).covers(asked, &members), expected, "{held} {asked}");
        }
    }

    #[test]
    fn what_two_sets_have_in_common_is_the_narrower_of_each() {
        let members = members();
        let check = |one: &[&str], other: &[&str], expected: &[&str]| {
            let (one, other) = (alice(one), alice(other));
            let found = one.intersection(&other, &members);
            assert_eq!(found, alice(expected));
            assert_eq!(found, other.intersection(&one, &members));
        };
        check(&["tokens"], &["self"], &["tokens!user=alice"]);
        check(
            &["access:servers!user=bob"],
            &["access:servers!group=staff"],
            &["access:servers!user=bob"],
        );
        check(
            &["access:servers!server=alice/"],
            &["self"],
            &["access:servers!server=alice/"],
        );
        check(
            &["admin:users"],
            &["self"],
            &["read:users!user=alice", "users:activity!user=alice"],
        );
        check(&["access:services"], &["self"], &[]);
        check(&[], &["self"], &[]);
    }
}

//! JupyterHub's scopes from the hub's side: what each includes, and what is left of two sets.
//!
//! ```text
//! scope  = name [ "!" filter ]
//! filter = "user" / "service" / kind "=" value       `!user` and `!service` mean the owner
//! kind   = "user" / "server" / "group" / "service"   a server is written `<user>/<server>`
//! ```
//!
//! A name includes others: `users` includes `read:users`, and so on down. A scope without a filter covers the
//! same with any; a group covers its users, a user their servers.

use std::collections::BTreeSet;

use super::{member::Member, member::Members};
use crate::{
    error::ConfigError,
    scopes::{Scope, Scopes},
};

/// What each name directly includes.
const INCLUDED: [(&str, &[&str]); 47] = [
    ("access:servers", &[]),
    ("access:services", &[]),
    ("admin-ui", &[]),
    ("admin:auth_state", &[]),
    ("admin:groups", &["groups", "read:roles:groups", "delete:groups"]),
    ("admin:server_state", &[]),
    ("admin:servers", &["admin:server_state", "servers"]),
    (
        "admin:services",
        &["list:services", "read:services", "read:roles:services"],
    ),
    (
        "admin:users",
        &["admin:auth_state", "users", "read:roles:users", "delete:users"],
    ),
    ("delete:groups", &[]),
    ("delete:servers", &[]),
    ("delete:users", &[]),
    ("groups", &["read:groups", "list:groups"]),
    ("groups:shares", &["read:groups:shares"]),
    ("list:groups", &["read:groups:name"]),
    ("list:services", &["read:services:name"]),
    ("list:users", &["read:users:name"]),
    ("proxy", &[]),
    ("read:groups", &["read:groups:name"]),
    ("read:groups:name", &[]),
    ("read:groups:shares", &[]),
    ("read:hub", &[]),
    ("read:metrics", &[]),
    (
        "read:roles",
        &["read:roles:users", "read:roles:services", "read:roles:groups"],
    ),
    ("read:roles:groups", &[]),
    ("read:roles:services", &[]),
    ("read:roles:users", &[]),
    ("read:servers", &["read:users:name"]),
    ("read:services", &["read:services:name"]),
    ("read:services:name", &[]),
    ("read:shares", &[]),
    ("read:tokens", &[]),
    (
        "read:users",
        &["read:users:name", "read:users:groups", "read:users:activity"],
    ),
    ("read:users:activity", &[]),
    ("read:users:groups", &[]),
    ("read:users:name", &[]),
    ("read:users:shares", &[]),
    ("servers", &["read:servers", "start:servers", "delete:servers"]),
    (
        "shares",
        &["access:servers", "read:shares", "users:shares", "groups:shares"],
    ),
    ("shutdown", &[]),
    ("start:servers", &[]),
    ("tokens", &["read:tokens"]),
    ("users", &["read:users", "list:users", "users:activity"]),
    ("users:activity", &["read:users:activity"]),
    ("users:shares", &["read:users:shares"]),
    // What the two words mean depends on the owner.
    ("inherit", &[]),
    ("self", &[]),
];

/// What `self` stands for, each of it with the user for its filter.
const OWN: [&str; 7] = [
    "access:servers",
    "read:shares",
    "read:users",
    "servers",
    "tokens",
    "users:activity",
    "users:shares",
];

/// What tells no more than who somebody is; every credential is worth that.
pub(crate) const IDENTIFY: [&str; 2] = ["read:users:groups", "read:users:name"];

/// Whose scopes they are: what a filter without a value means.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Owner<'a> {
    Service(&'a str),
    User(&'a str),
}

/// The scope that `text` is: a known name, and a filter that can mean something.
fn read(text: &str) -> Option<Scope<'_>> {
    let scope = Scope::parse(text).filter(|scope| is_known(scope.name()))?;
    let sound = match scope.filter() {
        None => true,
        Some(_) if matches!(scope.name(), "inherit" | "self") => false,
        Some((kind, None)) => matches!(kind, "service" | "user"),
        Some(("server", Some(server))) => server.contains('/'),
        Some((kind, Some(_))) => matches!(kind, "group" | "service" | "user"),
    };
    sound.then_some(scope)
}

fn is_known(name: &str) -> bool {
    let custom = name.strip_prefix("custom:").is_some_and(|rest| {
        let plain =
            |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || b":-_*.".contains(&octet);
        !rest.is_empty() && rest.bytes().all(plain)
    });
    custom || INCLUDED.iter().any(|(known, _)| *known == name)
}

/// Whether `text` is a scope, its filter included.
pub(crate) fn is_scope(text: &str) -> bool {
    read(text).is_some()
}

/// Nothing if somebody can be given these scopes by configuration.
pub(crate) fn check(setting: &'static str, scopes: &Scopes) -> Result<(), ConfigError> {
    let wrong = scopes.iter().find(|text| {
        read(text).is_none_or(|scope| {
            scope.name() == "inherit"
                || scope
                    .filter()
                    .is_some_and(|(kind, value)| value.is_none() && kind != "user")
        })
    });
    match wrong {
        Some(text) => Err(ConfigError::new(
            setting,
            format!("expected scopes of JupyterHub such as access:services!service=name, found {text:?}"),
        )),
        None => Ok(()),
    }
}

/// Scopes with all that they include, every filter with its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expanded(BTreeSet<String>);

impl Expanded {
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
    pub(crate) fn of_member(member: &Member) -> Self {
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
    pub(crate) fn common(&self, other: &Self, members: &Members) -> Self {
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
    pub(crate) fn covers(&self, scope: &str, members: &Members) -> bool {
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
            "group" => members.is_in(user, held),
            _ => false,
        })
    }

    /// Whether all of `scopes` are covered.
    pub(crate) fn covers_all(&self, scopes: &Self, members: &Members) -> bool {
        scopes.0.iter().all(|scope| self.covers(scope, members))
    }

    /// Whether the name is held at all, with whatever filter.
    pub(crate) fn holds_some(&self, name: &str) -> bool {
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

/// What a scope lets its holder do, for people.
pub(crate) fn described(scope: &str) -> String {
    let (name, filter) = scope
        .split_once('!')
        .map_or((scope, None), |(name, filter)| (name, Some(filter)));
    let does = match name {
        "access:servers" => "Use notebook servers",
        "access:services" => "Use services",
        "admin:users" | "users" => "Read and change accounts",
        "inherit" => "Everything that you may do",
        "list:users" => "See who has an account",
        "read:servers" => "See notebook servers",
        "read:tokens" => "See access tokens",
        "read:users" => "Read accounts",
        "read:users:activity" => "See when somebody was last active",
        "read:users:groups" => "See groups",
        "read:users:name" => "See user names",
        "self" => "Everything that concerns your own account",
        "servers" => "Start and stop notebook servers",
        "tokens" => "Make and revoke access tokens",
        "users:activity" => "Report when somebody was active",
        other => return format!("`{}`", if filter.is_some() { scope } else { other }),
    };
    match filter.map(|filter| filter.split_once('=').unwrap_or((filter, ""))) {
        None => does.to_owned(),
        Some(("user", "")) => format!("{does}: yours"),
        Some((kind, value)) => format!("{does}: {kind} `{value}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice(scopes: &[&str]) -> Expanded {
        Expanded::of(scopes.iter().copied(), Owner::User("alice"))
    }

    fn members() -> Members {
        let member = |name| Member::new(name).expect("a name");
        Members::new([member("alice"), member("bob").in_groups(["staff"])]).expect("members")
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
            Expanded::of_member(&Member::new("alice").expect("a name"))
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
            let found = one.common(&other, &members);
            assert_eq!(found, alice(expected));
            assert_eq!(found, other.common(&one, &members));
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

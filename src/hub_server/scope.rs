//! JupyterHub's scopes from the hub's side: their form, and what each name includes.
//!
//! ```text
//! scope  = name [ "!" filter ]
//! filter = "user" / "service" / kind "=" value       `!user` and `!service` mean the owner
//! kind   = "user" / "server" / "group" / "service"   a server is written `<user>/<server>`
//! ```

use crate::{
    error::ConfigError,
    session::scopes::{Scope, Scopes},
};

/// What each name directly includes.
pub(super) const INCLUDED: [(&str, &[&str]); 47] = [
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
pub(super) const OWN: [&str; 7] = [
    "access:servers",
    "read:shares",
    "read:users",
    "servers",
    "tokens",
    "users:activity",
    "users:shares",
];

/// The scopes that only identify the user; every credential has them.
pub(crate) const IDENTIFY: [&str; 2] = ["read:users:groups", "read:users:name"];

/// Whose scopes they are: what a filter without a value means.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Owner<'a> {
    Service(&'a str),
    User(&'a str),
}

/// The scope that `text` is: a known name, and a filter that can mean something.
pub(super) fn read(text: &str) -> Option<Scope<'_>> {
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
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b":-_*.".contains(&byte);
        !rest.is_empty() && rest.bytes().all(plain)
    });
    custom || INCLUDED.iter().any(|(known, _)| *known == name)
}

/// Whether `text` is a scope, its filter included.
pub(crate) fn is_scope(text: &str) -> bool {
    read(text).is_some()
}

/// Checks that these scopes can be granted by configuration.
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

/// What a scope permits, as pages show it.
pub(crate) fn description(scope: &str) -> String {
    let (name, filter) = scope
        .split_once('!')
        .map_or((scope, None), |(name, filter)| (name, Some(filter)));
    let does = match name {
        "access:servers" => "Access your notebook servers",
        "access:services" => "Access services",
        "admin:users" | "users" => "Manage user accounts",
        "inherit" => "All of your permissions",
        "list:users" => "List users",
        "read:servers" => "View notebook servers",
        "read:tokens" => "View access tokens",
        "read:users" => "View user accounts",
        "read:users:activity" => "View user activity",
        "read:users:groups" => "View groups",
        "read:users:name" => "View usernames",
        "self" => "Full access to your own account",
        "servers" => "Start and stop notebook servers",
        "tokens" => "Create and revoke access tokens",
        "users:activity" => "Report user activity",
        other => return format!("`{}`", if filter.is_some() { scope } else { other }),
    };
    match filter.map(|filter| filter.split_once('=').unwrap_or((filter, ""))) {
        None => does.to_owned(),
        Some(("user", "")) => format!("{does} (your own)"),
        Some((kind, value)) => format!("{does} ({kind} `{value}`)"),
    }
}

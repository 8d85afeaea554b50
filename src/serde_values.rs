//! `Serialize` and `Deserialize` for values: feature `serde`.
//!
//! | type | as |
//! |---|---|
//! | `Identity` | a map of `username`, `name`, `display_name`, `initials`, `color`, `avatar_url`; only `username` is needed |
//! | `Grant` | a map of `identity`, `scopes`, `expires_at`, `label`, `groups`, `admin`; only `identity` is needed |
//! | `Scopes` | a list of texts |
//! | `UnixTime` | seconds since 1970 |
//! | `AuthMethod`, `Session`, `TokenRecord` | written only: what a request or a store proved is not taken from a text |
//! | `RecordId`, `Reason`, `BaseUrl`, `Origin`, `Username` | a text, read by the type's own rules |
//!
//! A map with a key that is not known is refused, so that a misspelled `scopes` does not give a grant without scopes.
//! Secrets have neither: `Token`, `Secret` and `PasswordHash` are written by their `expose` alone. Nor does a token record
//! show its session id.

use std::{fmt::Display, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error, ser::SerializeStruct};

#[cfg(feature = "hub-server")]
use crate::hub_server::Username;
use crate::{
    clock::UnixTime,
    denial::Reason,
    middleware::SessionInfo,
    request::base_url::BaseUrl,
    request_policy::Origin,
    session::{AuthMethod, Grant, Identity, Scope, Scopes, Session},
    store::{RecordId, TokenRecord},
};

impl Serialize for Identity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.display_fields().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Identity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        type Setter = fn(&Identity, &str) -> Identity;

        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, rename = "Identity")]
        struct Fields {
            username: String,
            name: Option<String>,
            display_name: Option<String>,
            initials: Option<String>,
            color: Option<String>,
            avatar_url: Option<String>,
        }

        let fields = Fields::deserialize(deserializer)?;
        if fields.username.is_empty() {
            return Err(D::Error::custom("expected a username, found an empty one"));
        }
        let mut identity = Self::new(&fields.username);
        let setters: [(_, Setter); 5] = [
            (fields.name, Self::with_name),
            (fields.display_name, Self::with_display_name),
            (fields.initials, Self::with_initials),
            (fields.color, Self::with_color),
            (fields.avatar_url, Self::with_avatar_url),
        ];
        for (field, set) in setters {
            if let Some(field) = field {
                identity = set(&identity, &field);
            }
        }
        Ok(identity)
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let scopes = Vec::<String>::deserialize(deserializer)?;
        match scopes.iter().find(|scope| Scope::parse(scope).is_none()) {
            Some(scope) => Err(D::Error::custom(format!("expected a scope, found {scope:?}"))),
            None => Ok(scopes.into()),
        }
    }
}

impl Serialize for Grant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("Grant", 6)?;
        map.serialize_field("identity", self.identity())?;
        map.serialize_field("scopes", self.scopes())?;
        map.serialize_field("expires_at", &self.expires_at())?;
        map.serialize_field("label", &self.label())?;
        map.serialize_field("groups", &self.groups().collect::<Vec<_>>())?;
        map.serialize_field("admin", &self.is_admin())?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for Grant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, rename = "Grant")]
        struct Fields {
            identity: Identity,
            #[serde(default)]
            scopes: Scopes,
            expires_at: Option<UnixTime>,
            label: Option<String>,
            #[serde(default)]
            groups: Vec<String>,
            #[serde(default)]
            admin: bool,
        }

        let fields = Fields::deserialize(deserializer)?;
        let mut grant = Self::new(fields.identity)
            .with_scopes(fields.scopes)
            .with_groups(fields.groups);
        if fields.admin {
            grant = grant.as_admin();
        }
        if let Some(end) = fields.expires_at {
            grant = grant.with_expiry(end);
        }
        Ok(match fields.label {
            Some(label) => grant.with_label(&label),
            None => grant,
        })
    }
}

impl Serialize for UnixTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.as_secs())
    }
}

impl<'de> Deserialize<'de> for UnixTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self::from_secs)
    }
}

impl Serialize for AuthMethod {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::NotRequired => "not_required",
            Self::Cookie => "cookie",
            Self::LaunchLink => "launch_link",
            Self::Other { .. } => "other",
            Self::Password => "password",
            Self::Token => "token",
        })
    }
}

/// The id is a string: a number of 63 bits is not exact in JavaScript.
impl Serialize for SessionInfo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("SessionInfo", 6)?;
        map.serialize_field("id", &self.id.to_string())?;
        map.serialize_field("device", &self.device())?;
        map.serialize_field("address", &self.address)?;
        map.serialize_field("created", &self.created)?;
        map.serialize_field("last_used", &self.last_used)?;
        map.serialize_field("expires_at", &self.expires_at)?;
        map.end()
    }
}

impl Serialize for Session {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("Session", 2)?;
        map.serialize_field("grant", self.grant())?;
        map.serialize_field("auth_method", &self.auth_method())?;
        map.end()
    }
}

impl Serialize for TokenRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_struct("TokenRecord", 5)?;
        map.serialize_field("id", &self.id())?;
        map.serialize_field("grant", self.grant())?;
        map.serialize_field("created", &self.created())?;
        map.serialize_field("last_used", &self.last_used())?;
        map.serialize_field("client_id", &self.client_id())?;
        map.end()
    }
}

/// The value that `parse` makes of a text; `expected` says which texts there are.
fn parsed<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| D::Error::custom(format!("expected {expected}, found {text:?}")))
}

/// The text of a value that its `FromStr` reads.
fn parsed_from_str<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    deserializer: D,
) -> Result<T, D::Error> {
    String::deserialize(deserializer)?
        .parse()
        .map_err(D::Error::custom)
}

macro_rules! as_text {
    ($($type:ty => $read:expr;)*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $read(deserializer)
            }
        }
    )*};
}

as_text! {
    BaseUrl => parsed_from_str;
    Origin => parsed_from_str;
    RecordId => parsed_from_str;
    Reason => |deserializer| {
        parsed(deserializer, "a reason such as \"unknown token\"", |text| {
            Self::ALL.into_iter().find(|reason| reason.as_str() == text)
        })
    };
}

#[cfg(feature = "hub-server")]
as_text! {
    Username => |deserializer| parsed(deserializer, "the name of a user", Self::parse);
}

//! What a provider says about a user.

use std::fmt;

use serde_json::{Map, Value};

use crate::session::{grant::Grant, identity::Identity};

/// What an identity provider says about a user: the claims of a verified ID token and of the UserInfo endpoint.
///
/// # Security
///
/// Only [`issuer`](Self::issuer) and [`subject`](Self::subject) together identify a user. A user may be able to change
/// every other claim, such as `preferred_username` or `email`, and a provider may give it to another user later.
///
/// # Example
///
/// ```
/// use portcullis::{Denial, Grant, sign_in::Claims};
///
/// fn map(claims: &Claims) -> Result<Grant, Denial> {
///     if !claims.texts("groups").any(|group| group == "staff") {
///         return Err(Denial::insufficient_scope("staff"));
///     }
///     let is_editor = claims.texts("realm_access.roles").any(|role| role == "editor");
///     let scopes: &[&str] = if is_editor { &["read", "write"] } else { &["read"] };
///     Ok(claims.grant().with_scopes(scopes.to_vec()))
/// }
/// ```
#[derive(Clone, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    pub(super) fn new(claims: Map<String, Value>) -> Self {
        Self(claims)
    }

    /// Returns the issuer: the URL that identifies the provider.
    pub fn issuer(&self) -> &str {
        self.text("iss").unwrap_or_default()
    }

    /// Returns the subject: 1 to 255 bytes that identify the user at this issuer permanently.
    pub fn subject(&self) -> &str {
        self.text("sub").unwrap_or_default()
    }

    /// Returns the email address, if the provider has verified that it is the user's.
    ///
    /// Some providers do not say so. Their address is `text("email")`; trust it only if the provider does not let users
    /// choose it.
    pub fn verified_email(&self) -> Option<&str> {
        let verified = match self.get("email_verified")? {
            Value::Bool(verified) => *verified,
            Value::String(text) => text == "true",
            _ => false,
        };
        self.text("email").filter(|_| verified)
    }

    /// Returns a claim, by its name or, as in `realm_access.roles`, by the path to it.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).or_else(|| {
            let (first, rest) = name.split_once('.')?;
            let first = self.0.get(first)?;
            rest.split('.').try_fold(first, |value, name| value.get(name))
        })
    }

    /// Returns a claim that is a text and not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    /// Returns the texts of a claim that is a list, such as groups or roles. A claim of one text is a list of one.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = match self.get(name) {
            Some(Value::Array(values)) => values.as_slice(),
            Some(value) => std::slice::from_ref(value),
            None => &[],
        };
        values.iter().filter_map(Value::as_str)
    }

    /// Returns all claims.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// Returns the grant of the user whose username is the subject: with the full name, the picture and the groups that the
    /// common claims `name`, `preferred_username`, `picture` and `groups` have. It has no scopes.
    ///
    /// With several providers, use [`grant_for`](Self::grant_for) with a username that includes the provider: two
    /// providers may use the same subject for different users.
    pub fn grant(&self) -> Grant {
        self.grant_for(self.subject())
    }

    /// Returns the same grant for a user with another username.
    ///
    /// # Example
    ///
    /// ```
    /// use portcullis::{Denial, Grant, Reason, sign_in::Claims};
    ///
    /// // At a provider that does not let users choose their username.
    /// fn map(claims: &Claims) -> Result<Grant, Denial> {
    ///     let username = claims.text("preferred_username");
    ///     Ok(claims.grant_for(username.ok_or_else(|| Denial::new(Reason::InsufficientScope))?))
    /// }
    /// ```
    pub fn grant_for(&self, username: &str) -> Grant {
        let mut identity = Identity::new(username);
        if let Some(name) = self.text("name").or_else(|| self.text("preferred_username")) {
            identity = identity.with_name(name);
        }
        if let Some(picture) = self.text("picture").filter(|url| url.starts_with("https://")) {
            identity = identity.with_avatar_url(picture);
        }
        Grant::new(identity).with_groups(self.texts("groups"))
    }
}

impl fmt::Debug for Claims {
    /// Writes issuer and subject only: the other claims are personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims")
            .field("issuer", &self.issuer())
            .field("subject", &self.subject())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Claims {
        match value {
            Value::Object(map) => Claims::new(map),
            _ => panic!("expected an object"),
        }
    }

    #[test]
    fn a_claim_is_found_by_its_name_or_by_the_path_to_it() {
        let claims = claims(json!({
            "sub": "7", "groups": ["a", 1, "b"], "one": "x", "realm_access": {"roles": ["editor"]},
            "https://example.org/roles": ["z"], "a.b": "whole", "a": {"b": "path"}, "empty": "",
        }));
        for (name, expected) in [
            ("groups", &["a", "b"][..]),
            ("one", &["x"]),
            ("realm_access.roles", &["editor"]),
            ("https://example.org/roles", &["z"]),
            ("a.b", &["whole"]),
            ("realm_access.other", &[]),
            ("realm_access", &[]),
            ("missing", &[]),
        ] {
            assert_eq!(claims.texts(name).collect::<Vec<_>>(), expected, "{name}");
        }
        assert_eq!(claims.text("empty"), None);
    }

    #[test]
    fn an_email_address_counts_if_the_provider_verified_it() {
        for (verified, expected) in [
            (json!(true), Some("a@example.org")),
            (json!("true"), Some("a@example.org")),
            (json!(false), None),
            (json!("yes"), None),
            (json!(1), None),
            (json!(null), None),
        ] {
            let claims = claims(json!({"email": "a@example.org", "email_verified": verified}));
            assert_eq!(claims.verified_email(), expected, "{verified}");
        }
        assert_eq!(claims(json!({"email": "a@example.org"})).verified_email(), None);
    }

    #[test]
    fn the_ready_grant_has_the_subject_for_a_username() {
        let claims = claims(json!({
            "iss": "https://id.example.org", "sub": "7", "preferred_username": "root", "name": "Alice",
            "picture": "javascript:alert(1)", "groups": ["staff"],
        }));
        let grant = claims.grant();
        assert_eq!(grant.identity().username(), "7");
        assert_eq!(grant.identity().name(), "Alice");
        assert_eq!(grant.identity().avatar_url(), None);
        assert_eq!(grant.groups().collect::<Vec<_>>(), ["staff"]);
        assert_eq!(claims.grant_for("alice").identity().username(), "alice");
        assert_eq!(
            format!("{claims:?}"),
            r#"Claims { issuer: "https://id.example.org", subject: "7", .. }"#
        );
    }
}

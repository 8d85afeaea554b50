//! The `WWW-Authenticate` header: which credential a client must send.

use http::{HeaderValue, Uri};

use crate::{
    denial::{Denial, Reason},
    error::ConfigError,
};

/// The `WWW-Authenticate` field of a refusal, in the `Bearer` form.
///
/// The answer to a request without a credential has the realm, and the scopes that the route requires. The answer to a
/// refused token adds `error="invalid_token"` to the realm; the answer to one that lacks scopes adds
/// `error="insufficient_scope"` and the scopes that the route requires, the missing ones first.
///
/// Source: RFC 6750 section 3, RFC 9110 section 11.6.1, RFC 9728 section 5.1 (`with_resource_metadata`).
///
/// # Example
///
/// ```
/// use portcullis::middleware::Challenge;
///
/// let challenge = Challenge::bearer("mcp")?
///     .with_resource_metadata("https://mcp.example.org/.well-known/oauth-protected-resource".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Challenge {
    parameters: Box<str>,
    without_error: HeaderValue,
    invalid_token: HeaderValue,
}

impl Challenge {
    /// A challenge with the realm `realm`.
    ///
    /// # Errors
    ///
    /// If the realm is empty, or has a character that is not visible ASCII or a space, or has a quote or a backslash.
    pub fn bearer(realm: &str) -> Result<Self, ConfigError> {
        let quotable = |byte: u8| (byte.is_ascii_graphic() || byte == b' ') && byte != b'"' && byte != b'\\';
        if realm.is_empty() || !realm.bytes().all(quotable) {
            return Err(ConfigError::new(
                "challenge",
                "expected a realm of visible ASCII characters without quotes and backslashes",
            ));
        }
        Ok(Self::with_parameters(format!("Bearer realm=\"{realm}\"")))
    }

    /// Adds a link to the resource's metadata, as MCP clients need it.
    ///
    /// [`AuthLayerBuilder::protected_resource`](crate::AuthLayerBuilder::protected_resource) adds it, and serves the
    /// metadata.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "a parsed URI is made for this call")]
    pub fn with_resource_metadata(self, uri: Uri) -> Self {
        // A parsed URI holds no quote and no other byte that a quoted string cannot hold.
        Self::with_parameters(format!("{}, resource_metadata=\"{uri}\"", self.parameters))
    }

    pub(crate) fn has_resource_metadata(&self) -> bool {
        self.parameters.contains("\", resource_metadata=")
    }

    fn with_parameters(parameters: String) -> Self {
        let value = |text: String| HeaderValue::try_from(text).expect("a realm and a URI are visible ASCII");
        Self {
            without_error: value(parameters.clone()),
            invalid_token: value(format!("{parameters}, error=\"invalid_token\"")),
            parameters: parameters.into(),
        }
    }

    pub(crate) fn header_for(&self, denial: &Denial) -> HeaderValue {
        match denial.reason() {
            Reason::InsufficientScope => self.with_scopes(", error=\"insufficient_scope\"", denial),
            Reason::ExpiredToken
            | Reason::Malformed
            | Reason::TokenChecksumMismatch
            | Reason::UnknownToken
            | Reason::UnsupportedToken => self.invalid_token.clone(),
            _ if denial.scope().is_none() => self.without_error.clone(),
            _ => self.with_scopes("", denial),
        }
    }

    /// Scopes that RFC 6749 section 3.3 does not allow in the list are left out.
    fn with_scopes(&self, error: &str, denial: &Denial) -> HeaderValue {
        let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        let scopes: Vec<&str> = denial
            .scopes()
            .filter(|scope| !scope.is_empty() && scope.bytes().all(allowed))
            .collect();
        let base = format!("{}{error}", self.parameters);
        let text = match &*scopes {
            [] => base,
            scopes => format!("{base}, scope=\"{}\"", scopes.join(" ")),
        };
        HeaderValue::try_from(text).expect("a realm, a URI and scopes are visible ASCII")
    }
}

impl Default for Challenge {
    /// The realm `portcullis`.
    fn default() -> Self {
        Self::with_parameters("Bearer realm=\"portcullis\"".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(denial: &Denial, expected: &str) {
        let challenge = Challenge::bearer("test").expect("a plain realm");
        assert_eq!(challenge.header_for(denial), expected);
    }

    #[test]
    fn the_error_is_named_only_when_a_credential_was_sent() {
        check(&Denial::new(Reason::MissingCredential), "Bearer realm=\"test\"");
        check(
            &Denial::new(Reason::UnknownToken),
            "Bearer realm=\"test\", error=\"invalid_token\"",
        );
        check(
            &Denial::insufficient_scope("write"),
            "Bearer realm=\"test\", error=\"insufficient_scope\", scope=\"write\"",
        );
        check(
            &Denial::insufficient_scope("a\"b"),
            "Bearer realm=\"test\", error=\"insufficient_scope\"",
        );
    }

    #[test]
    fn scopes_are_listed_unless_they_cannot_be_quoted() {
        let scopes = ["read", "a b", "", "c\"d", "write!user=me"].map(Box::from);
        check(
            &Denial::new(Reason::InsufficientScope).with_scopes(scopes.clone().into()),
            "Bearer realm=\"test\", error=\"insufficient_scope\", scope=\"read write!user=me\"",
        );
        check(
            &Denial::new(Reason::MissingCredential).with_scopes(scopes.into()),
            "Bearer realm=\"test\", scope=\"read write!user=me\"",
        );
        check(
            &Denial::new(Reason::MissingCredential).with_scopes([].into()),
            "Bearer realm=\"test\"",
        );
    }

    #[test]
    fn a_realm_that_cannot_be_quoted_is_refused() {
        for realm in ["", "a\"b", "a\\b", "a\nb", "caf\u{e9}"] {
            assert!(Challenge::bearer(realm).is_err(), "{realm:?}");
        }
    }
}

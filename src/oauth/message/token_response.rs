//! The message that holds the token: RFC 6749 §5.1.

use std::fmt;

use serde::Deserialize;

use super::super::{
    error::{OAuthError, OAuthErrorKind},
    json::object,
};
use crate::{secret::Secret, token::PresentedToken};

/// The response with a token for a code: RFC 6749 §5.1.
///
/// # Example
///
/// ```
/// use portcullis::{Secret, oauth::TokenResponse};
///
/// let answer = TokenResponse::new(Secret::from("abc")).with_scope("read").with_expires_in(60);
/// assert_eq!(answer.to_json().expose_str(), Some(
///     r#"{"access_token":"abc","expires_in":60,"scope":"read","token_type":"Bearer"}"#,
/// ));
/// let read = TokenResponse::parse(answer.to_json().expose())?;
/// assert_eq!(read.access_token().expose_str(), Some("abc"));
/// # Ok::<(), portcullis::oauth::OAuthError>(())
/// ```
#[derive(Clone)]
pub struct TokenResponse {
    access_token: Secret,
    expires_in: Option<u64>,
    refresh_token: Option<Secret>,
    scope: Option<String>,
}

impl TokenResponse {
    /// An answer with this token, of type `Bearer`.
    pub fn new(access_token: Secret) -> Self {
        Self {
            access_token,
            expires_in: None,
            refresh_token: None,
            scope: None,
        }
    }

    /// Sets for how many seconds the token is valid. Default: not stated.
    #[must_use]
    pub fn with_expires_in(self, seconds: u64) -> Self {
        Self {
            expires_in: Some(seconds),
            ..self
        }
    }

    /// Adds a token that is exchanged for the next one (RFC 6749 §6). Default: none.
    #[must_use]
    pub fn with_refresh_token(self, token: Secret) -> Self {
        Self {
            refresh_token: Some(token),
            ..self
        }
    }

    /// Sets the scopes, separated by spaces. Default: not stated.
    #[must_use]
    pub fn with_scope(self, scope: &str) -> Self {
        Self {
            scope: Some(scope.to_owned()),
            ..self
        }
    }

    /// The body, of type `application/json`; the answer is `Cache-Control: no-store`.
    pub fn to_json(&self) -> Secret {
        let mut answer = serde_json::Map::new();
        answer.insert(
            "access_token".to_owned(),
            self.access_token.expose_str().unwrap_or_default().into(),
        );
        if let Some(seconds) = self.expires_in {
            answer.insert("expires_in".to_owned(), seconds.into());
        }
        if let Some(token) = &self.refresh_token {
            let token = token.expose_str().unwrap_or_default();
            answer.insert("refresh_token".to_owned(), token.into());
        }
        if let Some(scope) = &self.scope {
            answer.insert("scope".to_owned(), scope.as_str().into());
        }
        answer.insert("token_type".to_owned(), "Bearer".into());
        Secret::from(serde_json::Value::Object(answer).to_string())
    }

    /// The answer that a body holds. A missing `token_type` is taken for `Bearer`.
    ///
    /// # Errors
    ///
    /// The error that the body reports, or else `server_error`: no JSON object, no token of 1 to 512 visible ASCII
    /// characters, a token of another type.
    pub fn parse(body: &[u8]) -> Result<Self, OAuthError> {
        #[derive(Deserialize)]
        struct Body {
            access_token: String,
            #[serde(default)]
            token_type: Option<String>,
            #[serde(default)]
            expires_in: Option<u64>,
            #[serde(default)]
            refresh_token: Option<String>,
            #[serde(default)]
            scope: Option<String>,
        }
        let wrong = |expectation| {
            OAuthError::from_json(body)
                .unwrap_or_else(|| OAuthError::new(OAuthErrorKind::ServerError).with_description(expectation))
        };
        let body: Body =
            object(body).ok_or_else(|| wrong("the answer of the token endpoint holds no token"))?;
        let bearer = body
            .token_type
            .is_none_or(|kind| kind.eq_ignore_ascii_case("bearer"));
        let token = Secret::from(body.access_token);
        let presented = PresentedToken::new(token.expose());
        if !bearer || presented.is_none_or(PresentedToken::is_oversized) {
            return Err(wrong("the answer of the token endpoint holds no bearer token"));
        }
        Ok(Self {
            access_token: token,
            expires_in: body.expires_in,
            refresh_token: body.refresh_token.map(Secret::from),
            scope: body.scope,
        })
    }

    /// The token.
    pub fn access_token(&self) -> &Secret {
        &self.access_token
    }

    /// For how many seconds the token is valid, if that was stated.
    pub fn expires_in(&self) -> Option<u64> {
        self.expires_in
    }

    /// The token that is exchanged for the next one, if there is one.
    pub fn refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }

    /// Its scopes, separated by spaces, if they were stated.
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }
}

impl fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenResponse")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_in_the_body_is_reported_regardless_of_other_errors() {
        for (body, expected) in [
            (r#"{"access_token":"a","error":"invalid_grant"}"#, None),
            (
                r#"{"error":"invalid_grant","error_description":"no"}"#,
                Some("invalid_grant: no"),
            ),
            (
                r#"{"access_token":"a b","error":"invalid_grant"}"#,
                Some("invalid_grant"),
            ),
            (
                r#"{"access_token":"a","token_type":"mac","error":"invalid_grant"}"#,
                Some("invalid_grant"),
            ),
            (
                r#"{"access_token":"a b"}"#,
                Some("server_error: the answer of the token endpoint holds no bearer token"),
            ),
            (
                r#"{"access_token":"a","token_type":"mac"}"#,
                Some("server_error: the answer of the token endpoint holds no bearer token"),
            ),
            (
                r#"{}"#,
                Some("server_error: the answer of the token endpoint holds no token"),
            ),
            (
                "no JSON",
                Some("server_error: the answer of the token endpoint holds no token"),
            ),
        ] {
            let found = TokenResponse::parse(body.as_bytes())
                .err()
                .map(|error| error.to_string());
            assert_eq!(found.as_deref(), expected, "{body}");
        }
    }
}

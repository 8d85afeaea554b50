//! An OAuth code, as the store knows it.

use crate::{clock::UnixTime, session::scopes::Scopes};

/// A stored OAuth code: the user it was issued for, and the conditions of its exchange.
///
/// Source: RFC 6749 §4.1.2, RFC 7636 §4.4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeRecord {
    client_id: String,
    redirect_uri: String,
    owner: String,
    expires_at: UnixTime,
    code_challenge: Option<String>,
    scopes: Scopes,
    session_id: Option<String>,
    resource: Option<String>,
}

impl CodeRecord {
    /// A code for the client, to be redeemed with this redirect URI in the name of `owner` before `expires_at`; without
    /// challenge, scopes and session.
    pub fn new(client_id: &str, redirect_uri: &str, owner: &str, expires_at: UnixTime) -> Self {
        Self {
            client_id: client_id.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            owner: owner.to_owned(),
            expires_at,
            code_challenge: None,
            scopes: Scopes::default(),
            session_id: None,
            resource: None,
        }
    }

    /// Requires the verifier of this S256 challenge. Default: none.
    #[must_use]
    pub fn with_code_challenge(self, code_challenge: &str) -> Self {
        Self {
            code_challenge: Some(code_challenge.to_owned()),
            ..self
        }
    }

    /// Sets the scopes that the code grants. Default: none.
    #[must_use]
    pub fn with_scopes(self, scopes: impl Into<Scopes>) -> Self {
        Self {
            scopes: scopes.into(),
            ..self
        }
    }

    /// The same code, made in the session with this id and ending with it. Default: none.
    #[must_use]
    pub fn with_session(self, session_id: &str) -> Self {
        Self {
            session_id: Some(session_id.to_owned()),
            ..self
        }
    }

    /// Sets the URI of the resource that its token is for (RFC 8707). Default: none.
    #[must_use]
    pub fn with_resource(self, resource: &str) -> Self {
        Self {
            resource: Some(resource.to_owned()),
            ..self
        }
    }

    /// The client it was made for.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Where the browser was sent with it.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// The username of the user who authorized the client.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// When the code expires, exclusive.
    pub fn expires_at(&self) -> UnixTime {
        self.expires_at
    }

    /// The S256 challenge.
    pub fn code_challenge(&self) -> Option<&str> {
        self.code_challenge.as_deref()
    }

    /// The scopes that the code grants.
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// The URI of the resource that its token is for.
    pub fn resource(&self) -> Option<&str> {
        self.resource.as_deref()
    }

    /// The session it was made in.
    pub fn session_id(&self) -> Option<&str> {
        self.session_id.as_deref()
    }
}

/// The result of an attempt to redeem a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodeRedemption {
    /// It was redeemed before. The token it was exchanged for is revoked.
    AlreadyUsed {
        /// How many tokens were revoked: one, or none if it was revoked already.
        revoked: u64,
    },
    /// It was good, and is no more; the token is kept.
    Issued,
    /// It is not known, or has expired, or its session has ended.
    Unknown,
}

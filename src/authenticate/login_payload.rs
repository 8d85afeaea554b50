//! The payload of a login cookie: identity and grant of the login.

use std::borrow::Cow;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde::{Deserialize, Serialize};

use crate::{
    clock::UnixTime,
    random,
    session::{
        AuthMethod, LoginId, LoginMark, Session,
        grant::Grant,
        identity::{Payload, Shown, to_json},
        scopes::Scopes,
    },
    token::TokenHash,
};

/// A login: its grant, and the token that it was made with, which ends the login when it expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoginPayload {
    pub(crate) grant: Grant,
    pub(crate) token: Option<TokenHash>,
    /// When it began; `None` stands for the time at which the cookie was written.
    pub(crate) started_at: Option<UnixTime>,
    /// What `_xsrf` values are bound to; `None` in a cookie that Jupyter wrote.
    pub(crate) id: Option<[u8; 16]>,
    /// Whether the browser forgets its cookie when it closes.
    pub(crate) browser_session: bool,
}

impl From<Grant> for LoginPayload {
    /// A login that begins now, with an id of its own.
    fn from(grant: Grant) -> Self {
        Self {
            grant,
            token: None,
            started_at: None,
            id: Some(random::bytes()),
            browser_session: false,
        }
    }
}

impl LoginPayload {
    /// The session of a request with its cookie.
    pub(crate) fn into_session(self) -> Session {
        Session::new(self.grant, AuthMethod::Cookie).with_login_mark(LoginMark {
            id: self.id.map_or(LoginId::None, LoginId::Cookie),
            ..LoginMark::default()
        })
    }
}

/// The payload as it is written. A Jupyter Server passes over `grant` and `login`.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    identity: Shown<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<GrantFields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<LoginStart<'a>>,
}

/// The id of the login, and when it began where the time of the cookie does not say it.
#[derive(Default, Deserialize, Serialize)]
struct LoginStart<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    started_at: Option<u64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    browser_session: bool,
}

/// The fields of the grant, in addition to the identity.
#[derive(Default, Deserialize, Serialize)]
struct GrantFields<'a> {
    #[serde(borrow, default)]
    scopes: Vec<Cow<'a, str>>,
    #[serde(default)]
    expires_at: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<Cow<'a, str>>,
}

/// Returns the payload of a login: its identity, and where it has them its scopes, its end, the hash of its token,
/// its id and when it began. The label of its grant is left out.
pub(crate) fn to_payload(login: &LoginPayload) -> String {
    let LoginPayload { grant, token, .. } = login;
    let has_terms = !grant.is_unlimited() || token.is_some();
    let id = login.id.map(|id| BASE64_URL_SAFE_NO_PAD.encode(id));
    to_json(&Written {
        identity: grant.identity().display_fields(),
        grant: has_terms.then(|| GrantFields {
            scopes: grant.scopes().iter().map(Cow::Borrowed).collect(),
            expires_at: grant.expires_at().map(UnixTime::as_secs),
            token: token.map(|hash| hash.to_string().into()),
        }),
        login: (login.started_at.is_some() || id.is_some() || login.browser_session).then(|| LoginStart {
            started_at: login.started_at.map(UnixTime::as_secs),
            id: id.as_deref(),
            browser_session: login.browser_session,
        }),
    })
}

/// Returns the login that a payload holds, or `None` if any part of it cannot be read.
pub(crate) fn from_payload(payload: &[u8]) -> Option<LoginPayload> {
    let mut payload = Payload::<Option<GrantFields<'_>>, Option<LoginStart<'_>>>::read(payload).ok()?;
    let terms = payload.grant.take().unwrap_or_default();
    let begin = payload.login.take().unwrap_or_default();
    let mut grant = Grant::new(payload.identity().ok()?);
    if !terms.scopes.is_empty() {
        grant = grant.with_scopes(terms.scopes.iter().collect::<Scopes>());
    }
    if let Some(end) = terms.expires_at {
        grant = grant.with_expiry(UnixTime::from_secs(end));
    }
    Some(LoginPayload {
        grant,
        token: terms.token.map(|hash| hash.parse()).transpose().ok()?,
        started_at: begin.started_at.map(UnixTime::from_secs),
        id: begin.id.map(|id| read_id(id).ok_or(())).transpose().ok()?,
        browser_session: begin.browser_session,
    })
}

fn read_id(text: &str) -> Option<[u8; 16]> {
    let mut id = [0; 16];
    let length = BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut id).ok()?;
    (length == id.len()).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::identity::Identity;

    fn alice() -> Grant {
        Grant::new(Identity::new("alice"))
    }

    #[test]
    fn scopes_and_end_come_back_and_the_identity_alone_is_the_peers_payload() {
        let end = UnixTime::from_secs(1_700_000_000);
        for grant in [
            alice(),
            alice().with_scopes(["read", "a\"b", "\u{e9}"]),
            alice().with_expiry(end),
            alice().with_scopes(["read"]).with_expiry(end),
            Grant::new(Identity::new("\"grant\": {}")),
            Grant::new(Identity::new("}}").with_name("}}")),
        ] {
            for token in [None, Some(TokenHash::from([7; 32]))] {
                for (started_at, id) in [
                    (None, None),
                    (Some(end), None),
                    (None, Some([7; 16])),
                    (Some(end), Some([0xff; 16])),
                ] {
                    let login = LoginPayload {
                        grant: grant.clone(),
                        token,
                        started_at,
                        id,
                        browser_session: token.is_some(),
                    };
                    let payload = to_payload(&login);
                    assert_eq!(from_payload(payload.as_bytes()), Some(login), "{payload}");
                    assert!(Identity::from_payload(payload.as_bytes()).is_ok(), "{payload}");
                }
            }
        }
        let as_jupyter_writes_it = LoginPayload {
            id: None,
            ..alice().into()
        };
        assert_eq!(to_payload(&as_jupyter_writes_it), alice().identity().to_payload());
    }

    #[test]
    fn grant_and_login_are_read_wherever_they_stand() {
        let payload = r#"{"login": {"started_at": 9}, "grant": {"scopes": ["read"]}, "username": "alice", "name": null,
            "display_name": null, "initials": null, "color": null, "avatar_url": null, "x": {"grant": 1} }"#;
        let expected = LoginPayload {
            grant: alice().with_scopes(["read"]),
            token: None,
            started_at: Some(UnixTime::from_secs(9)),
            id: None,
            browser_session: false,
        };
        assert_eq!(from_payload(payload.as_bytes()), Some(expected));
        for (from, to) in [("9", "\"9\""), ("[\"read\"]", "7")] {
            let broken = payload.replacen(from, to, 1);
            assert_eq!(from_payload(broken.as_bytes()), None, "{broken}");
        }
    }

    #[test]
    fn what_is_there_and_cannot_be_read_is_no_login() {
        let payload = to_payload(&LoginPayload {
            grant: alice().with_scopes(["read"]),
            token: Some(TokenHash::from([7; 32])),
            started_at: Some(UnixTime::from_secs(9)),
            id: Some([0; 16]),
            browser_session: true,
        });
        for (from, to) in [
            ("[\"read\"]", "\"read\""),
            ("[\"read\"]", "[1]"),
            ("null,", "-1,"),
            ("0707", "070"),
            ("\"}, ", "\", \"token\": 7}, "),
            ("\"started_at\": 9", "\"started_at\": \"9\""),
            (": 9,", ": -9,"),
            ("AAAA\"", "AAA\""),
            ("AAAA\"", "AAA=\""),
            ("AAAA\"", "AAAAA\""),
            ("\"AAAA", "\"AA+A"),
            (": true", ": 1"),
            ("\"AAAAAAAAAAAAAAAAAAAAAA\"", "7"),
            ("{\"scopes", "[{\"scopes"),
        ] {
            let broken = payload.replacen(from, to, 1);
            assert_ne!(broken, payload);
            assert_eq!(from_payload(broken.as_bytes()), None, "{broken}");
        }
    }
}

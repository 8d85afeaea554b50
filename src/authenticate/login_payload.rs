//! What a login cookie holds: who, and what the login is worth.

use std::borrow::Cow;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde::{Deserialize, Serialize};

use crate::{
    grant::Grant,
    identity::Identity,
    random,
    scopes::Scopes,
    session::{Credential, LoginMark, Session},
    time::UnixTime,
    token::TokenHash,
};

/// The name under which scopes and end stand beside the six names of the identity. A Jupyter Server passes over
/// names that it does not know.
const TERMS: &str = "grant";

/// The name under which stand the id of the login, and when it began where the cookie does not say it by its own time.
const LOGIN: &str = "login";

/// A login: what it is worth, and the token that it was made with, whose end is its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) grant: Grant,
    pub(crate) token: Option<TokenHash>,
    /// When it began; `None` stands for the time at which the cookie was written.
    pub(crate) started_at: Option<UnixTime>,
    /// What `_xsrf` values are bound to; `None` in a cookie that Jupyter wrote.
    pub(crate) id: Option<[u8; 16]>,
}

impl From<Grant> for Login {
    /// A login that begins now, with an id of its own.
    fn from(grant: Grant) -> Self {
        Self {
            grant,
            token: None,
            started_at: None,
            id: Some(random::octets()),
        }
    }
}

impl Login {
    /// The session of a request with its cookie.
    pub(crate) fn into_session(self) -> Session {
        Session::new(self.grant, Credential::Cookie).of_login(LoginMark {
            id: self.id,
            ..LoginMark::default()
        })
    }
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow, default)]
    grant: Option<Terms<'a>>,
    #[serde(borrow, default)]
    login: Option<Begin<'a>>,
}

#[derive(Default, Deserialize, Serialize)]
struct Begin<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    started_at: Option<u64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
}

#[derive(Default, Deserialize, Serialize)]
struct Terms<'a> {
    #[serde(borrow, default)]
    scopes: Vec<Cow<'a, str>>,
    #[serde(default)]
    expires_at: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<Cow<'a, str>>,
}

/// The payload of a login: that of its identity, and its scopes and its end where it has them, the hash of its
/// token, and when it began. Its label stays here.
pub(crate) fn to_payload(login: &Login) -> String {
    let mut payload = grant_payload(login);
    if login.started_at.is_some() || login.id.is_some() {
        let id = login.id.map(|id| BASE64_URL_SAFE_NO_PAD.encode(id));
        let begin = Begin {
            started_at: login.started_at.map(UnixTime::as_secs),
            id: id.as_deref(),
        };
        let begin = serde_json::to_string(&begin).expect("a text and a number are JSON");
        payload.pop();
        payload.push_str(&format!(", \"{LOGIN}\": {begin}}}"));
    }
    payload
}

fn grant_payload(login: &Login) -> String {
    let Login { grant, token, .. } = login;
    let mut payload = grant.identity().to_payload();
    if grant.scopes().is_empty() && grant.expiry().is_none() && token.is_none() {
        return payload;
    }
    let terms = Terms {
        scopes: grant.scopes().iter().map(Cow::Borrowed).collect(),
        expires_at: grant.expiry().map(UnixTime::as_secs),
        token: token.map(|hash| hash.to_string().into()),
    };
    let terms = serde_json::to_string(&terms).expect("texts and a number are JSON");
    // The payload of an identity is one object, and ends with its brace.
    payload.pop();
    payload.push_str(&format!(", \"{TERMS}\": {terms}}}"));
    payload
}

/// The login that a payload holds; `None` if it holds none that can be read whole.
pub(crate) fn from_payload(payload: &[u8]) -> Option<Login> {
    let grant = Grant::new(Identity::from_payload(payload).ok()?);
    let plain = Login {
        grant,
        token: None,
        started_at: None,
        id: None,
    };
    // They are written last and are an object, so a payload that ends with one brace has none: it need not be read
    // once more.
    if !payload.ends_with(b"}}") {
        return Some(plain);
    }
    let login: Payload<'_> = serde_json::from_slice(payload).ok()?;
    let begin = login.login.unwrap_or_default();
    let started_at = begin.started_at.map(UnixTime::from_secs);
    let id = begin.id.map(|id| read_id(id).ok_or(())).transpose().ok()?;
    let Some(terms) = login.grant else {
        return Some(Login {
            started_at,
            id,
            ..plain
        });
    };
    let grant = plain.grant;
    let token = terms.token.map(|hash| hash.parse()).transpose().ok()?;
    let grant = match &*terms.scopes {
        [] => grant,
        scopes => grant.with_scopes(scopes.iter().collect::<Scopes>()),
    };
    let grant = match terms.expires_at {
        Some(end) => grant.expires_at(UnixTime::from_secs(end)),
        None => grant,
    };
    Some(Login {
        grant,
        token,
        started_at,
        id,
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

    fn alice() -> Grant {
        Grant::new(Identity::new("alice"))
    }

    #[test]
    fn scopes_and_end_come_back_and_the_identity_alone_is_the_peers_payload() {
        let end = UnixTime::from_secs(1_700_000_000);
        for grant in [
            alice(),
            alice().with_scopes(["read", "a\"b", "\u{e9}"]),
            alice().expires_at(end),
            alice().with_scopes(["read"]).expires_at(end),
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
                    let login = Login {
                        grant: grant.clone(),
                        token,
                        started_at,
                        id,
                    };
                    let payload = to_payload(&login);
                    assert_eq!(from_payload(payload.as_bytes()), Some(login), "{payload}");
                    assert!(Identity::from_payload(payload.as_bytes()).is_ok(), "{payload}");
                }
            }
        }
        let as_jupyter_writes_it = Login {
            id: None,
            ..alice().into()
        };
        assert_eq!(to_payload(&as_jupyter_writes_it), alice().identity().to_payload());
    }

    #[test]
    fn what_is_there_and_cannot_be_read_is_no_login() {
        let payload = to_payload(&Login {
            grant: alice().with_scopes(["read"]),
            token: Some(TokenHash::from([7; 32])),
            started_at: Some(UnixTime::from_secs(9)),
            id: Some([0; 16]),
        });
        for (from, to) in [
            ("[\"read\"]", "\"read\""),
            ("[\"read\"]", "[1]"),
            ("null,", "-1,"),
            ("0707", "070"),
            ("\"}, ", "\", \"token\": 7}, "),
            ("\"started_at\":9", "\"started_at\":\"9\""),
            (":9,", ":-9,"),
            ("AAAA\"", "AAA\""),
            ("AAAA\"", "AAA=\""),
            ("AAAA\"", "AAAAA\""),
            ("\"AAAA", "\"AA+A"),
            ("\"AAAAAAAAAAAAAAAAAAAAAA\"", "7"),
            ("{\"scopes", "[{\"scopes"),
        ] {
            let broken = payload.replacen(from, to, 1);
            assert_ne!(broken, payload);
            assert_eq!(from_payload(broken.as_bytes()), None, "{broken}");
        }
    }
}

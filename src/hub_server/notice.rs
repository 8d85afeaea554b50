//! What the home page says once, after a button was pressed: what was done, or a new token.
//!
//! The answer to the form is a redirect, so that a reload does not send the form again. An encrypted cookie carries the
//! notice to the page, which removes it. It is valid for the session that pressed the button, and for a minute.

use std::time::Duration;

use serde_json::{Value, json};

use super::{browser_session::SignedInUser, request::HubRequest};
use crate::{
    cookies::{
        CookieJar, CookieName, CookieScope, Keyring, Lifetime, ReadCookie, RequestCookies, SameSite,
        SetCookies,
    },
    error::ConfigError,
    request::base_url::BaseUrl,
    secret::Secret,
};

const LIFETIME: Duration = Duration::from_secs(60);
const SESSION: &str = "session";
const STATUS: &str = "status";
const TOKEN: &str = "token";

/// See the page of this module.
#[derive(Default)]
pub(super) enum Notice {
    #[default]
    Nothing,
    Status(String),
    NewToken(Secret),
}

/// The jar of the cookie.
pub(crate) fn notice_jar(keyring: &Keyring, hub_url: &BaseUrl) -> Result<CookieJar, ConfigError> {
    let name = CookieName::custom("jupyterhub-hub-notice")?;
    let scope = CookieScope::custom(name, &hub_url.join("home"))?.with_same_site(SameSite::Strict)?;
    Ok(CookieJar::encrypted(keyring, scope).with_lifetime(Lifetime::absolute(LIFETIME)))
}

impl HubRequest<'_> {
    /// Adds the cookie of `notice`, for the next page of this session.
    pub(super) fn set_notice(&self, visitor: &SignedInUser, notice: &Notice, cookies: &mut SetCookies) {
        let (kind, text) = match notice {
            Notice::Nothing => return,
            Notice::Status(text) => (STATUS, text.as_str()),
            Notice::NewToken(token) => (TOKEN, token.expose_str().unwrap_or_default()),
        };
        let payload = json!({ SESSION: visitor.login.session_id(), kind: text }).to_string();
        let now = self.head.now();
        if let Ok(line) = self
            .hub
            .notice_jar
            .set_cookie(payload.as_bytes(), now, self.https())
        {
            cookies.push_overriding(line);
        }
    }

    /// Takes the notice of this session out of the request, and removes its cookie.
    pub(super) fn take_notice(&self, visitor: &SignedInUser, cookies: &mut SetCookies) -> Notice {
        let Ok(sent) = RequestCookies::from_headers(self.head.headers()) else {
            return Notice::Nothing;
        };
        let payload = |payload: &[u8]| serde_json::from_slice::<Value>(payload).ok();
        let jar = &self.hub.notice_jar;
        let (found, was_sent) = jar.read(
            &sent,
            || self.head.now(),
            payload,
            |read| match read {
                ReadCookie::Missing => (None, false),
                ReadCookie::Ambiguous | ReadCookie::Invalid(_) => (None, true),
                ReadCookie::Valid(opened) => (serde_json::from_slice::<Value>(opened.payload()).ok(), true),
            },
        );
        if was_sent && let Some(line) = jar.removal_cookie(self.https()) {
            cookies.push_overriding(line);
        }
        let found = found.filter(|found| found[SESSION] == visitor.login.session_id());
        let text = |kind: &str| found.as_ref().and_then(|found| found[kind].as_str());
        match (text(STATUS), text(TOKEN)) {
            (Some(text), _) => Notice::Status(text.to_owned()),
            (_, Some(token)) => Notice::NewToken(Secret::from(token)),
            _ => Notice::Nothing,
        }
    }
}

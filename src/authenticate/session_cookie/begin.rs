//! A new session in the store.

use std::net::IpAddr;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use http::HeaderValue;

use super::{BROWSER_SESSION, SessionCookie};
use crate::{
    clock::UnixTime,
    error::BackendError,
    random,
    session::{Session, grant::Grant},
    store::{SessionCredential, SessionRecord},
    token::TokenHash,
    verify::{Verification, verify_hash},
};

/// What a session is made from.
pub(crate) struct NewSession {
    pub(crate) grant: Grant,
    pub(crate) token: Option<TokenHash>,
    /// The session at an identity provider.
    pub(crate) provider_session: Option<TokenHash>,
    pub(crate) browser_session: bool,
    /// When the login began that it goes on with.
    pub(crate) started: Option<UnixTime>,
    pub(crate) note: Option<String>,
    pub(crate) address: Option<IpAddr>,
    /// The session that the browser had before, which ends.
    pub(crate) replaced: Option<SessionRecord>,
}

impl SessionCookie {
    /// Begins a session, and returns it with the line of its cookie.
    ///
    /// # Errors
    ///
    /// If the store could not keep it, or the cookie cannot be written.
    pub(crate) async fn begin(
        &self,
        new: NewSession,
        host: &[u8],
        https: bool,
        now: UnixTime,
    ) -> Result<(Session, HeaderValue), BackendError> {
        let fingerprint = self.fingerprint(&new.grant).map(SessionCredential::Fingerprint);
        let of_provider = new.provider_session.map(SessionCredential::ProviderSession);
        let credential = new
            .token
            .map(SessionCredential::Token)
            .or(of_provider)
            .or(fingerprint);
        let grant = new.grant.storable();
        let created = new.started.map_or(now, |started| started.min(now));
        let expires_at = self.expiry(created, now, &grant);
        let session_id = BASE64_URL_SAFE_NO_PAD.encode(random::bytes::<16>());
        let mut record = SessionRecord::new(grant.clone(), &session_id, created, expires_at)
            .with_last_used(now)
            .with_checked_at(now);
        if let Some(note) = &new.note {
            record = record.with_note(note);
        }
        if let Some(address) = new.address {
            record = record.with_address(address);
        }
        if let Some(credential) = credential {
            record = record.with_credential(credential);
        }
        let mut value = BASE64_URL_SAFE_NO_PAD.encode(random::bytes::<32>());
        if new.browser_session {
            value.push(char::from(BROWSER_SESSION));
        }
        let hash = TokenHash::from(
            self.settings()
                .keys
                .read(|keys| keys.keyring.session_mac(value.as_bytes())),
        );
        let max_age = expires_at.saturating_duration_since(now);
        let line =
            self.settings()
                .scope
                .set_cookie(host, &value, (!new.browser_session).then_some(max_age), https);
        let line = line.map_err(BackendError::new)?;
        let session = self.session(grant, &record, false);
        let replaced = new
            .replaced
            .as_ref()
            .map(|replaced| replaced.session_id().to_owned());
        self.settings()
            .store
            .insert_session(hash, record.clone(), replaced)
            .await?;
        if let Some(replaced) = &new.replaced {
            self.settings().endings.notify(&[replaced.id()]);
        }
        // A token that was revoked since it was verified has ended no session that was not there yet.
        if let Some(token) = new.token
            && !matches!(
                verify_hash(&self.settings().verifiers, token).await,
                Verification::Valid(_)
            )
        {
            self.end(&record).await?;
            return Err(BackendError::new("the token of the login was revoked meanwhile"));
        }
        Ok((session, line))
    }
}

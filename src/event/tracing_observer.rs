//! Events as `tracing` records.

use crate::{
    event::{Event, Observer},
    session::identity::Identity,
};

/// An observer that writes each event as a record of the `tracing` crate, target `portcullis`.
///
/// Accepted requests are `DEBUG`; denials, logins, logouts and tokens are `INFO`; settings to correct are `WARN`; backends that
/// do not respond are `ERROR`.
///
/// # Example
///
/// ```
/// use portcullis::{event::TracingObserver, AuthLayer, Token};
///
/// let auth = AuthLayer::builder().token(Token::generate()).observer(TracingObserver).build()?;
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingObserver;

impl Observer for TracingObserver {
    fn observe(&self, event: &Event<'_>) {
        const TARGET: &str = "portcullis";
        match event {
            Event::LoggedIn { identity, client } => {
                tracing::info!(target: TARGET, username = identity.username(), ?client, "logged in");
            }
            Event::LoggedOut { identity, client } => {
                tracing::info!(target: TARGET, username = identity.username(), ?client, "logged out");
            }
            Event::Admitted {
                session,
                method,
                path,
                client,
            } => {
                let (username, label) = (session.identity().username(), session.grant().label());
                tracing::debug!(target: TARGET, username, label, %method, %path, ?client, "admitted");
            }
            Event::TokenIssued {
                username,
                id,
                label,
                client_id,
                client,
            } => {
                tracing::info!(target: TARGET, username, id, label, client_id, ?client, "token issued");
            }
            Event::TokenRevoked { username, id, client } => {
                tracing::info!(target: TARGET, username, id, ?client, "token revoked");
            }
            Event::ClientAuthorized {
                username,
                client_id,
                scopes,
                client,
            } => {
                tracing::info!(target: TARGET, username, client_id, ?scopes, ?client, "client authorized");
            }
            Event::ClientRegistered {
                client_id,
                name,
                client,
            } => {
                tracing::info!(target: TARGET, client_id, name, ?client, "client registered");
            }
            Event::Denied {
                reason,
                identity,
                label,
                method,
                path,
                client,
            } => {
                let username = identity.map(Identity::username);
                let method = method.map(tracing::field::display);
                tracing::info!(target: TARGET, %reason, username, label, method, %path, ?client, "refused");
            }
            Event::PasswordChanged { client } => {
                tracing::info!(target: TARGET, ?client, "password changed");
            }
            Event::Unavailable { error, path } => {
                tracing::error!(target: TARGET, %error, %path, "unavailable");
            }
            Event::ClientAddressUnknown => {
                tracing::warn!(target: TARGET, "client address unknown: password attempts are rate-limited per account only");
            }
            Event::SharedRateLimitsUnavailable { error } => {
                tracing::error!(target: TARGET, %error, "wrong passwords are counted in memory: the shared store does not answer");
            }
            Event::JwtRejected { reason } => {
                tracing::info!(target: TARGET, reason, "JWT rejected");
            }
            Event::KeySetUnavailable { error } => {
                tracing::error!(target: TARGET, %error, "the keys of the issuer cannot be read");
            }
            Event::PeerAddressMissing => {
                tracing::warn!(
                    target: TARGET,
                    "`trusted_proxies` is set but requests have no peer address: call `peer_extractor` or insert a `Peer`"
                );
            }
            Event::WeakPasswordHash { identity } => {
                tracing::warn!(target: TARGET, username = identity.username(), "stored password hash is weak");
            }
        }
    }
}

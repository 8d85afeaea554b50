//! Events as `tracing` records.

use crate::event::{Event, Observer};

/// An observer that writes each event as a record of the `tracing` crate, target `portcullis`.
///
/// Refusals are `INFO`, logins and logouts `INFO`, a hash that is weak or a client whose address is not known `WARN`, what does not answer is `ERROR`.
///
/// # Example
///
/// ```
/// use portcullis::{AuthLayer, Token, TracingObserver};
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
            Event::Refused {
                reason,
                label,
                path,
                client,
            } => {
                tracing::info!(target: TARGET, %reason, label, %path, ?client, "refused");
            }
            Event::PasswordChanged { client } => {
                tracing::info!(target: TARGET, ?client, "password changed");
            }
            Event::UnknownClient => {
                tracing::warn!(target: TARGET, "passwords are tried by clients whose address is not known");
            }
            Event::WeakPassword { client } => {
                tracing::warn!(target: TARGET, ?client, "logged in by a password with a weak hash");
            }
            Event::Unavailable { error, path } => {
                tracing::error!(target: TARGET, %error, %path, "unavailable");
            }
        }
    }
}

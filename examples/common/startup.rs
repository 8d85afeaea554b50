//! What a server prints when it starts: what is served, where, and how to log in. And the log of events.

use std::{fmt, net::IpAddr, net::SocketAddr};

use anstyle::Style;
use portcullis::{AuthLayer, BaseUrl, Event, Reason};

use super::{
    cli::{Credentials, Flags},
    exit::Failure,
    listen::reachable,
};

/// Prints that the server called `name` serves `content`, and returns the URL of its base page for this machine.
pub(crate) fn announce(
    name: &str,
    content: &str,
    address: SocketAddr,
    base_url: &BaseUrl,
    flags: &Flags,
    credentials: &Credentials,
    auth: &AuthLayer,
) -> Result<String, Failure> {
    let scheme = if flags.has_tls() { "https" } else { "http" };
    let home = format!("{scheme}://{}{base_url}", reachable(address));
    let link = auth.launch_link(&home)?;
    let bold = Style::new().bold();
    anstream::println!(
        "{name} listens on {scheme}://{address}{base_url}\nserves: {content}\nhosts: {hosts}\n\n\
         open: {bold}{link}{bold:#}  (logs one browser in, once, within {life} seconds)\n\
         log in: {home}login\n        later, or in another browser, {by}",
        hosts = flags.hosts_line(address),
        link = link.expose_url(),
        life = link.ttl().as_secs(),
        by = match (&credentials.password, &credentials.token) {
            (Some(_), Some(_)) => "with the password or the token",
            (Some(_), None) => "with the password",
            _ => "with the token",
        },
    );
    if let Some(token) = &credentials.generated {
        anstream::println!("API token: {}", token.expose());
        anstream::println!(
            "        in a header, `Authorization: Bearer TOKEN`; the next start has another token"
        );
    }
    press_ctrl_c();
    Ok(home)
}

/// The last line of what a server prints at its start.
pub(crate) fn press_ctrl_c() {
    anstream::println!("\nPress Ctrl-C to stop.");
}

/// Logs an event. It holds no secret, so nothing has to be removed.
pub(crate) fn log(event: &Event<'_>) {
    match event {
        Event::LoggedIn { identity, client } => {
            tracing::info!("{:?} logged in from {}", identity.username(), Client(*client));
        }
        Event::LoggedOut { identity, client } => {
            tracing::info!("{:?} logged out from {}", identity.username(), Client(*client));
        }
        Event::PasswordChanged { client } => {
            tracing::info!("password changed from {}", Client(*client));
        }
        Event::TokenIssued { username, id, .. } => {
            tracing::info!("issued the token {id} to {username:?}");
        }
        Event::TokenRevoked {
            username,
            id: Some(id),
            ..
        } => {
            tracing::info!("revoked the token {id} of {username:?}");
        }
        Event::TokenRevoked {
            username, id: None, ..
        } => {
            tracing::info!("revoked the tokens of {username:?}");
        }
        Event::ClientAuthorized {
            username, client_id, ..
        } => {
            tracing::info!("{username:?} authorized {client_id:?}");
        }
        Event::Denied {
            reason,
            method,
            path,
            client,
            ..
        } => {
            // A password comes by a form.
            let method = method.map_or("POST", |method| method.as_str());
            let status = reason.status().as_u16();
            let line = format!("{status} {method} {path} {}: {reason}", Client(*client));
            // Every page does that before the login.
            match reason {
                Reason::MissingCredential => tracing::info!("{line}"),
                _ => tracing::warn!("{line}"),
            }
        }
        Event::Unavailable { error, path } => tracing::error!("503 {path}: {error}"),
        Event::ClientAddressUnknown => {
            tracing::warn!("clients have no address, so passwords are throttled by account alone");
        }
        Event::SharedRateLimitsUnavailable { error } => {
            tracing::error!("wrong passwords are counted in memory: {error}");
        }
        Event::JwtRejected { reason } => tracing::warn!("rejected a JWT: {reason}"),
        Event::KeySetUnavailable { error } => {
            tracing::error!("the keys of the issuer cannot be read: {error}")
        }
        Event::PeerAddressMissing => {
            tracing::warn!("proxies are trusted, but requests have no peer address to recognize them by");
        }
        Event::WeakPasswordHash { .. } => {
            tracing::warn!("the hash of the password is weak: set the password again");
        }
        _ => {}
    }
}

/// The address of a client, if it has one.
struct Client(Option<IpAddr>);

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("-"),
        }
    }
}

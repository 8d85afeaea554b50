//! What a server prints for the user who started it: its URL, how to log in, and each login.

use std::net::SocketAddr;

use portcullis::{AuthLayer, BaseUrl, Event};

use super::{
    cli::{Credentials, Flags},
    exit::Failure,
    listen::reachable,
    log,
};

/// Says that the server called `name` listens, and gives back the URL of its base page for this machine.
pub(crate) fn announce(
    name: &str,
    address: SocketAddr,
    base_url: &BaseUrl,
    flags: &Flags,
    credentials: &Credentials,
    auth: &AuthLayer,
) -> Result<String, Failure> {
    let scheme = if flags.has_tls() { "https" } else { "http" };
    let home = format!("{scheme}://{}{base_url}", reachable(address));
    let link = auth.launch_link(&home)?;
    println!(
        "{name} listens on {scheme}://{address}{base_url}\nhosts: {}\nopen: {}  (once, within a minute)\n\
         log in: {home}login",
        flags.hosts_line(address),
        link.expose_url(),
    );
    if let Some(token) = &credentials.generated {
        println!("token for programs: {}", token.expose());
    }
    Ok(home)
}

/// A line for the operator. An event holds no secret, so nothing has to be struck out.
pub(crate) fn log(event: &Event<'_>) {
    match event {
        Event::LoggedIn { identity, .. } => log::line(format_args!("{} logged in", identity.username())),
        Event::LoggedOut { identity, .. } => log::line(format_args!("{} logged out", identity.username())),
        Event::PasswordChanged { .. } => log::line("the password was changed"),
        Event::Denied { reason, path, .. } => log::line(format_args!("refused {path}: {reason}")),
        Event::Unavailable { error, path } => log::line(format_args!("cannot authenticate {path}: {error}")),
        Event::ClientAddressUnknown => {
            log::line("warning: clients have no address, so passwords are throttled by account alone");
        }
        Event::SharedRateLimitsUnavailable { error } => {
            log::line(format_args!(
                "warning: wrong passwords are counted in memory: {error}"
            ));
        }
        Event::PeerAddressMissing => {
            log::line("warning: proxies are trusted, but requests have no peer address to recognize them by");
        }
        Event::WeakPasswordHash { .. } => {
            log::line("warning: the hash of the password is weak, set it again");
        }
        _ => {}
    }
}

//! The user's browser, opened and logged in.

use std::{convert::Infallible, env, future, path::Path, process::Stdio};

use portcullis::launch_link::LaunchLink;
use tokio::{process::Command, time::sleep};

/// Opens the browser with `link`, if there is one, and keeps what that needs for as long as the link lives.
///
/// The link is handed over in a file of `directory` that only its owner reads: every user of the machine sees
/// the command line of every program. The file is gone when the future is dropped, which never ends by itself.
pub(crate) async fn open(link: &LaunchLink, directory: &Path) -> Infallible {
    match link.write_page(directory) {
        Ok(page) => {
            if start(&page.url()) {
                sleep(link.ttl()).await;
            }
        }
        Err(error) => tracing::warn!("no browser is opened: {error}"),
    }
    future::pending().await
}

/// Whether something was started that may open a browser at `url`.
fn start(url: &str) -> bool {
    let chosen = env::var("BROWSER").unwrap_or_default();
    let commands: Vec<&str> = if !chosen.is_empty() {
        chosen.split(':').collect()
    } else if cfg!(windows) {
        vec!["explorer"]
    } else if cfg!(target_os = "macos") {
        vec!["open"]
    } else if ["DISPLAY", "WAYLAND_DISPLAY"]
        .into_iter()
        .any(|name| env::var_os(name).is_some())
    {
        vec!["xdg-open"]
    } else {
        // Without a screen there are browsers in the terminal alone, and that is the server's.
        Vec::new()
    };
    commands.into_iter().any(|command| run(command, url))
}

/// Whether `command` could be started. As in Debian's `BROWSER`, `%s` is where the URL goes, or else the end.
fn run(command: &str, url: &str) -> bool {
    let mut words = command.split_whitespace();
    let Some(program) = words.next() else {
        return false;
    };
    let mut arguments: Vec<String> = words.map(|word| word.replace("%s", url)).collect();
    if !command.contains("%s") {
        arguments.push(url.to_owned());
    }
    let mut command = Command::new(program);
    // An interrupt in the terminal must not end the browser.
    #[cfg(unix)]
    command.process_group(0);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .is_ok()
}

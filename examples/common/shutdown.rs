//! When to stop: at SIGINT, at SIGTERM, or when the program itself says so.

use std::{io, sync::Arc};

use tokio::sync::watch;

/// A stop request that any handle can send and any handle can wait for. Cloning creates another handle.
#[derive(Clone)]
pub(crate) struct Stop(Arc<watch::Sender<bool>>);

impl Stop {
    /// One that SIGINT and SIGTERM utter.
    ///
    /// # Errors
    ///
    /// If the system does not let the process listen to signals.
    pub(crate) fn on_signals() -> io::Result<Self> {
        let stop = Self(Arc::new(watch::Sender::new(false)));
        #[cfg(unix)]
        let (mut interrupt, mut terminate) = {
            use tokio::signal::unix::{SignalKind, signal};
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        // Windows has Ctrl-C, and ends a process that closes its console.
        #[cfg(windows)]
        let (mut interrupt, mut terminate) = {
            use tokio::signal::windows::{ctrl_break, ctrl_c};
            (ctrl_c()?, ctrl_break()?)
        };
        let on_signal = stop.clone();
        tokio::spawn(async move {
            let signal = tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => if cfg!(windows) { "Ctrl-Break" } else { "SIGTERM" },
            };
            tracing::info!("received {signal}, stopping");
            on_signal.request();
        });
        Ok(stop)
    }

    /// Utters the wish.
    pub(crate) fn request(&self) {
        self.0.send_replace(true);
    }

    /// Waits until a stop is requested; returns at once if it was.
    pub(crate) async fn requested(self) {
        // The channel cannot close while `self` holds its sending end.
        let _ = self.0.subscribe().wait_for(|stop| *stop).await;
    }
}

//! Lines for the operator, through bounded queues: if the program that reads them stops, lines are dropped and
//! counted, and the server goes on.
//!
//! `eprintln!` blocks the thread that calls it while the pipe behind it is full.

use std::{
    fmt::Display,
    fs::File,
    io::{self, Write as _},
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

/// Most lines that wait in a queue.
const LINES: usize = 1024;

/// Most characters of a line: clients write some of them.
const LENGTH: usize = 1000;

/// How long the end of the program waits for the lines that are left.
const PATIENCE: Duration = Duration::from_secs(1);

static STDERR: LazyLock<Queue> = LazyLock::new(|| Queue::to(io::stderr().as_fd().try_clone_to_owned()));
static STDOUT: LazyLock<Queue> = LazyLock::new(|| Queue::to(io::stdout().as_fd().try_clone_to_owned()));

/// Writes a line to the standard error.
pub(crate) fn line(text: impl Display) {
    STDERR.add(&text);
}

/// Writes a line to the standard output.
pub(crate) fn note(text: impl Display) {
    STDOUT.add(&text);
}

/// Waits until the lines so far are written, but not for a reader that has stopped.
pub(crate) fn flush() {
    for queue in [&STDERR, &STDOUT] {
        queue.flush();
    }
}

/// The standard error for `tracing_subscriber`, one line for each call.
pub(crate) struct Stderr;

impl io::Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        line(String::from_utf8_lossy(bytes.trim_ascii_end()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Entry {
    Line(String),
    Flush(SyncSender<()>),
}

struct Queue {
    entries: SyncSender<Entry>,
    dropped: Arc<AtomicUsize>,
}

impl Queue {
    /// A queue to a copy of the stream: the thread that waits for it must not hold the lock of `io::stderr`, which
    /// the message of a panic needs.
    fn to(stream: io::Result<OwnedFd>) -> Self {
        let (entries, queued) = sync_channel(LINES);
        let dropped = Arc::new(AtomicUsize::new(0));
        if let Ok(stream) = stream {
            let dropped = Arc::clone(&dropped);
            // Without the thread every line is dropped.
            let _ = thread::Builder::new()
                .name("log".to_owned())
                .spawn(move || write(&queued, File::from(stream), &dropped));
        }
        Self { entries, dropped }
    }

    fn add(&self, text: &dyn Display) {
        let line = text.to_string();
        let line = line
            .chars()
            .take(LENGTH)
            .map(|letter| if letter.is_control() { '\u{fffd}' } else { letter })
            .chain(['\n'])
            .collect();
        if self.entries.try_send(Entry::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.entries.try_send(Entry::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(PATIENCE);
        }
    }
}

fn write(entries: &Receiver<Entry>, mut stream: File, dropped: &AtomicUsize) {
    for entry in entries {
        // A closed stream is no reason to stop.
        match entry {
            Entry::Line(line) => {
                let _ = stream.write_all(line.as_bytes());
            }
            Entry::Flush(done) => {
                let _ = done.send(());
            }
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _ = writeln!(stream, "warning: {lost} lines of the log were dropped");
        }
    }
}

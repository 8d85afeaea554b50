//! The log on the standard error, in Jupyter's format: `[W 2026-11-29 20:02:08] 401 POST /login 127.0.0.1: unknown token`.
//!
//! Lines go through bounded queues: if the program that reads them stops, lines are dropped and counted, and the server
//! goes on. `eprintln!` blocks the thread that calls it while the pipe behind it is full.

use std::{
    fmt::{Debug, Display, Write as _},
    fs::File,
    io::{self, Write as _},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use anstream::{AutoStream, ColorChoice};
use anstyle::AnsiColor;
use clap::Args;
use time::{OffsetDateTime, UtcOffset, macros::format_description};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    layer::{Context, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

/// Most lines that wait in a queue.
const LINES: usize = 1024;

/// Most characters of a line: clients write some of them.
const LENGTH: usize = 1000;

/// How long the end of the program waits for the lines that are left.
const PATIENCE: Duration = Duration::from_secs(1);

static STDERR: LazyLock<Queue> = LazyLock::new(|| Queue::to(second_handle(&io::stderr())));
static STDOUT: LazyLock<Queue> = LazyLock::new(|| Queue::to(second_handle(&io::stdout())));

/// The local time's difference to UTC. It is found while the program has one thread.
static OFFSET: LazyLock<UtcOffset> =
    LazyLock::new(|| UtcOffset::current_local_offset().unwrap_or(UtcOffset::UTC));

/// Only on a terminal, and not with `NO_COLOR`.
static IS_COLOURED: LazyLock<bool> =
    LazyLock::new(|| AutoStream::choice(&io::stderr()) != ColorChoice::Never);

#[derive(Args)]
pub(crate) struct LogFlags {
    /// The least severe lines that are logged: `debug`, `info`, `warn`, `error` or `critical`, or 10 to 50.
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = level)]
    log_level: LevelFilter,

    /// Log a line for each request as well: the same as `--log-level debug`.
    #[arg(long)]
    debug: bool,
}

/// A level by its name, or by its number in Python.
fn level(text: &str) -> Result<LevelFilter, &'static str> {
    match &*text.to_ascii_lowercase() {
        "debug" | "10" => Ok(LevelFilter::DEBUG),
        "info" | "20" => Ok(LevelFilter::INFO),
        "warn" | "warning" | "30" => Ok(LevelFilter::WARN),
        "error" | "40" | "critical" | "50" => Ok(LevelFilter::ERROR),
        _ => Err("expected debug, info, warn, error or critical"),
    }
}

impl LogFlags {
    /// Starts the log. Call it before the program has a second thread.
    pub(crate) fn init(&self) {
        LazyLock::force(&OFFSET);
        let level = if self.debug {
            LevelFilter::DEBUG
        } else {
            self.log_level
        };
        let program = module_path!().split("::").next().unwrap_or_default();
        // Other crates log headers, and so credentials.
        let own = Targets::new().with_target(program, level);
        tracing_subscriber::registry().with(own).with(JupyterLog).init();
    }
}

/// Writes each event as a line.
struct JupyterLog;

impl<S: Subscriber> Layer<S> for JupyterLog {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut message = Message::default();
        event.record(&mut message);
        STDERR.add(&prefix(*event.metadata().level()), &message.0);
    }
}

/// The text of an event.
#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        }
    }
}

/// What stands before a line of this level: `[W 2026-11-29 20:02:08] `.
fn prefix(level: Level) -> String {
    let (letter, colour) = match level {
        Level::ERROR => ('E', AnsiColor::Red),
        Level::WARN => ('W', AnsiColor::Yellow),
        Level::INFO => ('I', AnsiColor::Green),
        _ => ('D', AnsiColor::Blue),
    };
    let now = OffsetDateTime::now_utc().to_offset(*OFFSET);
    let time = format_description!("[year]-[month]-[day] [hour]:[minute]:[second]");
    let time = now.format(time).unwrap_or_default();
    if *IS_COLOURED {
        let style = colour.on_default();
        format!("{style}[{letter} {time}]{style:#} ")
    } else {
        format!("[{letter} {time}] ")
    }
}

/// Writes a line to the standard error as it is.
pub(crate) fn line(text: impl Display) {
    STDERR.add("", &text);
}

/// Writes a line to the standard output.
pub(crate) fn note(text: impl Display) {
    STDOUT.add("", &text);
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
    fn to(stream: io::Result<File>) -> Self {
        let (entries, queued) = sync_channel(LINES);
        let dropped = Arc::new(AtomicUsize::new(0));
        if let Ok(stream) = stream {
            let dropped = Arc::clone(&dropped);
            // Without the thread every line is dropped.
            let _ = thread::Builder::new()
                .name("log".to_owned())
                .spawn(move || write(&queued, stream, &dropped));
        }
        Self { entries, dropped }
    }

    fn add(&self, prefix: &str, text: &dyn Display) {
        let text = text.to_string();
        let text = text
            .chars()
            .take(LENGTH)
            .map(|letter| if letter.is_control() { '\u{fffd}' } else { letter });
        let line = prefix.chars().chain(text).chain(['\n']).collect();
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

#[cfg(unix)]
fn second_handle(stream: &impl std::os::fd::AsFd) -> io::Result<File> {
    stream.as_fd().try_clone_to_owned().map(File::from)
}

#[cfg(windows)]
fn second_handle(stream: &impl std::os::windows::io::AsHandle) -> io::Result<File> {
    stream.as_handle().try_clone_to_owned().map(File::from)
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
            let warning = prefix(Level::WARN);
            let _ = writeln!(stream, "{warning}{lost} lines of the log were dropped");
        }
    }
}

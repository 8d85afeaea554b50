//! One secret file, and many who would create, kill or exchange it at the same moment.

use std::{
    collections::HashSet,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{self, Child, ChildStdin, Stdio},
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use portcullis::{
    FileSource,
    secret::{SecretErrorKind, SecretSource},
};

use crate::subprocess;

const ROUNDS: usize = 200;
const PROCESSES: usize = 32;
/// Long enough for every process to have read its task and to wait for the start.
const LEAD: Duration = Duration::from_millis(4);

fn load(path: &Path) -> Result<String, String> {
    match FileSource::cookie_secret(path).or_create().load() {
        Ok(Some(secret)) => Ok(hex(secret.expose())),
        Ok(None) => Err("has nothing".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970")
}

/// The file is whole, private, and has one name.
#[track_caller]
fn is_good(path: &Path, secret: &str) {
    let metadata = fs::symlink_metadata(path).expect("there");
    assert_eq!(metadata.mode() & 0o7777, 0o600, "{}", path.display());
    assert_eq!(metadata.nlink(), 1, "{}", path.display());
    assert_eq!(
        fs::read_to_string(path).expect("text"),
        format!("{secret}\n"),
        "{}",
        path.display()
    );
}

/// A process that loads the secret of each round at the given time.
struct Starter {
    process: Child,
    tasks: ChildStdin,
    answers: BufReader<process::ChildStderr>,
}

impl Starter {
    fn new(umask: &str) -> Self {
        let mut process = subprocess::command(module_path!(), "a_child_process_loads_the_secret", umask)
            .stdin(Stdio::piped())
            .spawn()
            .expect("started");
        Self {
            tasks: process.stdin.take().expect("piped"),
            answers: BufReader::new(process.stderr.take().expect("piped")),
            process,
        }
    }

    fn answer(&mut self) -> String {
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("answered");
        answer.trim_end().to_owned()
    }
}

#[test]
fn a_child_process_loads_the_secret() {
    let Some(umask) = subprocess::task() else { return };
    let umask = u32::from_str_radix(&umask, 8).expect("an octal umask");
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
    for task in std::io::stdin().lines() {
        let task = task.expect("a task");
        let (start, path) = task.split_once(' ').expect("a moment and a path");
        let start = Duration::from_nanos(start.parse().expect("nanoseconds"));
        thread::sleep(start.saturating_sub(now()));
        let answer = load(Path::new(path)).unwrap_or_else(|error| format!("error: {error}"));
        eprintln!("{answer}");
    }
    process::exit(0);
}

#[test]
fn processes_that_start_at_once_agree_on_one_secret_whatever_their_umask() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut starters: Vec<Starter> = (0..PROCESSES)
        .map(|number| Starter::new(["0", "022", "077", "0777"][number % 4]))
        .collect();
    let mut all = HashSet::new();
    for round in 0..ROUNDS {
        let path = folder.path().join(format!("secret-{round}"));
        let start = (now() + LEAD).as_nanos();
        for starter in &mut starters {
            writeln!(starter.tasks, "{start} {}", path.display()).expect("written");
        }
        let answers: Vec<String> = starters.iter_mut().map(Starter::answer).collect();
        let [first, others @ ..] = answers.as_slice() else {
            panic!("no process answered")
        };
        for other in others {
            assert_eq!(other, first, "round {round}");
        }
        is_good(&path, first);
        assert!(all.insert(first.clone()), "round {round} repeats a secret");
    }
    assert_eq!(
        fs::read_dir(folder.path()).expect("listed").count(),
        ROUNDS,
        "something was left behind"
    );
    for Starter {
        mut process, tasks, ..
    } in starters
    {
        drop(tasks);
        assert!(process.wait().expect("ended").success());
    }
}

fn numbered(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("secret-{number}"))
}

#[test]
fn a_child_creates_until_it_is_killed() {
    let Some(folder) = subprocess::task() else { return };
    eprintln!("ready");
    for number in 0.. {
        load(&numbered(Path::new(&folder), number)).expect("created");
    }
}

#[test]
fn a_process_killed_while_creating_leaves_no_file_or_a_whole_one_and_the_next_start_works() {
    let base = tempfile::tempdir().expect("a directory");
    let (mut unfinished, mut unlinked) = (0, 0);
    for round in 0..ROUNDS {
        let folder = base.path().join(round.to_string());
        fs::create_dir(&folder).expect("made");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("changed");
        let task = folder.to_str().expect("text");
        let mut process = subprocess::command(module_path!(), "a_child_creates_until_it_is_killed", task)
            .spawn()
            .expect("started");
        let mut ready = String::new();
        BufReader::new(process.stderr.take().expect("piped"))
            .read_line(&mut ready)
            .expect("ready");
        // Spread over the first few creations, in steps far shorter than one of them.
        thread::sleep(Duration::from_micros(37 * round as u64 % 4000));
        process.kill().expect("killed");
        process.wait().expect("ended");

        let mut created = 0;
        for entry in fs::read_dir(&folder).expect("listed") {
            let entry = entry.expect("an entry");
            let (path, metadata) = (entry.path(), entry.metadata().expect("there"));
            if entry.file_name().as_encoded_bytes().starts_with(b"secret-") {
                created += 1;
                assert_eq!(metadata.mode() & 0o7777, 0o600, "{}", path.display());
                let text = fs::read_to_string(&path).expect("text");
                assert!(text.len() == 65 && text.ends_with('\n'), "{}", path.display());
                unlinked += usize::from(metadata.nlink() == 2);
            } else {
                assert_eq!(metadata.mode() & 0o177, 0, "{}", path.display());
                unfinished += 1;
            }
        }
        for number in 0..=created {
            let path = numbered(&folder, number);
            let secret = load(&path).expect("the next start works");
            is_good(&path, &secret);
            assert_eq!(load(&path), Ok(secret), "{}", path.display());
        }
    }
    println!("{unfinished} temporary names were left, {unlinked} of them of a good file");
    assert!(unfinished > 0, "no process was killed in the middle");
}

/// Where the file is exchanged, all the while it is read.
struct Exchange {
    folder: PathBuf,
}

impl Exchange {
    const GOOD: &str = "the good secret";
    const BAD: &str = "the bad secret";

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn write(&self, name: &str, content: &str, mode: u32) -> PathBuf {
        let path = self.file(name);
        fs::write(&path, content).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("changed");
        path
    }

    fn put(&self, path: &Path) {
        fs::rename(path, self.file("secret")).expect("exchanged");
    }

    fn once(&self) {
        self.put(&self.write("staged", Self::BAD, 0o644));
        self.put(&self.write("staged", Self::GOOD, 0o600));
        let staged = self.file("staged");
        symlink("bad", &staged).expect("linked");
        self.put(&staged);
        self.put(&self.write("staged", Self::GOOD, 0o600));
    }
}

#[test]
fn however_a_file_is_exchanged_while_it_is_read_a_bad_one_is_never_taken() {
    let folder = tempfile::tempdir().expect("a directory");
    let exchange = Exchange {
        folder: folder.path().to_owned(),
    };
    // The link's target is private, so that only the link is wrong with it.
    exchange.write("bad", Exchange::BAD, 0o600);
    exchange.put(&exchange.write("staged", Exchange::GOOD, 0o600));
    let source = FileSource::new(exchange.file("secret"));
    let done = AtomicBool::new(false);
    let (mut taken, mut refused) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                exchange.once();
            }
        });
        let finished = Finish(&done);
        while taken < 2000 || refused < 2000 {
            match source.load() {
                Ok(secret) => {
                    let secret = secret.expect("it is always there");
                    assert_eq!(secret.expose_str(), Some(Exchange::GOOD));
                    taken += 1;
                }
                Err(error) => {
                    assert!(!error.to_string().contains(Exchange::BAD));
                    let kinds = [SecretErrorKind::Permissions, SecretErrorKind::System];
                    assert!(kinds.contains(&error.kind()), "{error}");
                    refused += 1;
                }
            }
        }
        drop(finished);
    });
    println!("{taken} good files taken, {refused} refused");
}

/// Ends the exchange, after a failed assertion too.
struct Finish<'a>(&'a AtomicBool);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn of_many_who_take_a_handed_over_file_one_gets_it() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("handover");
    for round in 0..50 {
        fs::write(&path, format!("token-{round}")).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("changed");
        let source = FileSource::new(&path).delete_after_read();
        let barrier = Barrier::new(8);
        let take = || {
            barrier.wait();
            source.load().is_ok_and(|secret| secret.is_some())
        };
        let winners = thread::scope(|scope| {
            let takers: Vec<_> = (0..8).map(|_| scope.spawn(take)).collect();
            let taken = takers.into_iter().map(|taker| taker.join().expect("ended"));
            taken.filter(|&taken| taken).count()
        });
        assert_eq!(winners, 1, "round {round}");
        assert!(!path.exists(), "round {round}");
    }
}
